"""Databases that are hard on replicators: conflicts, tombstones and histories by the thousand."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from couchette import Database
from tests.interop.conftest import HttpDatabase, NodePeer
from tests.interop.documents import revision

pytestmark = pytest.mark.interop

HISTORY = 5000


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--long"))


@pytest.fixture(params=["served", "remote"])
def far(request: pytest.FixtureRequest) -> HttpDatabase:
    """A database of our server, or of pouchdb-server."""
    database: HttpDatabase = request.getfixturevalue(request.param)
    database.http.timeout = 300
    return database


def leaf_revs(far: HttpDatabase) -> dict[str, list[str]]:
    """The leaves by their ids alone: reading thousands of documents one by one would take all the time."""
    rows = far.ask("GET", "/_changes?style=all_docs")["results"]
    return {row["id"]: sorted(change["rev"] for change in row["changes"]) for row in rows}


def leaf_revs_of(db: Database) -> dict[str, list[str]]:
    rows = db.changes(style="all_docs")["results"]
    return {row["id"]: sorted(change["rev"] for change in row["changes"]) for row in rows}


def test_documents_in_conflict(db: Database, far: HttpDatabase, long: bool):
    count = 10_000 if long else 1000
    conflicted = [
        revision(f"{number:05}", f"{length}-{side}{number} 1-a", side=side)
        for number in range(count)
        for length, side in ((2, "a"), (2, "b"), (3, "c"))
    ]
    db.bulk_docs([{**doc, "_revisions": padded(doc["_revisions"])} for doc in conflicted], new_edits=False)
    assert db.replicate_to(far.url).docs_written == 3 * count
    assert leaf_revs(far) == leaf_revs_of(db)
    with Database() as third:
        assert third.replicate_from(far.url).docs_written == 3 * count
        assert leaf_revs_of(third) == leaf_revs_of(db)
        assert third.info()["conflict_count"] == count
        assert [row["ok"]["side"] for row in third.get("00007", open_revs="all")] == ["a", "b", "c"]


def padded(revisions: dict[str, Any]) -> dict[str, Any]:
    """A history as long as its first number says."""
    start, ids = revisions["start"], list(revisions["ids"])
    while len(ids) < start:
        ids.insert(1, f"{ids[0]}{len(ids)}")
    return {"start": start, "ids": ids}


def test_tombstones(db: Database, far: HttpDatabase, long: bool):
    count = 100_000 if long else 5000
    for start in range(0, count, 1000):
        made = db.bulk_docs([{"_id": f"{number:06}"} for number in range(start, start + 1000)])
        db.bulk_docs([{"_id": row["id"], "_rev": row["rev"], "_deleted": True} for row in made])
    db["alive"] = {}
    assert db.replicate_to(far.url).docs_written == count + 1
    info = far.ask("GET")
    assert info["doc_count"] == 1
    with Database() as third:
        assert third.replicate_from(far.url).docs_written == count + 1
        assert leaf_revs_of(third) == leaf_revs_of(db)
    with Database() as fourth:
        assert fourth.replicate_from(far.url, skip_deletes=True).docs_written == 1
        assert fourth.replicate_from(far.url).docs_read == 0


def history(length: int) -> list[str]:
    """Revision ids, oldest first."""
    return [hashlib.md5(b"%d" % number).hexdigest() for number in range(1, length + 1)]


def document(ids: list[str]) -> dict[str, Any]:
    path = {"start": len(ids), "ids": ids[::-1]}
    return {"_id": "a", "_rev": f"{len(ids)}-{ids[-1]}", "_revisions": path, "n": len(ids)}


def test_a_long_history(db: Database, far: HttpDatabase):
    """Servers cut it to their revs_limit, and still know the later edits for its successors."""
    db.set_revs_limit(2 * HISTORY)
    ids = history(HISTORY + 500)
    db.bulk_docs([document(ids[:HISTORY])], new_edits=False)
    db.replicate_to(far.url)
    with Database() as third:
        third.replicate_from(far.url)
        db.bulk_docs([document(ids)], new_edits=False)
        assert db.replicate_to(far.url).docs_written == 1
        assert third.replicate_from(far.url).docs_written == 1
        assert leaf_revs(far) == leaf_revs_of(third) == {"a": [f"{HISTORY + 500}-{ids[-1]}"]}
        assert third["a"]["n"] == HISTORY + 500
        known = third.get("a", revs=True)["_revisions"]["ids"]
        assert known == ids[: -len(known) - 1 : -1]
        assert len(known) == 1000


def test_a_long_history_for_pouchdb(served: HttpDatabase, node: NodePeer):
    ids = history(HISTORY)
    served.ask("PUT", "/_revs_limit", json=2 * HISTORY)
    served.bulk_docs([document(ids)], new_edits=False)
    assert node.call("replicate.from", served.url)["docs_written"] == 1
    doc = node.call("get", "a")
    node.call("put", {**doc, "edited": True})
    assert node.call("replicate.to", served.url)["docs_written"] == 1
    assert len(leaf_revs(served)["a"]) == 1
    assert served.ask("GET", "/a?revs=true")["_revisions"]["start"] == HISTORY + 1
