"""No credential leaves a trace: not in checkpoint documents, ids, results or logs, on either side."""

from __future__ import annotations

import base64
import logging
from typing import Any

import pytest

from couchette import BasicAuth, BearerAuth, Environment, store
from couchette.remote import RemotePeer
from couchette.replication import LocalPeer, replicate
from couchette.server import create_app
from tests.replication.peers import fill, local
from tests.replication.test_over_http import Network

pytestmark = pytest.mark.anyio

SECRET = "s3cret"
TRACES = (SECRET, base64.b64encode(f"ann:{SECRET}".encode()).decode())
WAYS: dict[str, dict[str, Any]] = {
    "url": {"url": f"http://ann:{SECRET}@server/db"},
    "pair": {"auth": ("ann", SECRET)},
    "basic": {"auth": BasicAuth("ann", SECRET)},
    "bearer": {"auth": BearerAuth(SECRET)},
    "refresh": {"auth": BearerAuth(refresh=lambda: SECRET)},
    "header": {"headers": {"X-Key": SECRET}},
}


def local_docs(peer):
    return peer._pool.read(store.local_docs, include_docs=True)


@pytest.mark.parametrize("way", WAYS)
async def test_a_replication_leaves_no_trace_of_credentials_and_goes_on_with_others(way, caplog):
    caplog.set_level(logging.DEBUG)
    near = local()
    fill(near)
    with Environment(":memory:") as environment:
        environment.create("db")
        network = Network(create_app(environment))
        options: dict[str, Any] = {"url": "http://server/db", **WAYS[way]}
        first = await replicate(near, RemotePeer(**options, transport=network))
        served = LocalPeer(environment["db"]._pool, label="served")
        kept = local_docs(near) + local_docs(served)
        assert kept
        seen = [repr(first), repr(kept), caplog.text]
        assert [text for text in seen for trace in TRACES if trace in text] == []
        again = await replicate(near, RemotePeer("http://server/db", ("bob", "other"), transport=network))
        assert again.start_seq == first.last_seq
