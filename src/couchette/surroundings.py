"""What couchette takes from its surroundings: chance, the time of day, worker threads, and the way to other hosts.

A program never sees this module. A simulation replaces all four for the code that runs in one context (threads
that couchette starts inherit it), so that a run depends on nothing but its seed; `couchette.testing` does so.

The monotonic clock is not here: code that waits does so by anyio, whose loop has a clock, and a loop that we
start ourselves gets the one of :func:`trio_options`.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from random import Random, SystemRandom
from typing import Any, Protocol

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True)
class Outgoing:
    """An HTTP request as a client hands it to the line; ``url`` is escaped as it goes into the request."""

    method: str
    url: str
    headers: Headers
    body: AsyncIterable[bytes]


class Incoming(Protocol):
    """An answer whose body is still arriving."""

    status: int
    headers: Headers

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end. Raises ConnectionError when the line breaks."""

    async def aclose(self) -> None:
        """Hang up. Calling it again does nothing."""


class Carrier(Protocol):
    """Takes requests to their hosts, in place of a network."""

    async def carry(self, request: Outgoing) -> Incoming:
        """The answer's head. Raises ConnectionError; it may also never return, so the caller limits the time."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Surroundings:
    """One set of surroundings; the defaults are the real ones."""

    random: Random = SystemRandom()  # noqa: RUF009 - it has no state
    now: Callable[[], datetime] = _utc_now
    call: Callable[[Callable[[], Any]], Awaitable[Any]] | None = None
    """Runs a blocking function for a task; None: a worker thread does."""
    carrier: Carrier | None = None
    """None: the network."""
    clock: Any = None
    """The trio clock of loops that we start; None: trio's own."""


_current: ContextVar[Surroundings] = ContextVar("couchette_surroundings", default=Surroundings())  # noqa: B039 - frozen


def current() -> Surroundings:
    """The surroundings of the code that asks."""
    return _current.get()


@contextmanager
def replaced(surroundings: Surroundings) -> Iterator[None]:
    """Give other surroundings to the block, and to the tasks and threads of ours that start in it."""
    token = _current.set(surroundings)
    try:
        yield
    finally:
        _current.reset(token)


def enter(surroundings: Surroundings) -> None:
    """Give other surroundings to all that follows in this context: for the first call in a context of its own."""
    _current.set(surroundings)


def random() -> Random:
    """Where chance comes from: jitter, ids."""
    return _current.get().random


def uuid_hex() -> str:
    """A new random UUID (version 4), as 32 hexadecimal digits."""
    return uuid.UUID(int=random().getrandbits(128), version=4).hex


def now() -> datetime:
    """The time of day, in UTC. It may be set back: durations are measured by the loop's clock."""
    return _current.get().now()


def trio_options() -> dict[str, Any]:
    """The options for running a trio loop: ``anyio.run(..., backend="trio", backend_options=trio_options())``."""
    clock = _current.get().clock
    return {} if clock is None else {"clock": clock}
