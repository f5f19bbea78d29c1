"""The ASGI application: from a request to an answer, errors included.

A request is read to its end, answered by a plain function in a worker thread, and sent. So a request
costs one hop, its transaction never waits for the client, and the app runs on any event loop that anyio
knows. Only a feed that waits stays in the event loop.
"""

from __future__ import annotations

import logging

import anyio.to_thread
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from couchette.environment import Environment
from couchette.errors import CouchetteError
from couchette.server.answers import error_answer
from couchette.server.dispatch import dispatch
from couchette.server.request import Disconnected, Request, read_request
from couchette.server.waiting import Feeds

logger = logging.getLogger(__name__)


class App:
    """CouchDB's HTTP interface to the databases of an environment.

    The environment stays the caller's: the app neither opens nor closes it.
    """

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.feeds = Feeds()
        """The feeds that wait at the moment; end them before the server stops."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1003})
        else:
            try:
                response = await self._respond(scope, receive)
            except Disconnected:
                return
            await response(scope, receive, _without_body(send) if scope["method"] == "HEAD" else send)

    async def _respond(self, scope: Scope, receive: Receive) -> ASGIApp:
        try:
            request = await read_request(self.environment, self.feeds, scope, receive)
            return await anyio.to_thread.run_sync(_answer, request)
        except CouchetteError as exc:
            return error_answer(exc)

    async def _live(self, receive: Receive, send: Send) -> None:
        """The server's start and end, as far as they concern us."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self.feeds.end()
                await send({"type": "lifespan.shutdown.complete"})
                return


def _answer(request: Request) -> ASGIApp:
    """Answer in a worker thread. What is no error of ours is a fault of ours: it is logged, and answered as 500."""
    try:
        return dispatch(request)
    except CouchetteError as exc:
        return error_answer(exc)
    except Exception as exc:
        logger.exception("%s %s failed", request.method, b"/".join(request.raw_segments))
        return error_answer(CouchetteError("The request failed inside the server; its log has the cause.", repr(exc)))


def _without_body(send: Send) -> Send:
    """Send the head of an answer only, with the length that its body would have."""

    async def send_head(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return send_head
