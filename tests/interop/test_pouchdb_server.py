"""Our replicator with npm's pouchdb-server, in both directions."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from random import Random
from typing import Any

import httpx
import pytest

from couchette import Database, errors
from couchette.remote import RemotePeer
from couchette.replication import LocalPeer, Progress, replicate, run_sync
from tests.interop.conftest import HttpDatabase, leaves_of
from tests.interop.documents import data, fill, fork_attachment

pytestmark = pytest.mark.interop


@pytest.fixture
def near():
    with Database() as database:
        yield database


def test_a_push_carries_every_leaf(near: Database, remote: HttpDatabase):
    fill(near, "near", harder=True)
    result = near.replicate_to(remote.url)
    assert result.ok
    assert remote.leaves() == leaves_of(near)
    assert result.docs_written == len(leaves_of(near))


def test_a_pull_carries_every_leaf(near: Database, remote: HttpDatabase):
    fill(remote, "far", harder=True)
    result = near.replicate_from(remote.url)
    assert result.ok
    assert leaves_of(near) == remote.leaves()
    assert result.docs_written == len(leaves_of(near))


def test_a_sync_joins_both_and_a_second_one_moves_nothing(near: Database, remote: HttpDatabase):
    for peer, side in ((near, "near"), (remote, "far")):
        fill(peer, side)
        fork_attachment(peer, side)
    first = near.sync(remote.url)
    assert first.ok
    assert remote.leaves() == leaves_of(near)
    second = near.sync(remote.url)
    assert (second.push.docs_read, second.pull.docs_read) == (0, 0)
    assert (second.push.start_seq, second.pull.start_seq) == (first.push.last_seq, first.pull.last_seq)


def test_a_third_database_gets_the_same_from_either(near: Database, remote: HttpDatabase):
    fill(near, "near")
    near.sync(remote.url)
    with Database() as third:
        assert third.replicate_from(remote.url).ok
        assert leaves_of(third) == leaves_of(near)
        assert third.replicate_from(near).docs_read == 0


def test_an_attachment_added_later_travels_beside_those_that_are_there(near: Database, remote: HttpDatabase):
    near.put({"_id": "a", "_attachments": {"old.txt": {"content_type": "text/plain", "data": data("old" * 99)}}})
    near.sync(remote.url)
    doc = near.get("a")
    near.put({**doc, "_attachments": {**doc["_attachments"], "new": {"content_type": "x/y", "data": data("new")}}})
    near.replicate_to(remote.url)
    assert remote.leaves() == leaves_of(near)
    far = remote.ask("GET", "/a")
    far["_attachments"]["newest"] = {"content_type": "x/y", "data": data("newest")}
    remote.bulk_docs([far])
    near.replicate_from(remote.url)
    assert remote.leaves() == leaves_of(near)


def test_deletions_and_new_lives_travel(near: Database, remote: HttpDatabase):
    near.put({"_id": "a", "n": 1})
    near.sync(remote.url)
    near.remove(near.get("a"))
    near.sync(remote.url)
    assert remote.leaves() == leaves_of(near)
    near.put({"_id": "a", "n": 2})
    near.sync(remote.url)
    assert remote.ask("GET", "/a")["n"] == 2
    assert remote.leaves() == leaves_of(near)


def test_documents_come_singly_where_bulk_get_is_not_to_be_had(near: Database, remote: HttpDatabase):
    """As from an old pouchdb-server: the way that is taken then must work with a real one."""

    class WithoutBulkGet(httpx.AsyncHTTPTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/_bulk_get"):
                return httpx.Response(404, json={"error": "not_found", "reason": "missing"})
            return await super().handle_async_request(request)

    fill(remote, "far", harder=True)
    fork_attachment(remote, "far")
    fork_attachment(remote, "farther")
    source = RemotePeer(remote.url, transport=WithoutBulkGet())
    assert run_sync(partial(replicate, source, LocalPeer(near._pool, label="near"))).ok
    assert leaves_of(near) == remote.leaves()


def test_many_documents_go_in_many_batches(near: Database, remote: HttpDatabase):
    near.bulk_docs([{"_id": f"d{number:04}", "n": number} for number in range(700)])
    told: list[Progress] = []
    result = near.replicate_to(remote.url, batch_docs=200, progress=told.append)
    assert (result.docs_written, len(told)) == (700, 4)
    with Database() as third:
        assert third.replicate_from(remote.url, batch_docs=300).docs_written == 700
        assert leaves_of(third) == leaves_of(near)


def test_large_attachments_arrive_whole(near: Database, remote: HttpDatabase):
    large = data("0123456789abcdef" * 400_000)
    attachments = {name: {"content_type": "application/x-data", "data": large} for name in ("one", "two")}
    near.put({"_id": "a", "_attachments": attachments})
    near.replicate_to(remote.url)
    with Database() as third:
        third.replicate_from(remote.url)
        assert leaves_of(third) == leaves_of(near)


@pytest.mark.parametrize("beside", ["text/plain", "application/x-data"])
def test_text_arrives_as_it_is_beside_large_attachments(near: Database, remote: HttpDatabase, beside: str):
    """Text is stored as gzip here, and the server would take gzip for the content."""
    text, large = b"compressed " * 1000, Random(7).randbytes(1_000_000).hex().encode()
    attachments = {
        "text": {"content_type": "text/plain", "data": text},
        "large": {"content_type": beside, "data": large},
    }
    near.put({"_id": "a", "_attachments": attachments})
    near.replicate_to(remote.url)
    assert remote.http.get(f"{remote.url}/a/text").content == text
    assert remote.http.get(f"{remote.url}/a/large").content == large


def test_a_missing_target_is_named_and_can_be_created(near: Database, pouchdb_server: str):
    url = f"{pouchdb_server}/not-there"
    near.put({"_id": "a"})
    with pytest.raises(errors.DatabaseNotFound, match=r"no database at .*/not-there; create it"):
        near.replicate_to(url)
    assert near.replicate_to(url, create_target=True).docs_written == 1
    assert near.replicate_to(url, create_target=True).docs_written == 0


def test_wrong_credentials_are_named_and_not_shown(near: Database, remote: HttpDatabase):
    """A pouchdb-server without users refuses every credential."""
    url = remote.url.replace("http://", "http://ann:secret@")
    with pytest.raises(errors.Unauthorized, match="check user and password") as caught:
        near.replicate_from(url)
    assert remote.url in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_server_itself_is_no_database(near: Database, pouchdb_server: str):
    with pytest.raises(errors.BadRequest, match="Add the database's name"):
        near.replicate_from(pouchdb_server)


def test_its_changes_arrive_as_they_happen(remote: HttpDatabase):
    async def follow() -> list[str]:
        seen: list[str] = []
        async with RemotePeer(remote.url) as peer, aclosing(peer.live_changes(0, 100)) as pages:
            async for page in pages:
                seen.extend(page.leaves)
                if seen == ["a", "b"]:
                    return seen
                if seen == ["a"]:
                    remote.ask("PUT", "/b", json={"n": 2})
        raise AssertionError("a live feed has no end")

    remote.ask("PUT", "/a", json={"n": 1})
    assert run_sync(follow) == ["a", "b"]


def test_a_live_sync_carries_each_change_as_it_happens(near: Database, remote: HttpDatabase):
    near["near"] = {}
    remote.bulk_docs([{"_id": "far"}])
    with near.sync(remote.url, live=True) as both:
        assert both.wait_until_synced(60)
        assert set(near) == {"near", "far"}
        since = near.info()["update_seq"]
        remote.bulk_docs([{"_id": "far later"}])
        assert near.wait_changes(since, timeout=60)
        near["near later"] = {}
        assert both.wait_until_synced(60)
        assert remote.leaves() == leaves_of(near)
    assert set(near) == {"near", "far", "near later", "far later"}


@pytest.mark.parametrize(
    "chosen",
    [
        {"doc_ids": ["1", "3"]},
        {"filter": "d/odd"},
        {"filter": "d/parity", "query_params": {"of": "odd"}},
        {"filter": lambda doc: doc.get("odd", False)},
        {"view": "d/odds"},
    ],
    ids=["ids", "function", "parameters", "python", "view"],
)
def test_a_filter_leaves_out_the_same_on_either_side(near: Database, remote: HttpDatabase, chosen: dict[str, Any]):
    design = {
        "_id": "_design/d",
        "filters": {
            "odd": "function (doc, req) { return doc.odd === true; }",
            "parity": "function (doc, req) { return (doc.odd ? 'odd' : 'even') === req.query.of; }",
        },
        "views": {"odds": {"map": "function (doc) { if (doc.odd) emit(null); }"}},
    }
    docs: list[Any] = [{"_id": str(number), "odd": number % 2 == 1} for number in range(5)]
    remote.bulk_docs([*docs, design])
    assert near.replicate_from(remote.url, **chosen).ok
    assert set(near) == {"1", "3"}
    with Database() as third, Database() as fourth:
        third.bulk_docs([*docs, design])
        assert third.replicate_to(fourth, **chosen).ok
        assert set(fourth) == {"1", "3"}
