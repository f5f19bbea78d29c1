"""Replicas that are edited apart and replicate in any order end with the same leaves and the same winners."""

from __future__ import annotations

from functools import partial

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Environment, store
from couchette.errors import CouchetteError
from couchette.remote import RemotePeer
from couchette.replication import LocalPeer, replicate
from couchette.server import create_app
from tests.replication.peers import leaves, pool_of
from tests.replication.test_over_http import Network

REPLICAS = 3
replica = st.integers(0, REPLICAS - 1)
doc_id = st.sampled_from(["a", "b/c"])
edits = st.tuples(st.sampled_from(["put", "fork", "delete", "attach", "revive"]), replica, doc_id, st.integers(0, 2))
moves = st.tuples(st.just("replicate"), replica, replica, st.integers(1, 3))


def edit(peer, kind, doc_id, number):
    """An edit of any leaf, as a program would make it; one that the replica's state does not allow is refused."""
    pool = pool_of(peer)
    try:
        rows = pool.read(store.get, doc_id, open_revs="all")
    except CouchetteError:
        rows = []
    live = [row["ok"] for row in rows if not row["ok"].get("_deleted")]
    doc = {"_id": doc_id, "n": number}
    if live:
        leaf = live[number % len(live)]
        doc |= {"_rev": leaf["_rev"], "_attachments": leaf.get("_attachments", {})}
    if kind == "delete":
        doc["_deleted"] = True
    elif kind == "attach":
        doc.setdefault("_attachments", {})[f"name {number}"] = {"data": "QUJD"[: 4 * (number % 2)]}
    elif kind == "fork":
        doc.pop("_rev", None)
        doc |= {"_revisions": {"start": 1, "ids": [f"{peer.label}{number}"]}, "_attachments": {}}
    elif kind == "revive":
        doc.pop("_rev", None)
        doc.pop("_attachments", None)
    pool.write(store.bulk_docs, [doc], new_edits=kind != "fork")


def winners(peer):
    return {row["id"]: row["changes"] for row in pool_of(peer).read(store.changes)["results"]}


async def run(steps, peers, reach):
    for kind, first, second, number in steps:
        if kind == "replicate":
            await replicate(reach(first), reach(second), batch_docs=number)
        else:
            edit(peers[first], kind, second, number)
    for first in (*range(REPLICAS), *range(REPLICAS)):
        await replicate(reach(first), reach((first + 1) % REPLICAS))
    assert leaves(peers[0]) == leaves(peers[1]) == leaves(peers[2])
    assert winners(peers[0]) == winners(peers[1]) == winners(peers[2])
    for first in range(REPLICAS):
        assert (await replicate(reach(first), reach((first + 1) % REPLICAS))).docs_read == 0


@pytest.mark.slow
@given(st.lists(edits | moves, max_size=12))
def test_they_agree_in_process(steps):
    with Environment(":memory:") as environment:
        peers = [LocalPeer(environment.create(name)._pool, label=name) for name in "xyz"]
        anyio.run(partial(run, steps, peers, peers.__getitem__), backend="trio")


@pytest.mark.slow
@given(st.lists(edits | moves, max_size=12))
def test_they_agree_over_http(steps):
    with Environment(":memory:") as environment:
        app = create_app(environment)
        peers = [LocalPeer(environment.create(name)._pool, label=name) for name in "xyz"]

        def reach(number):
            return RemotePeer(f"http://server/{'xyz'[number]}", transport=Network(app))

        anyio.run(partial(run, steps, peers, reach), backend="trio")
