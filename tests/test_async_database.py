"""The asynchronous facade under trio and asyncio, and that it is the synchronous one's twin."""

from __future__ import annotations

import inspect
import threading

import anyio
import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import Conflict, DatabaseClosed, NotFound

MAPPING_ONLY = {"clear", "items", "keys", "pop", "popitem", "setdefault", "update", "values"}
ATTRIBUTES = {"name", "path"}


def public(cls):
    return {name for name in dir(cls) if not name.startswith("_")}


def test_both_facades_have_the_same_methods():
    """Those of a mapping apart, which cannot be awaited."""
    assert public(Database) - MAPPING_ONLY - public(AsyncDatabase) == set()
    assert public(AsyncDatabase) - public(Database) == ATTRIBUTES


@pytest.mark.parametrize("name", sorted((public(Database) - MAPPING_ONLY) | {"__init__"}))
def test_both_facades_take_the_same_parameters(name):
    sync, asynchronous = (inspect.getattr_static(cls, name) for cls in (Database, AsyncDatabase))
    if isinstance(sync, property):
        assert isinstance(asynchronous, property)
        return
    # A live feed of changes is iterated over, not awaited; declaring a view touches no file.
    at_once = ("__init__", "as_user", "changes", "live", "spatial_view", "text_index", "view")
    assert inspect.iscoroutinefunction(asynchronous) == (name not in at_once)
    one, other = inspect.signature(sync).parameters, inspect.signature(asynchronous).parameters
    assert [(p.name, p.kind, p.default) for p in one.values()] == [(p.name, p.kind, p.default) for p in other.values()]
    for parameter in one:
        if (name, parameter) != ("__init__", "path"):
            assert one[parameter].annotation == other[parameter].annotation
    if name != "__init__":
        returned = inspect.signature(asynchronous).return_annotation
        assert inspect.signature(sync).return_annotation == returned.removeprefix("Async")


@pytest.mark.anyio
async def test_every_operation_does_what_its_twin_does(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette", name="mine", revs_limit=50) as db:
        assert (db.name, db.path, db.closed) == ("mine", str(tmp_path / "a.couchette"), False)
        rev = (await db.put({"_id": "a", "v": 1}))["rev"]
        posted = await db.post({"v": 2})
        assert [row["ok"] for row in await db.bulk_docs([{"_id": "b"}, {"_id": "c"}])] == [True, True]
        assert await db.get("a", revs=True) == db.database.get("a", revs=True)
        assert await db.all_docs(include_docs=True) == db.database.all_docs(include_docs=True)
        assert await db.changes(style="all_docs") == db.database.changes(style="all_docs")
        assert await db.bulk_get([{"id": "a"}], revs=True) == db.database.bulk_get([{"id": "a"}], revs=True)
        assert await db.revs_diff({"a": [rev, "2-x"]}) == db.database.revs_diff({"a": [rev, "2-x"]})
        assert await db.missing_revs({"a": [rev, "2-x"]}) == {"missing_revs": {"a": ["2-x"]}}
        assert await db.info() == db.database.info()
        rev = (await db.put_attachment("a", "x", b"hi", rev=rev))["rev"]
        assert (await db.get_attachment("a", "x")).data == b"hi"
        rev = (await db.remove_attachment("a", "x", rev))["rev"]
        await db.put({"_id": "b", "_rev": "1-f", "v": 1}, new_edits=False)
        assert await db.conflicts() == db.database.conflicts()
        assert len((await db.resolve("b", merge=lambda leaves, ancestor: None))["deleted"]) == 1
        assert await db.history("b") == db.database.history("b")
        assert (await db.copy("b", "d", rev="1-f"))["id"] == "d"
        assert (await db.remove("d", all_leaves=True))["ok"]
        await db.remove("a", rev)
        await db.remove({"_id": posted["id"], "_rev": posted["rev"]})
        assert await db.wait_changes(0, 0)
        assert list(db.database) == ["b", "c"]
    assert db.closed
    assert repr(db) == f"<couchette.AsyncDatabase {db.path!r} closed>"


@pytest.mark.anyio
async def test_errors_come_through(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        with pytest.raises(NotFound, match="missing"):
            await db.get("a")
        await db.put({"_id": "a"})
        with pytest.raises(Conflict):
            await db.put({"_id": "a"})
    with pytest.raises(DatabaseClosed):
        await db.get("a")


@pytest.mark.anyio
async def test_it_may_share_an_open_database(db):
    shared = AsyncDatabase(db)
    await shared.put({"_id": "a"})
    assert shared.database is db
    assert "a" in db
    await shared.close()
    assert db.closed


@pytest.mark.anyio
async def test_destroying_deletes_the_file(tmp_path):
    db = AsyncDatabase(tmp_path / "a.couchette")
    await db.put({"_id": "a"})
    await db.destroy()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_many_tasks_write_at_once(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        async with anyio.create_task_group() as tasks:
            for n in range(50):
                tasks.start_soon(db.put, {"_id": f"{n}"})
        assert (await db.info())["doc_count"] == 50


@pytest.mark.anyio
async def test_work_is_done_in_another_thread(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        seen = []

        def documents():
            seen.append(threading.get_ident())
            yield {"_id": "a"}

        await db.bulk_docs(documents())
        assert seen != [threading.get_ident()]


@pytest.mark.anyio
async def test_a_write_that_began_is_finished_when_its_task_is_cancelled(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        began, go_on = threading.Event(), threading.Event()

        def documents():
            began.set()
            assert go_on.wait(30)
            yield {"_id": "a"}

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(db.bulk_docs, documents())
            while not began.is_set():
                await anyio.sleep(0)
            tasks.cancel_scope.cancel()
            go_on.set()
        assert (await db.get("a"))["_id"] == "a"
