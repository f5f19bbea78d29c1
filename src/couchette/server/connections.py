"""Connections that cannot exhaust the server: how many there are, and how long a client may keep one waiting.

uvicorn closes a connection that is idle between two requests, and waits for anything else as long as it takes: for the
first byte, the rest of a head or a body, or a client that does not read. Here each of these has an end. A request that
is being answered has none, so a feed may wait as long as it likes.

Nothing of this is done for each request: the server looks through its connections once a second, and closes those where
nothing has moved for too long. When there are as many as there may be, the one that has waited longest for its client
makes room for the next, so silent connections keep nobody out.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from couchette.descriptors import descriptors
from couchette.limits import (
    CONNECTIONS_MAX,
    DESCRIPTORS_KEPT,
    REQUEST_BODY_BYTES_LEAST,
    REQUEST_HEAD_S,
    REQUEST_SILENCE_S,
)
from couchette.server.heads import HeadBounded

HEAD: Final = "head"
BODY: Final = "body"
READING: Final = "reading"
PATIENCE_S: Final = {HEAD: REQUEST_HEAD_S, BODY: REQUEST_SILENCE_S, READING: REQUEST_SILENCE_S}

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 80\r\nconnection: close\r\n"
    b'\r\n{"error":"service_unavailable","reason":"The server has too many connections."}\n'
)


class Awaited(NamedTuple):
    """What a client lets the server wait for, and something that changes when it has moved."""

    kind: str
    progress: object


class Bounded(asyncio.Protocol):
    """What uvicorn's protocol is mixed with by :func:`bounded_protocol`."""

    most: int
    """How many connections there may be."""
    # uvicorn's own:
    loop: asyncio.AbstractEventLoop
    connections: set[Any]
    transport: asyncio.Transport
    cycle: Any
    flow: Any

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection, or close one that has waited longer, or this one."""
        self._since = self.loop.time()
        self._seen: Awaited | None = None
        self._arrived = self._arrived_then = self._resumed = 0
        super().connection_made(transport)
        if len(self.connections) > self.most:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        """Count, and go on."""
        self._arrived += len(data)
        super().data_received(data)

    def resume_writing(self) -> None:
        """Count, and go on."""
        self._resumed += 1
        super().resume_writing()

    def shutdown(self) -> None:
        """End with the server: after the answer under way, or else now. TLS would wait for an idle client's goodbye."""
        super().shutdown()  # type: ignore[misc]
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self.transport.get_write_buffer_size():
            self.transport.abort()

    def awaited(self) -> Awaited | None:
        """What the server waits for; None while it is the server's turn."""
        unsent = self.transport.get_write_buffer_size()
        cycle = self.cycle
        if cycle is None or cycle.response_complete:
            return Awaited(READING, (self._resumed, unsent)) if unsent else Awaited(HEAD, cycle)
        if cycle.more_body and not self.flow.read_paused:
            return Awaited(BODY, cycle)
        return Awaited(READING, (self._resumed, unsent)) if self.flow.write_paused else None

    def look(self, now: float) -> None:
        """Close the connection if nothing has moved for too long; to be called again and again."""
        awaited = self.awaited()
        goes_on = self._arrived - self._arrived_then >= REQUEST_BODY_BYTES_LEAST
        if awaited is None or awaited != self._seen or (awaited.kind == BODY and goes_on):
            self._seen, self._since, self._arrived_then = awaited, now, self._arrived
        elif now - self._since >= PATIENCE_S[awaited.kind]:
            self.transport.abort()

    def _make_room(self) -> None:
        waiting = [one for one in self.connections if one is not self and isinstance(one, Bounded) and one.is_idle]
        if not waiting:
            self.transport.write(_BUSY)
            self.transport.close()
            return
        longest = min(waiting, key=lambda one: one._since)
        self.connections.discard(longest)  # At once: more may come before the loop tells it.
        longest.transport.abort()

    @property
    def is_idle(self) -> bool:
        """Whether it has waited for its client, and for the same thing, since it was last looked at."""
        awaited = self.awaited()
        return awaited is not None and awaited.kind != READING and self._seen in (None, awaited)


def bounded_protocol(most: int) -> type[asyncio.Protocol]:
    """uvicorn's protocol, of which there are no more than so many connections."""
    return type("BoundedProtocol", (Bounded, HeadBounded), {"most": most})


def look_through(connections: Iterable[Any], now: float) -> None:
    """Close the connections whose clients have let us wait for too long; ``now`` is the loop's time."""
    for connection in tuple(connections):
        if isinstance(connection, Bounded):  # And no websocket's, which is refused anyway.
            connection.look(now)


def close_all(connections: Iterable[Any]) -> None:
    """Close all of these, whatever is under way on them: who answers a request on one sees that its client is gone."""
    for connection in tuple(connections):
        connection.transport.abort()


class Listener(socket.socket):
    """A listening socket that closes what comes when only the descriptors are left that databases need.

    asyncio fails at each try when there are none left, and logs that thousands of times a second.
    """

    def accept(self) -> tuple[socket.socket, Any]:
        """The next connection. Raises ConnectionAbortedError, which loops expect, for one that was closed."""
        connection, address = super().accept()
        limit = descriptors()
        if limit is not None and connection.fileno() >= limit - DESCRIPTORS_KEPT:
            connection.close()
            raise ConnectionAbortedError
        return connection, address


def most_connections() -> int:
    """How many connections a server of this process may have; half of the descriptors are for databases."""
    limit = descriptors()
    return CONNECTIONS_MAX if limit is None else max(1, min(CONNECTIONS_MAX, limit // 2))
