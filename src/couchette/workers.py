"""Work beside an event loop: the one way in which couchette hops to a worker thread, and what failed tasks leave."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import ParamSpec, TypeVar

import anyio.to_thread

from couchette import surroundings

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
