"""Work beside an event loop: the one way in which couchette hops to a worker thread, and what failed tasks leave."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread
import sniffio
from anyio.lowlevel import RunVar

from couchette import limits, surroundings, worker_threads
from couchette.errors import CouchetteError

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``fn`` in a worker thread and wait for it.

    A cancellation is heeded before the call begins. One that comes while it runs waits for its end, so that it
    is known what happened. A simulation calls it in the loop's own thread (:mod:`couchette.surroundings`).
    What it calls may go back into the loop by ``anyio.from_thread``.
    """
    call = surroundings.current().call
    if call is None:
        return await anyio.to_thread.run_sync(partial(fn, *args, **kwargs))
    result: T = await call(partial(fn, *args, **kwargs))
    return result


async def in_lean_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, for half the price under asyncio: what it calls has no way back into the loop."""
    return await _hop(partial(fn, *args, **kwargs), None)


_SIDE: Final[RunVar[anyio.CapacityLimiter]] = RunVar("couchette_side_threads")
_PASSWORDS: Final[RunVar[anyio.CapacityLimiter]] = RunVar("couchette_password_threads")


async def in_side_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_lean_thread`, in one of a few threads beside the others: for what may be slow by others' doing.

    Raises CouchetteError (503) where too many wait for one.
    """
    return await _hop(partial(fn, *args, **kwargs), _room(_SIDE, limits.SIDE_THREADS, limits.SIDE_WAITING_MAX))


async def in_password_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_side_thread`, for what derives a key from a password: few at once, for each takes a core."""
    room = _room(_PASSWORDS, limits.PASSWORD_THREADS, limits.PASSWORDS_WAITING_MAX)
    return await _hop(partial(fn, *args, **kwargs), room)


def _room(limiters: RunVar[anyio.CapacityLimiter], threads: int, waiting_max: int) -> anyio.CapacityLimiter:
    limiter = limiters.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(threads)
        limiters.set(limiter)
    if limiter.statistics().tasks_waiting >= waiting_max:
        raise CouchetteError(
            "The server has too much to do.", "Try again later.", status=503, error="service_unavailable"
        )
    return limiter


async def _hop(function: Callable[[], T], limiter: anyio.CapacityLimiter | None) -> T:
    """Make a call in a thread when the limiter, or anyio's own, has room for it."""
    if surroundings.current().call is not None:
        return await in_thread(function)
    if sniffio.current_async_library() != "asyncio":
        return await anyio.to_thread.run_sync(function, limiter=limiter)
    limiter = limiter or anyio.to_thread.current_default_thread_limiter()
    await anyio.lowlevel.checkpoint_if_cancelled()
    borrower = object()
    try:
        limiter.acquire_on_behalf_of_nowait(borrower)
    except anyio.WouldBlock:
        await limiter.acquire_on_behalf_of(borrower)
    try:
        with anyio.CancelScope(shield=True):
            result, failure = await worker_threads.begin(thread_context(), function)
    finally:
        limiter.release_on_behalf_of(borrower)
    try:
        if failure is not None:
            raise failure
        return result  # type: ignore[no-any-return]
    finally:
        del failure  # Its traceback holds this frame.


def thread_context() -> Context:
    """The caller's context for a thread of ours: without the event loop that the caller may be in."""
    context = copy_context()
    context.run(sniffio.current_async_library_cvar.set, None)
    return context


def single_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure in a group: the others are tasks of the same work that met the same trouble.

    A group that holds a cancellation too is left whole, for whoever cancelled must see it.
    """
    if not isinstance(group, ExceptionGroup):
        return group
    failure: BaseException = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
