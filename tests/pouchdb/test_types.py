"""A program's types: what a checker knows of both APIs, and that it is so.

``assert_type`` is judged by mypy, which checks this file with the others; here the program runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import ItemsView
from pathlib import Path
from typing import Any, assert_type

from couchette import pouchdb
from couchette.pouchdb import AsyncPouchDB, Changes, Promise, Replication, Result, Results, Sync, SyncPouchDB


def test_the_synchronous_api_has_types(tmp_path: Path) -> None:
    environment = pouchdb.setup(tmp_path)
    assert_type(environment, pouchdb.SyncEnvironment)
    db = environment.PouchDB("example")
    assert_type(db, SyncPouchDB)
    assert_type(environment["example"], SyncPouchDB)
    assert_type(environment.allDbs(), Results)
    assert_type(db.put({"_id": "a", "n": 1}), Result)
    assert_type(db.bulk_docs([{"_id": "b"}]), Results)
    assert_type(db.allDocs(include_docs=True), Result)
    assert_type(db.allDocs().rows[0].id, Any)
    assert_type(db.get("a"), Any)
    assert_type(db["a"], Any)
    assert_type(db.items(), ItemsView[str, Any])
    assert_type([id for id in db], list[str])  # noqa: C416 - it is the loop whose type is meant
    assert_type(db.getAttachment(db.putAttachment("c", "t", b"Hi", "text/plain").id, "t"), Result)
    assert_type(db.changes(since=1), Result)
    changes = db.changes(live=True)
    assert_type(changes, Changes)
    assert_type(environment.replicate("example", "b"), Result)
    replication = db.replicate_to("b", continuous=True)
    assert_type(replication, Replication)
    sync = environment.sync("example", "b", live=True)
    assert_type(sync, Sync)
    for going in (changes, replication, sync):
        assert isinstance(going.on("complete", print), Promise)
        going.cancel()
    assert_type(db.destroy(), Result)


def test_the_asynchronous_api_has_types(tmp_path: Path) -> None:
    async def main() -> str:
        environment = pouchdb.setup(tmp_path, async_=True)
        assert_type(environment, pouchdb.AsyncEnvironment)
        db = environment["example"]
        assert_type(db, AsyncPouchDB)
        promise = db.put({"_id": "a"})
        assert_type(promise, Promise[Result])
        assert_type(await promise, Result)
        assert_type(await db.get("a"), Any)
        assert_type(await environment.all_dbs(), Results)
        total = db.allDocs().then(lambda answer: len(answer.rows))
        assert_type(total, Promise[int])
        assert_type(await total, int)
        assert_type(db.replicateTo("b"), Replication)
        assert_type(environment.sync("example", "b"), Sync)
        changes = db.changes()
        assert_type(changes, Changes)
        assert_type(await changes, Result)
        return str((await changes).results[0].id)

    assert asyncio.run(main()) == "a"
