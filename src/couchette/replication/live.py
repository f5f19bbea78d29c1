"""Replications that go on: sessions one after the other, for as long as waiting can help.

Each direction is a :class:`_Way`: it runs a session, which ends only by failing, decides what the failure means,
and waits. A line that is cut is tried again after a pause that grows, and at once when there is a reason: the program
asks, something is written to a local source, or the other direction got through. Credentials that are refused wait for
others. What cannot heal ends it and is raised. Nothing of this is ever called complete.

A :class:`Live` holds one or two ways over one pair of peers. It runs where its caller wants it: ``async with`` gives it
a task for the block, ``tasks.start_soon(live.run)`` puts it into a task group; for a caller that is not asynchronous
:class:`couchette.replication.runner.Background` runs it on a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Any, Final, Protocol, Self

import anyio
import anyio.lowlevel
from anyio.abc import TaskGroup

from couchette import limits, surroundings, workers
from couchette.errors import DatabaseNotFound, ReplicationFailed
from couchette.replication.failures import DENIED, heals
from couchette.replication.options import Options
from couchette.replication.peer import Peer
from couchette.replication.session import Session
from couchette.replication.status import Direction, Event, Outcome, State, Status, Tracker

WORST_FIRST: Final[tuple[State, ...]] = (
    "error",
    "denied",
    "retrying",
    "cancelled",
    "starting",
    "active",
    "idle",
    "complete",
)


class Opener(Protocol):
    """Opens the two peers, as often as it is asked."""

    def __call__(self) -> AbstractAsyncContextManager[tuple[Peer, Peer]]: ...

    def set_auth(self, **auths: Any) -> None:
        """Use other credentials from the next opening on."""


@dataclass(frozen=True)
class SyncStatus:
    """How both directions stand."""

    push: Status
    pull: Status

    @property
    def state(self) -> State:
        """The state of the direction that stands worse."""
        return min(self.push.state, self.pull.state, key=WORST_FIRST.index)

    @property
    def pending(self) -> int | None:
        """Changes of both sides that are not moved yet, where both tell."""
        if self.push.pending is None or self.pull.pending is None:
            return None
        return self.push.pending + self.pull.pending

    def as_json(self) -> dict[str, Any]:
        """The status as JSON, for display."""
        shown = {"push": self.push.as_json(), "pull": self.pull.as_json()}
        return {"state": self.state, "pending": self.pending, **shown}


class _Way:
    """One direction: its tracker, and its sessions one after the other."""

    def __init__(self, options: Options, direction: Direction | None, on_event: Callable[[_Way, Event], None]) -> None:
        self._direction = direction
        self.options = replace(options, live=True)
        self.tracker = Tracker(partial(on_event, self))
        self._failures = 0
        self.source_is_made = False
        """Whether another direction creates the source where it is missing, so that it is worth waiting for."""

    async def run(self, source: Peer, target: Peer) -> None:
        """Replicate until something fails for good."""
        while True:
            try:
                await Session(source, target, self.options, self.tracker, self._direction).run()
            except Exception as exc:
                delay = self.failed(exc)
                changed = None if isinstance(exc, DENIED) else getattr(source, "changed", None)
                await self._pause(delay, changed)

    def failed(self, exc: Exception) -> float:
        """Decide what a failure means: return the seconds to wait, or raise it."""
        if isinstance(exc, DENIED):
            delay, state = limits.DENIED_RETRY_S, "denied"
            self.tracker.disappoint(exc)
        elif self._awaits(exc) or heals(exc, met_before=self.tracker.status.last_contact is not None):
            longest = min(limits.RETRY_MAX_S, limits.RETRY_FIRST_S * 2 ** min(self._failures, 30))
            delay, state = surroundings.random().uniform(longest / 2, longest), "retrying"
            self._failures += 1
        else:
            self.tracker.became("error", exc)
            raise exc
        next_retry = surroundings.now() + timedelta(seconds=delay)
        self.tracker.became("denied" if state == "denied" else "retrying", exc, next_retry)
        return delay

    def _awaits(self, exc: BaseException | None) -> bool:
        return self.source_is_made and isinstance(exc, DatabaseNotFound)

    @property
    def waits_for_source(self) -> bool:
        """Whether it waits for a source that another direction creates."""
        status = self.tracker.status
        return status.state == "retrying" and self._awaits(status.last_error)

    def worked(self) -> bool:
        """The next failure is a first one again; say whether there were failures before this success."""
        failures, self._failures = self._failures, 0
        return failures > 0

    async def _pause(self, delay: float, changed: Callable[[float], Awaitable[None]] | None) -> None:
        """Wait, until there is a reason not to. A program that writes all the time is no reason to try all the time."""
        with self.tracker.pause(delay, anew=True):
            if changed is not None:
                await changed(limits.RETRY_FIRST_S)
            else:
                await anyio.sleep_forever()


class Live:
    """A replication that goes on until it is cancelled; :class:`LiveReplication` or :class:`LiveSync`.

    As an asynchronous context manager it runs during the block and is cancelled at its end; a failure that ended
    it is raised there. All methods are for the event loop's thread.
    """

    def __init__(self, opener: Opener, ways: Mapping[Direction | None, Options]) -> None:
        self._opener = opener
        self._ways = [_Way(options, direction, self._happened) for direction, options in ways.items()]
        self._scope: anyio.CancelScope | None = None
        self._opened: anyio.CancelScope | None = None
        self._cancelled = False
        self._outcome: Outcome | None = None
        """Set when it has ended: what ended it, or False for a cancellation."""
        self._tasks: TaskGroup | None = None

    # -- Running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Replicate until :meth:`cancel`, in the calling task. Raises what waiting cannot heal."""
        if self._scope is not None:
            raise ReplicationFailed("A live replication runs only once.", "Make another one.")
        outcome: Outcome = False
        try:
            with anyio.CancelScope() as self._scope:
                if self._cancelled:
                    self._scope.cancel()
                await anyio.lowlevel.checkpoint()
                while True:
                    with anyio.CancelScope() as self._opened:
                        await self._run_opened()
        except BaseExceptionGroup as group:
            failure = workers.single_failure(group)
            outcome = failure if isinstance(failure, Exception) else False
            raise failure from failure.__cause__
        except Exception as exc:
            outcome = exc
            raise
        finally:
            self._end(outcome)

    async def _run_opened(self) -> None:
        """Open the peers and run all ways over them; a pair that cannot be opened is like a session that failed."""
        async with AsyncExitStack() as stack:
            try:
                first, second = await stack.enter_async_context(self._opener())
            except Exception as exc:
                delay = max([way.failed(exc) for way in self._ways])
                with self._ways[0].tracker.pause(delay, anew=True):
                    await anyio.sleep_forever()
                return
            async with anyio.create_task_group() as tasks:
                for way, (source, target) in zip(self._ways, ((first, second), (second, first)), strict=False):
                    tasks.start_soon(way.run, source, target)

    def _end(self, outcome: Outcome) -> None:
        """Every way is told, though one of them may be what ended it."""
        self._outcome = outcome
        known = any(way.tracker.status.state == "error" for way in self._ways)
        for way in self._ways:
            if isinstance(outcome, Exception) and not known:
                way.tracker.ended("error", outcome)
            elif way.tracker.status.state != "error":
                way.tracker.ended("cancelled")
            way.tracker.disappoint(outcome)

    def _happened(self, way: _Way, event: Event) -> None:
        """Draw conclusions from what a way tells, and hand it on."""
        if event.kind == "batch" or event.status.state == "idle":
            worked = way.worked()
            # The other may try again, or look whether the database that came back is the one that went.
            for other in self._ways:
                if other is not way and (
                    other.waits_for_source or (worked and other.tracker.status.state in ("retrying", "idle"))
                ):
                    other.tracker.wake()
        if way.options.on_event is not None:
            way.options.on_event(event)

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run_quietly)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        assert self._tasks is not None
        self.cancel()
        await self._tasks.__aexit__(None, None, None)
        if isinstance(self._outcome, Exception) and exc is None:
            raise self._outcome

    async def _run_quietly(self) -> None:
        """What ends it shall not cancel the block, which can ask for it; the end of the block raises it."""
        with suppress(Exception):
            await self.run()

    def __repr__(self) -> str:
        return f"<couchette live replication, {' and '.join(way.tracker.status.state for way in self._ways)}>"

    # -- What a program asks and says -----------------------------------------------------------------

    def cancel(self) -> None:
        """End it. What was written stays, and the next replication goes on after the newest checkpoint."""
        self._cancelled = True
        if self._scope is not None:
            self._scope.cancel()

    def retry(self) -> None:
        """Try now, where it waits to try again, and offer refused documents again: something has changed."""
        for way in self._ways:
            way.tracker.wake()

    def set_auth(self, **auths: Any) -> None:
        """Use other credentials for ``source`` and ``target``, or ``near`` and ``far``; and try now."""
        self._opener.set_auth(**auths)
        if self._opened is not None:
            self._opened.cancel()

    async def wait_until_synced(self, timeout: float | None = None) -> bool:
        """Wait until all that both sides hold at this moment has been moved; see :class:`Status` for how it goes on.

        False if ``timeout`` seconds pass before, if it is cancelled, or if the target refuses some of it. Raises what
        ended the replication, or keeps it from going on until credentials are changed.
        """
        outcomes: list[Outcome] = []
        told = anyio.Event()

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            told.set()

        self.when_synced(tell)
        with anyio.move_on_after(timeout):
            await told.wait()
        outcome = outcomes[0] if outcomes else False
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def when_synced(self, tell: Callable[[Outcome], object]) -> None:
        """Call ``tell`` once with what :meth:`wait_until_synced` returns or raises."""
        if self._outcome is not None:
            tell(self._outcome)
            return
        outcomes: list[Outcome] = []

        def collect(outcome: Outcome) -> None:
            outcomes.append(outcome)
            if len(outcomes) == len(self._ways):
                failures = [one for one in outcomes if isinstance(one, BaseException)]
                tell(failures[0] if failures else all(outcomes))

        for way in self._ways:
            way.tracker.when_synced(collect)


class LiveReplication(Live):
    """One direction, going on."""

    def __init__(self, opener: Opener, options: Options) -> None:
        super().__init__(opener, {None: options})

    @property
    def status(self) -> Status:
        """How it stands now."""
        return self._ways[0].tracker.status


class LiveSync(Live):
    """Both directions, going on side by side; only the far database is created."""

    def __init__(self, opener: Opener, options: Options) -> None:
        super().__init__(opener, {"push": options, "pull": replace(options, create_target=False)})
        self._ways[1].source_is_made = options.create_target

    @property
    def status(self) -> SyncStatus:
        """How both directions stand now."""
        return SyncStatus(*(way.tracker.status for way in self._ways))
