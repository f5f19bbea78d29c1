"""A changes feed that stays open: rows as they come, heartbeats, silence, and servers that cannot do it."""

from __future__ import annotations

import json
from contextlib import aclosing

import anyio
import httpx
import pytest
import trio.testing

from couchette import errors, limits
from couchette.remote import RemotePeer
from couchette.wire.selection import EVERYTHING, Selection

pytestmark = pytest.mark.anyio

FOREVER = None


@pytest.fixture
def anyio_backend():
    """Pauses pass at once: the clock jumps when every task waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Feed(httpx.AsyncByteStream):
    """A body of chunks; a number is a pause in seconds, FOREVER silence, an exception a broken line.

    Silence longer than the request's timeout ends as it does on a real line.
    """

    def __init__(self, request, *steps):
        self.silence_s = request.extensions["timeout"]["read"]
        self.steps = steps
        self.closed = False

    async def __aiter__(self):
        for step in self.steps:
            if isinstance(step, bytes):
                yield step
            elif isinstance(step, Exception):
                raise step
            elif step is FOREVER or step >= self.silence_s:
                await anyio.sleep(self.silence_s)
                raise httpx.ReadTimeout("")
            else:
                await anyio.sleep(step)

    async def aclose(self):
        self.closed = True


class Server:
    """Gives the scripted answers one a request: steps of a body, or a response."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []
        self.feeds = []

    async def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, httpx.Response):
            return answer
        self.feeds.append(Feed(request, *answer))
        return httpx.Response(200, stream=self.feeds[-1])

    def peer(self):
        return RemotePeer("http://ann:secret@host/db", transport=httpx.MockTransport(self))

    async def read(self, pages, since=0, limit=100, selection=EVERYTHING):
        """So many pages, and the times of their arrival."""
        found, times = [], []
        async with self.peer() as peer, aclosing(peer.live_changes(since, limit, selection)) as feed:
            async for page in feed:
                found.append(page)
                times.append(trio.current_time())
                if len(found) == pages:
                    break
        return found, times

    def parameters(self):
        return [dict(request.url.params) for request in self.requests]


def row(seq, doc_id="a", rev="1-x"):
    return json.dumps({"seq": seq, "id": doc_id, "changes": [{"rev": rev}]}).encode() + b"\n"


def end(seq):
    return json.dumps({"last_seq": seq, "pending": 0}).encode() + b"\n\n"


def longpoll(seq, *rows):
    return httpx.Response(200, json={"results": [json.loads(each) for each in rows], "last_seq": seq, "pending": 0})


async def test_rows_are_given_when_they_arrive():
    server = Server([b"\n", 5, row("1-a"), 9, b"\n", 9, row("2-b", "b", "1-y"), FOREVER])
    pages, times = await server.read(2)
    assert [(page.leaves, page.last_seq) for page in pages] == [({"a": ["1-x"]}, "1-a"), ({"b": ["1-y"]}, "2-b")]
    assert times == pytest.approx([5, 23], abs=0.01)
    assert server.feeds[0].closed
    (asked,) = server.parameters()
    assert asked == {"style": "all_docs", "feed": "continuous", "since": "0", "heartbeat": "10000"}


async def test_rows_that_arrive_together_are_a_page_of_at_most_the_limit():
    rows = b"".join(row(f"{n}-x", f"doc{n}") for n in range(1, 6))
    pages, _ = await Server([rows, FOREVER]).read(3, limit=2)
    assert [len(page.leaves) for page in pages] == [2, 2, 1]
    assert [page.last_seq for page in pages] == ["2-x", "4-x", "5-x"]


async def test_a_row_may_be_cut_anywhere():
    whole = row("1-a", "doc-ü") + row("2-b", "b")
    for cut in range(1, len(whole)):
        pages, _ = await Server([whole[:cut], 1, whole[cut:], FOREVER]).read(1)
        assert pages[0].leaves


async def test_a_feed_that_the_server_ends_goes_on_with_the_next():
    server = Server([row("1-a"), end("5-z")], [row("6-b"), FOREVER])
    pages, _ = await server.read(3)
    assert [page.last_seq for page in pages] == ["1-a", "5-z", "6-b"]
    assert [asked["since"] for asked in server.parameters()] == ["0", "5-z"]


async def test_heartbeats_keep_a_quiet_feed_open_for_as_long_as_it_takes():
    _, times = await Server([*[10, b"\n"] * 360, row("1-a"), FOREVER]).read(1)
    assert times == pytest.approx([3600], abs=0.1)


async def test_silence_ends_a_feed_after_three_missed_heartbeats():
    server = Server([b"\n", 3, row("1-a"), FOREVER])
    with pytest.raises(errors.Unreachable) as caught:
        await server.read(9)
    assert errors.is_passing(caught.value)
    assert trio.current_time() == pytest.approx(3 + limits.FEED_SILENCE_S, abs=0.01)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("cut", [httpx.ReadError("reset"), httpx.RemoteProtocolError("peer closed")])
async def test_a_feed_that_breaks_is_unreachable(cut):
    with pytest.raises(errors.Unreachable):
        await Server([row("1-a"), 2, cut]).read(9)


async def test_a_feed_that_closes_without_a_last_sequence_was_cut():
    with pytest.raises(errors.Unreachable, match="without a last sequence"):
        await Server([row("1-a")]).read(9)


async def test_a_proxy_that_holds_back_the_answer_is_asked_by_longpoll_from_then_on():
    server = Server([FOREVER], longpoll("1-a", row("1-a")), longpoll("2-b", row("2-b")))
    pages, _ = await server.read(2)
    assert [page.last_seq for page in pages] == ["1-a", "2-b"]
    asked = server.parameters()[1]
    assert asked["feed"] == "longpoll"
    assert int(asked["timeout"]) / 1000 < limits.FEED_SILENCE_S
    assert "heartbeat" not in asked


async def test_a_line_that_is_dead_for_the_longpoll_too_says_nothing_about_the_feed():
    server = Server([FOREVER], httpx.ReadTimeout(""), [row("1-a"), FOREVER])
    async with server.peer() as peer:
        with pytest.raises(errors.Unreachable):
            async for _ in peer.live_changes(0, 9):
                pass
        async with aclosing(peer.live_changes(0, 9)) as feed:
            assert (await anext(feed)).last_seq == "1-a"
    assert [asked["feed"] for asked in server.parameters()] == ["continuous", "longpoll", "continuous"]


async def test_a_server_that_does_not_know_the_feed_is_asked_by_longpoll():
    refusal = httpx.Response(400, json={"error": "bad_request", "reason": "Supported `feed` types: normal, longpoll"})
    pages, _ = await Server(refusal, longpoll("1-a", row("1-a"))).read(1)
    assert pages[0].leaves == {"a": ["1-x"]}


async def test_a_server_whose_feeds_end_at_once_is_not_asked_in_a_tight_loop():
    server = Server(*[[end(0)] for _ in range(10)], [row("1-a"), FOREVER])
    _, times = await server.read(11)
    assert times[-1] >= 10 * limits.HTTP_RETRY_PAUSE_S / 2


@pytest.mark.parametrize(
    ("status", "kind"), [(401, errors.Unauthorized), (403, errors.Forbidden), (404, errors.DatabaseNotFound)]
)
async def test_a_refusal_is_raised(status, kind):
    reason = "Database does not exist." if status == 404 else "no"
    with pytest.raises(kind):
        await Server(httpx.Response(status, json={"error": "x", "reason": reason})).read(1)


@pytest.mark.parametrize("line", [b"<html>\n", b"[1]\n", b'{"id":"a"}\n', b'{"seq":1,"id":"a"}\n'])
async def test_a_line_that_is_no_row_is_named(line):
    with pytest.raises(errors.NotCouchDB):
        await Server([line, FOREVER]).read(1)


@pytest.mark.parametrize(
    ("selection", "parameters", "body"),
    [
        (Selection(doc_ids=["b", "a"]), {"filter": "_doc_ids"}, {"doc_ids": ["a", "b"]}),
        (Selection(selector={"a": 1}), {"filter": "_selector"}, {"selector": {"a": 1}}),
        (Selection(view="d/v"), {"filter": "_view", "view": "d/v"}, None),
        (Selection(filter="d/f", query_params={"k": "v&w"}), {"filter": "d/f", "k": "v&w"}, None),
        (Selection(style="main_only"), {"style": "main_only"}, None),
    ],
)
async def test_a_selection_is_asked_for_as_couchdb_s_replicator_does(selection, parameters, body):
    server = Server(longpoll("1-a", row("1-a")), [row("2-b"), FOREVER])
    async with server.peer() as peer:
        assert (await peer.changes(0, 9, selection)).last_seq == "1-a"
        async with aclosing(peer.live_changes("1-a", 9, selection)) as feed:
            assert (await anext(feed)).last_seq == "2-b"
    for request, asked in zip(server.requests, server.parameters(), strict=True):
        assert parameters.items() <= asked.items()
        assert request.method == ("GET" if body is None else "POST")
        if body is not None:
            assert json.loads(request.content) == body
            assert request.headers["content-type"] == "application/json"
    # A filter may find nothing for long: newlines show that it works.
    assert ("heartbeat" in server.parameters()[0]) is selection.filtered
