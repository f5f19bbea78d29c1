"""npm's PouchDB in Node, replicating with our server in both directions."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.interop.conftest import HttpDatabase, NodePeer
from tests.interop.cutting_proxy import cutting
from tests.interop.documents import data, fill
from tests.interop.servers import CouchetteServer

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


def test_a_live_sync_carries_each_change_as_it_happens(node: NodePeer, served: HttpDatabase):
    fill(served, "served")
    node.bulk_docs([{"_id": "first of node"}])
    node.call("live", served.url)
    node.call("seen", "attached/served")
    assert served.wait_until_there("first of node")
    served.bulk_docs([{"_id": "later"}])
    node.call("seen", "later")
    node.bulk_docs([{"_id": "later of node"}])
    assert served.wait_until_there("later of node")
    node.call("live.end")
    assert node.leaves() == served.leaves()


def test_a_live_sync_goes_on_over_a_line_that_breaks(node: NodePeer, served: HttpDatabase):
    """PouchDB may stop without a word when a line is cut while it reads documents; here it is cut while it waits."""
    port = urlsplit(served.url).port
    assert port is not None
    served.bulk_docs([{"_id": "first of served"}])
    with cutting(port, seed=7, bytes_max=1) as proxy:
        proxy.calm = True
        node.call("live", f"http://127.0.0.1:{proxy.port}/db")
        node.call("seen", "first of served")
        while not proxy.cuts:
            proxy.wait_connected()
            proxy.break_all()
        node.bulk_docs([{"_id": "of node"}])
        assert served.wait_until_there("of node")
        served.bulk_docs([{"_id": "last of served"}])
        node.call("seen", "last of served")
        node.call("live.end")
    assert node.leaves() == served.leaves()


def test_a_live_sync_survives_our_server(node: NodePeer, tmp_path: Path):
    with CouchetteServer(tmp_path / "server") as server:
        far = HttpDatabase(f"{server.url}/db")
        with far.http:
            far.ask("PUT")
            far.bulk_docs([{"_id": "before"}])
            node.call("live", far.url)
            node.call("seen", "before")
            server.kill()
            server.start()
            node.bulk_docs([{"_id": "meanwhile"}])
            server.wait_listening()
            far.bulk_docs([{"_id": "after"}])
            node.call("seen", "after")
            assert far.wait_until_there("meanwhile")
            node.call("live.end")
            assert node.leaves() == far.leaves()
