"""The stage that writes: what is streamed goes beside each other, and a batch has ended when all of it is there."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest

from couchette import limits, merging, store
from couchette.errors import Unreachable
from couchette.pool import Pool
from couchette.replication import LocalPeer, Options, replicate
from couchette.replication.batching import Batch, Page, Portion
from couchette.replication.status import Tally, Tracker
from couchette.replication.writing import Writing
from couchette.wire.transfer import ChangesPage, Fetched
from tests.replication.peers import Wrapped, leaves, local
from tests.replication.virtual import virtually

ENDED = Batch(Page(ChangesPage({}, 7, 0)), ())


class Streamed:
    """A content that gives its pieces; one that is an error is raised."""

    def __init__(self, *pieces):
        self.length = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
        self.pieces = pieces

    @asynccontextmanager
    async def open(self):
        yield self.chunks()

    async def chunks(self):
        for piece in self.pieces:
            await anyio.sleep(1)
            if isinstance(piece, Exception):
                raise piece
            yield piece


def large(doc_id, *pieces):
    entry = {"content_type": "image/png", "data": Streamed(*pieces)}
    return {"_id": doc_id, "_rev": "1-a", "_revisions": {"start": 1, "ids": ["a"]}, "_attachments": {"x": entry}}


def small(doc_id):
    return {"_id": doc_id, "_rev": "1-a", "_revisions": {"start": 1, "ids": ["a"]}}


class Target:
    """Takes ten seconds for each write, and notes when it began and ended. One named ``bad`` fails after five."""

    label = "target"

    def __init__(self):
        self.log = []

    async def write(self, docs):
        name = docs[0]["_id"]
        self.log.append((anyio.current_time(), f"{name} begins"))
        try:
            await anyio.sleep(5)
            if name == "bad":
                raise Unreachable("The database cannot be reached.", "x")
            await anyio.sleep(5)
        except BaseException:
            self.log.append((anyio.current_time(), f"{name} fails"))
            raise
        self.log.append((anyio.current_time(), f"{name} ends"))
        return []


async def written(target, *portions, resolve=None, processor=None):
    """Write the portions, of a document each; the last one ends its batch. When that was, from the beginning."""
    options = Options(resolver=merging.keep_winner) if resolve else Options()
    writing = Writing(
        LocalPeer(Pool(":memory:"), label="source").fetch,
        target,
        options,
        tally=Tally(),
        tracker=Tracker(),
        refusals=None,
        resolve=resolve,
        processor=processor or anyio.Lock(),
    )
    send, receive = anyio.create_memory_object_stream[Portion](len(portions) + 1)
    for doc in portions:
        send.send_nowait(Portion(Fetched([doc])))
    send.send_nowait(Portion(Fetched(()), ended=ENDED))
    send.close()
    ends = []
    begun = anyio.current_time()
    target.log.clear()
    try:
        async with receive:
            await writing.run(receive, lambda batch: ends.append((anyio.current_time() - begun, batch)))
    finally:
        target.log[:] = [(at - begun, what) for at, what in target.log]
    return ends


@virtually
async def test_two_documents_with_large_attachments_are_written_beside_each_other():
    assert limits.STREAMED_WRITES == 2
    target = Target()
    assert await written(target, large("a"), large("b"), large("c")) == [(20, ENDED)]
    assert target.log[:2] == [(0, "a begins"), (0, "b begins")]
    assert (10, "c begins") in target.log


@virtually
async def test_a_batch_has_not_ended_while_one_of_its_documents_is_being_written():
    assert await written(Target(), large("a")) == [(10, ENDED)]


@virtually
async def test_documents_in_memory_are_written_one_after_the_other():
    target = Target()
    assert await written(target, small("a"), small("b")) == [(20, ENDED)]
    assert target.log == [(0, "a begins"), (10, "a ends"), (10, "b begins"), (20, "b ends")]


@virtually
async def test_what_is_streamed_leaves_the_processor_to_others():
    processor = anyio.Lock()
    target = Target()

    async def hold(*, task_status):
        async with processor:
            task_status.started()
            await anyio.sleep(100)

    async with anyio.create_task_group() as tasks:
        await tasks.start(hold)
        assert await written(target, large("a"), processor=processor) == [(10, ENDED)]
        assert await written(target, small("a"), processor=processor) == [(100, ENDED)]


@virtually
async def test_a_write_that_fails_ends_those_beside_it_and_the_batch_has_not_ended():
    target = Target()
    with pytest.raises(ExceptionGroup) as caught:
        await written(target, large("good"), large("bad"), large("later"))
    assert caught.group_contains(Unreachable)
    assert target.log[2:] == [(5, "bad fails"), (5, "good fails")]


@virtually
async def test_conflicts_are_resolved_one_document_at_a_time():
    resolving = []

    async def resolve(resolver, doc_ids):
        assert not resolving
        resolving.extend(doc_ids)
        await anyio.sleep(3)
        resolving.clear()

    assert await written(Target(), large("a"), large("b"), resolve=resolve) == [(16, ENDED)]


class Giving(Wrapped):
    """A source whose documents' attachments are these contents instead."""

    def __init__(self, peer, contents):
        super().__init__(peer)
        self.contents = contents

    async def changes(self, since, limit, selection):
        return await self.peer.changes(since, limit, replace(selection, with_docs=False))

    async def fetch(self, wanted):
        async for fetched in self.peer.fetch(wanted):
            for doc in fetched.docs:
                entry = {"content_type": "image/png", "revpos": 1, "data": self.contents[doc["_id"]]}
                yield Fetched([{**doc, "_attachments": {"x": entry}}])


def offering(contents):
    source = local()
    source._pool.write(store.bulk_docs, [{"_id": doc_id} for doc_id in contents])
    return Giving(source, contents)


@virtually
async def test_contents_that_arrive_beside_each_other_are_kept_apart():
    contents = {name: Streamed(*[name.encode() * 100_000] * 30) for name in "abcde"}
    target = local()
    begun = anyio.current_time()
    assert (await replicate(offering(contents), target, use_checkpoints=False)).docs_written == 5
    assert anyio.current_time() - begun < 4 * 30  # One after the other takes 150 s.
    assert {doc["_id"] for doc in leaves(target).values()} == set("abcde")
    for name in "abcde":
        assert target._pool.read(store.get_attachment, name, "x").data == name.encode() * 3_000_000


def count(conn, table):
    return conn.execute(f"SELECT count(*) FROM {table}").get


@virtually
async def test_a_cut_line_leaves_nothing_of_the_contents_under_way(tmp_path):
    contents = {name: Streamed(*[name.encode() * 100_000] * 60) for name in "abc"}
    contents["b"] = Streamed(*[b"b" * 100_000] * 50, Unreachable("The database cannot be reached.", "x"))
    pool = Pool(tmp_path / "target.couchette")
    with pytest.raises(Unreachable):
        await replicate(offering(contents), LocalPeer(pool, label="target"), use_checkpoints=False)
    assert pool.read(store.info)["doc_count"] == 0
    for table in ("upload", "att", "att_chunk"):
        assert pool.read(count, table) == 0
    pool.close()
