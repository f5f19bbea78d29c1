"""Credentials at work: sessions and tokens that are renewed in time, once for all, and shown nowhere."""

from __future__ import annotations

import base64
import json
import logging
import threading
from typing import Any
from urllib.parse import parse_qs

import anyio
import httpx
import pytest
import trio.testing

import couchette
from couchette import errors, limits, surroundings
from couchette.remote import RemotePeer
from tests.remote.scripted import Script, answer, client_of, couch_error

pytestmark = pytest.mark.anyio

REFUSED = couch_error(401, "unauthorized", "You are not authorized.")


@pytest.fixture
def anyio_backend():
    """Pauses pass at once: the clock jumps when every task waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class CouchDB:
    """A server with cookie sessions: it hands out c1, c2 ... and takes only the cookie it gave last."""

    def __init__(self, max_age=None):
        self.logins = 0
        self.life = "" if max_age is None else f"; Max-Age={max_age}"
        self.requests = []

    def cookie(self):
        return {"set-cookie": f"AuthSession=c{self.logins}; Version=1; Path=/; HttpOnly{self.life}"}

    async def __call__(self, request):
        self.requests.append(request)
        await anyio.sleep(1)
        if request.url.path == "/_session":
            if parse_qs(request.content.decode()) != {"name": ["ann"], "password": ["p&ss"]}:
                return couch_error(401, "unauthorized", "Name or password is incorrect.")
            self.logins += 1
            return answer(200, {"ok": True}, headers=self.cookie())
        if request.headers.get("cookie") != f"AuthSession=c{self.logins}":
            return REFUSED
        return answer(200, {"db_name": "db"})

    def client(self, auth=None):
        return client_of(self, auth=auth or couchette.SessionAuth("ann", "p&ss"))


async def ask_together(client, count):
    async with anyio.create_task_group() as tasks:
        for _ in range(count):
            tasks.start_soon(client.request, "GET")


async def test_a_session_is_opened_once_for_requests_that_come_together():
    server = CouchDB()
    async with server.client() as client:
        await ask_together(client, 5)
    assert [request.url.path for request in server.requests] == ["/_session", *["/db"] * 5]
    assert server.requests[0].method == "POST"
    assert "authorization" not in server.requests[1].headers


@pytest.mark.parametrize(("max_age", "life_s"), [(None, limits.SESSION_LIFE_S), (100, 100)])
async def test_a_session_is_renewed_before_it_expires(max_age, life_s):
    server = CouchDB(max_age)
    async with server.client() as client:
        await client.request("GET")
        await anyio.sleep(life_s * limits.SESSION_RENEWED_AT - 5)
        await client.request("GET")
        assert server.logins == 1
        await anyio.sleep(5)
        await ask_together(client, 3)
    assert server.logins == 2


async def test_a_session_that_the_server_forgot_is_opened_again_once_for_all_who_notice():
    server = CouchDB()
    async with server.client() as client:
        await client.request("GET")
        server.logins = 7
        await ask_together(client, 4)
    assert server.logins == 8


async def test_a_session_that_the_server_prolongs_by_itself_is_taken_over():
    script = Script(
        answer(200, headers={"set-cookie": "AuthSession=old; Path=/"}),
        answer(200, headers=[("set-cookie", "other=1"), ("set-cookie", "AuthSession=new; Path=/")]),
        answer(200),
    )
    async with script.client(auth=couchette.SessionAuth("ann", "x")) as client:
        await client.request("GET")
        await client.request("GET")
    assert [request.headers.get("cookie") for request in script.requests] == [
        None,
        "AuthSession=old",
        "AuthSession=new",
    ]


async def test_a_wrong_password_for_a_session_is_unauthorized_and_tried_once():
    server = CouchDB()
    async with server.client(couchette.SessionAuth("ann", "wrong")) as client:
        with pytest.raises(errors.Unauthorized, match="Name or password is incorrect.*check user and password"):
            await client.request("GET")
    assert len(server.requests) == 1


async def test_a_session_that_is_refused_even_when_new_is_unauthorized():
    def login():
        return answer(200, headers={"set-cookie": "AuthSession=x; Path=/"})

    script = Script(login(), REFUSED, login(), REFUSED)
    async with script.client(auth=couchette.SessionAuth("ann", "x")) as client:
        with pytest.raises(errors.Unauthorized):
            await client.request("GET")
    assert script.answers == []


async def test_a_session_survives_a_server_in_trouble():
    script = Script(answer(503), answer(200, headers={"set-cookie": "AuthSession=x"}), answer(200, {"n": 1}))
    async with script.client(auth=couchette.SessionAuth("ann", "x")) as client:
        assert await client.request("GET") == {"n": 1}


@pytest.mark.parametrize("given", [couch_error(404, "not_found", "missing"), answer(200, {"ok": True})])
async def test_a_server_without_sessions_is_told_apart(given):
    async with Script(given).client(auth=couchette.SessionAuth("ann", "x")) as client:
        with pytest.raises(errors.CouchetteError, match="use BasicAuth|Use BasicAuth"):
            await client.request("GET")


async def test_the_session_of_a_server_below_a_path_is_beside_its_databases():
    script = Script(answer(200, headers={"set-cookie": "AuthSession=x"}), answer(200))
    async with script.client("http://host/couch/db", auth=couchette.SessionAuth("ann", "x")) as client:
        await client.request("GET")
    assert script.requests[0].url.path == "/couch/_session"


def jwt(expires_in_s, name="t"):
    claims = {"sub": name, "exp": surroundings.now().timestamp() + expires_in_s}
    return "e30." + base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=") + ".sig"


async def test_a_token_goes_with_each_request():
    script = Script(answer(200), answer(200))
    async with script.client(auth=couchette.BearerAuth("t0ken")) as client:
        await client.request("GET")
        await client.request("GET")
    assert {request.headers["authorization"] for request in script.requests} == {"Bearer t0ken"}


async def test_a_refused_token_without_a_refresh_is_unauthorized_and_says_what_to_give():
    async with Script(REFUSED).client(auth=couchette.BearerAuth("t0ken")) as client:
        with pytest.raises(errors.Unauthorized, match="BearerAuth\\(refresh=...\\)"):
            await client.request("GET")


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_refused_token_is_refreshed_once_for_all_who_notice(asynchronous):
    calls = []

    def refresh():
        calls.append(threading.current_thread() is threading.main_thread())
        return "new"

    async def refresh_async():
        await anyio.sleep(1)
        return refresh()

    async def serve(request):
        await anyio.sleep(1)
        return answer(200) if request.headers["authorization"] == "Bearer new" else REFUSED

    auth = couchette.BearerAuth("old", refresh_async if asynchronous else refresh)
    async with client_of(serve, auth=auth) as client:
        await ask_together(client, 4)
    assert calls == [asynchronous]  # A plain function may block, so it runs in a thread of its own.


async def test_a_token_that_expires_soon_is_refreshed_before_the_server_refuses_it():
    fresh = jwt(3600)
    script = Script(answer(200), answer(200))
    async with script.client(auth=couchette.BearerAuth(jwt(10), lambda: fresh)) as client:
        await client.request("GET")
        await client.request("GET")
    assert {request.headers["authorization"] for request in script.requests} == {f"Bearer {fresh}"}


async def test_a_token_that_cannot_be_refreshed_is_unauthorized():
    def refresh():
        raise OSError("the secret is s3cret")

    async with Script().client(auth=couchette.BearerAuth(refresh=refresh)) as client:
        with pytest.raises(errors.Unauthorized, match="raised OSError") as caught:
            await client.request("GET")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("token", ["s3cret\n", "", "s3cret two", "s3crét"])
async def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(token):
    with pytest.raises(errors.BadRequest, match="Invalid bearer token") as caught:
        Script().client(auth=couchette.BearerAuth(token))
    assert "s3cr" not in str(caught.value)


async def test_a_bearer_needs_a_token_or_a_way_to_get_one():
    with pytest.raises(errors.BadRequest, match="or a function"):
        couchette.BearerAuth()


@pytest.mark.parametrize("auth", [("ann", "s3cret"), couchette.BasicAuth("ann", "s3cret")])
async def test_basic_credentials_go_with_each_request(auth):
    script = Script(answer(200))
    async with script.client(auth=auth) as client:
        await client.request("GET")
    assert script.requests[0].headers["authorization"] == "Basic " + base64.b64encode(b"ann:s3cret").decode()


async def test_any_httpx_auth_will_do():
    class Keyed(httpx.Auth):
        def auth_flow(self, request):
            request.headers["x-key"] = "k"
            yield request

    script = Script(answer(200))
    async with script.client(auth=Keyed()) as client:
        await client.request("GET")
    assert script.requests[0].headers["x-key"] == "k"


async def test_what_is_no_credential_is_refused():
    with pytest.raises(errors.BadRequest, match="Invalid credentials"):
        Script().client(auth="ann:s3cret")


async def test_headers_go_with_each_request_and_bad_ones_are_refused_without_showing_them():
    script = Script(answer(200))
    async with script.client(headers={"X-Tenant": "blue"}) as client:
        await client.request("GET")
    assert script.requests[0].headers["x-tenant"] == "blue"
    with pytest.raises(errors.BadRequest, match="X-Key") as caught:
        Script().client(headers={"X-Key": "s3cret\r\n"})
    assert "s3cret" not in str(caught.value)


SECRET = "s3cret"
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "url": ("http://ann:s3cret@host/db", {}),
    "basic": ("http://host/db", {"auth": couchette.BasicAuth("ann", SECRET)}),
    "pair": ("http://host/db", {"auth": ("ann", SECRET)}),
    "session": ("http://host/db", {"auth": couchette.SessionAuth("ann", SECRET)}),
    "bearer": ("http://host/db", {"auth": couchette.BearerAuth(SECRET)}),
    "refresh": ("http://host/db", {"auth": couchette.BearerAuth(refresh=lambda: SECRET)}),
    "header": ("http://host/db", {"headers": {"X-Key": SECRET}}),
}
BASIC = base64.b64encode(b"ann:s3cret").decode()


@pytest.mark.parametrize("way", WAYS)
async def test_no_error_log_or_repr_shows_a_credential(way, caplog):
    caplog.set_level(logging.DEBUG)
    url, options = WAYS[way]
    texts = []
    for trouble in (
        REFUSED,
        couch_error(403, "forbidden", "no"),
        couch_error(404, "not_found", "Database does not exist."),
        answer(301, headers={"location": "https://ann:s3cret@host/db"}),
        httpx.Response(200, html="x"),
        httpx.ConnectError("refused"),
        httpx.LocalProtocolError("Illegal header value b's3cret'"),
    ):

        def serve(request, trouble=trouble):
            if request.url.path == "/_session":
                return answer(200, headers={"set-cookie": "AuthSession=s3cret; Path=/"})
            if isinstance(trouble, Exception):
                raise trouble
            return httpx.Response(trouble.status_code, headers=trouble.headers, content=trouble.content)

        peer = RemotePeer(url, transport=httpx.MockTransport(serve), **options)
        texts += [repr(peer), peer.label, repr(options.get("auth"))]
        async with peer:
            with pytest.raises(errors.CouchetteError) as caught:
                await peer.info()
        texts += [str(caught.value), repr(caught.value), json.dumps(caught.value.as_json())]
    texts += caplog.text.splitlines()
    if way != "pair":  # A tuple of the caller's own shows itself.
        assert [text for text in texts if SECRET in text or BASIC in text] == []
