"""Large requests: nobody's are held before it is known whose they are, and none is larger than it may be."""

from __future__ import annotations

import base64
import gzip
import threading

import anyio
import anyio.to_thread
import pytest

from couchette import limits, workers
from couchette.errors import CouchetteError
from couchette.server import create_app, dispatch, request
from couchette.server.request import Body
from couchette.users import passwords
from couchette.wire import content_encoding
from couchette.wire.multipart import Part
from tests.server.asgi import Exchange, call, call_json, scope
from tests.server.test_access import ADMIN, add_user, ask, basic, policy
from tests.wire import multiparts

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


@pytest.fixture
def unpacked(monkeypatch):
    """What each compressed body was allowed to become."""
    sizes = []
    decoded = content_encoding.decoded

    def noting(body, encoding, limit):
        sizes.append(limit)
        return decoded(body, encoding, limit)

    monkeypatch.setattr(request, "decoded", noting)
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


def packed(size):
    return gzip.compress(b'{"name":"x","password":"' + b"p" * size + b'"}')


@pytest.mark.parametrize(
    ("method", "target", "headers", "limit"),
    [
        ("POST", "/_session", {}, limits.REQUEST_UNASKED_BYTES),
        ("POST", "/_replicate", basic("ada", "pw"), limits.BODY_HELD_BYTES),
        ("PUT", "/open/doc", {}, limits.UNPACKED_ANONYMOUS_BYTES_MAX),
        ("POST", "/open", {}, limits.UNPACKED_ANONYMOUS_BYTES_MAX),
    ],
)
async def test_nobody_fills_the_memory_with_little_gzip(secured, unpacked, method, target, headers, limit):
    assert (await ask(secured, "PUT", "/open")).status == 201
    assert (await ask(secured, "PUT", "/open/_security", {})).status == 200
    body = packed(limit)
    answer = await call(secured, method, target, {**JSON, "content-encoding": "gzip", **headers}, body)
    assert (answer.status, answer.json()["error"]) == (413, "too_large")
    assert unpacked == [limit]
    small = await call(secured, "PUT", "/open/small", {**JSON, "content-encoding": "gzip"}, packed(10))
    assert small.status == 201


async def test_logging_in_needs_little_whoever_asks(app, unpacked):
    size = 2 * limits.REQUEST_UNASKED_BYTES
    answer = await call(app, "POST", "/_session", {**JSON, "content-encoding": "gzip"}, packed(size))
    assert answer.status == 413
    assert unpacked == [limits.REQUEST_UNASKED_BYTES]
    assert (await send(app, "POST", "/_session", size=size))[0] == 413


async def test_who_is_known_may_send_more_of_it(secured, unpacked):
    assert (await ask(secured, "PUT", "/db/_security", {"members": {"names": ["ada"]}})).status == 200
    headers = {**JSON, "content-encoding": "gzip", **basic("ada", "pw")}
    assert (await call(secured, "PUT", "/db/doc", headers, packed(limits.BODY_HELD_BYTES))).status == 201
    assert unpacked == [limits.REQUEST_HELD_BYTES_MAX]


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


MANY = [
    b'{"docs":[{"a":[' + b"0," * 100 + b"0]}]}",
    b'{"docs":[{"a":[' + b"[]," * 60 + b"0]}]}",
    b'{"docs":[{"a":' + b'{"a":' * 100 + b"0" + b"}" * 100 + b"}]}",
    b'{"docs":[{"a":[' + b'"","",' * 60 + b"0]}]}",
    b'{"docs":[{"a":[' + b'"",0,' * 60 + b"0]}]}",
]


@pytest.mark.parametrize("body", MANY)
async def test_json_has_a_largest_number_of_values(app, monkeypatch, body):
    monkeypatch.setattr(request, "REQUEST_VALUES_MAX", 100)
    answer = await call(app, "POST", "/db/_bulk_docs", JSON, body)
    assert (answer.status, answer.json()["reason"]) == (413, "the request entity is too large")
    related = multiparts.write("multipart/related", [Part({"Content-Type": "application/json"}, body)])
    headers = {"content-type": related.content_type}
    assert (await call(app, "PUT", "/db/doc", headers, related.content)).status == 413


@pytest.mark.parametrize("text", [b"," * 200, b"[{" * 200, rb"\\\"," * 200, rb"\\" * 100 + rb"\"," * 200])
async def test_what_stands_in_a_text_is_no_value(app, monkeypatch, text):
    monkeypatch.setattr(request, "REQUEST_VALUES_MAX", 100)
    answer = await call(app, "POST", "/db/_bulk_docs", JSON, b'{"docs":[{"a":"%b"}]}' % text)
    assert answer.status == 201


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
        body = multiparts.related({"_attachments": {"big.bin": {"data": b"x" * size, "content_type": "image/png"}}})
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
    begun, release = threading.Event(), threading.Event()

    def work():
        begun.set()
        assert release.wait(10)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(workers.in_side_thread, work)
        assert await anyio.to_thread.run_sync(begun.wait, 10)
        tasks.start_soon(workers.in_side_thread, str)
        await anyio.wait_all_tasks_blocked()
        assert (await call(app, "GET", "/db")).status == 200
        refused = await call_json(app, "POST", "/db/_find", {"selector": {}})
        assert (refused.status, refused.json()["error"]) == (503, "service_unavailable")
        with pytest.raises(CouchetteError):
            await workers.in_side_thread(str)
        release.set()
    assert (await call_json(app, "POST", "/db/_find", {"selector": {}})).status == 200


@pytest.fixture
def slow_passwords(monkeypatch):
    """Passwords that are derived only when the test lets them be: what began, and what lets them go on."""
    begun, release = threading.Semaphore(0), threading.Event()

    def verify(password, members):
        begun.release()
        assert release.wait(10)
        return password == "pw"

    monkeypatch.setattr(passwords, "verify", verify)
    yield begun, release
    release.set()


@pytest.mark.parametrize("by", ["basic", "session", "large"])
async def test_passwords_that_are_derived_keep_nobody_else_waiting(environment, slow_passwords, monkeypatch, by):
    monkeypatch.setattr(limits, "PASSWORD_THREADS", 1)
    monkeypatch.setattr(limits, "PASSWORDS_WAITING_MAX", 1)
    begun, release = slow_passwords
    app = create_app(environment, policy())
    answers = []

    async def log_in():
        if by == "session":
            answers.append((await ask(app, "POST", "/_session", {"name": "admin", "password": "no"}, {})).status)
        elif by == "large":
            answers.append((await send(app, "POST", "/db/_bulk_docs", basic("admin", "no")))[0])
        else:
            answers.append((await ask(app, "GET", "/db", headers=basic("admin", "no"))).status)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(log_in)
        assert await anyio.to_thread.run_sync(begun.acquire, True, 10)
        tasks.start_soon(log_in)
        await anyio.wait_all_tasks_blocked()
        assert (await ask(app, "GET", "/_up", headers={})).status == 200
        await log_in()
        assert answers == [503]
        release.set()
    assert answers == [503, 401, 401]


async def test_a_password_that_was_right_is_derived_no_more(environment, slow_passwords, monkeypatch):
    begun, release = slow_passwords
    release.set()
    app = create_app(environment, policy())
    authentication = app.gate.authentication
    right = basic("admin", "pw")
    assert authentication.takes_long(right)
    for _ in range(2):
        assert (await ask(app, "GET", "/db", headers=right)).status == 200
        assert not authentication.takes_long(right)
    assert begun.acquire(blocking=False)
    assert not begun.acquire(blocking=False)
    wrong = basic("admin", "no")
    assert (await ask(app, "GET", "/db", headers=wrong)).status == 401
    assert authentication.takes_long(wrong)
    assert not authentication.takes_long({"authorization": "Bearer x"})


async def test_a_user_is_asked_before_a_large_document(secured):
    assert (await ask(secured, "PUT", "/db/_security", {"members": {"names": ["ada"]}})).status == 200
    status, _ = await send(secured, "PUT", "/db/doc/attachment", basic("ada", "pw"))
    assert status == 201
