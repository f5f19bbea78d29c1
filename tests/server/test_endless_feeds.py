"""Continuous and eventsource feeds, and the filters that need no design document."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.server.asgi import call, call_json, calling

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def bounded():
    """A feed that does not end fails its test."""
    with anyio.fail_after(20):
        yield


def lines(content):
    return [json.loads(line) for line in content.split(b"\n") if line]


async def texts(feed):
    """The next piece that is not empty."""
    while not (chunk := await feed.chunk()).strip(b"\n"):
        pass
    return chunk


async def test_a_continuous_feed_sends_each_change_as_a_line(app):
    await call_json(app, "PUT", "/db/a", {})
    await call_json(app, "PUT", "/db/b", {})
    async with calling(app, "GET", "/db/_changes?feed=continuous&limit=3&include_docs=true") as feed:
        status, headers = await feed.start()
        assert (status, headers["content-type"]) == (200, "application/json")
        assert "content-length" not in headers
        assert [row["id"] for row in lines(await feed.chunk())] == ["a", "b"]
        assert await feed.chunk() == b"\n"
        await call_json(app, "PUT", "/db/c", {"v": 1})
        rest = await feed.rest()
    row, end = lines(rest)
    assert (row["id"], row["doc"]["v"]) == ("c", 1)
    assert end == {"last_seq": row["seq"], "pending": 0}
    assert rest.endswith(b"}\n\n")


@pytest.mark.parametrize("kind", ["continuous", "live"])
async def test_a_continuous_feed_ends_after_silence(app, kind):
    await call_json(app, "PUT", "/db/a", {})
    row, end = lines((await call(app, "GET", f"/db/_changes?feed={kind}&timeout=1")).body)
    assert (row["id"], end["last_seq"]) == ("a", row["seq"])
    [end] = lines((await call(app, "GET", f"/db/_changes?feed={kind}&limit=0")).body)
    assert (end["last_seq"][:2], end["pending"]) == ("0-", 1)


async def test_a_continuous_feed_reads_in_bounded_pages(app, monkeypatch):
    monkeypatch.setattr("couchette.server.waiting.FEED_PAGE_DOCS", 2)
    for name in "abcde":
        await call_json(app, "PUT", f"/db/{name}", {})
    *rows, end = lines((await call(app, "GET", "/db/_changes?feed=continuous&timeout=1")).body)
    assert [row["id"] for row in rows] == list("abcde")
    assert end["last_seq"] == rows[-1]["seq"]
    *rows, end = lines((await call(app, "GET", "/db/_changes?feed=continuous&limit=3")).body)
    assert [row["id"] for row in rows] == list("abc")
    assert end["pending"] == 2


async def test_a_limit_holds_for_changes_that_come_together(app):
    async with calling(app, "GET", "/db/_changes?feed=continuous&limit=1") as feed:
        await feed.start()
        await feed.chunk()
        await call_json(app, "POST", "/db/_bulk_docs", {"docs": [{"_id": "a"}, {"_id": "b"}]})
        row, end = lines(await feed.rest())
    assert (row["id"], end["pending"]) == ("a", 1)


async def test_descending_shows_what_there_is(app):
    for name in "ab":
        await call_json(app, "PUT", f"/db/{name}", {})
    *rows, _ = lines((await call(app, "GET", "/db/_changes?feed=continuous&descending=true")).body)
    assert [row["id"] for row in rows] == ["b", "a"]


async def test_an_eventsource_feed_sends_events(app):
    await call_json(app, "PUT", "/db/a", {})
    answer = await call(app, "GET", "/db/_changes?feed=eventsource&timeout=1")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    data, seq, *end = answer.body.split(b"\n")
    row = json.loads(data.removeprefix(b"data: "))
    assert row["id"] == "a"
    assert json.loads(seq.removeprefix(b"id: ")) == row["seq"]
    assert end == [b"", b""]
    resumed = await call(
        app, "GET", "/db/_changes?feed=eventsource&timeout=1", {"last-event-id": json.dumps(row["seq"])}
    )
    assert resumed.body == b""


@pytest.mark.parametrize(("kind", "beat"), [("continuous", b"\n"), ("eventsource", b"event: heartbeat\ndata: \n\n")])
async def test_a_heartbeat_shows_that_the_feed_lives(app, kind, beat):
    async with calling(app, "GET", f"/db/_changes?feed={kind}&heartbeat=1&timeout=1") as feed:
        await feed.start()
        seen = [await feed.chunk() for _ in range(6)]
        feed.leave()
    assert seen[-3:] == [beat] * 3


@pytest.mark.parametrize("kind", ["continuous", "eventsource"])
@pytest.mark.parametrize("what", ["server", "database"])
async def test_the_end_of_the_server_or_database_completes_the_answer(app, kind, what):
    async with calling(app, "GET", f"/db/_changes?feed={kind}&heartbeat=1000") as feed:
        await feed.start()
        await feed.chunk()
        if what == "server":
            app.feeds.end()
        else:
            await call_json(app, "DELETE", "/db")
        await feed.rest()


async def test_an_error_still_has_its_status(app):
    for query in ("feed=continuous&since=x", "feed=eventsource&filter=_nope", "feed=continuous&heartbeat=0"):
        assert (await call(app, "GET", f"/db/_changes?{query}")).status == 400


async def test_head_does_not_wait(app):
    for kind in ("longpoll", "continuous", "eventsource"):
        answer = await call(app, "HEAD", f"/db/_changes?feed={kind}&heartbeat=1000")
        assert (answer.status, answer.body) == (200, b"")


async def test_the_selector_filter(app):
    await call_json(app, "POST", "/db/_bulk_docs", {"docs": [{"_id": "a", "n": 1}, {"_id": "b", "n": 2}]})
    target = "/db/_changes?filter=_selector"
    page = (await call_json(app, "POST", target, {"selector": {"n": {"$gt": 1}}})).json()
    assert [row["id"] for row in page["results"]] == ["b"]
    page = (await call_json(app, "POST", target, {"selector": {"n": 1}})).json()
    assert [row["id"] for row in page["results"]] == ["a"]
    assert page["last_seq"].startswith("2-")
    answer = await call_json(app, "POST", target, {"selector": {"n": {"$in": 1}}})
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")


async def test_the_design_filter(app):
    await call_json(app, "PUT", "/db/_design/d", {})
    await call_json(app, "PUT", "/db/a", {})
    page = (await call(app, "GET", "/db/_changes?filter=_design")).json()
    assert [row["id"] for row in page["results"]] == ["_design/d"]
    async with calling(app, "GET", "/db/_changes?feed=continuous&filter=_design&since=now&limit=1") as feed:
        await feed.start()
        await feed.chunk()
        await call_json(app, "PUT", "/db/b", {})
        await call_json(app, "PUT", "/db/_design/e", {})
        row, _ = lines(await feed.rest())
    assert row["id"] == "_design/e"
