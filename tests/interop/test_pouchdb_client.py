"""npm's PouchDB in Node, replicating with our server in both directions."""

from __future__ import annotations

import pytest

from tests.interop.conftest import HttpDatabase, NodePeer
from tests.interop.documents import data, fill

pytestmark = pytest.mark.interop


def test_a_push_carries_every_leaf(node: NodePeer, served: HttpDatabase):
    fill(node, "node")
    result = node.call("replicate.to", served.url)
    assert result["ok"]
    assert result["doc_write_failures"] == 0
    assert served.leaves() == node.leaves()


def test_a_pull_carries_every_leaf(node: NodePeer, served: HttpDatabase):
    fill(served, "served")
    result = node.call("replicate.from", served.url)
    assert result["ok"]
    assert result["doc_write_failures"] == 0
    assert node.leaves() == served.leaves()


def test_a_sync_joins_both_and_a_second_one_moves_nothing(node: NodePeer, served: HttpDatabase):
    fill(node, "node")
    fill(served, "served")
    node.call("replicate.to", served.url)
    node.call("replicate.from", served.url)
    assert node.leaves() == served.leaves()
    assert node.call("replicate.to", served.url)["docs_read"] == 0
    assert node.call("replicate.from", served.url)["docs_read"] == 0


def test_both_go_on_from_their_checkpoint(node: NodePeer, served: HttpDatabase):
    node.bulk_docs([{"_id": f"n{number}"} for number in range(250)])
    assert node.call("replicate.to", served.url)["docs_written"] == 250
    node.bulk_docs([{"_id": "later"}])
    assert node.call("replicate.to", served.url)["docs_read"] == 1
    assert node.call("replicate.from", served.url)["docs_written"] == 0
    served.bulk_docs([{"_id": "from our side"}])
    assert node.call("replicate.from", served.url)["docs_read"] == 1
    assert node.leaves() == served.leaves()


def test_edits_deletions_and_attachments_follow_one_another(node: NodePeer, served: HttpDatabase):
    node.bulk_docs([{"_id": "a", "_attachments": {"x.txt": {"content_type": "text/plain", "data": data("x")}}}])
    node.call("replicate.to", served.url)
    doc = served.ask("GET", "/a")
    doc["_attachments"]["y"] = {"content_type": "image/png", "data": data("y")}
    served.bulk_docs([doc])
    node.call("replicate.from", served.url)
    assert node.leaves() == served.leaves()
    node.call("remove", node.call("get", "a"))
    node.call("replicate.to", served.url)
    assert node.leaves() == served.leaves()
    assert served.ask("GET", "")["doc_count"] == 0
