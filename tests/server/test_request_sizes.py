"""Large requests: nobody's are held before it is known whose they are, and none is larger than it may be."""

from __future__ import annotations

import base64

import anyio
import pytest

from couchette import limits, workers
from couchette.errors import CouchetteError
from couchette.server import create_app, dispatch, request
from couchette.server.request import Body
from couchette.wire import multipart
from tests.server.asgi import Exchange, call, call_json, scope
from tests.server.test_access import ADMIN, add_user, ask, basic, policy

pytestmark = pytest.mark.anyio

PIECE = 16 * 1024
PIECES = 64
SIZE = PIECE * PIECES
JSON = {"content-type": "application/json"}


@pytest.fixture
def held(monkeypatch):
    """How much of each body was held at most."""
    sizes = []
    hold = Body.hold

    async def counting(self, size):
        await hold(self, size)
        sizes.append(len(self.held))

    monkeypatch.setattr(Body, "hold", counting)
    return sizes


class Pieces(Exchange):
    """A client that sends its body in pieces."""

    def __init__(self, size=SIZE, pieces=None):
        super().__init__()
        pieces = pieces or [b" " * PIECE] * (size // PIECE)
        self._requests = [{"type": "http.request", "body": b"", "more_body": False}]
        self._requests += [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]


async def send(app, method, target, headers=None, size=SIZE, pieces=None):
    exchange = Pieces(size, pieces)
    try:
        await app(scope(method, target, {**JSON, **(headers or {})}), exchange.receive, exchange.send)
        status, _ = await exchange.start()
        return status, await exchange.rest()
    finally:
        exchange.close()


@pytest.fixture
async def secured(environment):
    app = create_app(environment, policy())
    await add_user(app)
    return app


@pytest.mark.parametrize(
    ("method", "target", "headers", "status"),
    [
        ("POST", "/db/_bulk_docs", {}, 401),
        ("POST", "/db", {}, 401),
        ("PUT", "/db/doc", {}, 401),
        ("PUT", "/db/doc/attachment", {}, 401),
        ("POST", "/db/_bulk_docs", basic("ada", "pw"), 403),
        ("POST", "/db/_bulk_docs", basic("ada", "wrong"), 401),
        ("POST", "/_node/_local/_config/_reload", {}, 401),
        ("POST", "/none/_bulk_docs", ADMIN, 404),
    ],
)
async def test_who_may_not_send_a_large_request_has_nothing_held(secured, held, method, target, headers, status):
    answered, _ = await send(secured, method, target, headers)
    assert answered == status
    assert max(held) <= limits.REQUEST_UNASKED_BYTES


async def test_nobody_fills_the_memory_by_logging_in(secured, held):
    large = 2 * limits.BODY_HELD_BYTES
    for target, headers in (("/_session", {}), ("/_replicate", basic("ada", "pw")), ("/_utils/login", {})):
        assert (await send(secured, "POST", target, headers, large))[0] == 413
    assert max(held) <= limits.BODY_HELD_BYTES


async def test_who_may_is_asked_for_the_password_once(secured, held, monkeypatch):
    asked = []
    authentication = secured.gate.authentication
    identify = authentication.identify

    def counting(*args, **options):
        asked.append(args)
        return identify(*args, **options)

    monkeypatch.setattr(authentication, "identify", counting)
    status, body = await send(secured, "POST", "/db/_bulk_docs", ADMIN)
    assert (status, b"invalid UTF-8 JSON" in body) == (400, True)
    assert max(held) == SIZE
    assert len(asked) == 1


async def test_what_is_json_is_held_up_to_a_limit(app, monkeypatch):
    monkeypatch.setattr(request, "REQUEST_HELD_BYTES_MAX", SIZE - 1)
    status, body = await send(app, "POST", "/db/_bulk_docs")
    assert (status, b'"error":"too_large","reason":"the request entity is too large"' in body) == (413, True)
    assert (await send(app, "PUT", "/db/doc/attachment"))[0] == 201


async def test_the_largest_request_is_a_setting(app):
    await call_json(app, "PUT", "/_node/_local/_config/chttpd/max_http_request_size", str(SIZE - 1))
    for target in ("/db/doc/attachment", "/db/doc"):
        assert (await send(app, "PUT", target))[0] == 413
        declared = await call(app, "PUT", target, {"content-length": str(SIZE)}, b"{}")
        assert declared.json() == {"error": "too_large", "reason": "the request entity is too large"}
    assert (await call_json(app, "PUT", "/db/doc", {})).status == 201
    await call(app, "DELETE", "/_node/_local/_config/chttpd/max_http_request_size")
    assert (await send(app, "PUT", "/db/other/attachment"))[0] == 201


async def test_the_largest_attachment_is_a_setting(app, environment):
    key = "/_node/_local/_config/couchdb/max_attachment_size"
    assert (await call_json(app, "PUT", key, str(PIECE))).json() == "infinity"
    for size in (SIZE, 2 * PIECE):
        status, body = await send(app, "PUT", "/db/doc/big.bin", size=size)
        assert (status, body) == (413, b'{"error":"attachment_too_large","reason":"big.bin"}\n')
    large = 2 * limits.BODY_HELD_BYTES
    assert (await send(app, "PUT", "/db/doc/big.bin", size=large))[0] == 413
    assert "doc" not in environment["db"]
    assert (await send(app, "PUT", "/db/doc/small.bin", size=PIECE))[0] == 201
    assert (await call_json(app, "PUT", key, "many")).status == 400


def inline(size):
    return {"_attachments": {"big.bin": {"data": base64.b64encode(b"x" * size).decode()}}}


@pytest.mark.parametrize("size", [PIECE - 2, PIECE - 1, PIECE, PIECE + 1, PIECE + 2])
async def test_the_largest_attachment_within_a_document_is_a_setting(app, environment, size):
    await call_json(app, "PUT", "/_node/_local/_config/couchdb/max_attachment_size", str(PIECE))
    calls = [
        ("PUT", "/db/put", inline(size)),
        ("POST", "/db", {"_id": "post", **inline(size)}),
        ("POST", "/db/_bulk_docs", {"docs": [{"_id": "bulk", **inline(size)}]}),
    ]
    for method, target, body in calls:
        answer = await call_json(app, method, target, body)
        if size > PIECE:
            assert (answer.status, answer.json()) == (413, {"error": "attachment_too_large", "reason": "big.bin"})
        else:
            assert answer.status == 201
    assert len(environment["db"]) == (0 if size > PIECE else 3)


@pytest.mark.parametrize("streamed", [False, True])
async def test_the_largest_attachment_beside_a_document_is_a_setting(app, environment, monkeypatch, streamed):
    monkeypatch.setattr(request, "BODY_HELD_BYTES", 100 if streamed else SIZE)
    await call_json(app, "PUT", "/_node/_local/_config/couchdb/max_attachment_size", str(PIECE))
    for size, status in ((PIECE, 201), (PIECE + 1, 413)):
        body = multipart.related({"_attachments": {"big.bin": {"data": b"x" * size, "content_type": "image/png"}}})
        pieces = [body.content[1000:], body.content[:1000]]
        answered = await send(app, "PUT", f"/db/d{size}", {"content-type": body.content_type}, pieces=pieces)
        assert answered[0] == status
    assert answered[1] == b'{"error":"attachment_too_large","reason":"big.bin"}\n'
    assert list(environment["db"]) == [f"d{PIECE}"]


# -- Threads ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "expected"),
    [
        ("GET", "/db", False),
        ("GET", "/db/doc", False),
        ("GET", "/db/_all_docs", False),
        ("GET", "/db/_changes?since=0", False),
        ("GET", "/db/_changes?filter=d/f", True),
        ("GET", "/db/_design/d", False),
        ("GET", "/db/_design%2Fd", False),
        ("GET", "/db/_design/d/_view/v", True),
        ("GET", "/db/_design%2Fd/_view/v", True),
        ("POST", "/db/_find", True),
        ("POST", "/db/_bulk_get", False),
        ("POST", "/db/_bulk_docs", True),
        ("PUT", "/db/doc", True),
        ("POST", "/db", True),
        ("POST", "/_session", True),
        ("GET", "/_all_dbs", False),
    ],
)
def test_what_may_be_slow_has_threads_of_its_own(method, target, expected):
    path, _, query = target.encode().partition(b"?")
    segments = [segment for segment in path.split(b"/") if segment]
    assert dispatch.takes_long(method, segments, query) is expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/db/doc/a", True),
        ("/db/doc", False),
        ("/db/_design/d/a", True),
        ("/db/_design%2Fd/a", True),
        ("/db/_design/d/_update/f", False),
        ("/db/_design%2Fd/_update/f", False),
        ("/db/_design%2Fd/%5Fupdate/f/doc", False),
    ],
)
def test_design_functions_are_given_the_whole_body(target, expected):
    assert dispatch.takes_stream("PUT", target.encode().split(b"/")[1:], {}) is expected


async def test_slow_functions_do_not_keep_others_from_reading(app, environment, monkeypatch):
    monkeypatch.setattr(limits, "SIDE_THREADS", 1)
    monkeypatch.setattr(limits, "SIDE_WAITING_MAX", 1)
    begun, release = anyio.Event(), []

    async def slow():
        def work():
            anyio.from_thread.run_sync(begun.set)
            anyio.from_thread.run(release[0].wait)
            return "done"

        return await workers.in_side_thread(work)

    release.append(anyio.Event())
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(slow)
        await begun.wait()
        tasks.start_soon(workers.in_side_thread, str)
        await anyio.wait_all_tasks_blocked()
        assert (await call(app, "GET", "/db")).status == 200
        refused = await call_json(app, "POST", "/db/_find", {"selector": {}})
        assert (refused.status, refused.json()["error"]) == (503, "service_unavailable")
        with pytest.raises(CouchetteError):
            await workers.in_side_thread(str)
        release[0].set()
    assert (await call_json(app, "POST", "/db/_find", {"selector": {}})).status == 200


async def test_a_user_is_asked_before_a_large_document(secured):
    assert (await ask(secured, "PUT", "/db/_security", {"members": {"names": ["ada"]}})).status == 200
    status, _ = await send(secured, "PUT", "/db/doc/attachment", basic("ada", "pw"))
    assert status == 201
