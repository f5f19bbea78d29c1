"""What the target does not take: told, remembered over restarts, offered again, and never in the way of the rest."""

from __future__ import annotations

import anyio
import pytest

from couchette import limits, store
from couchette.replication import replicate
from couchette.wire.transfer import Refusal
from tests.replication.peers import Recording, Wrapped, graft, leaves, local, pool_of, put
from tests.replication.virtual import live, until, virtually

pytestmark = pytest.mark.anyio


class Guarded(Recording):
    """Takes no document whose id is in ``forbidden``."""

    def __init__(self, peer, *forbidden, named=True):
        super().__init__(peer)
        self.forbidden = set(forbidden)
        self._named = named

    async def write(self, docs):
        await self.before("write", docs)
        refused = [
            Refusal(doc["_id"], doc["_rev"] if self._named else None, "forbidden", "not yours")
            for doc in docs
            if doc["_id"] in self.forbidden
        ]
        return refused + await self.peer.write([doc for doc in docs if doc["_id"] not in self.forbidden])


def stored(peer):
    """The lists of refused documents that a peer keeps."""
    rows = pool_of(peer).read(store.local_docs, include_docs=True)
    return [row["doc"]["refused"] for row in rows if row["id"].endswith("-refused")]


async def test_a_refused_document_is_listed_with_its_reason_and_offered_again():
    source, target = local(), Guarded(local(), "b")
    (_, refused) = put(source, {"_id": "a"}, {"_id": "b"})
    first = await replicate(source, target)
    assert not first.ok
    (row,) = first.refused
    assert {**row, "time": ""} == {
        "id": "b",
        "rev": refused["rev"],
        "status": 403,
        "error": "forbidden",
        "reason": "not yours",
        "time": "",
    }
    assert stored(source) == [[row]]
    assert stored(target.peer) == []

    second = await replicate(source, target)
    assert (second.start_seq, len(second.errors), len(second.refused)) == (first.last_seq, 1, 1)
    target.forbidden.clear()
    third = await replicate(source, target)
    assert (third.ok, third.docs_written, third.refused) == (True, 1, ())
    assert leaves(target.peer) == leaves(source)
    assert stored(source) == [[]]
    assert (await replicate(source, target)).docs_read == 0


@pytest.mark.parametrize("rows", [5, "x", {}, [5], [None], [{"id": 1, "rev": 2}], [{"id": "a", "rev": "1-x"}]])
async def test_a_list_in_another_form_is_as_good_as_none(rows):
    source, target = local(), Guarded(local(), "b")
    put(source, {"_id": "a"}, {"_id": "b"})
    await replicate(source, target)
    (listed,) = [
        row["doc"] for row in pool_of(source).read(store.local_docs, include_docs=True) if "refused" in row["id"]
    ]
    pool_of(source).write(store.put, {**listed, "refused": rows})
    put(source, {"_id": "c"})
    result = await replicate(source, target)
    assert (result.docs_written, result.refused) == (1, ())


async def test_a_server_that_does_not_name_the_revision_is_understood():
    source, target = local(), Guarded(local(), "a", named=False)
    (put_a,) = put(source, {"_id": "a"})
    result = await replicate(source, target)
    assert [row["rev"] for row in result.refused] == [put_a["rev"]]


async def test_a_later_revision_that_is_taken_settles_the_earlier_ones():
    source, target = local(), Guarded(local(), "a")
    (first,) = put(source, {"_id": "a", "secret": True})
    await replicate(source, target)
    put(source, {"_id": "a", "_rev": first["rev"]})
    target.forbidden.clear()
    assert (await replicate(source, target)).refused == ()


async def test_what_came_another_way_is_settled():
    source, target = local(), Guarded(local(), "a")
    put(source, {"_id": "a"})
    await replicate(source, target)
    await replicate(source, target.peer, use_checkpoints=False)
    assert (await replicate(source, target)).refused == ()


async def test_what_the_source_has_no_more_is_forgotten():
    source, target = local(), Guarded(local(), "a")
    (first,) = put(source, {"_id": "a"})
    await replicate(source, target)
    pool_of(source).write(store.purge, {"a": [first["rev"]]})
    result = await replicate(source, target)
    assert [error["error"] for error in result.errors] == ["not_found"]
    assert result.refused == ()
    assert (await replicate(source, target)).ok


async def test_a_pull_keeps_its_list_here():
    class Far(Wrapped):
        async def info(self):
            info = await self.peer.info()
            return type(info)(info.identity, info.instance_start_time)

    source, target = Far(local()), Guarded(local(), "a")
    put(source.peer, {"_id": "a"})
    await replicate(source, target)
    assert stored(source.peer) == []
    assert [row["id"] for row in stored(target.peer)[0]] == ["a"]


async def test_no_checkpoint_passes_over_more_than_can_be_remembered(monkeypatch):
    monkeypatch.setattr(limits, "REFUSED_KEPT_MAX", 2)
    source, target = local(), Guarded(local(), "a", "b", "c")
    put(source, {"_id": "a"}, {"_id": "b"}, {"_id": "c"}, {"_id": "d"})
    assert len((await replicate(source, target)).refused) == 3
    target.forbidden.clear()
    result = await replicate(source, target)
    assert result.start_seq == 0
    assert leaves(target.peer) == leaves(source)


async def test_several_leaves_of_a_document_are_remembered_apart():
    source, target = local(), Guarded(local(), "a")
    graft(source, ("a", "1-x", {}), ("a", "1-y", {}))
    assert sorted(row["rev"] for row in (await replicate(source, target)).refused) == ["1-x", "1-y"]
    target.forbidden.clear()
    assert (await replicate(source, target)).refused == ()
    assert leaves(target.peer) == leaves(source)


@virtually
async def test_live_a_refusal_is_an_event_and_synced_is_not_true():
    source, target = local(), Guarded(local(), "b")
    put(source, {"_id": "a"}, {"_id": "b"})
    events = []
    async with live(source, target, on_event=events.append) as replication:
        assert not await replication.wait_until_synced()
        await until(lambda: replication.status.state == "idle")
        assert [row["id"] for row in replication.status.refused] == ["b"]
        assert [event.refusal.id for event in events if event.kind == "refused"][:1] == ["b"]
        target.forbidden.clear()
        replication.retry()
        await until(lambda: leaves(target.peer) == leaves(source), within=1)
        assert await replication.wait_until_synced()
        assert replication.status.refused == ()


@pytest.mark.slow
@virtually
async def test_live_it_is_offered_again_now_and_then():
    source, target = local(), Guarded(local(), "b")
    put(source, {"_id": "b"})
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        await anyio.sleep(limits.LIVE_CHECK_S + 1)
        offers = target.names().count("write")
        await anyio.sleep(limits.LIVE_CHECK_S)
        assert target.names().count("write") == offers + 1
        target.forbidden.clear()
        await anyio.sleep(limits.LIVE_CHECK_S)
        assert leaves(target.peer) == leaves(source)
