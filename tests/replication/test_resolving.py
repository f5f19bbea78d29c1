"""Conflicts that end by themselves: on each replica alike, so that two of them come to rest."""

from __future__ import annotations

import anyio
import pytest

from couchette import store
from couchette.merging import Choosing, by_type, keep_winner, newest_by, three_way
from couchette.replication import replicate
from tests.replication.peers import Wrapped, graft, leaves, local, pool_of, put
from tests.replication.virtual import live, live_sync, until, virtually

pytestmark = pytest.mark.anyio


def conflicts(peer):
    return pool_of(peer).read(store.list_conflicts)


def get(peer, doc_id):
    doc = pool_of(peer).read(store.get, doc_id)
    return {name: value for name, value in doc.items() if name[0] != "_"}


def conflicted(peer, doc_id="a", **fields):
    graft(peer, (doc_id, "2-b 1-a", {"at": 2, **fields}), (doc_id, "2-c 1-a", {"at": 1, **fields}))


@pytest.mark.parametrize(("resolver", "at"), [(keep_winner, 1), (newest_by("at"), 2)])
async def test_a_pull_resolves_what_it_brings(resolver, at):
    source, target = local(), local()
    conflicted(source)
    await replicate(source, target, resolver=resolver)
    assert get(target, "a") == {"at": at}
    assert conflicts(target) == []
    assert conflicts(source) != []
    await replicate(target, source)
    assert leaves(source) == leaves(target)


async def test_what_an_earlier_session_left_is_resolved_too():
    source, target = local(), local()
    conflicted(source)
    await replicate(source, target)
    await replicate(source, target, resolver=keep_winner)
    assert conflicts(target) == []


async def test_each_type_has_its_resolver_and_the_others_are_left():
    source, target = local(), local()
    for kind in ("note", "task", "other"):
        conflicted(source, kind, type=kind)
    await replicate(source, target, resolver={"note": newest_by("at"), "task": keep_winner})
    assert [row["id"] for row in conflicts(target)] == ["other"]
    assert (get(target, "note")["at"], get(target, "task")["at"]) == (2, 1)


@pytest.mark.parametrize(
    "resolver",
    [
        by_type({"note": newest_by("at")}, field="kind"),
        Choosing(lambda doc: newest_by("at") if doc["_id"].startswith("n") else None),
    ],
)
async def test_a_choice_may_look_at_anything(resolver):
    source, target = local(), local()
    conflicted(source, "n", kind="note")
    conflicted(source, "o", kind="other")
    await replicate(source, target, resolver=resolver)
    assert [row["id"] for row in conflicts(target)] == ["o"]


async def test_another_s_database_is_not_resolved():
    class Far(Wrapped):
        async def info(self):
            info = await self.peer.info()
            return type(info)(info.identity, info.instance_start_time)

    source, target = local(), Far(local())
    conflicted(source)
    await replicate(source, target, resolver=keep_winner)
    assert conflicts(target.peer) != []


async def test_what_a_merge_function_raises_ends_it_with_the_documents_kept():
    def refuse(leaves, ancestor):
        raise ValueError("cannot decide")

    source, target = local(), local()
    conflicted(source)
    with pytest.raises(ValueError, match="cannot decide"):
        await replicate(source, target, resolver=refuse)
    assert leaves(target) == leaves(source)


async def test_a_merge_that_lacks_the_ancestor_leaves_it_to_those_who_have_it():
    having, lacking = local(), local()
    graft(having, ("a", "1-a", {"x": 0, "y": 0}))
    graft(having, ("a", "2-b 1-a", {"x": 1, "y": 0}), ("a", "2-c 1-a", {"x": 0, "y": 1}))
    await replicate(having, lacking, resolver=three_way())
    assert conflicts(lacking) != []
    await replicate(lacking, having, resolver=three_way())
    assert get(having, "a") == {"x": 1, "y": 1}
    await replicate(having, lacking, resolver=three_way())
    assert leaves(lacking) == leaves(having)
    assert conflicts(lacking) == []


async def test_leaves_without_any_common_ancestor_are_merged_everywhere():
    source, target = local(), local()
    graft(source, ("a", "1-a", {"x": 1}), ("a", "1-b", {"y": 1}))
    await replicate(source, target, resolver=three_way())
    assert get(target, "a") == {"x": 1, "y": 1}


@virtually
@pytest.mark.parametrize("resolver", [keep_winner, newest_by("at"), three_way()])
@pytest.mark.parametrize("both_ways", ["one sync", "two pulls"])
async def test_two_replicas_that_both_resolve_come_to_rest(resolver, both_ways):
    near, far = local("near"), local("far")
    (first,) = put(near, {"_id": "a", "at": 0, "near": 0, "far": 0})
    await replicate(near, far)
    for number, peer in enumerate((near, far, near)):
        rev = pool_of(peer).read(store.get, "a")["_rev"]
        put(peer, {"_id": "a", "_rev": rev, "at": number, "near": 0, "far": 0, peer.label: number + 1})
    if both_ways == "one sync":
        running = [live_sync(near, far, resolver=resolver)]
    else:
        running = [live(near, far, resolver=resolver), live(far, near, resolver=resolver)]
    async with anyio.create_task_group() as tasks:
        for replication in running:
            tasks.start_soon(replication.run)
        await until(lambda: leaves(near) == leaves(far) and not conflicts(near), within=10)
        settled = leaves(near)
        put(near, {"_id": "b", "near": 1})
        put(far, {"_id": "b", "far": 1})
        await until(lambda: leaves(near) == leaves(far) and not conflicts(near), within=10)
        await anyio.sleep(100)
        quiet = {key: doc for key, doc in leaves(near).items() if key[0] == "a"}
        assert quiet == {key: doc for key, doc in leaves(far).items() if key[0] == "a"} == settled
        for replication in running:
            replication.cancel()
    assert len(quiet) <= 3
    assert first["rev"] not in {rev for _, rev in quiet}
