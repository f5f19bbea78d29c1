"""Every recorded exchange is answered as CouchDB answered it, but for those listed as not yet covered."""

from __future__ import annotations

import anyio
import pytest

from tests.conformance import replay
from tests.conformance.covered import NOT_YET_COVERED, SCENARIOS, check, listed


@pytest.mark.parametrize("name", SCENARIOS)
def test_exchanges_are_answered_as_couchdb_answered_them(name):
    check(name, anyio.run(replay.replay, SCENARIOS[name]))


def test_the_list_names_existing_exchanges_once():
    assert len(listed()) == len(NOT_YET_COVERED)
    for entry in NOT_YET_COVERED:
        name, _, number = entry.partition("#")
        assert int(number) < len(SCENARIOS[name]["exchanges"])
