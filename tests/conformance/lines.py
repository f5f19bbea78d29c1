"""The app on real sockets, for the replay: under several servers, and how a request gets there as it was recorded."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import hypercorn
import hypercorn.trio
import trio
import uvicorn
from fastapi import FastAPI

from couchette import Environment
from couchette.server import Policy, create_app
from tests.conformance.replay import POLICY, Replay
from tests.server.asgi import Answer

PREFIX = "/apis/couch db"
"""Where FastAPI mounts the app: below another path, and with a character that URLs escape."""


class Switch:
    """An ASGI app that hands each request to the app of the scenario under way, so that a server serves them all."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request. The server's start and end mean nothing here."""
        if scope["type"] != "lifespan":
            await self.app(scope, receive, send)
            return
        while (await receive())["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def listening() -> Iterator[tuple[socket.socket, str]]:
    """A socket on loopback that listens, and its URL."""
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener, f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def under_uvicorn(app: Any) -> Iterator[str]:
    """The URL of the app, served by uvicorn on asyncio."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, log_level="warning", server_header=False))
    with listening() as (listener, url):
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        yield url
        server.should_exit = True
        thread.join()


@contextmanager
def under_hypercorn(app: Any) -> Iterator[str]:
    """The URL of the app, served by hypercorn on trio."""
    config = hypercorn.Config()
    config.include_server_header = False
    stop = threading.Event()
    with listening() as (listener, url):
        # The socket is hypercorn's to close.
        config.bind = [f"fd://{listener.detach()}"]

        async def stopped() -> None:
            await trio.to_thread.run_sync(stop.wait)

        serve = partial(hypercorn.trio.serve, app, config, shutdown_trigger=stopped, mode="asgi")
        thread = threading.Thread(target=trio.run, args=[serve])
        thread.start()
        yield url
        stop.set()
        thread.join()


@contextmanager
def in_fastapi(app: Any) -> Iterator[str]:
    """The URL of the app, mounted in a FastAPI program below :data:`PREFIX`."""
    program = FastAPI()
    program.mount(PREFIX, app)
    with under_uvicorn(program) as url:
        yield url + quote(PREFIX)


SERVERS: dict[str, Callable[[Any], AbstractContextManager[str]]] = {
    "uvicorn": under_uvicorn,
    "hypercorn": under_hypercorn,
    "fastapi": in_fastapi,
}


class Line:
    """A server that is up, and one scenario after the other."""

    def __init__(self, url: str, switch: Switch) -> None:
        self.url = url
        self._switch = switch
        self._parts = urlsplit(url)
        self.origin = f"http://{self._parts.netloc}"

    def replay(self, scenario: dict[str, Any]) -> dict[int, str]:
        """Replay a scenario in a fresh environment, over one connection: the exchanges that differ, and how."""
        with self.serving(POLICY), closing(self.connect()) as connection:
            return anyio.run(Replay(partial(self._ask, connection), self.url).run, scenario)

    @contextmanager
    def serving(self, policy: Policy) -> Iterator[Environment]:
        """Serve a fresh environment while the block lasts."""
        with Environment(":memory:") as environment:
            self._switch.app = create_app(environment, policy)
            yield environment

    def connect(self) -> http.client.HTTPConnection:
        """A new connection."""
        return http.client.HTTPConnection(self._parts.netloc, timeout=30)

    def path(self, path: str) -> str:
        """A path of the app as the server knows it."""
        return self._parts.path + path

    async def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes,
    ) -> Answer:
        """Send a request with these headers and no others. It blocks: nothing else is to be done meanwhile."""
        connection.putrequest(method, self.path(target), skip_host=True, skip_accept_encoding=True)
        for name, value in {"host": self._parts.netloc, **headers}.items():
            connection.putheader(name, value.encode())
        connection.endheaders(body)
        response = connection.getresponse()
        shown = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, shown, response.read())


@contextmanager
def line(server: str) -> Iterator[Line]:
    """A line to one of :data:`SERVERS`."""
    switch = Switch()
    with SERVERS[server](switch) as url:
        yield Line(url, switch)
