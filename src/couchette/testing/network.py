"""The simulated network: named hosts, a line with faults between them, virtual time; all of it from one seed.

A request goes this way: the client's HTTP library, :meth:`Network.carry`, which lets the drawn fault happen,
an :class:`~couchette.testing.exchange.Exchange`, and the ASGI app of the host. Whatever else could differ from
run to run is replaced too, by :mod:`couchette.surroundings`: ids, jitter, the time of day, the order of tasks, and
worker threads, whose work is done in the loop's own thread (virtual time does not wait for threads).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random
from types import TracebackType
from typing import Any, TypeVar, TypeVarTuple
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import sniffio

from couchette import jsonio, surroundings
from couchette.errors import BadRequest, from_answer
from couchette.surroundings import Headers, Incoming, Outgoing, Surroundings
from couchette.testing.clock import Clocks, tasks_in_order_of
from couchette.testing.crash import Crash, from_outside
from couchette.testing.exchange import Exchange
from couchette.testing.faults import NO_FAULTS, Fault, Faults, Kind
from couchette.testing.server import Server

T = TypeVar("T")
Args = TypeVarTuple("Args")

LATENCY_S = (0.001, 0.02)
"""How long a request without faults takes to arrive: drawn, so that requests overtake one another."""


class Network:
    """Hosts and the line to them, inside a ``with`` block; see :func:`network`.

    Attributes:
        seed: all chance comes from it.
        random: for the test's own choices; a stream apart from those of the line and of ids.
        clocks: virtual time.
        log: what happened, a line each: the same for the same seed and program.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.random = Random(f"test {seed}")
        self.clocks = Clocks()
        self.log: list[str] = []
        self.servers: dict[str, Server] = {}
        self._line = Random(f"line {seed}")
        self._surroundings = Surroundings(
            random=Random(f"ids {seed}"),
            now=self.clocks.now,
            call=_call_inline,
            carrier=self,
            clock=self.clocks.monotonic,
        )
        self._entered = ExitStack()

    def __enter__(self) -> Network:
        self._entered.enter_context(tasks_in_order_of(self.seed))
        self._entered.enter_context(surroundings.replaced(self._surroundings))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for server in self.servers.values():
            server.stop()
        self._entered.close()

    # -- What tests use -------------------------------------------------------------------------------

    def server(self, name: str, *, folder: str | os.PathLike[str] | None = None, faults: Faults = NO_FAULTS) -> Server:
        """A new host ``http://<name>``. With a ``folder`` its databases are files, which survive a restart."""
        if name in self.servers:
            raise BadRequest("There is a server of this name already.", f"It is {name!r}.")
        server = self.servers[name] = Server(name, folder, faults, self._surroundings)
        return server

    def run(self, async_fn: Callable[[*Args], Awaitable[T]], *args: *Args) -> T:
        """Run ``async_fn(*args)`` under trio in virtual time, and return its result."""
        return anyio.run(async_fn, *args, backend="trio", backend_options=surroundings.trio_options())

    def heal(self) -> None:
        """No more faults: every server runs, and every request arrives."""
        for server in self.servers.values():
            server.heal()

    def note(self, event: str) -> None:
        """Add a line to the log."""
        self.log.append(f"{self.clocks.elapsed_s:10.3f}  {event}")

    @contextmanager
    def crash(self, step: int, *, after: bool = False) -> Iterator[Crash]:
        """Let the program that the block stands for die at its ``step``-th step, and end the block there.

        Steps are operations on a local database and requests. The program dies before the step, or, with
        ``after``, when it is done and nobody has learned it. Asynchronous code only; what the block awaits is
        cancelled, and nothing that it does afterwards, in a ``finally`` for one, has any effect.
        """
        crash = Crash(step, surroundings.current(), after=after)
        try:
            with crash.scope, surroundings.replaced(crash.surroundings):
                yield crash
        except BaseException as exc:
            if not crash.happened:
                raise
            if (alive := from_outside(exc)) is not None:
                raise alive from None
        if crash.happened:
            self.note(f"crash {'after' if after else 'before'} step {step}")

    # -- The line -------------------------------------------------------------------------------------

    async def carry(self, request: Outgoing) -> Incoming:
        """Take a request to its host, with the fault that is drawn for it."""
        if sniffio.current_async_library() != "trio":
            raise BadRequest(
                "The simulated network needs trio, for virtual time.", "Call your function by Network.run."
            )
        url = urlsplit(request.url)
        server = self.servers.get(url.hostname or "")
        await anyio.sleep(self._line.uniform(*LATENCY_S))
        if server is None or server._app is None:
            self.note(f"{request.method} {request.url}: nobody there")
            raise ConnectionRefusedError(f"No server is running at {url.netloc}.")
        server.requests.append(f"{request.method} {url.path}")
        fault = server._next_fault(self._line)
        if fault is None and server.body_bytes_max is not None and _body_bytes(request) > server.body_bytes_max:
            fault = Fault(Kind.ANSWERED, status=413)
        event = f"{request.method} {request.url}"
        try:
            answer = await self._carry(server, request, fault)
        except ConnectionError:
            self.note(f"{event}: {fault or 'the connection broke'}")
            raise
        self.note(f"{event}: {answer.status}{f', {fault}' if fault else ''}")
        return answer

    async def _carry(self, server: Server, request: Outgoing, fault: Fault | None) -> Incoming:
        match fault:
            case Fault(kind=Kind.REFUSED):
                raise ConnectionRefusedError("The connection was refused.")
            case Fault(kind=Kind.LOST):
                await anyio.sleep_forever()
            case Fault(kind=Kind.ANSWERED, status=status, seconds=seconds):
                return _Canned(status, seconds)
            case Fault(kind=Kind.TORN, size=size):
                return await self._exchange(server, request, torn_after=size)
            case Fault(kind=Kind.DELAYED, seconds=seconds):
                await anyio.sleep(seconds)
            case Fault(kind=Kind.REPEATED):
                kept = _Kept([chunk async for chunk in request.body])
                request = Outgoing(request.method, request.url, request.headers, kept)
                await self._discard(await self._exchange(server, request))
            case Fault(kind=Kind.UNANSWERED):
                await self._discard(await self._exchange(server, request))
                raise ConnectionResetError("The line broke before the answer.")
            case Fault(kind=Kind.CUT, size=size):
                return _Cut(await self._exchange(server, request), size)
        return await self._exchange(server, request)

    async def _exchange(self, server: Server, request: Outgoing, *, torn_after: int | None = None) -> Exchange:
        if server._app is None:
            raise ConnectionRefusedError(f"The server {server.name} has gone.")
        exchange = Exchange(server._app, request, where=self._surroundings, open_exchanges=server._exchanges)
        await exchange.open(torn_after=torn_after)
        return exchange

    async def _discard(self, exchange: Exchange) -> None:
        try:
            await exchange.drain()
        finally:
            await exchange.aclose()


def network(seed: int = 0) -> Network:
    """A simulated network in virtual time, for a ``with`` block.

    Inside the block every URL leads to a server of this network, and what couchette does takes virtual time:
    in the synchronous facade's replications, and in asynchronous code that ``Network.run`` runs. The same seed
    gives the same faults in the same order.
    """
    return Network(seed)


async def _call_inline(fn: Callable[[], Any]) -> Any:
    """Call it here, after others had their turn."""
    await anyio.lowlevel.checkpoint()
    return fn()


def _body_bytes(request: Outgoing) -> int:
    """What the request says of its body's length; 0 if it is sent in chunks."""
    return int(next((value for name, value in request.headers if name.lower() == b"content-length"), 0))


class _Kept:
    """A request's body that may be read again."""

    def __init__(self, chunks: list[bytes]) -> None:
        self._chunks = chunks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


class _Canned:
    """An error that something between client and server answers."""

    def __init__(self, status: int, retry_after_s: float) -> None:
        error = from_answer(status, "unknown_error", "The simulated network says so.")
        self.status = status
        self.headers: Headers = [(b"content-type", b"application/json")]
        if retry_after_s:
            self.headers.append((b"retry-after", f"{retry_after_s:.0f}".encode()))
        self._left = jsonio.dumps({"error": error.error, "reason": error.reason})

    async def read(self) -> bytes:
        left, self._left = self._left, b""
        return left

    async def aclose(self) -> None:
        """There is no line."""


class _Cut:
    """An answer whose body breaks off after so many bytes, if it is that long."""

    def __init__(self, answer: Incoming, size: int) -> None:
        self.status = answer.status
        self.headers = answer.headers
        self._answer = answer
        self._left = size

    async def read(self) -> bytes:
        if self._left == 0:
            await self.aclose()
            raise ConnectionResetError("The line broke in the middle of the answer.")
        chunk = (await self._answer.read())[: self._left]
        self._left -= len(chunk)
        return chunk

    async def aclose(self) -> None:
        await self._answer.aclose()
