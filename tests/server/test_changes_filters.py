"""Filters of design documents, in every form of the changes feed."""

from __future__ import annotations

import json

import anyio
import pytest

from tests.server.asgi import call, call_json, calling

pytestmark = pytest.mark.anyio

FILTERS = {
    "even": "function(d, req) { return d.n % 2 == 0 }",
    "named": "function(d, req) { return d._id === (req.method == 'GET' ? req.query : JSON.parse(req.body)).id }",
    "user": "function(d, req) { return req.userCtx.roles[0] === '_admin' && req.method === 'GET' && d.n === 1 }",
    "gone": "function(d) { return d._deleted }",
    "fails": "function(d) { if (d.n === 3) throw {error: 'word', reason: 'why'}; return true }",
}
VIEWS = {"odd": {"map": "function(d) { if (d.n % 2) emit(null) }"}}


@pytest.fixture(autouse=True)
async def bounded():
    """A feed that does not end fails its test."""
    with anyio.fail_after(20):
        yield


@pytest.fixture
def app(app):
    """The app; ``db`` has the documents 0, 1 and 2, and a deleted one."""
    db = app.environment["db"]
    db.bulk_docs([{"_id": f"{n}", "n": n} for n in range(3)])
    db.put({"_id": "x"})
    db.remove(db["x"])
    db.put({"_id": "_design/d", "filters": FILTERS, "views": VIEWS})
    return app


async def ids(app, query, method="GET", value=None):
    answer = await call_json(app, method, f"/db/_changes?{query}", value)
    assert answer.status == 200, answer.body
    return [row["id"] for row in answer.json()["results"]]


async def test_a_filter_says_what_is_listed(app):
    assert await ids(app, "filter=d/even") == ["0", "2"]
    assert await ids(app, "filter=d/even&limit=1") == ["0"]
    assert await ids(app, "filter=d/even&descending=true") == ["2", "0"]
    assert await ids(app, "filter=d/gone") == ["x"]
    assert await ids(app, "filter=_view&view=d/odd") == ["1"]


async def test_a_filter_knows_the_request(app):
    assert await ids(app, "filter=d/named&id=1") == ["1"]
    assert await ids(app, "filter=d/named", "POST", {"id": "2"}) == ["2"]
    assert await ids(app, "filter=d/user") == ["1"]


async def test_documents_are_added_to_what_passed(app):
    answer = await call(app, "GET", "/db/_changes?filter=d/even&include_docs=true&limit=1")
    [row] = answer.json()["results"]
    assert row["doc"] == app.environment["db"]["0"]


async def test_last_seq_is_beyond_what_was_left_out(app):
    answer = (await call(app, "GET", "/db/_changes?filter=d/even")).json()
    assert answer["last_seq"] == app.environment["db"].info()["update_seq"]
    assert answer["pending"] == 0


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ("filter=d/none", 404, "missing json key: none"),
        ("filter=e/even", 404, "missing"),
        ("filter=_view&view=d/none", 404, "missing json key: none"),
    ],
)
@pytest.mark.parametrize("feed", ["normal", "longpoll", "continuous", "eventsource"])
async def test_a_filter_that_is_not_there_is_missed_in_an_empty_feed_too(app, query, status, reason, feed):
    answer = await call(app, "GET", f"/db/_changes?{query}&since=now&feed={feed}&timeout=1")
    assert (answer.status, answer.json()["reason"]) == (status, reason)


async def test_a_filter_that_fails_at_once_is_an_error(app):
    await call_json(app, "PUT", "/db/3", {"n": 3})
    for feed in ("normal", "longpoll", "continuous"):
        answer = await call(app, "GET", f"/db/_changes?filter=d/fails&feed={feed}&timeout=1")
        assert (answer.status, answer.json()) == (500, {"error": "word", "reason": "why"})


async def test_a_filter_that_fails_later_ends_the_feed_with_its_error(app):
    async with calling(app, "GET", "/db/_changes?filter=d/fails&feed=continuous&since=now") as feed:
        await feed.start()
        await call_json(app, "PUT", "/db/3", {"n": 3})
        rest = await feed.rest()
    assert json.loads(rest.strip().splitlines()[-1]) == {"error": "word", "reason": "why"}


async def test_a_longpoll_waits_for_what_passes(app):
    async with calling(app, "GET", "/db/_changes?filter=d/even&feed=longpoll&since=now") as feed:
        await feed.start()
        await call_json(app, "PUT", "/db/5", {"n": 5})
        await call_json(app, "PUT", "/db/6", {"n": 6})
        answer = json.loads(await feed.rest())
    assert [row["id"] for row in answer["results"]] == ["6"]


@pytest.mark.parametrize("query", ["filter=d/even", "filter=_view&view=d/odd"])
async def test_an_endless_feed_sends_what_passes(app, query):
    new = {"filter=d/even": ["0", "2", "6"], "filter=_view&view=d/odd": ["1", "5"]}[query]
    async with calling(app, "GET", f"/db/_changes?{query}&feed=continuous&limit={len(new)}") as feed:
        await feed.start()
        content = await feed.chunk()
        await call_json(app, "PUT", "/db/5", {"n": 5})
        await call_json(app, "PUT", "/db/6", {"n": 6})
        content += await feed.rest()
    rows = [json.loads(line) for line in content.splitlines() if line]
    assert [row["id"] for row in rows if "id" in row] == new


async def test_an_event_source_sends_what_passes(app):
    answer = await call(app, "GET", "/db/_changes?filter=d/even&feed=eventsource&timeout=1")
    data = [json.loads(line[6:]) for line in answer.body.splitlines() if line.startswith(b"data: ")]
    assert [row["id"] for row in data] == ["0", "2"]


async def test_an_endless_feed_runs_its_filter_on_pages(app, monkeypatch):
    monkeypatch.setattr("couchette.server.changes.FEED_PAGE_DOCS", 2)
    monkeypatch.setattr("couchette.query.filtered_changes.FEED_PAGE_DOCS", 2)
    answer = await call(app, "GET", "/db/_changes?filter=d/gone&feed=continuous&timeout=1")
    row, end = (json.loads(line) for line in answer.body.splitlines() if line)
    assert (row["id"], end["pending"]) == ("x", 0)
