"""What is known of a server, and shared by everything that talks to it in one event loop: how much it can bear.

A server that has too much to do says so by 429 or 503, often with the time to come back (Retry-After). Then nobody
asks it anything until that time, and half as many requests as before run beside each other (multiplicative
decrease); each answer after that allows a little more (additive increase). This is how TCP shares a line, and several
replications to one host come out even. One 429 is seen by many requests that were sent together; they count once.

After a network error a request is repeated when a growing pause is over, or as soon as another request to the host
gets through. The pauses are drawn at random, so that the clients of a server that comes back do not come at once.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime

import anyio
from anyio.lowlevel import RunVar

from couchette import limits, surroundings
from couchette.errors import TooManyRequests

_hosts: RunVar[dict[str, Host]] = RunVar("couchette_hosts")


def host_of(origin: str) -> Host:
    """The host of this origin (scheme, name and port), as this event loop knows it."""
    hosts = _hosts.get({})
    _hosts.set(hosts)
    return hosts.setdefault(origin, Host(origin))


class Host:
    """One server. Used by the tasks of one event loop."""

    def __init__(self, origin: str) -> None:
        self.answered = False
        """Whether any request was ever answered; a host that never was is more likely a wrong address."""
        self._origin = origin
        self._window = float(limits.HTTP_CONNECTIONS)
        self._slots = anyio.CapacityLimiter(limits.HTTP_CONNECTIONS)
        self._quiet_until = -math.inf
        self._shrunk_at = -math.inf
        self._recovered: anyio.Event | None = None

    @property
    def slots(self) -> int:
        """Requests that may run beside each other now."""
        return int(self._window)

    @asynccontextmanager
    async def turn(self, *, waiting: bool = False) -> AsyncIterator[float]:
        """Wait until a request may be sent, and count it while the block runs; gives the time of its start.

        A ``waiting`` request takes no slot: a live feed, which costs the server little, or one that waits for others.
        Raises TooManyRequests where the server wants to be left alone for longer than ``limits.RETRY_AFTER_MAX_S``.
        """
        if waiting:
            await self._wait_quiet()
            yield anyio.current_time()
            return
        borrower = object()  # A task may have several requests under way.
        await self._slots.acquire_on_behalf_of(borrower)
        try:
            await self._wait_quiet()
            yield anyio.current_time()
        finally:
            self._slots.release_on_behalf_of(borrower)

    async def _wait_quiet(self) -> None:
        while (pause := self._quiet_until - anyio.current_time()) > 0:
            if pause > limits.RETRY_AFTER_MAX_S:
                raise TooManyRequests(
                    "The server has too much to do.", f"{self._origin} asks to come back in {pause:.0f} seconds."
                )
            await anyio.sleep(pause)

    def succeeded(self) -> None:
        """A request was answered; let a little more run, and repeat at once what failed on the way."""
        self.answered = True
        self._window = min(self._window + 1 / self._window, float(limits.HTTP_CONNECTIONS))
        self._slots.total_tokens = self.slots
        if self._recovered is not None:
            self._recovered.set()
            self._recovered = None

    def throttled(self, begun_at: float, pause_s: float) -> None:
        """A request that began then was put off: keep quiet for so long, and let half as many run."""
        self.answered = True
        now = anyio.current_time()
        self._quiet_until = max(self._quiet_until, now + pause_s)
        if begun_at >= self._shrunk_at:
            self._window = max(self._window / 2, 1.0)
            self._slots.total_tokens = self.slots
            self._shrunk_at = now

    async def rest(self, failures: int, *, until_recovered: bool) -> None:
        """Pause after so many failures (1 for the first); ``until_recovered``: or until the host answers others."""
        if not until_recovered:
            await anyio.sleep(pause_s(failures))
            return
        if self._recovered is None:
            self._recovered = anyio.Event()
        recovered = self._recovered
        with anyio.move_on_after(pause_s(failures)):
            await recovered.wait()


def pause_s(failures: int, cap_s: float = math.inf) -> float:
    """A pause between half and the whole of one that doubles with each failure."""
    whole: float = min(limits.HTTP_RETRY_PAUSE_S * 2 ** (failures - 1), cap_s)
    return whole * surroundings.random().uniform(0.5, 1)


def retry_after_s(value: str | None) -> float | None:
    """The seconds that a Retry-After header asks for, which may be a date (RFC 9110, 10.2.3); None without a sense."""
    if value is None:
        return None
    if value.strip().isdecimal():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max((moment - surroundings.now()).total_seconds(), 0.0)
