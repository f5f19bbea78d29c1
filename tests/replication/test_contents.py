"""Large attachments between every kind of peer: whole, once, and never held in memory."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from couchette import Environment, limits, store
from couchette.pool import Pool
from couchette.remote import RemotePeer
from couchette.replication import LocalPeer, replicate
from couchette.server import create_app
from couchette.wire.content import Content, streamed
from couchette.wire.selection import EVERYTHING
from couchette.wire.transfer import Wanted
from tests.replication.peers import leaves, local
from tests.replication.test_over_http import Network

pytestmark = pytest.mark.anyio

LARGE = 300_000


@pytest.fixture(autouse=True)
def _what_is_large_is_smaller_than_usual(monkeypatch):
    monkeypatch.setattr(limits, "ATTACHMENT_INLINE_BYTES_MAX", LARGE - 1)


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        environment.create("db")
        yield environment


@pytest.fixture
def served(environment):
    return LocalPeer(environment["db"]._pool, label="served")


@pytest.fixture
def network(environment):
    return Network(create_app(environment))


def fill(peer):
    """Documents whose attachments are large and raw, large as stored though compressible, and small."""
    noise = random.Random(7).randbytes(LARGE)
    attachments = {
        "raw": {"content_type": "application/octet-stream", "data": noise},
        "text": {"content_type": "text/plain", "data": noise[: LARGE // 2].hex().encode() * 2},
        "zeros": {"content_type": "text/plain", "data": b"0" * (3 * LARGE)},
        "small": {"content_type": "text/plain", "data": b"hello"},
    }
    peer._pool.write(store.put, {"_id": "a", "_attachments": attachments})
    peer._pool.write(store.put, {"_id": "b", "n": 1})


async def test_a_local_source_gives_large_attachments_as_contents():
    near = local()
    fill(near)
    doc = await fetched(near)
    assert streamed(doc)
    large = [name for name, entry in doc["_attachments"].items() if isinstance(entry["data"], Content)]
    assert set(large) == {"raw", "text"}  # What is small once compressed is small.
    for name in large:
        content = doc["_attachments"][name]["data"]
        async with content.open() as chunks:
            assert sum([len(chunk) async for chunk in chunks]) == content.length


async def fetched(peer):
    """The document with attachments, as its source hands it out."""
    page = await peer.changes(0, 10, EVERYTHING)
    wanted = [Wanted("a", page.leaves["a"])]
    (doc,) = [doc async for portion in peer.fetch(wanted) for doc in portion.docs]
    return doc


async def test_they_go_from_file_to_file():
    near, far = local(), local()
    fill(near)
    assert (await replicate(near, far)).ok
    assert leaves(far) == leaves(near)


async def test_they_are_pushed_to_a_server_as_multipart(network, served):
    near = local()
    fill(near)
    assert (await replicate(near, RemotePeer("http://server/db", transport=network))).ok
    assert leaves(served) == leaves(near)
    assert "PUT /db/a" in network.requests


async def test_they_are_pulled_from_a_server_by_a_request_each(network, served):
    near = local()
    fill(served)
    assert (await replicate(RemotePeer("http://server/db", transport=network), near)).ok
    assert leaves(served) == leaves(near)
    assert {"GET /db/a/raw", "GET /db/a/text"} <= set(network.requests)


async def test_they_go_from_one_server_to_another(network, served, environment):
    fill(served)
    environment.create("other")
    source, target = (RemotePeer(f"http://server/{name}", transport=network) for name in ("db", "other"))
    assert (await replicate(source, target)).ok
    assert leaves(LocalPeer(environment["other"]._pool, label="other")) == leaves(served)


async def test_an_attachment_that_the_target_has_is_not_sent_again(network, served):
    near = local()
    fill(served)
    remote = RemotePeer("http://server/db", transport=network)
    await replicate(remote, near)
    doc = near._pool.read(store.get, "a")
    near._pool.write(store.put, {**doc, "edited": True})
    network.requests.clear()
    await replicate(near, remote)
    assert leaves(served) == leaves(near)
    assert not any(request.startswith("PUT /db/a") for request in network.requests)


async def test_a_purged_source_refuses_the_document_and_keeps_nothing_of_it():
    near, far = local(), local()
    fill(near)
    doc = await fetched(near)
    near._pool.write(store.purge, {"a": [doc["_rev"]]})
    (refusal,) = await far.write([doc])
    assert (refusal.id, refusal.error) == ("a", "not_found")
    assert far._pool.read(store.info)["doc_count"] == 0


@pytest.mark.slow
async def test_the_memory_they_take_does_not_grow_with_their_size(tmp_path):
    megabyte = 1024 * 1024
    near, far = (Pool(tmp_path / f"{name}.couchette") for name in ("near", "far"))
    noise = random.Random(7).randbytes(megabyte)
    attachments = {"x": {"content_type": "application/octet-stream", "data": noise * 48}}
    near.write(store.put, {"_id": "a", "_attachments": attachments})
    del attachments
    tracemalloc.start()
    try:
        assert (await replicate(LocalPeer(near, label="near"), LocalPeer(far, label="far"))).ok
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert far.read(store.get_attachment, "a", "x").data == noise * 48
    assert peak < 12 * megabyte
    near.close()
    far.close()
