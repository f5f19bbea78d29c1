"""Replication with our own server over HTTP, in this process: the network is a function call that can fail."""

from __future__ import annotations

from contextlib import suppress

import httpx
import pytest

from couchette import Environment, limits
from couchette.errors import DatabaseNotFound, Unreachable
from couchette.remote import RemotePeer
from couchette.replication import LocalPeer, replicate, sync
from couchette.server import create_app
from tests.replication.peers import Countdown, Recording, Wrapped, fill, graft, leaves, local, put

pytestmark = pytest.mark.anyio


class Network(httpx.AsyncBaseTransport):
    """Carries requests to an app, keeps them, and breaks as the countdown says: on the way there, or back."""

    def __init__(self, app, countdown=None, every=0):
        self._asgi = httpx.ASGITransport(app)
        self._countdown = countdown
        self._every = every
        self.requests = []

    async def handle_async_request(self, request):
        self.requests.append(f"{request.method} {request.url.raw_path.decode().partition('?')[0]}")
        breaks = self._countdown is not None and self._countdown.tick()
        breaks = breaks or (self._every and len(self.requests) % self._every == 0)
        if breaks and (self._countdown is None or not self._countdown.after):
            raise httpx.ConnectTimeout("The line broke.")
        answer = await self._asgi.handle_async_request(request)
        if breaks:
            raise httpx.RemoteProtocolError("The line broke.")
        return answer


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        environment.create("db")
        yield environment


@pytest.fixture
def app(environment):
    return create_app(environment)


@pytest.fixture
def served(environment):
    """The served database, seen from inside."""
    return LocalPeer(environment["db"]._pool, label="served")


def remote(app, name="db", **options):
    return RemotePeer(f"http://server/{name}", transport=Network(app, **options))


@pytest.fixture
def _no_pauses(monkeypatch):
    monkeypatch.setattr(limits, "HTTP_RETRY_PAUSE_S", 0)


async def test_a_push_carries_every_leaf(app, served):
    near = local()
    fill(near)
    result = await replicate(near, remote(app))
    assert result.ok
    assert leaves(served) == leaves(near)


async def test_a_pull_carries_every_leaf(app, served):
    near = local()
    fill(served)
    result = await replicate(remote(app), near)
    assert result.ok
    assert leaves(near) == leaves(served)


async def test_a_server_may_be_both_sides(app, environment, served):
    fill(served)
    result = await replicate(remote(app), remote(app, "copy"), create_target=True)
    assert result.ok
    assert leaves(LocalPeer(environment["copy"]._pool, label="copy")) == leaves(served)


async def test_documents_come_singly_from_a_server_without_bulk_get(app, served):
    class Old(Network):
        async def handle_async_request(self, request):
            if request.url.path.endswith("/_bulk_get"):
                self.requests.append("refused")
                return httpx.Response(404, json={"error": "not_found", "reason": "missing"})
            return await super().handle_async_request(request)

    near, network = local(), Old(app)
    fill(served)
    assert (await replicate(RemotePeer("http://server/db", transport=network), near)).ok
    assert leaves(near) == leaves(served)
    assert network.requests.count("refused") == 1


async def test_a_sync_with_nothing_to_do_takes_few_requests_and_writes_nothing(app, served):
    near = local()
    fill(near)
    fill(served)
    await sync(near, remote(app))
    await sync(near, remote(app))
    peer = remote(app)
    await sync(near, peer)
    requests = peer._client._transport.requests
    assert [request.partition("_local")[0] for request in requests] == [
        "GET /db",
        "GET /db/",
        "GET /db",
        "GET /db/",
        "GET /db/_changes",
    ]


async def test_attachments_go_up_once(app, served):
    near = local()
    (first,) = put(near, {"_id": "a", "_attachments": {"old": {"data": "QQ=="}}})
    await replicate(near, remote(app))
    put(near, {"_id": "a", "_rev": first["rev"], "_attachments": {"old": {"stub": True}, "new": {"data": "Qg=="}}})
    bodies = []

    class Reading(Network):
        async def handle_async_request(self, request):
            bodies.append(request.content)
            return await super().handle_async_request(request)

    await replicate(near, RemotePeer("http://server/db", transport=Reading(app)))
    assert leaves(served) == leaves(near)
    assert not any(b"QQ==" in body for body in bodies)
    assert any(b"Qg==" in body for body in bodies)


async def test_attachments_come_down_once(app, served):
    class Watching(Wrapped):
        async def write(self, docs):
            got.extend(name for doc in docs for name, a in doc["_attachments"].items() if "data" in a)
            return await self.peer.write(docs)

    got: list[str] = []
    near = Watching(local())
    (first,) = put(served, {"_id": "a", "_attachments": {"old": {"data": "QQ=="}}})
    await replicate(remote(app), near)
    put(served, {"_id": "a", "_rev": first["rev"], "_attachments": {"old": {"stub": True}, "new": {"data": "Qg=="}}})
    await replicate(remote(app), near)
    assert got == ["old", "new"]
    assert leaves(near.peer) == leaves(served)


@pytest.mark.parametrize("size", [3, limits.ATTACHMENT_INLINE_BYTES_MAX + 1])
async def test_attachments_whose_name_is_empty_come_up_and_down(app, served, size):
    near, far = local(), local()
    content = {"data": b"x" * size, "content_type": "image/png"}
    put(
        near, {"_id": "a", "_attachments": {"": content, "other": content}}, {"_id": "b", "_attachments": {"": content}}
    )
    assert (await replicate(near, remote(app))).ok
    assert (await replicate(remote(app), far)).ok
    assert leaves(near) == leaves(served) == leaves(far)


async def test_a_server_that_lost_an_attachment_s_parent_gets_it_in_full(app, served):
    class Lying(Wrapped):
        """Names an ancestor whose attachments it does not have."""

        async def revs_diff(self, revs):
            return [type(one)(one.id, one.revs, ["1-a"]) for one in await self.peer.revs_diff(revs)]

    near = local()
    graft(near, ("a", "2-b 1-a", {"_attachments": {"old": {"data": "QQ==", "revpos": 1}}}), ("b", "1-a", {}))
    peer = remote(app)
    assert (await replicate(near, Lying(peer))).ok
    assert leaves(served) == leaves(near)


@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("every", [2, 3])
async def test_a_bad_line_is_not_noticed(app, served, every):
    near = local()
    fill(near)
    fill(served)
    result = await sync(near, remote(app, every=every), batch_docs=3)
    assert result.ok
    assert leaves(near) == leaves(served)


@pytest.mark.slow
@pytest.mark.usefixtures("_no_pauses")
@pytest.mark.parametrize("after", [False, True], ids=["going", "coming"])
@pytest.mark.parametrize("direction", ["push", "pull"])
async def test_a_request_that_fails_for_good_is_made_up_for_by_the_next_replication(
    environment, direction, after, monkeypatch
):
    """For every k: the k-th request fails with no repeat left; nothing is lost, and nothing moved again."""
    monkeypatch.setattr(limits, "HTTP_RETRIES", 0)
    app = create_app(environment)
    for calls in range(1, 1000):
        far = LocalPeer(environment.create(f"db{calls}")._pool, label="far")
        near = local()
        source, target = (near, far) if direction == "push" else (far, near)
        put(source, *({"_id": f"d{number:02}"} for number in range(12)))
        put(source, {"_id": "a", "_attachments": {"x": {"data": "QQ=="}}})
        countdown = Countdown(calls, after=after)

        with suppress(Unreachable):
            await replicate(*_over_http(direction, near, remote(app, f"db{calls}", countdown=countdown)), batch_docs=4)
        if not countdown.broke:
            break
        there = {doc_id for doc_id, _ in leaves(target)}
        origin, destination = _over_http(direction, near, remote(app, f"db{calls}"))
        recorded = Recording(origin)
        assert (await replicate(recorded, destination, batch_docs=4)).ok
        assert leaves(target) == leaves(source)
        assert not there & set(recorded.fetched_ids())
    assert calls > 8


def _over_http(direction, near, peer):
    """Source and target."""
    return (near, peer) if direction == "push" else (peer, near)


async def test_a_missing_database_is_named(app):
    with pytest.raises(DatabaseNotFound, match="no database at http://server/nowhere; create it"):
        await replicate(local(), remote(app, "nowhere"))
    with pytest.raises(DatabaseNotFound):
        await replicate(remote(app, "nowhere"), local(), create_target=True)


async def test_a_dry_run_says_that_it_creates_no_target(app, environment):
    with pytest.raises(DatabaseNotFound, match="dry run does not create http://server/nowhere"):
        await replicate(local(), remote(app, "nowhere"), create_target=True, dry_run=True)
    assert "nowhere" not in environment


async def test_a_target_is_created_on_demand(app, environment):
    near = local()
    put(near, {"_id": "a"})
    await replicate(near, remote(app, "new"), create_target=True)
    assert "a" in environment["new"]
    await replicate(near, remote(app, "new"), create_target=True)


async def test_the_server_is_told_how_to_create_a_target(app, environment):
    near = local()
    put(near, {"_id": "a:1"})
    await replicate(near, remote(app, "new"), create_target=True, create_target_params={"partitioned": True, "q": 2})
    assert environment["new"]._partitioned


async def test_checkpoints_are_shared_by_users_and_passwords(app, served):
    near = local()
    put(near, {"_id": "a"})
    first = await replicate(near, RemotePeer("http://ann:x@server/db", transport=Network(app)))
    second = await replicate(near, RemotePeer("http://server:80/db/", ("bob", "y"), transport=Network(app)))
    assert second.start_seq == first.last_seq
