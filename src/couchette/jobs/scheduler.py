"""Follows the database ``_replicator`` and runs what its documents say.

There is one way in: a document. The scheduler reads the database's changes, from the first to the newest and then as
they happen, whoever makes them, and keeps a job for each document. A document whose plan is still the same keeps its
job, so that what is merely touched goes on undisturbed. When a job is through, that is written into the document as
CouchDB writes it (``_replication_state``), and a document that says so is not run again. While there is no such
database, it waits for one.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio.abc import TaskGroup, TaskStatus

from couchette import jsonio, limits, stopping, surroundings, workers
from couchette.async_database import AsyncDatabase
from couchette.database import Database, Doc
from couchette.errors import BadRequest, Conflict, CouchetteError, DatabaseClosed, DatabaseNotFound, NotFound
from couchette.jobs.job import Credentials, Job, JobState, JobStatus, Outcome, TargetView, timestamp, told
from couchette.jobs.plan import Plan
from couchette.jobs.turns import Turns
from couchette.notifier import loop_caller
from couchette.replication import ReplicationResult
from couchette.stopping import Stop
from couchette.wire.names import REPLICATOR

if TYPE_CHECKING:
    from couchette.environment import Environment

STATE, REASON, STATE_TIME = "_replication_state", "_replication_state_reason", "_replication_state_time"
ID, STATS = "_replication_id", "_replication_stats"
ENDS: Mapping[str, JobState] = {"completed": "completed", "failed": "failed"}
"""States in a document that keep it from being run."""

logger = logging.getLogger(__name__)


class Scheduler:
    """Runs the jobs of an environment, in one event loop at a time: see :meth:`run`.

    Methods that are not asynchronous may be called from any thread.
    """

    def __init__(self, environment: Environment) -> None:
        self.credentials: Credentials | None = None
        self.as_target: TargetView | None = None
        """A database of the environment as jobs of documents may write to it; None for as it is."""
        self._environment = environment
        self._by_name: dict[str, Job] = {}
        self._docs: dict[str, Doc] = {}
        """The document that each job was made of, or that was written about it since."""
        self._transient: dict[str, Job] = {}
        """Jobs without a document, by their ids."""
        self.turns = Turns()
        """How many run at once."""
        self._waiting: dict[str, list[Callable[[Outcome], object]]] = {}
        """Who waits for jobs that were not seen yet."""
        self._lock = threading.Lock()
        self._soon: Callable[[Callable[[], object]], object] | None = None
        self._tasks: TaskGroup | None = None
        self._appeared: anyio.Event | None = None
        self._stop = _new_stop()
        """Ends what jobs do in worker threads, such as a filter, which a cancellation would wait for."""

    # -- What others ask ------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether a loop runs it now."""
        return self._soon is not None

    def named(self, name: str) -> JobStatus | None:
        """How the job of a document stands; None where it was not seen yet, or no jobs are run."""
        job = self._by_name.get(name)
        return None if job is None else job.status

    def all(self) -> list[JobStatus]:
        """How all jobs stand: those with a document by name, then the others."""
        named = [job.status for _, job in sorted(self._by_name.items())]
        return named + [job.status for job in list(self._transient.values())]

    def transient(self, job_id: str) -> Job | None:
        """The job of ``_replicate`` of this id."""
        return self._transient.get(job_id)

    def call(self, function: Callable[[], object]) -> bool:
        """Have the loop call a function; False where none runs."""
        with self._lock:
            if self._soon is not None:
                self._soon(function)
            return self._soon is not None

    def wake(self) -> None:
        """In the loop: look again whether there is a database to follow."""
        if self._appeared is not None:
            self._appeared.set()

    def with_job(self, name: str, act: Callable[[Job], object]) -> None:
        """In the loop: do something with the job of a document, if there is one."""
        if (job := self._by_name.get(name)) is not None:
            act(job)

    def when_synced(self, name: str, tell: Callable[[Outcome], object]) -> None:
        """In the loop: :meth:`Job.when_synced`, also for a job that was not seen yet."""
        if (job := self._by_name.get(name)) is not None:
            job.when_synced(tell)
        else:
            self._waiting.setdefault(name, []).append(tell)

    # -- Jobs without a document ----------------------------------------------------------------------

    def begin(self, plan: Plan, user: str | None = None, as_target: TargetView | None = None) -> Job:
        """Run a continuous plan until it is cancelled, or the program ends. The same plan twice is one job."""
        with self._lock:
            job = self._transient.get(plan.id)
            if job is None:
                job = Job(self._environment, plan, credentials=self.credentials, user=user, as_target=as_target)
                self._transient[plan.id] = job
                if self._soon is not None:
                    self._soon(partial(self._start, job))
            return job

    def end(self, job: Job) -> None:
        """Cancel a job of :meth:`begin` or :meth:`replicate`, and forget it."""
        assert job.plan is not None
        self._transient.pop(job.plan.id, None)
        job.cancel()

    async def replicate(
        self, plan: Plan, user: str | None = None, as_target: TargetView | None = None
    ) -> ReplicationResult | None:
        """Carry out a one-time plan in the calling task; it is listed meanwhile. None if it was cancelled.

        Raises what the replication raises.
        """
        job = Job(self._environment, plan, credentials=self.credentials, user=user, as_target=as_target)
        self._transient[plan.id] = job
        try:
            return await job.run_to_end()
        finally:
            if self._transient.get(plan.id) is job:
                del self._transient[plan.id]

    # -- Running --------------------------------------------------------------------------------------

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Run all jobs in the calling task, until it is cancelled. Raises BadRequest where another loop does."""
        soon = loop_caller()
        with self._lock:
            if self._soon is not None:
                raise BadRequest("The replications run already.", "Call stop() first.")
            self._soon = soon
            begun = list(self._transient.values())
        self._appeared = anyio.Event()
        self._stop = _new_stop()
        self.turns.begin()
        task_status.started()
        try:
            async with anyio.create_task_group() as self._tasks:
                self._tasks.start_soon(self.turns.rotate)
                self._tasks.start_soon(_set_at_the_end, self._stop)
                for job in begun:
                    self._start(job)
                await self._follow()
        finally:
            with self._lock:
                self._soon = None
            self._forget_all()
            self._transient.clear()
            self._tell_all(False)

    async def _follow(self) -> None:
        while True:
            assert self._appeared is not None
            if REPLICATOR not in self._environment:
                await self._appeared.wait()
            self._appeared = anyio.Event()
            try:
                await self._follow_database(await workers.in_thread(self._environment.open, REPLICATOR))
            except (DatabaseClosed, DatabaseNotFound):
                self._forget_all()
            except Exception:  # Whatever it is, the jobs that run already go on.
                logger.exception("the database %s cannot be followed", REPLICATOR)
                await anyio.sleep(limits.RETRY_MAX_S)

    async def _follow_database(self, database: Database) -> None:
        """Keep a job for each document. Raises DatabaseClosed when the database goes."""
        since: Any = 0
        followed = AsyncDatabase(database)
        while True:
            page = await followed.changes(since=since, limit=limits.JOBS_PAGE, include_docs=True)
            for row in page["results"]:
                if not row["id"].startswith("_design/"):
                    self._see_alone(row["id"], None if row.get("deleted") else row["doc"])
            since = page["last_seq"]
            if not page["results"]:
                await followed.wait_changes(since)

    def _see_alone(self, name: str, doc: Doc | None) -> None:
        """See a document, which must not end the jobs of others, whatever it is."""
        try:
            self._see(name, doc)
        except Exception as exc:
            logger.exception("the document %r of %s cannot be followed", name, REPLICATOR)
            self._forget(name)
            job = self._by_name[name] = Job(self._environment, None, name=name, credentials=None)
            job.settle("failed", told(exc))

    def _see(self, name: str, doc: Doc | None) -> None:
        """Bring the job of a document in line with it."""
        job = self._by_name.get(name)
        if doc is None:
            self._forget(name)
            return
        plan, problem = _read(doc)
        end = _end(doc)
        same = job is not None and job.plan == plan and plan is not None
        self._docs[name] = doc
        if same and job is not None and (not job.is_over if end is None else job.status.state == end):
            return
        if job is not None:
            job.cancel()
        job = self._by_name[name] = Job(
            self._environment, plan, name=name, credentials=self.credentials, as_target=self._as_target
        )
        if end is not None:
            job.settle(end, _reason(doc) if end == "failed" else None)
        elif problem is not None:
            job.settle("failed", problem)
        for tell in self._waiting.pop(name, ()):  # Now that it is known whether it is over.
            job.when_synced(tell)
        assert self._tasks is not None
        if end is None:
            self._start(job)

    def _as_target(self, database: Database) -> Database:
        """A server may be begun after the job was."""
        return database if self.as_target is None else self.as_target(database)

    def _start(self, job: Job) -> None:
        assert self._tasks is not None
        self._tasks.start_soon(self._run, job)

    async def _run(self, job: Job) -> None:
        """Carry a job out and write down its end. Raises nothing: that would end all other jobs."""
        try:
            # Alone: who had the job begin may have a stop of its own, such as a server that it outlives.
            with stopping.heeding(self._stop, alone=True):
                await self.turns.run(job, job.run)
        except Exception:
            logger.exception("replication %s ended", job.status.name or job.status.id)
        pause_s = limits.JOB_RETRY_FIRST_S
        while (name := job.status.name) is not None and job.is_over and self._by_name.get(name) is job:
            try:
                await workers.in_thread(self._write_end, job.status, self._docs[name])
                return
            except Exception:  # A full disk, a database that another program keeps busy.
                logger.exception("the end of replication %s cannot be written down; it is tried again", name)
            await anyio.sleep(pause_s)
            pause_s = min(2 * pause_s, limits.JOB_RETRY_MAX_S)

    def _write_end(self, status: JobStatus, doc: Doc) -> None:
        """Write into the document that its job is through, unless somebody changed it meanwhile."""
        ended: Doc = {STATE: status.state, STATE_TIME: timestamp(surroundings.now()), ID: status.id}
        if status.error is not None:
            ended[REASON] = status.error
        elif status.replication is not None:
            ended[STATS] = status.numbers
        kept = {name: value for name, value in doc.items() if not name.startswith("_replication_")}
        with suppress(Conflict, NotFound, DatabaseClosed):
            self._environment.open(REPLICATOR).put({**kept, **ended})

    def _forget(self, name: str) -> None:
        job = self._by_name.pop(name, None)
        self._docs.pop(name, None)
        if job is not None:
            job.cancel()

    def _forget_all(self) -> None:
        for name in list(self._by_name):
            self._forget(name)

    def _tell_all(self, outcome: Outcome) -> None:
        waiting, self._waiting = self._waiting, {}
        for tells in waiting.values():
            for tell in tells:
                tell(outcome)


def _new_stop() -> Stop:
    return Stop(partial(CouchetteError, "The replications are stopped.", "They go on when they are started."))


async def _set_at_the_end(stop: Stop) -> None:
    """Set it as soon as this task is cancelled."""
    try:
        await anyio.sleep_forever()
    finally:
        stop.set()


def _read(doc: Doc) -> tuple[Plan | None, str | None]:
    """The plan of a document, or why it has none."""
    try:
        return Plan.from_json(doc), None
    except BadRequest as exc:
        return None, str(exc)


def _end(doc: Mapping[str, Any]) -> JobState | None:
    """The state in a document that keeps it from being run. Anybody who may write there may write anything."""
    state = doc.get(STATE)
    return ENDS.get(state) if isinstance(state, str) else None


def _reason(doc: Mapping[str, Any]) -> str | None:
    reason = doc.get(REASON)
    return reason if reason is None or isinstance(reason, str) else jsonio.dumps(reason).decode()


def stored_status(name: str, doc: Mapping[str, Any]) -> JobStatus:
    """How a job stands while nothing runs it, as far as its document tells."""
    plan, problem = _read(dict(doc))
    state = _end(doc) or ("pending" if problem is None else "failed")
    error = problem or (_reason(doc) if state == "failed" else None)
    return replace(JobStatus.of(name, plan), state=state, error=error)
