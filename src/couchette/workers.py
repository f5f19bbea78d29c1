"""Work beside an event loop: the one way in which couchette hops to a worker thread, and what failed tasks leave."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context, copy_context
from functools import partial
from typing import Final, ParamSpec, TypeVar

import anyio
import anyio.to_thread
import sniffio
from anyio.lowlevel import RunVar

from couchette import limits, surroundings
from couchette.errors import CouchetteError

P = ParamSpec("P")
T = TypeVar("T")


async def in_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call ``fn`` in a worker thread and wait for it.

    A cancellation is heeded before the call begins. One that comes while it runs waits for its end, so that it
    is known what happened. A simulation calls it in the loop's own thread (:mod:`couchette.surroundings`).
    """
    call = surroundings.current().call
    if call is None:
        return await anyio.to_thread.run_sync(partial(fn, *args, **kwargs))
    result: T = await call(partial(fn, *args, **kwargs))
    return result


_SIDE: Final[RunVar[anyio.CapacityLimiter]] = RunVar("couchette_side_threads")


async def in_side_thread(fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As :func:`in_thread`, in one of a few threads beside the others: for what may be slow by somebody else's doing.

    Raises CouchetteError (503) where too many wait for one.
    """
    if surroundings.current().call is not None:
        return await in_thread(fn, *args, **kwargs)
    limiter = _SIDE.get(None)
    if limiter is None:
        limiter = anyio.CapacityLimiter(limits.SIDE_THREADS)
        _SIDE.set(limiter)
    if limiter.statistics().tasks_waiting >= limits.SIDE_WAITING_MAX:
        raise CouchetteError(
            "The server has too much to do.", "Try again later.", status=503, error="service_unavailable"
        )
    return await anyio.to_thread.run_sync(partial(fn, *args, **kwargs), limiter=limiter)


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
