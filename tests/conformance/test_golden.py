"""Every recorded exchange is answered as CouchDB answered it, but for those listed as not yet covered."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.conformance import replay

LIST = Path(__file__).parent / "not_yet_covered.txt"
SCENARIOS = dict(replay.scenarios())


def listed() -> list[str]:
    """The names on the list of exchanges that are not yet covered."""
    return [line for line in LIST.read_text(encoding="utf-8").splitlines() if line and not line.startswith(";")]


NOT_YET_COVERED = frozenset(listed())


@pytest.mark.parametrize("name", SCENARIOS)
def test_exchanges_are_answered_as_couchdb_answered_them(name):
    """One scenario. A difference that is not listed fails, and so does a listed exchange that holds now."""
    differences = anyio.run(replay.replay, SCENARIOS[name])
    found = {f"{name}#{number}": difference for number, difference in differences.items()}
    expected = {entry for entry in NOT_YET_COVERED if entry.startswith(f"{name}#")}
    differing = {entry: difference for entry, difference in found.items() if entry not in expected}
    assert not differing, "\n".join(f"{entry}: {difference}" for entry, difference in differing.items())
    assert expected == found.keys(), f"these hold now, take them off {LIST.name}: {sorted(expected - found.keys())}"


def test_the_list_names_existing_exchanges_once():
    assert len(listed()) == len(NOT_YET_COVERED)
    for entry in NOT_YET_COVERED:
        name, _, number = entry.partition("#")
        assert int(number) < len(SCENARIOS[name]["exchanges"])
