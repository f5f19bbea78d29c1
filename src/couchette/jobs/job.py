"""One job: its replication, run again and again for as long as that can help, and what is known of it.

A continuous job is a :class:`~couchette.replication.LiveReplication`, which outlives cut lines and refused
credentials by itself; they count as crashes here all the same, since that is what a person looks for. What ends the
replication crashes the job, and it begins anew after a pause that doubles, as CouchDB's scheduler has it. A plan that
cannot be carried out at all (:data:`HOPELESS`) fails for good.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, Self

import anyio

from couchette import limits, surroundings, workers
from couchette.access import Auth
from couchette.errors import BadRequest, CouchetteError, DatabaseExists, MissingExtra
from couchette.jobs.plan import Plan, Side
from couchette.notifier import loop_caller
from couchette.replication import Event, LiveReplication, LocalPeer, Peer, ReplicationResult, Status, replicate_once

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.environment import Environment

JobState = Literal["initializing", "running", "pending", "crashing", "completed", "failed"]
Outcome = bool | BaseException
Credentials = Callable[[str, str], Auth | None]
"""Given a job's name and the URL of one side, without credentials: whom to be there, or None for what is stored."""
TargetView = Callable[["Database"], "Database"]
"""Gives a database as whoever asked for a replication may write to it."""

HOPELESS: Final = (BadRequest, MissingExtra)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobStatus:
    """A job as it stood when it was asked for.

    Attributes:
        name: of its document; None for a job of ``_replicate``.
        state: ``initializing``: it was just seen. ``running``. ``pending``: nothing runs jobs now, ``start()`` does; or
            too many run, and it waits for its turn.
            ``crashing``: it failed (``error``), and tries again by itself. ``completed``: a one-time job is through.
            ``failed``: it cannot be done as it is written; change its document.
        id: the replication's, as CouchDB lists it; None where the document is no replication.
        source, target: the two sides, without credentials.
        continuous: whether it goes on until it is stopped.
        error: why it is ``crashing`` or ``failed``.
        error_count: failures since it last worked.
        start_time, last_updated: when it was first seen, and when something last happened.
        history: what happened, newest first: ``{"timestamp", "type", "reason"}``, the type being ``added``,
            ``started``, ``stopped`` (another had its turn) or ``crashed``.
        replication: how the replication under it stands, or stood last.
        user: who began it by ``_replicate``; None for an administrator where there is none, and for a document.
    """

    name: str | None
    state: JobState
    id: str | None = None
    source: str | None = None
    target: str | None = None
    continuous: bool = False
    error: str | None = None
    error_count: int = 0
    start_time: datetime | None = None
    last_updated: datetime | None = None
    history: tuple[Mapping[str, Any], ...] = ()
    replication: Status | None = None
    user: str | None = None

    @classmethod
    def of(cls, name: str | None, plan: Plan | None) -> Self:
        """A job that nothing is known of yet but its plan, which may be none."""
        if plan is None:
            return cls(name, "initializing")
        return cls(name, "initializing", plan.id, plan.source.shown, plan.target.shown, plan.continuous)

    @property
    def numbers(self) -> dict[str, Any]:
        """What was moved, under the names of CouchDB's listings."""
        status = self.replication
        if status is None:
            return {}
        return {
            "revisions_checked": status.missing_checked,
            "missing_revisions_found": status.missing_found,
            "docs_read": status.docs_read,
            "docs_written": status.docs_written,
            "doc_write_failures": status.doc_write_failures,
            "changes_pending": status.pending,
            "checkpointed_source_seq": status.last_seq,
            "source_seq": status.last_seq,
            "through_seq": status.last_seq,
        }


class Job:
    """A plan being carried out. Its methods are for the event loop that runs it, unless they say otherwise.

    ``ended`` is awaited when it is completed or failed, with the job.
    """

    def __init__(
        self,
        environment: Environment,
        plan: Plan | None,
        *,
        name: str | None = None,
        credentials: Credentials | None,
        user: str | None = None,
        as_target: TargetView | None = None,
    ) -> None:
        self.plan = plan
        self._as_target = as_target
        self._environment = environment
        self._credentials = credentials
        self._auths: dict[str, Any] = {}
        self._scope: anyio.CancelScope | None = None
        self._cancelled = False
        self._again: anyio.Event | None = None
        self._live: LiveReplication | None = None
        self._soon: Callable[[Callable[[], object]], object] | None = None
        self._tells: list[Callable[[Outcome], object]] = []
        self._history: deque[Mapping[str, Any]] = deque(maxlen=limits.JOB_HISTORY_MAX)
        now = surroundings.now()
        self._status = replace(JobStatus.of(name, plan), start_time=now, last_updated=now, user=user)
        self._note("added")

    # -- What is known --------------------------------------------------------------------------------

    @property
    def status(self) -> JobStatus:
        """How it stands now. Any thread may ask."""
        live = self._live
        shown = self._status if live is None else replace(self._status, replication=live.status)
        return replace(shown, history=tuple(self._history))

    @property
    def is_over(self) -> bool:
        """Whether it is completed or failed."""
        return self._status.state in ("completed", "failed")

    def settle(self, state: JobState, error: str | None = None) -> None:
        """Enter a state, also one that another program brought it to."""
        self._status = replace(self._status, state=state, error=error, last_updated=surroundings.now())

    @property
    def may_rest(self) -> bool:
        """Whether another job may have its turn before it is over."""
        return self._status.state == "crashing" or (self.plan is not None and self.plan.continuous)

    def wait_in_line(self) -> None:
        """Too many others run: it waits until it is its turn, or its turn again."""
        if self._status.state == "running":
            self._note("stopped")
        self.settle("pending", self._status.error)

    def _note(self, kind: str, reason: str | None = None) -> None:
        moment = timestamp(surroundings.now())
        self._history.appendleft({"timestamp": moment, "type": kind, **({} if reason is None else {"reason": reason})})

    def _crashed(self, exc: BaseException) -> None:
        self.settle("crashing", told(exc))
        self._status = replace(self._status, error_count=self._status.error_count + 1)
        self._note("crashed", told(exc))

    def _happened(self, event: Event) -> None:
        """Follow the replication under the job."""
        status = event.status
        self._status = replace(self._status, last_updated=surroundings.now(), replication=status)
        if event.kind != "state":
            return
        if status.state in ("retrying", "denied"):
            assert status.last_error is not None
            self._crashed(status.last_error)
        elif status.state in ("active", "idle") and self._status.state != "running":
            self._note("started")
            self.settle("running")
        if status.state == "idle":
            self._status = replace(self._status, error_count=0)

    # -- Running --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carry it out until it is completed, failed or cancelled. Raises nothing."""
        with self._cancellable():
            while not self.is_over:
                try:
                    await self._run_once()
                except Exception as exc:
                    self._failed(exc)
                    if not self.is_over:
                        await self._pause()
        self._tell(self._status.state == "completed")

    async def run_to_end(self) -> ReplicationResult | None:
        """Carry out a one-time plan, once; raise what makes it fail. None if it was cancelled."""
        result = None
        with self._cancellable():
            result = await self._run_once()
        return result

    @contextmanager
    def _cancellable(self) -> Iterator[None]:
        with anyio.CancelScope() as self._scope:
            self._soon = loop_caller()
            if self._cancelled:
                self._scope.cancel()
            yield

    async def _run_once(self) -> ReplicationResult | None:
        assert self.plan is not None
        self._note("started")
        self.settle("running")
        opener = Opener(self._environment, self.plan, self._auth, self._as_target)
        options = replace(self.plan.options, on_event=self._happened)
        if self.plan.continuous:
            self._live = LiveReplication(opener, options)
            for tell in self._take_tells():
                self._live.when_synced(tell)
            try:
                await self._live.run()
            finally:
                self._status, self._live = replace(self._status, replication=self._live.status), None
            return None
        async with opener() as (source, target):
            result = await replicate_once(source, target, options)
        self.settle("completed")
        return result

    def _failed(self, exc: Exception) -> None:
        if not isinstance(exc, CouchetteError):
            logger.error("replication %s crashed", self._status.name or self._status.id, exc_info=exc)
        self._crashed(exc)
        if isinstance(exc, HOPELESS):
            self.settle("failed", told(exc))
        self._tell(exc)

    async def _pause(self) -> None:
        doublings = min(self._status.error_count, 30) - 1
        self._again = anyio.Event()
        with anyio.move_on_after(min(limits.JOB_RETRY_MAX_S, limits.JOB_RETRY_FIRST_S * 2**doublings)):
            await self._again.wait()

    async def _auth(self, side: Side, member: str) -> Auth | None:
        """Whom to be on one side: what the program said last, what it says now, or what is stored."""
        if member in self._auths:
            return self._auths[member]
        if self._credentials is None:
            return side.auth
        given = await workers.in_thread(self._credentials, self._status.name or "", side.shown)
        return side.auth if given is None else given

    # -- What others ask of it ------------------------------------------------------------------------

    def cancel(self) -> None:
        """End it. Any thread may ask; where it does not run yet, it never will."""
        self._cancelled = True
        if self._soon is not None and self._scope is not None:
            self._soon(self._scope.cancel)

    def retry(self) -> None:
        """Try now, where it waits to try again."""
        self._wake()
        if self._live is not None:
            self._live.retry()

    def set_auth(self, **auths: Any) -> None:
        """Use other credentials for ``source`` or ``target`` until the program ends; and try now."""
        self._auths.update(auths)
        self._wake()
        if self._live is not None:
            self._live.set_auth(**auths)

    def _wake(self) -> None:
        if self._again is not None:
            self._again.set()

    def when_synced(self, tell: Callable[[Outcome], object]) -> None:
        """Call ``tell`` once: True when all that the source holds now is on the target; False, or why it is not."""
        if self._status.state == "completed":
            tell(True)
        elif self.is_over:
            tell(BadRequest("The replication failed.", self._status.error or ""))
        elif self._live is not None:
            self._live.when_synced(tell)
        else:
            self._tells.append(tell)

    def _take_tells(self) -> list[Callable[[Outcome], object]]:
        tells, self._tells = self._tells, []
        return tells

    def _tell(self, outcome: Outcome) -> None:
        for tell in self._take_tells():
            tell(outcome)


class Opener:
    """Opens the two peers of a plan, with the credentials that hold when they are opened."""

    def __init__(
        self, environment: Environment, plan: Plan, auth: Callable[[Side, str], Any], as_target: TargetView | None
    ) -> None:
        self._environment = environment
        self._plan = plan
        self._auth = auth
        self._as_target = as_target

    def set_auth(self, **auths: Any) -> None:
        """The job knows them: it is asked at each opening."""

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[tuple[Peer, Peer]]:
        source = await self._peer(self._plan.source, "source", make=False)
        make = self._plan.options.create_target and not self._plan.target.is_url
        if make and self._plan.target.place not in self._environment:
            async with source:
                await source.info()  # No database is made for a source that is not there.
        yield source, await self._peer(self._plan.target, "target", make=make)

    async def _peer(self, side: Side, member: str, *, make: bool) -> Peer:
        if side.is_url:
            from couchette.remote import RemotePeer  # Only a URL pays for the import of an HTTP client.

            auth = await self._auth(side, member)
            return RemotePeer(side.place, auth, headers=side.headers, proxy=side.proxy)
        find = self._opened_or_made if make else self._environment.open
        database = await workers.in_thread(find, side.place)
        if member == "target" and self._as_target is not None:
            database = self._as_target(database)
        return LocalPeer(database._pool, label=side.place)

    def _opened_or_made(self, name: str) -> Database:
        """The database; where it is made, of ``create_target_params`` only ``partitioned`` concerns a single file."""
        partitioned = str((self._plan.options.create_target_params or {}).get("partitioned", False)).lower()
        if partitioned not in ("true", "false"):
            raise BadRequest("Invalid `partitioned` parameter", f"Got {partitioned!r}; give true or false.")
        if partitioned == "true" and name not in self._environment:
            with suppress(DatabaseExists):  # Another job may be first.
                return self._environment.create(name, partitioned=True)
        return self._environment[name]


def told(exc: BaseException) -> str:
    """A failure in words. Errors of ours hold no secrets; of others only the kind is told."""
    return str(exc) if isinstance(exc, CouchetteError) else f"{type(exc).__name__}; the log has the cause."


def timestamp(moment: datetime) -> str:
    """A time as CouchDB writes it in listings: ``2026-11-21T07:58:48Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
