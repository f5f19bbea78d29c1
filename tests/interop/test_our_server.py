"""Our replicator with our server, over a real line."""

from __future__ import annotations

import pytest

from couchette import Database
from tests.interop.conftest import HttpDatabase, leaves_of
from tests.interop.documents import fill, fork_attachment

pytestmark = pytest.mark.interop


def test_every_leaf_goes_there_and_comes_back_whatever_its_name(db: Database, served: HttpDatabase):
    fill(db, "near", harder=True)
    fill(served, "far", harder=True)
    fork_attachment(db, "near")
    fork_attachment(served, "far")
    assert db.sync(served.url).ok
    assert served.leaves() == leaves_of(db)
    with Database() as third:
        assert third.replicate_from(served.url).ok
        assert leaves_of(third) == leaves_of(db)
