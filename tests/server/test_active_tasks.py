"""``_active_tasks``: long work on databases, while it is under way. Replications are in test_replications.py."""

from __future__ import annotations

import anyio
import pytest

from couchette.limits import INDEX_BATCH_DOCS
from tests.server.asgi import call

pytestmark = pytest.mark.anyio


def asked(app):
    """What the app answers meanwhile, asked from the thread that does the work."""
    return anyio.run(call, app, "GET", "/_active_tasks").json()


async def in_thread(function):
    return await anyio.to_thread.run_sync(function)


async def test_nothing_is_listed_where_nothing_runs(app):
    assert (await call(app, "GET", "/_active_tasks")).json() == []
    assert (await call(app, "GET", "/db")).json()["compact_running"] is False


async def test_a_compaction_is_listed_with_its_progress(app, environment):
    db = environment["db"]
    rev = None
    for n in range(10):
        rev = db.put({"_id": "a", "n": n, **({"_rev": rev} if rev else {})})["rev"]
    seen = []
    await in_thread(lambda: db.compact(progress=lambda freed: seen.append(asked(app))))
    (task,) = seen[0]
    assert (task["type"], task["database"], task["phase"]) == ("database_compaction", "db", "document_copy")
    assert (task["changes_done"], task["total_changes"], task["progress"]) == (9, 9, 100)
    assert task["started_on"] <= task["updated_on"]
    assert task["node"] == "nonode@nohost"
    assert task["pid"].startswith("<0.")
    assert (await call(app, "GET", "/_active_tasks")).json() == []


async def test_the_building_of_a_view_is_listed_with_its_progress(app, environment):
    db = environment["db"]
    db.bulk_docs([{"n": n} for n in range(2 * INDEX_BATCH_DOCS)])
    db.put({"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(doc.n); }"}}})
    seen = []
    await in_thread(lambda: db.query("d/v", progress=lambda *_: seen.append(asked(app))))
    (task,) = seen[0]
    assert (task["type"], task["design_document"]) == ("indexer", "_design/d")
    assert (task["changes_done"], task["total_changes"]) == (INDEX_BATCH_DOCS, 2 * INDEX_BATCH_DOCS + 1)
    assert task["progress"] == 49
    seen.clear()
    await in_thread(lambda: db.query("d/v", progress=lambda *_: seen.append(asked(app))))
    assert seen == []


async def test_the_building_of_a_text_index_is_a_search_indexer(app, environment):
    db = environment["db"]
    db.put({"_id": "a", "t": "x"})
    index = "function (doc) { index('t', doc.t); }"
    db.put({"_id": "_design/d", "indexes": {"i": {"index": index}}})
    seen = []
    await in_thread(lambda: db.search("d/i", "t:x", progress=lambda *_: seen.append(asked(app))))
    assert seen[0][0]["type"] == "search_indexer"


async def test_work_that_fails_is_listed_no_more(app, environment):
    db = environment["db"]
    db.put({"_id": "a"})

    def stop(freed):
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        await in_thread(lambda: db.compact(progress=stop))
    assert (await call(app, "GET", "/_active_tasks")).json() == []
