"""The internals of an environment, for its faces and for who debugs: where operations run and callbacks are called."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from couchette import workers
from couchette.errors import CouchetteError
from couchette.limits import POUCHDB_THREADS_MAX
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.dispatching import Dispatcher
from couchette.pouchdb.errors import from_couchette
from couchette.pouchdb.promise import Promise
from couchette.pouchdb.results import Result, wrapped

Job = Callable[[], Any]


class Context:
    """What lies behind an environment: ``environment.context``.

    A program with an event loop needs nothing of it. One without calls :meth:`run_pending` for its callbacks.
    """

    def __init__(self, core: EnvironmentCore, api: str) -> None:
        self._core = core
        self._api = api
        self.dispatcher = Dispatcher()
        self.strands = Strands()
        self.running = core.running

    def inspect(self, block: bool = True) -> Result:
        """What is going on, for display. ``block`` said whether to wait for a window to be closed; there is none.

        ``{"api", "storage_dir", "databases", "loop", "callbacks", "under_way"}``: the open databases' names, the loop
        that calls back (``asyncio``, ``trio``, ``qt`` or None), how many callbacks wait, how much work has not ended.
        """
        return Result(
            api=self._api,
            storage_dir=self._core.folder.path,
            databases=sorted({core.name for core in self._core.folder.databases if not core.is_gone}),
            loop=self.dispatcher.loop_name,
            callbacks=self.dispatcher.pending,
            under_way=self.dispatcher.under_way,
        )

    def waitUntilCalled(
        self, function: Callable[..., Any] | Sequence[Callable[..., Any]], timeout: float | None = None
    ) -> None:
        """Call callbacks in this thread until ``function``, or one of several, was called since it was waited for last.

        When nothing is under way that could call it, that is logged. Raises EnvironmentError when ``timeout`` seconds
        have passed.
        """
        functions = [function] if callable(function) else [*function]
        self.dispatcher.wait_until_called(functions, timeout)

    def getDbSize(self, name: str) -> int:
        """How many bytes a local database takes. Raises KeyError where there is none of this name."""
        if name not in self._core.folder:
            raise KeyError(name)
        size: int = self._core.folder.open(name).info()["sizes"]["file"]
        return size

    def clearCookies(self) -> None:
        """Forget who is logged in, here and on servers."""
        self._core.forget_users()

    def reset(self) -> None:
        """Destroy all local databases, and forget who is logged in."""
        for name in self._core.names():
            self._core.destroy(name)
        self.clearCookies()

    def run_pending(self, timeout: float | None = 0.0) -> int:
        """Call the callbacks that wait, in this thread; return how many there were.

        Where none waits, block until one does: for ``timeout`` seconds at most, or with None for as long as it takes.
        """
        return self.dispatcher.run_pending(timeout)

    wait_until_called = waitUntilCalled
    get_db_size = getDbSize
    clear_cookies = clearCookies
    runPending = run_pending

    def promise(self, key: str, job: Job) -> Promise[Any]:
        """Run a job off the loop's thread, after those of the same key; promise what it returns."""
        promise: Promise[Any] = Promise(self.dispatcher)
        self.submit(key, lambda: settle(promise, job))
        return promise

    def submit(self, key: str, job: Job) -> None:
        """Run a job off the loop's thread, after those of the same key. It must not raise."""
        self.dispatcher.attach()
        self.dispatcher.began()

        def run() -> None:
            try:
                job()
            finally:
                self.dispatcher.ended()

        self.strands.submit(key, run)


def settle(promise: Promise[Any], job: Job) -> None:
    """Do a job and settle the promise of it, with the result or the error that a program sees."""
    try:
        value = wrapped(job())
    except CouchetteError as exc:
        promise._reject(from_couchette(exc))
    except Exception as exc:
        promise._reject(exc)
    else:
        promise._resolve(value)


class Strands:
    """Threads for jobs with keys: those of one key run one after the other, in their order.

    Threads are made when they are needed; the program ends when all jobs have.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._queues: dict[str, deque[Job]] = {}
        self._threads: ThreadPoolExecutor | None = None

    def submit(self, key: str, job: Job) -> None:
        """Run a job after the others of its key."""
        in_context = workers.thread_context()
        with self._lock:
            queue = self._queues.get(key)
            if queue is not None:
                queue.append(lambda: in_context.run(job))
                return
            self._queues[key] = deque([lambda: in_context.run(job)])
            if self._threads is None:
                self._threads = ThreadPoolExecutor(POUCHDB_THREADS_MAX, thread_name_prefix="couchette-pouchdb")
        self._threads.submit(self._drain, key)

    def _drain(self, key: str) -> None:
        while True:
            with self._lock:
                if not self._queues[key]:
                    del self._queues[key]
                    return
                job = self._queues[key].popleft()
            job()
