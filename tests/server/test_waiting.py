"""A longpoll waits until something changes, its time is over, or one of both sides leaves."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.server.asgi import call_json, calling

pytestmark = pytest.mark.anyio


async def test_a_longpoll_begins_at_once_and_answers_with_the_next_change(app):
    async with calling(app, "GET", "/db/_changes?feed=longpoll") as feed:
        status, headers = await feed.start()
        assert (status, headers["content-type"]) == (200, "application/json")
        assert "content-length" not in headers
        begun = await feed.chunk()
        assert begun == b'{"results":[\n\n'
        await call_json(app, "PUT", "/db/a", {"v": 1})
        page = json.loads(begun + await feed.rest())
    assert [row["id"] for row in page["results"]] == ["a"]
    assert page["last_seq"].startswith("1-")
    assert page["pending"] == 0


async def test_a_longpoll_answers_at_once_when_something_changed_before(app):
    await call_json(app, "PUT", "/db/a", {})
    async with calling(app, "GET", "/db/_changes?feed=longpoll") as feed:
        assert (await feed.start())[1]["content-length"]
        assert [row["id"] for row in json.loads(await feed.rest())["results"]] == ["a"]


async def test_since_now_waits_for_later_changes(app):
    await call_json(app, "PUT", "/db/a", {})
    async with calling(app, "GET", "/db/_changes?feed=longpoll&since=now&include_docs=true") as feed:
        await feed.start()
        begun = await feed.chunk()
        await call_json(app, "PUT", "/db/b", {"v": 2})
        [row] = json.loads(begun + await feed.rest())["results"]
    assert (row["id"], row["doc"]["v"]) == ("b", 2)


async def test_a_longpoll_ends_empty_when_its_time_is_over(app):
    async with calling(app, "GET", "/db/_changes?feed=longpoll&timeout=1") as feed:
        await feed.start()
        page = json.loads(await feed.rest())
    assert page["results"] == []
    assert page["last_seq"].startswith("0-")


async def test_a_change_that_the_filter_leaves_out_does_not_end_the_wait(app):
    async with calling(app, "GET", '/db/_changes?feed=longpoll&filter=_doc_ids&doc_ids=["b"]') as feed:
        await feed.start()
        begun = await feed.chunk()
        await call_json(app, "PUT", "/db/a", {})
        await call_json(app, "PUT", "/db/b", {})
        assert [row["id"] for row in json.loads(begun + await feed.rest())["results"]] == ["b"]


async def test_a_heartbeat_sends_newlines_and_has_no_timeout(app):
    async with calling(app, "GET", "/db/_changes?feed=longpoll&heartbeat=1&timeout=1") as feed:
        await feed.start()
        await feed.chunk()
        assert [await feed.chunk() for _ in range(3)] == [b"\n"] * 3
        feed.leave()


async def test_limit_0_waits_whatever_happens(app):
    await call_json(app, "PUT", "/db/a", {})
    async with calling(app, "GET", "/db/_changes?feed=longpoll&limit=0&timeout=1") as feed:
        await feed.start()
        page = json.loads(await feed.rest())
    assert (page["results"], page["pending"]) == ([], 1)


async def test_a_client_that_leaves_ends_the_wait(app):
    with anyio.fail_after(5):
        async with calling(app, "GET", "/db/_changes?feed=longpoll") as feed:
            await feed.start()
            feed.leave()


async def test_the_end_of_the_server_completes_the_answer(app):
    async with calling(app, "GET", "/db/_changes?feed=longpoll") as feed:
        await feed.start()
        begun = await feed.chunk()
        app.feeds.end()
        assert json.loads(begun + await feed.rest())["results"] == []
    async with calling(app, "GET", "/db/_changes?feed=longpoll") as late:
        await late.start()
        assert json.loads(await late.rest())["results"] == []


async def test_a_database_that_is_destroyed_ends_the_feed(app):
    async with calling(app, "GET", "/db/_changes?feed=longpoll&heartbeat=10") as feed:
        await feed.start()
        await call_json(app, "DELETE", "/db")
        assert json.loads(await feed.rest())["results"] == []
