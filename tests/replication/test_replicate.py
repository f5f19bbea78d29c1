"""Replication between two databases of this process: what arrives, what is repeated, what is told."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import anyio
import pytest

from couchette import limits, store
from couchette.errors import (
    BadRequest,
    Conflict,
    DatabaseNotFound,
    MissingStub,
    ReplicationFailed,
    Unauthorized,
    Unreachable,
)
from couchette.replication import Progress, replicate, sync
from couchette.replication.pipeline import Pipeline
from couchette.wire.checkpoint import Seq
from couchette.wire.transfer import PeerInfo, Refusal
from tests.replication.peers import Countdown, Faulty, Recording, Wrapped, fill, graft, leaves, local, pool_of, put

pytestmark = pytest.mark.anyio


def numbered(first, final):
    return [{"_id": f"d{number:03}", "n": number} for number in range(first, final)]


async def test_every_kind_of_document_arrives_as_it_is():
    source, target = local(), local()
    fill(source)
    result = await replicate(source, target)
    assert leaves(target) == leaves(source)
    assert result.ok
    assert result.docs_read == result.docs_written == result.missing_found == len(leaves(source))


@pytest.mark.parametrize("batch_docs", [1, 2, 3, 1000])
async def test_the_batch_size_does_not_matter(batch_docs):
    source, target = local(), local()
    fill(source)
    await replicate(source, target, batch_docs=batch_docs)
    assert leaves(target) == leaves(source)


async def test_a_sync_joins_two_histories_on_both_sides():
    near, far = local(), local()
    fill(near)
    await sync(near, far)
    put(near, {"_id": "near only"})
    graft(near, ("plain", "2-n 1-other", {"side": "near"}))
    graft(far, ("plain", "2-f 1-other", {"side": "far"}), ("conflicted", "4-z 3-e 2-d 1-a", {"back": True}))
    result = await sync(near, far)
    assert leaves(near) == leaves(far)
    assert (result.push.docs_written, result.pull.docs_written) == (2, 2)
    assert result.ok


async def test_a_second_replication_reads_and_writes_nothing():
    source, target = Recording(local()), Recording(local())
    fill(source.peer)
    first = await replicate(source, target)
    before = pool_of(target.peer).read(store.info)["update_seq"]
    source.calls, target.calls = [], []
    second = await replicate(source, target)
    assert (second.docs_read, second.docs_written, second.start_seq) == (0, 0, first.last_seq)
    assert pool_of(target.peer).read(store.info)["update_seq"] == before
    # The second document is the list of what was refused; a push keeps it on this side.
    assert source.names() == ["info", "get_checkpoint", "get_checkpoint", "changes"]
    assert target.names() == ["info", "get_checkpoint"]


async def test_what_is_there_without_a_checkpoint_is_compared_and_not_moved():
    source, target = local(), local()
    fill(source)
    await replicate(source, target, use_checkpoints=False)
    result = await replicate(source, target, use_checkpoints=False)
    assert (result.missing_checked, result.missing_found, result.docs_read) == (len(leaves(source)), 0, 0)
    assert result.history == ()


async def test_the_next_replication_begins_at_the_checkpoint():
    source, target = Recording(local()), local()
    put(source.peer, *numbered(0, 10))
    await replicate(source, target)
    source.calls = []
    put(source.peer, *numbered(10, 12))
    await replicate(source, target)
    assert source.fetched_ids() == ["d010", "d011"]


async def test_both_sides_keep_the_same_log_in_couchdb_s_form():
    source, target = local(), local()
    put(source, *numbered(0, 3))
    first = await replicate(source, target)
    put(source, *numbered(3, 5))
    second = await replicate(source, target)
    docs = [pool_of(peer).read(store.get, _checkpoint_id(peer)) for peer in (source, target)]
    assert docs[0]["history"] == docs[1]["history"] == list(second.history)
    assert [entry["session_id"] for entry in second.history] == [second.session_id, first.session_id]
    assert docs[0]["source_last_seq"] == second.last_seq
    assert second.history[0]["docs_written"] == 2


def _checkpoint_id(peer):
    ((doc_id,),) = pool_of(peer).read(lambda conn: conn.execute("SELECT id FROM local").fetchall())
    return doc_id


async def test_a_checkpoint_is_recorded_only_for_what_is_on_the_target():
    class Watching(Wrapped):
        async def put_checkpoint(self, doc):
            after = pool_of(source).read(store.changes, since=doc["source_last_seq"])["results"]
            later = {row["id"] for row in after}
            written = {doc_id for doc_id, _ in leaves(target.peer)}
            assert {one["_id"] for one in numbered(0, 30)} - later <= written
            seen.append(doc["source_last_seq"])
            return await self.peer.put_checkpoint(doc)

    seen: list[Seq] = []
    source, target = local(), Watching(local())
    put(source, *numbered(0, 30))
    result = await replicate(source, target, batch_docs=4)
    assert seen[-1] == result.last_seq


@pytest.mark.slow
@pytest.mark.parametrize("after", [False, True])
async def test_a_line_that_breaks_at_any_call_costs_nothing_that_was_recorded(after):
    """For every k: the k-th call of either side fails; the next replication completes it and repeats little."""
    for calls in range(1, 1000):
        source, target = Recording(local()), local()
        fill(source.peer)
        put(source.peer, *numbered(0, 8))
        countdown = Countdown(calls, after=after)
        with suppress(Unreachable):
            await replicate(Faulty(source, countdown), Faulty(target, countdown), batch_docs=5)
        if not countdown.broke:
            break
        there = {doc_id for doc_id, _ in leaves(target)}
        seq_before = int(pool_of(target).read(store.info)["update_seq"].partition("-")[0])
        source.calls = []
        await replicate(source, target, batch_docs=5)
        assert leaves(target) == leaves(source.peer)
        assert not there & set(source.fetched_ids())
        moved = int(pool_of(target).read(store.info)["update_seq"].partition("-")[0]) - seq_before
        fetched = source.fetched_ids()  # The leaves of one document may come in two portions.
        assert len(set(fetched)) <= moved <= len(fetched)
    assert calls > 20


async def test_cancelling_leaves_a_start_for_the_next():
    source, target = local(), local()
    put(source, *numbered(0, 40))
    with anyio.CancelScope() as scope:
        await replicate(source, target, batch_docs=4, progress=lambda progress: scope.cancel())
    assert scope.cancelled_caught
    assert 0 < len(leaves(target)) < 40
    await replicate(source, target)
    assert leaves(target) == leaves(source)


async def test_progress_tells_how_far_it_is():
    source, target = local("here"), local("there")
    put(source, *numbered(0, 10))
    told: list[Progress] = []
    result = await replicate(source, target, batch_docs=4, progress=told.append)
    assert [progress.pending for progress in told] == [6, 2, 0]
    assert [progress.docs_written for progress in told] == [4, 8, 10]
    assert (told[0].source, told[0].target, told[-1].last_seq) == ("here", "there", result.last_seq)


async def test_the_next_batches_are_fetched_while_one_is_written_and_no_more():
    class Slow(Wrapped):
        async def write(self, docs):
            await waiting.wait()
            return await self.peer.write(docs)

    waiting = anyio.Event()
    source, target = Recording(local()), Slow(local())
    put(target.peer, {"_id": "d000"})
    put(source.peer, *numbered(0, 40))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(lambda: replicate(source, target, batch_docs=2))
        for _ in range(200):
            await anyio.wait_all_tasks_blocked()
            await anyio.to_thread.run_sync(lambda: None)
        fetches = source.names().count("fetch")
        assert 1 < fetches <= limits.BATCHES_AHEAD + 1
        waiting.set()
    assert leaves(source.peer).keys() <= leaves(target.peer).keys()


async def test_refused_documents_are_listed_and_the_others_arrive():
    class Refusing(Wrapped):
        async def write(self, docs):
            refused = [Refusal(doc["_id"], doc["_rev"], "forbidden", "no") for doc in docs if doc["_id"] == "d001"]
            return refused + await self.peer.write([doc for doc in docs if doc["_id"] != "d001"])

    source, target = local(), Refusing(local())
    put(source, *numbered(0, 3))
    result = await replicate(source, target)
    assert not result.ok
    assert [(error["id"], error["error"], error["reason"]) for error in result.errors] == [("d001", "forbidden", "no")]
    assert (result.docs_read, result.docs_written, result.doc_write_failures) == (3, 2, 1)
    assert result.as_json()["history"][0]["doc_write_failures"] == 1


async def test_a_document_that_the_store_cannot_take_is_refused_alone():
    class Spoiling(Wrapped):
        async def fetch(self, wanted):
            async for portion in self.peer.fetch(wanted):
                docs = [{**doc, "_unknown": True} if doc["_id"] == "d002" else doc for doc in portion.docs]
                yield replace(portion, docs=docs)

    source, target = Spoiling(local()), local()
    put(target, {"_id": "a"})
    put(source.peer, *numbered(0, 5))
    result = await replicate(source, target)
    assert [(error["id"], error["error"]) for error in result.errors] == [("d002", "doc_validation")]
    assert sorted(doc_id for doc_id, _ in leaves(target)) == ["a", "d000", "d001", "d003", "d004"]


async def test_attachments_that_the_target_has_are_not_sent_again():
    class Watching(Wrapped):
        async def write(self, docs):
            sent.extend(name for doc in docs for name, a in doc["_attachments"].items() if "data" in a)
            return await self.peer.write(docs)

    sent: list[str] = []
    source, target = local(), Watching(local())
    ((first),) = put(source, {"_id": "a", "_attachments": {"old": {"data": "QQ=="}}})
    await replicate(source, target)
    attachments = {"old": {"stub": True}, "new": {"data": "Qg=="}}
    put(source, {"_id": "a", "_rev": first["rev"], "_attachments": attachments})
    await replicate(source, target)
    assert sent == ["old", "new"]
    assert leaves(target.peer) == leaves(source)


async def test_a_target_that_cannot_fill_a_stub_gets_everything():
    class Forgetful(Wrapped):
        async def write(self, docs):
            for doc in docs:
                if any("data" not in attachment for attachment in doc.get("_attachments", {}).values()):
                    raise MissingStub("a/old")
            return await self.peer.write(docs)

    source, target = local(), Forgetful(local())
    (first,) = put(source, {"_id": "a", "_attachments": {"old": {"data": "QQ=="}}})
    await replicate(source, target)
    put(source, {"_id": "a", "_rev": first["rev"], "_attachments": {"old": {"stub": True}}}, *numbered(0, 3))
    result = await replicate(source, target)
    assert leaves(target.peer) == leaves(source)
    assert result.docs_written == 4


async def test_a_target_that_asks_for_what_it_got_ends_it():
    class Stubborn(Wrapped):
        async def write(self, docs):
            raise MissingStub("a/old")

    source, target = local(), Stubborn(local())
    put(source, {"_id": "a", "_attachments": {"old": {"data": "QQ=="}}})
    with pytest.raises(MissingStub):
        await replicate(source, target)


@pytest.mark.parametrize("side", ["source", "target"])
async def test_a_database_recreated_meanwhile_ends_it(side):
    class Recreated(Wrapped):
        async def commit(self):
            return "another"

    source, target = local(), local()
    put(source, *numbered(0, 3))
    peers = {"source": source, "target": target}
    peers[side] = Recreated(peers[side])
    with pytest.raises(ReplicationFailed, match="recreated") as caught:
        await replicate(peers["source"], peers["target"])
    assert caught.value.error == "checkpoint_commit_failure"


async def test_a_checkpoint_of_the_database_that_was_there_before_does_not_count():
    """It may have been put into the new one: by a request that waited until the server was back."""

    class Place(Wrapped):
        async def info(self):
            return replace(await self.peer.info(), identity="http://server/db")

    source, target = local(), Place(local())
    put(source, *numbered(0, 3))
    await replicate(source, target)
    doc = pool_of(target.peer).read(store.get, _checkpoint_id(target.peer))
    target.peer = local()
    put(target.peer, {"_id": "other"})
    del doc["_rev"]
    pool_of(target.peer).write(store.put, doc)
    assert (await replicate(source, target)).start_seq == 0
    assert leaves(source).keys() <= leaves(target.peer).keys()


@pytest.mark.parametrize("odd", [5, "x", [1], {"target": 5}])
async def test_a_checkpoint_whose_incarnations_are_odd_does_not_count(odd):
    source, target = local(), local()
    put(source, *numbered(0, 3))
    await replicate(source, target)
    doc = pool_of(target).read(store.get, _checkpoint_id(target))
    pool_of(target).write(store.put, {**doc, "incarnations": odd})
    put(source, {"_id": "later"})
    result = await replicate(source, target)
    assert (result.start_seq, result.docs_written) == (0, 1)
    assert leaves(source) == leaves(target)


@pytest.mark.parametrize(
    ("start_time", "update_seq", "incarnation"),
    [
        ("1790000000", "5-g1AAAA", "1790000000"),
        ("1790000000123", 5, None),
        ("0", "5-g1AAAA", None),
        ("1790000000", f"5-{'ab' * 16}", "ab" * 16),
    ],
)
def test_a_time_of_creation_tells_databases_apart_and_a_server_s_start_does_not(start_time, update_seq, incarnation):
    assert PeerInfo("db", start_time, update_seq=update_seq).incarnation == incarnation


async def test_a_server_without_start_times_is_trusted():
    class Timeless(Wrapped):
        async def info(self):
            return PeerInfo((await self.peer.info()).identity, "0")

    source, target = Timeless(local()), local()
    put(source.peer, *numbered(0, 3))
    assert (await replicate(source, target)).ok


async def test_a_checkpoint_written_by_another_meanwhile_is_no_failure():
    class Checking(Wrapped):
        """Checks the revs of ``_local`` documents, as PouchDB's stores do."""

        async def put_checkpoint(self, doc):
            stored = await self.peer.get_checkpoint(doc["_id"])
            if doc.get("_rev") != (stored and stored["_rev"]):
                raise Conflict
            return await self.peer.put_checkpoint(doc)

        async def get_checkpoint(self, doc_id):
            answer = await self.peer.get_checkpoint(doc_id)
            if not interfered:
                interfered.append(await self.peer.put_checkpoint({"_id": doc_id, "other": True}))
            return answer

    interfered = []
    source, target = local(), Checking(local())
    put(source, *numbered(0, 3))
    await replicate(source, target)
    assert (await replicate(source, target)).start_seq != 0


async def test_a_refusal_of_the_whole_is_raised_as_it_is():
    class Closed(Wrapped):
        async def write(self, docs):
            raise Unauthorized("You are not authorized to access this db.")

    source, target = local(), Closed(local())
    put(source, *numbered(0, 3))
    with pytest.raises(Unauthorized):
        await replicate(source, target)


class Missing(Recording):
    """Is not there until it is created."""

    async def before(self, name, *args):
        await super().before(name, *args)
        if "create" not in self.names():
            raise DatabaseNotFound("Database does not exist.")


async def test_a_missing_target_is_created_on_demand_alone():
    source, target = local(), Missing(local())
    with pytest.raises(DatabaseNotFound):
        await replicate(source, target)
    await replicate(source, target, create_target=True)
    await replicate(source, target, create_target=True)
    assert [name for name in target.names() if name in ("info", "create")] == ["info", "info", "create", "info", "info"]


async def test_no_target_is_created_for_a_source_that_is_not_there():
    target = Missing(local())
    with pytest.raises(DatabaseNotFound):
        await replicate(Missing(local()), target, create_target=True)
    assert target.names() == []


async def test_a_batch_holds_at_least_one_change():
    with pytest.raises(BadRequest, match="batch_docs"):
        await replicate(local(), local(), batch_docs=0)


async def test_a_local_source_is_not_read_while_documents_are_written():
    class Alone(Wrapped):
        async def before(self, name, *args):
            if name in ("changes", "write"):
                assert not busy
                busy.append(name)
                for _ in range(20):
                    await anyio.lowlevel.checkpoint()
                busy.clear()

    busy: list[str] = []
    source, target = local(), local()
    put(source, *numbered(0, 3000))
    await replicate(Alone(source), Alone(target))
    assert leaves(target) == leaves(source)


async def test_a_batch_may_end_when_nobody_is_left_to_record_it(monkeypatch):
    """As in a replication that is cancelled just then: the stage that records may be the first to hear of it."""

    async def gone(pipeline, advances):
        advances.close()

    monkeypatch.setattr(Pipeline, "_record_advances", gone)
    source, target = local("source"), local()
    put(source, {"_id": "a"})
    assert (await replicate(source, target)).docs_written == 1
