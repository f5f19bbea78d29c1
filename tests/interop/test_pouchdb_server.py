"""Our replicator with npm's pouchdb-server, in both directions."""

from __future__ import annotations

from functools import partial

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
    fill(near, "near")
    result = near.replicate_to(remote.url)
    assert result.ok
    assert remote.leaves() == leaves_of(near)
    assert result.docs_written == len(leaves_of(near))


def test_a_pull_carries_every_leaf(near: Database, remote: HttpDatabase):
    fill(remote, "far")
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

    fill(remote, "far")
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
