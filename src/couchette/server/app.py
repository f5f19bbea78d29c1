"""The ASGI application: from a request to an answer, errors included.

A request is read to its end, answered by a plain function in a worker thread, and sent. So a request
costs one hop, its transaction never waits for the client, and the app runs on any event loop that anyio
knows. A document, or a few rows, that can be read at once are, without the hop (:mod:`couchette.at_once`). Only
a feed that waits stays in the event loop, and so does what is too large to be held (:mod:`couchette.server.streams`).
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from couchette import stopping, surroundings, workers
from couchette.at_once import AtOnce, MustWait
from couchette.design.designs import Designs
from couchette.environment import Environment
from couchette.errors import CouchetteError
from couchette.server import cors
from couchette.server.answers import COMMON_HEADERS, error_answer, failure, told
from couchette.server.dispatch import authorize, dispatch, is_small_read, takes_long, takes_stream
from couchette.server.gate import gate_of
from couchette.server.node import Node
from couchette.server.policy import Policy
from couchette.server.request import Disconnected, Request, read_request
from couchette.server.streams import Streamed
from couchette.server.waiting import Feeds
from couchette.stopping import Stop
from couchette.users.user import EVERYONE_IS_ADMIN

METHODS: Final = frozenset({"CONNECT", "COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE"})
"""Those that CouchDB knows; others are not told apart."""

LOGGING_IN: Final = ([b"_session"], [b"_utils", b"sign-in"])
"""Where a POST has a password in its body."""


class App:
    """CouchDB's HTTP interface to the databases of an environment.

    The environment stays the caller's: the app neither opens nor closes it. Its replications are run from now on, until
    it is closed, and the files of databases that are made from now on their owner alone can read: who else may read
    them, the server decides.
    """

    def __init__(self, environment: Environment, policy: Policy) -> None:
        self.environment = environment
        environment.private = True
        self.gate = gate_of(environment, policy)
        """Who may do what."""
        self.node = Node(environment, policy)
        """Settings and counters."""
        self.feeds = Feeds(environment)
        """The feeds that wait at the moment."""
        self._stop = _new_stop()
        self._at_once = AtOnce()
        self.designs = Designs()
        environment.replications.scheduler.as_target = partial(
            self.gate.as_target, EVERYONE_IS_ADMIN, self.node.settings
        )
        environment.replications.start()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await self._serve_until_stop(scope, receive, self._counted(scope["method"], send))

    def stop(self) -> None:
        """End what waits, and what takes long. Call it in the event loop when the server begins to stop."""
        self.feeds.end()
        self._stop.set()

    async def _serve_until_stop(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request. A large answer is broken off where the server stops and making it takes long."""
        stop = self._stop
        try:
            with stopping.heeding(stop):
                await self._serve(scope, receive, send)
        except Exception:
            if not stop.is_set:
                raise
            while (await receive())["type"] != "http.disconnect":
                pass

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        shared = self.node.settings.cors
        if shared is not None:
            allowed = cors.preflight(shared, scope["headers"]) if scope["method"] == "OPTIONS" else None
            if allowed is not None:
                await _send_preflight(send, allowed)
                return
            send = cors.answering(shared, scope["headers"], send)
        if scope["method"] == "POST":
            scope = _overridden(scope)
        try:
            response, renewed = await self._respond(scope, receive)
        except Disconnected:
            return
        if renewed is not None:
            send = _with_cookie(send, renewed)
        await response(scope, receive, _without_body(send) if scope["method"] == "HEAD" else send)

    def _counted(self, method: str, send: Send) -> Send:
        """Count a request, and the status of its answer."""
        statuses = self.node.statuses
        self.node.methods[method if method in METHODS else "other"] += 1

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses[message["status"]] += 1
            await send(message)

        return send_head

    async def _respond(self, scope: Scope, receive: Receive) -> tuple[ASGIApp, str | None]:
        """The answer, and a cookie to send along if the one that came is ageing."""
        try:
            request = await read_request(
                self.environment,
                self.feeds,
                self.designs,
                self.gate,
                self.node,
                scope,
                receive,
                takes_stream,
                _admit,
            )
            response, renewed = await self._answered(await _known(request))
            if not isinstance(response, Streamed):
                # What was refused may be longer than what was held; no client reads an answer before it has sent all.
                await request.stream.skip()
            return response, renewed
        except CouchetteError as exc:
            return error_answer(told(exc, self.environment)), None

    async def _answered(self, request: Request) -> tuple[ASGIApp, str | None]:
        """The answer of a worker thread; that to a small read of this one, if it need not wait for anything."""
        if request.stream.ended and is_small_read(request) and surroundings.current().call is None:
            with suppress(MustWait):
                return self._at_once.call(partial(_answer, request))
        is_long = takes_long(request.method, request.raw_segments, request.query_string)
        hop = workers.in_side_thread if is_long else workers.in_lean_thread
        if request.method == "POST" and request.raw_segments in LOGGING_IN:
            hop = workers.in_password_thread
        return await hop(_answer, request)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's start and end, as far as they concern us."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._stop = _new_stop()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.stop()
                await workers.in_thread(self.designs.close)
                await send({"type": "lifespan.shutdown.complete"})
                return


def _new_stop() -> Stop:
    why = "The server is stopping.", "Try again later."
    return Stop(partial(CouchetteError, *why, status=503, error="service_unavailable"))


def _answer(request: Request) -> tuple[ASGIApp, str | None]:
    """Find out who asks, and answer. It may block, so it is for a worker thread, or for ``AtOnce``."""
    try:
        request = _identified(request)
        return dispatch(request), request.identity.renewed
    except Exception as exc:
        return failure(exc, request), None


async def _known(request: Request) -> Request:
    """Find out who asks, if that takes long: in threads that may be kept busy with passwords, and no others."""
    if not request.is_identified and request.gate.authentication.takes_long(request.headers):
        return await workers.in_password_thread(_identified, request)
    return request


async def _admit(request: Request) -> Request:
    """Find out who asks, and raise unless he may use what the path names, as far as that shows without the body."""
    return await workers.in_lean_thread(_admitted, await _known(request))


def _admitted(request: Request) -> Request:
    request = _identified(request)
    authorize(request)
    return request


def _identified(request: Request) -> Request:
    if request.is_identified:
        return request
    authentication = request.gate.authentication
    request.identity = authentication.identify(request.headers, request.peer, secure=request.is_secure)
    request.is_identified = True
    return request


def _overridden(scope: Scope) -> Scope:
    """A POST under the method that its ``X-HTTP-Method-Override`` names, for clients that can send no other.

    HEAD becomes GET: whoever sent a POST waits for a body.
    """
    named = dict(scope["headers"]).get(b"x-http-method-override", b"").decode("latin-1").upper()
    return {**scope, "method": "GET" if named == "HEAD" else named} if named in METHODS else scope


async def _send_preflight(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    """Answer a browser's question whether its page may send a request."""
    common = [(name.lower().encode(), value.encode()) for name, value in COMMON_HEADERS.items()]
    await send({"type": "http.response.start", "status": 204, "headers": [*common, *headers]})
    await send({"type": "http.response.body", "body": b""})


def _with_cookie(send: Send, cookie: str) -> Send:
    """Add a Set-Cookie header, unless the answer sets one itself."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            if not any(name.lower() == b"set-cookie" for name, _ in headers):
                headers.append((b"set-cookie", cookie.encode("latin-1")))
            message = {**message, "headers": headers}
        await send(message)

    return send_head


def _without_body(send: Send) -> Send:
    """Send the head of an answer only, with the length that its body would have."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head
