"""Replications and syncs that go on by themselves, as PouchDB's objects: events, a promise, and ``cancel()``.

Each direction is one of the engine's (:mod:`couchette.endpoints`), on a thread of its own. What PouchDB decides
otherwise is decided here: one that is live goes on after a failure only with the option ``retry``, and ends when it is
not let in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

from couchette import surroundings
from couchette.database import Database
from couchette.endpoints import replicate_async
from couchette.errors import CouchetteError
from couchette.pouchdb.arguments import options as spelled
from couchette.pouchdb.context import Context
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.errors import from_couchette
from couchette.pouchdb.events import Listener
from couchette.pouchdb.live import Handle
from couchette.pouchdb.replicating import (
    both_ways,
    completed,
    endpoint,
    engine_options,
    moment,
    progress,
    refusal,
    replicate_once,
    sync_once,
)
from couchette.pouchdb.results import Result
from couchette.replication import Event, ReplicationResult, Status
from couchette.replication.runner import Work

Doc = dict[str, Any]
State = Literal["pending", "active", "complete", "cancelled", "rejected"]


class Replication(Handle):
    """One direction.

    Events: ``change`` with how far it has come, ``active`` when it begins to move documents, ``paused`` when all are
    there, or with the error for which it waits, ``denied`` with each document that the target refuses, ``complete``
    with the result, and ``error``. ``state`` is ``pending``, ``active``, ``complete``, ``cancelled`` or ``rejected``.
    """

    def __init__(self, context: Context, given: Mapping[str, Any], callback: Listener | None = None) -> None:
        super().__init__(context)
        options = spelled(given)
        self.state: State = "pending"
        self._live = bool(options.pop("live", False))
        self._retry = bool(options.pop("retry", False))
        self._from_server = False
        self._errors: list[Doc] = []
        self._start_time = surroundings.now()
        self._status = Status("starting", "push", "", "")
        self._failure: Exception | None = None
        self._work: Work | None = None
        self._listen_for(options, callback)
        self._options = options

    def cancel(self) -> None:
        """End it. What was moved stays, and the next replication goes on from there."""
        self._cancelled = True
        self._stop()

    def begin(self, environment: EnvironmentCore, source: Any, target: Any) -> None:
        """Open the two sides, in the calling thread, and begin."""
        try:
            origin, destination = endpoint(environment, source), endpoint(environment, target)
            options = engine_options(self._options)
        except Exception as exc:
            self._failed(exc)
            return
        self._from_server = not isinstance(origin, Database)
        self._work = work = Work(partial(self._replicate, origin, destination, options))
        if self._cancelled:
            work.cancel()
        self.state = "active"
        self._in_thread(lambda: self._run(work))

    async def _replicate(self, source: Any, target: Any, options: Doc) -> ReplicationResult | None:
        options = {**options, "create_target": True, "on_event": self._happened}
        if not self._live:
            return await replicate_async(source, target, **options)
        live = await replicate_async(source, target, live=True, **options)
        await live.run()
        return None

    def _run(self, work: Work) -> None:
        work.run()
        error = work.outcome.exception()
        if self._failure is None and isinstance(error, Exception) and not self._cancelled:
            self._failure = error
        if self._failure is not None:
            self._failed(self._failure)
            return
        result = None if error is not None else work.outcome.result()
        if result is not None:
            self.state = "complete"
            self._complete(completed(result, is_remote=self._from_server))
        else:
            self.state = "cancelled"
            self._complete({**self._progress(), "status": "cancelled", "end_time": moment(surroundings.now())})

    def _failed(self, error: Exception) -> None:
        self.state = "rejected"
        self._fail(error)

    def _happened(self, event: Event) -> None:
        """Tell of it; called on the thread that replicates."""
        before, self._status = self._status, event.status
        status = event.status
        if event.kind == "batch":
            if status.docs_read != before.docs_read:  # PouchDB does not tell of changes that brought nothing.
                self._tell("change", Result(self._progress()))
        elif event.kind == "refused" and event.refusal is not None:
            refused = refusal(event.refusal.as_json())
            self._errors.append(refused)
            self._tell("denied", Result(refused))
        elif status.state == "active":
            self._tell("active")
        elif status.state == "idle":
            self._tell("paused")
        elif status.state in ("retrying", "denied"):
            error = status.last_error
            if status.state == "denied" or not self._retry:
                self._failure = error if isinstance(error, Exception) else None
                self._stop()
            else:
                self._tell("paused", from_couchette(error) if isinstance(error, CouchetteError) else error)

    def _stop(self) -> None:
        if self._work is not None:
            self._work.cancel()

    def _progress(self) -> Doc:
        return progress(self._status, self._start_time, self._errors, is_remote=self._from_server)


class Sync(Handle):
    """Both directions: ``push`` and ``pull``, each a :class:`Replication`.

    Events: ``change`` and ``denied`` with ``{"direction", "change"}`` and ``{"direction", "doc"}``, ``active`` with
    ``{"direction"}``, ``paused`` when both are, ``complete`` with ``{"push", "pull"}``, and ``error``.
    """

    def __init__(self, context: Context, given: Mapping[str, Any], callback: Listener | None = None) -> None:
        super().__init__(context)
        shared = spelled(given)
        self._listen_for(shared, callback)
        push, pull = both_ways(shared)
        self.push = Replication(context, push)
        self.pull = Replication(context, pull)
        self._paused: set[str] = set()
        self._results: Doc = {}
        for direction, way in (("push", self.push), ("pull", self.pull)):
            self._listen(direction, way)

    def cancel(self) -> None:
        """End both directions."""
        self._cancelled = True
        self.push.cancel()
        self.pull.cancel()

    def begin(self, environment: EnvironmentCore, near: Any, far: Any) -> None:
        """Begin both directions."""
        self.push.begin(environment, near, far)
        self.pull.begin(environment, far, near)

    def _listen(self, direction: str, way: Replication) -> None:
        def paused(error: Exception | None = None) -> None:
            self._paused.add(direction)
            if len(self._paused) == 2:
                self._call_listeners("paused", *([] if error is None else [error]))

        def active() -> None:
            self._paused.discard(direction)
            self._call_listeners("active", Result(direction=direction))

        def ended(result: Result) -> None:
            self._results[direction] = result
            if len(self._results) == 2:
                self._complete({"push": self._results["push"], "pull": self._results["pull"]})

        def failed(error: Exception) -> None:
            self.cancel()
            self._fail(error)

        way.on("change", lambda change: self._call_listeners("change", Result(direction=direction, change=change)))
        way.on("denied", lambda doc: self._call_listeners("denied", Result(direction=direction, doc=doc)))
        way.on("paused", paused).on("active", active).on("complete", ended).on("error", failed)


# -- Beginning ------------------------------------------------------------------------------------

H = TypeVar("H", Replication, Sync)


def begun(
    kind: type[H],
    context: Context,
    environment: EnvironmentCore,
    source: Any,
    target: Any,
    args: tuple[Any, ...],
    options: dict[str, Any],
) -> H:
    """Begin off the program's thread, after what was asked of the source before; a callback may be in ``args``."""
    callback = options.pop("callback", args[-1] if args else None)
    handle = kind(context, options, callback)
    key = source if isinstance(source, str) else getattr(getattr(source, "_core", None), "name", "")
    context.submit(key, lambda: handle.begin(environment, source, target))
    return handle


def replicate(
    context: Context, environment: EnvironmentCore, source: Any, target: Any, options: dict[str, Any]
) -> Result | Replication:
    """Replicate, and return the result; with ``live`` begin, and return what goes on. Raises PouchDBError."""
    return _now(Replication, replicate_once, context, environment, source, target, options)


def sync(context: Context, environment: EnvironmentCore, near: Any, far: Any, options: dict[str, Any]) -> Result | Sync:
    """The same both ways."""
    return _now(Sync, sync_once, context, environment, near, far, options)


def _now(
    kind: type[H],
    once: Callable[[EnvironmentCore, Any, Any, Doc], Doc],
    context: Context,
    environment: EnvironmentCore,
    source: Any,
    target: Any,
    options: Doc,
) -> Result | H:
    asked = spelled(options)
    if asked.get("live"):
        handle = kind(context, asked)
        handle.begin(environment, source, target)
        return handle
    on_complete = asked.pop("on_complete", None)
    try:
        result = Result(once(environment, source, target, asked))
    except CouchetteError as exc:
        raise from_couchette(exc) from exc
    if on_complete is not None:
        context.dispatcher.call_safely(on_complete, None, result)
    return result
