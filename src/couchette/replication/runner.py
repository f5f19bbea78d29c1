"""Running a replication for a caller that is not asynchronous.

The network is trio's, so it runs on a background thread that lives as long as someone needs it: the first
caller starts it, concurrent callers share it, the last one ends it. Nothing of it outlasts a call.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar, TypeVarTuple, Unpack

from anyio.from_thread import BlockingPortalProvider

Result = TypeVar("Result")
Args = TypeVarTuple("Args")

_thread: Final = BlockingPortalProvider("trio")


def run_sync(async_fn: Callable[[Unpack[Args]], Awaitable[Result]], *args: *Args) -> Result:
    """Run ``async_fn(*args)`` on the background thread and wait for its result.

    KeyboardInterrupt cancels it and is raised when it has ended, so that nothing runs on behind the
    caller; a second one does not wait.
    """
    ended = threading.Event()

    async def run() -> Result:
        try:
            return await async_fn(*args)
        finally:
            ended.set()

    with _thread as portal:
        future = portal.start_task_soon(run)
        try:
            return future.result()
        except BaseException:
            # Either what the task raised, or an interrupt of this thread while the task runs on.
            if future.cancel():
                ended.wait()
            raise
