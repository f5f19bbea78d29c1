"""Databases as they come, change and go."""

from __future__ import annotations

import json

import anyio
import pytest

from couchette.server import create_app
from tests.server.asgi import call, call_json, calling

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def bounded():
    """A feed that does not end fails its test."""
    with anyio.fail_after(20):
        yield


def shown(rows):
    return [(row["type"], row["db_name"]) for row in rows]


def lines(content):
    return [json.loads(line) for line in content.split(b"\n") if line]


async def updates(app, query=""):
    return (await call(app, "GET", f"/_db_updates{query}")).json()


async def now(app):
    return (await updates(app))["last_seq"]


async def test_what_happens_to_databases_is_told_in_order(app):
    page = await updates(app)
    assert shown(page["results"]) == [("updated", "db")]
    since = page["last_seq"]
    await call(app, "PUT", "/new")
    await updates(app)
    await call_json(app, "PUT", "/new/a", {})
    await updates(app)
    await call(app, "DELETE", "/new")
    page = await updates(app, f"?since={since}")
    assert shown(page["results"]) == [("created", "new"), ("updated", "new"), ("deleted", "new")]
    assert [row["seq"] for row in page["results"]][-1] == page["last_seq"]
    assert set(page) == {"results", "last_seq"}
    assert (await updates(app, f"?since={page['last_seq']}"))["results"] == []


async def test_of_each_kind_of_event_the_last_is_told(app):
    for name in "abc":
        await call_json(app, "PUT", f"/db/{name}", {})
        await updates(app)
    assert shown((await updates(app))["results"]) == [("updated", "db")]


async def test_what_is_no_change_of_documents_is_no_event(app):
    since = await now(app)
    await call_json(app, "PUT", "/db/_revs_limit", 5)
    await call_json(app, "PUT", "/db/_local/a", {})
    assert (await updates(app, f"?since={since}"))["results"] == []


async def test_a_database_that_was_made_anew_is_told_so(app):
    since = await now(app)
    await call(app, "DELETE", "/db")
    await call(app, "PUT", "/db")
    await call_json(app, "PUT", "/db/a", {})
    page = await updates(app, f"?since={since}")
    assert shown(page["results"]) == [("deleted", "db"), ("created", "db"), ("updated", "db")]


async def test_limit_since_and_descending(app):
    for name in ("a", "b"):
        await call(app, "PUT", f"/{name}")
    page = await updates(app, "?limit=2")
    assert shown(page["results"]) == [("updated", "db"), ("created", "a")]
    assert shown((await updates(app, f"?since={page['last_seq']}"))["results"]) == [("created", "b")]
    assert shown((await updates(app, "?descending=true"))["results"])[-1] == ("updated", "db")
    assert (await updates(app, "?since=now"))["results"] == []
    assert (await updates(app, "?limit=0"))["last_seq"].startswith("0-")


async def test_a_sequence_of_an_earlier_server_begins_anew(app, environment):
    since = await now(app)
    again = create_app(environment)
    assert shown((await updates(again, f"?since={since}"))["results"]) == [("updated", "db")]


async def test_a_page_is_sent_again_when_it_changed(app):
    etag = (await call(app, "GET", "/_db_updates")).headers["etag"]
    assert (await call(app, "GET", "/_db_updates", {"if-none-match": etag})).status == 304
    await call(app, "PUT", "/new")
    assert (await call(app, "GET", "/_db_updates", {"if-none-match": etag})).status == 200


async def test_longpoll_answers_at_once_or_waits_for_an_event(app):
    assert shown((await updates(app, "?feed=longpoll"))["results"]) == [("updated", "db")]
    async with calling(app, "GET", "/_db_updates?feed=longpoll&since=now") as feed:
        status, headers = await feed.start()
        assert (status, headers["content-type"]) == (200, "application/json")
        begun = await feed.chunk()
        await call_json(app, "PUT", "/db/a", {})
        page = json.loads(begun + await feed.rest())
    assert (shown(page["results"]), set(page)) == ([("updated", "db")], {"results", "last_seq"})


async def test_longpoll_ends_empty_when_its_time_is_over(app):
    page = await updates(app, "?feed=longpoll&since=now&timeout=1")
    assert page["results"] == []


async def test_a_continuous_feed_sends_each_event_as_a_line(app):
    async with calling(app, "GET", "/_db_updates?feed=continuous&limit=3") as feed:
        await feed.start()
        assert shown(lines(await feed.chunk())) == [("updated", "db")]
        assert await feed.chunk() == b"\n"
        await call(app, "PUT", "/new")
        assert shown(lines(await feed.chunk())) == [("created", "new")]
        assert await feed.chunk() == b"\n"
        await call(app, "DELETE", "/new")
        row, end = lines(await feed.rest())
    assert shown([row]) == [("deleted", "new")]
    assert end == {"last_seq": row["seq"]}


async def test_an_eventsource_feed_sends_events(app):
    answer = await call(app, "GET", "/_db_updates?feed=eventsource&timeout=1")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-cache"
    data, seq, *end = answer.body.split(b"\n")
    row = json.loads(data.removeprefix(b"data: "))
    assert (shown([row]), json.loads(seq.removeprefix(b"id: "))) == ([("updated", "db")], row["seq"])
    assert end == [b"", b""]


async def test_the_end_of_the_server_completes_the_answer(app):
    async with calling(app, "GET", "/_db_updates?feed=longpoll&since=now&heartbeat=1000") as feed:
        await feed.start()
        begun = await feed.chunk()
        app.feeds.end()
        assert json.loads(begun + await feed.rest())["results"] == []


async def test_wrong_options_are_refused(app):
    answer = await call(app, "GET", "/_db_updates?feed=live")
    expected = "Supported `feed` types: normal, continuous, longpoll, eventsource"
    assert (answer.status, answer.json()["reason"]) == (400, expected)
    for query in ("since=x", "heartbeat=0", "feed=longpoll&timeout=x"):
        assert (await call(app, "GET", f"/_db_updates?{query}")).status == 400
    assert (await call(app, "POST", "/_db_updates")).headers["allow"] == "GET"
    assert (await call(app, "HEAD", "/_db_updates?feed=continuous")).body == b""
