"""First pulls whose documents come with the changes: what is taken so, and what is fetched as ever."""

from __future__ import annotations

import json

import anyio
import httpx
import pytest

from couchette import Environment, limits, store
from couchette.errors import NotCouchDB, Unreachable
from couchette.remote import RemotePeer
from couchette.replication import LocalPeer, replicate
from couchette.server import create_app
from tests.replication.peers import Recording, Wrapped, fill, graft, leaves, local, pool_of, put

pytestmark = pytest.mark.anyio

HEX = "0123456789abcdef" * 2


class Source(httpx.AsyncBaseTransport):
    """Our server as ``feed`` changes the answers that have documents; the requests are kept."""

    def __init__(self, app, feed=None):
        self._asgi = httpx.ASGITransport(app)
        self._feed = feed
        self.feeds = []
        self.fetched = []

    async def handle_async_request(self, request):
        answer = await self._asgi.handle_async_request(request)
        if request.url.path.endswith("/_changes"):
            self.feeds.append(dict(request.url.params))
            if "include_docs" in request.url.params and self._feed is not None:
                return self._feed(await answer.aread())
        elif request.url.path.endswith("/_bulk_get"):
            self.fetched += [entry["id"] for entry in json.loads(await request.aread())["docs"]]
        return answer

    def peer(self):
        return RemotePeer("http://server/db", transport=self)


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        environment.create("db")
        yield environment


@pytest.fixture
def served(environment):
    return LocalPeer(environment["db"]._pool, label="served")


@pytest.fixture
def source(environment):
    return Source(create_app(environment))


def numbered(count):
    return [{"_id": f"d{number:04}", "n": number} for number in range(count)]


async def test_ordinary_documents_need_no_second_request(source, served):
    put(served, *numbered(300))
    put(served, {"_id": "d0007", "_rev": pool_of(served).read(store.get, "d0007")["_rev"], "n": "changed"})
    graft(served, ("gone", f"2-{HEX} 1-{HEX[::-1]}", {"_deleted": True, "why": "kept"}))
    near = local()
    result = await replicate(source.peer(), near)
    assert source.fetched == []
    assert leaves(near) == leaves(served)
    assert result.docs_read == result.docs_written == result.missing_found == result.missing_checked == 301
    assert [asked["include_docs"] for asked in source.feeds] == ["true"] * 3
    assert [int(asked["limit"]) for asked in source.feeds][:2] == [100, 200]


async def test_everything_else_is_fetched(source, served):
    put(served, *numbered(40))
    fill(served)
    near = local()
    assert (await replicate(source.peer(), near)).ok
    assert leaves(near) == leaves(served)
    assert {"conflicted", "with/attachments", "plain"} <= set(source.fetched)
    assert not any(doc_id.startswith("d0") for doc_id in source.fetched)


async def test_a_source_that_tells_no_history_gives_first_revisions_so(environment, served):
    """CouchDB does not, and PouchDB's server does not."""

    def feed(text):
        answer = json.loads(text)
        for row in answer["results"]:
            row["doc"].pop("_revisions", None)
        return httpx.Response(200, json=answer)

    source, near = Source(create_app(environment), feed), local()
    put(served, *numbered(5), {"_id": "edited"})
    put(served, {"_id": "edited", "_rev": pool_of(served).read(store.get, "edited")["_rev"], "n": 1})
    graft(served, ("gone", f"1-{HEX}", {"_deleted": True, "why": "kept"}))
    assert (await replicate(source.peer(), near)).ok
    assert source.fetched == ["edited", "gone"]
    assert leaves(near) == leaves(served)


async def test_a_document_that_changed_since_it_was_listed_is_fetched(environment, served):
    """PouchDB reads it later than the row; what came instead of the listed revision is not believed to be it."""

    def feed(text):
        answer = json.loads(text)
        answer["results"][0]["doc"] |= {"_rev": f"1-{HEX}", "_revisions": {"start": 1, "ids": [HEX]}, "n": "newer"}
        return httpx.Response(200, json=answer)

    source, near = Source(create_app(environment), feed), local()
    put(served, *numbered(3))
    assert (await replicate(source.peer(), near)).ok
    assert source.fetched == ["d0000"]
    assert leaves(near) == leaves(served)


async def test_where_most_have_to_be_fetched_no_more_come_along(source, served):
    put(served, *({"_id": f"{number:03}", "_attachments": {"x": {"data": "QQ=="}}} for number in range(150)))
    near = local()
    assert (await replicate(source.peer(), near)).ok
    assert ["include_docs" in asked for asked in source.feeds] == [True, False]
    assert leaves(near) == leaves(served)


async def test_a_page_that_gets_too_large_is_asked_for_without_documents(source, served, monkeypatch):
    monkeypatch.setattr(limits, "INCLUDED_BYTES_MAX", 1000)
    put(served, *numbered(30))
    near = local()
    assert (await replicate(source.peer(), near)).ok
    assert ["include_docs" in asked for asked in source.feeds] == [True, False]
    assert len(source.fetched) == 30
    assert leaves(near) == leaves(served)


async def test_pages_are_made_to_fit_into_a_batch(source, served):
    put(served, *({"_id": f"{number:04}", "text": "x" * 1000} for number in range(400)))
    near = local()
    assert (await replicate(source.peer(), near, batch_bytes=50_000, batch_docs=250)).ok
    asked = [int(one["limit"]) for one in source.feeds]
    assert asked[0] == 100
    assert all(30 < limit < 50 for limit in asked[1:])
    assert leaves(near) == leaves(served)


async def test_a_page_that_is_cut_off_is_asked_for_without_documents(environment, served):
    class Cut(httpx.AsyncByteStream):
        def __init__(self, text):
            self.text = text

        async def __aiter__(self):
            yield self.text[: len(self.text) // 2]
            raise httpx.ReadError("The line broke.")

    source, near = Source(create_app(environment), lambda text: httpx.Response(200, stream=Cut(text))), local()
    put(served, *numbered(3))
    assert (await replicate(source.peer(), near)).ok
    assert len(source.fetched) == 3
    assert leaves(near) == leaves(served)


async def test_a_later_page_that_is_none_is_an_error(environment, served):
    texts = []

    def feed(text):
        texts.append(text)
        return httpx.Response(200, content=text if len(texts) == 1 else text.replace(b"changes", b"change"))

    put(served, *numbered(400))
    with pytest.raises(NotCouchDB):
        await replicate(Source(create_app(environment), feed).peer(), local())


async def test_a_checkpoint_is_never_ahead_of_what_is_written(source, served):
    """The target breaks at its k-th write, for every k."""

    class Breaking(Wrapped):
        def __init__(self, peer, writes):
            super().__init__(peer)
            self.writes = writes

        async def before(self, name, *args):
            if name == "write":
                self.writes -= 1
                if self.writes < 0:
                    raise Unreachable("The target cannot be reached.")

    put(served, *numbered(400))
    for writes in range(10):
        near = Breaking(local(), writes)
        try:
            assert (await replicate(source.peer(), near)).ok
            break
        except Unreachable:
            again = await replicate(source.peer(), near.peer)
            assert again.ok
            assert leaves(near.peer) == leaves(served)
    assert writes == 3


@pytest.mark.parametrize(
    "options",
    [{"doc_ids": ["d0001"]}, {"selector": {"n": 1}}, {"view": "d/v"}, {"dry_run": True}],
    ids=["doc_ids", "selector", "view", "dry run"],
)
async def test_only_a_pull_of_everything_asks_for_documents(source, served, options):
    put(served, *numbered(3), {"_id": "_design/d", "views": {"v": {"map": "function (doc) { emit(doc.n) }"}}})
    await replicate(source.peer(), local(), **options)
    assert not any("include_docs" in asked for asked in source.feeds)


async def test_a_target_that_has_something_is_compared(source, served):
    near = local()
    put(served, *numbered(3))
    put(near, *numbered(2))
    assert (await replicate(source.peer(), near)).docs_written == 1
    assert not any("include_docs" in asked for asked in source.feeds)
    assert source.fetched == ["d0002"]


async def test_a_python_function_is_asked_about_documents_that_came_along(source, served):
    near = local()
    put(served, *numbered(6))
    result = await replicate(source.peer(), near, filter=lambda doc: doc["n"] % 2 == 0)
    assert [key[0] for key in leaves(near)] == ["d0000", "d0002", "d0004"]
    assert (result.docs_written, source.fetched) == (3, [])


async def test_tombstones_are_left_out_on_demand(source, served):
    near = local()
    put(served, *numbered(6))
    graft(served, ("gone", f"2-{HEX} 1-{HEX[::-1]}", {"_deleted": True}))
    assert (await replicate(source.peer(), near, skip_deletes=True)).docs_written == 6
    assert "gone" not in {doc_id for doc_id, _ in leaves(near)}


async def test_winners_alone_come_so_too(source, served):
    near = local()
    put(served, *numbered(6))
    graft(served, ("d0000", f"1-{'f' * 32}", {"n": "the winner"}))
    assert (await replicate(source.peer(), near, winning_revs_only=True)).docs_written == 6
    assert source.feeds[0]["style"] == "main_only"
    assert pool_of(near).read(store.get, "d0000", conflicts=True)["n"] == "the winner"


async def test_no_more_pages_are_read_ahead_than_fit_into_little_memory():
    class Slow(Wrapped):
        async def write(self, docs):
            await waiting.wait()
            return await self.peer.write(docs)

    waiting = anyio.Event()
    near, far = Recording(local()), Slow(local())
    put(near.peer, *numbered(60))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: replicate(near, far, batch_docs=2))
        for _ in range(200):
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(lambda: None)
        assert 1 < near.names().count("changes") <= 3 * limits.BATCHES_AHEAD + limits.FETCHES_AHEAD + 1
        waiting.set()
    assert leaves(far.peer) == leaves(near.peer)


async def test_documents_of_this_process_are_not_looked_up_again(monkeypatch):
    monkeypatch.setattr(limits, "BATCH_BYTES", 300)
    near, far = Recording(local()), local()
    put(near.peer, *numbered(200))
    fill(near.peer)
    assert (await replicate(near, far)).ok
    assert leaves(far) == leaves(near.peer)
    assert not any(doc_id.startswith("d0") for doc_id in near.fetched_ids())
