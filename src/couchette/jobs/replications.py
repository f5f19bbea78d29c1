"""``Environment.replications``: named replications that start with the program."""

from __future__ import annotations

import atexit
import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import anyio
from anyio.abc import TaskStatus

from couchette import limits, workers
from couchette.access import Auth
from couchette.errors import BadRequest, NotFound
from couchette.jobs.job import Credentials, Job, JobStatus, Outcome, TargetView
from couchette.jobs.plan import Plan, side_as_json
from couchette.jobs.scheduler import Scheduler, stored_status
from couchette.notifier import loop_caller
from couchette.replication import Options, ReplicationOptions
from couchette.replication.runner import Work
from couchette.wire.names import REPLICATOR

if TYPE_CHECKING:
    from couchette.database import Database, Doc
    from couchette.environment import Environment

logger = logging.getLogger(__name__)


class Replication(Mapping[str, Any]):
    """A named replication: as a mapping, its document without credentials."""

    def __init__(self, replications: Replications, name: str) -> None:
        self.name = name
        self._replications = replications

    @property
    def status(self) -> JobStatus:
        """How it stands now. Raises NotFound when it was removed."""
        return self._replications.status(self.name)

    def retry(self) -> None:
        """Try now, where it waits to try again."""
        self._act(Job.retry)

    def set_auth(self, **auths: Auth) -> None:
        """Use other credentials for ``source`` or ``target``, not stored, until the program ends; and try now."""
        self._act(lambda job: job.set_auth(**auths))

    def wait_until_synced(self, timeout: float | None = None) -> bool:
        """Wait until all that the source holds at this moment is on the target; see ``LiveReplication``.

        False if ``timeout`` seconds pass before, if it is removed or stopped, or if the target refuses some of it.
        Raises what keeps it from going on, and BadRequest where nothing runs it. Not for an event loop that runs it
        itself: there it is :meth:`wait_until_synced_async`.
        """
        told: Future[Outcome] = Future()
        self._ask(told.set_result)
        try:
            return _outcome(told.result(timeout))
        except FutureTimeout:
            return False

    async def wait_until_synced_async(self, timeout: float | None = None) -> bool:
        """Async :meth:`wait_until_synced`."""
        outcomes: list[Outcome] = []
        told, soon = anyio.Event(), loop_caller()

        def tell(outcome: Outcome) -> None:
            outcomes.append(outcome)
            soon(told.set)

        self._ask(tell)
        with anyio.move_on_after(timeout):
            await told.wait()
        return _outcome(outcomes[0]) if outcomes else False

    def _ask(self, tell: Callable[[Outcome], object]) -> None:
        """Have this called in the loop that runs the jobs, once it is known."""
        self._document()
        if not self._replications.call(partial(self._replications.scheduler.when_synced, self.name, tell)):
            raise BadRequest("The replications are not running.", "Call env.replications.start() first.")

    def _act(self, act: Callable[[Job], object]) -> None:
        self._replications.call(partial(self._replications.scheduler.with_job, self.name, act))

    def __getitem__(self, member: str) -> Any:
        return self._document()[member]

    def __iter__(self) -> Iterator[str]:
        return iter(self._document())

    def __len__(self) -> int:
        return len(self._document())

    def _document(self) -> Doc:
        doc = self._replications.document(self.name)
        return {**doc, **Plan.from_json(doc).as_json()}

    def __repr__(self) -> str:
        return f"<couchette replication {self.name!r}, {self.status.state}>"


def _outcome(outcome: Outcome) -> bool:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


class Replications(Mapping[str, Replication]):
    """The replications of an environment that are kept in its database ``_replicator``, by name.

    They are written down by :meth:`add`, and run between :meth:`start` and :meth:`stop`, or while :meth:`run` does. All
    methods may be called from any thread; those that read or write documents block as a database does.
    """

    def __init__(self, environment: Environment) -> None:
        self.scheduler = Scheduler(environment)
        self._environment = environment
        self._lock = threading.RLock()
        self._wanted = False
        self._work: Work | None = None
        self._thread: threading.Thread | None = None

    # -- Documents ------------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        source: str | Database,
        target: str | Database,
        *,
        live: bool = True,
        source_auth: Auth | None = None,
        target_auth: Auth | None = None,
        **options: Unpack[ReplicationOptions],
    ) -> Replication:
        """Write down a replication, so that it runs now, if any do, and whenever the program does.

        What is written already is left alone, so a program may say this each time it starts. Another replication of
        this name is replaced.

        Args:
            source, target: each a URL, or a database of this environment or its name.
            live: go on for ever; otherwise it is run once, and its document then says ``completed``.
            source_auth, target_auth: stored in the document in clear, as CouchDB does it, unless the environment has a
                key. To store none, leave them out and give :meth:`start` a function.
            options: as for ``replicate``, but no functions: those cannot be stored.

        Raises BadRequest for options that do not go together or cannot be stored.
        """
        for callback in ("progress", "on_event"):
            if options.get(callback) is not None:
                raise BadRequest(f"`{callback}` cannot be stored.", "Look at the replication's status instead.")
        sides = {
            "source": side_as_json(self._place(source), source_auth),
            "target": side_as_json(self._place(target), target_auth),
        }
        doc = {"_id": name, **sides, **Options(live=live, **options).as_json()}
        plan = Plan.from_json(doc)
        database = self._environment[REPLICATOR]
        stored = _stored(database, name)
        if _plan(stored) != plan:
            database.put({**doc, "_rev": stored["_rev"]} if stored else doc)
        return Replication(self, name)

    def remove(self, name: str) -> None:
        """Forget a replication; it ends soon after. What it moved stays. Raises NotFound."""
        self.document(name)
        del self._environment.open(REPLICATOR)[name]

    def document(self, name: str) -> Doc:
        """The document of a replication, credentials included. Raises NotFound."""
        if REPLICATOR not in self._environment or name.startswith("_"):
            raise _missing(name)
        try:
            doc: Doc = self._environment.open(REPLICATOR).get(name)
        except NotFound as exc:
            raise _missing(name) from exc
        return doc

    def status(self, name: str) -> JobStatus:
        """How a replication stands. Raises NotFound."""
        doc = self.document(name)
        status = self.scheduler.named(name)
        return stored_status(name, doc) if status is None else status

    def _place(self, side: str | Database) -> str:
        if isinstance(side, str):
            return side
        if side.name not in self._environment or self._environment.open(side.name) is not side:
            raise BadRequest(
                "The database is not of this environment.", f"Open {side.name!r} through it, or give a URL."
            )
        return side.name

    def __getitem__(self, name: str) -> Replication:
        self.document(name)
        return Replication(self, name)

    def __delitem__(self, name: str) -> None:
        self.remove(name)

    def __iter__(self) -> Iterator[str]:
        if REPLICATOR in self._environment:
            names = list(self._environment.open(REPLICATOR))
            yield from (name for name in names if not name.startswith("_design/"))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<couchette.Replications {list(self)}>"

    # -- Running --------------------------------------------------------------------------------------

    @property
    def running(self) -> bool:
        """Whether replications run, or would as soon as there is one."""
        return self._wanted or self.scheduler.running

    def start(self, auth: Credentials | None = None) -> None:
        """Run the replications on a background thread until :meth:`stop`, or until the environment is closed.

        ``auth`` is called with a replication's name and the URL of a side each time that side is opened, and returns
        who to be there, as ``replicate`` takes it, or None for what is stored. It runs in a worker thread. Where they
        run already, ``auth`` alone is noted. The thread begins with the first replication.

        Two programs that start the replications of one folder both run them, which does no harm, and twice the work.
        """
        with self._lock:
            if auth is not None:
                self.scheduler.credentials = auth
            self._wanted = not self.scheduler.running or self._work is not None
            if self._wanted and REPLICATOR in self._environment:
                self._begin()

    def stop(self) -> None:
        """End them, and wait for their end. What was written stays; they go on from there when started again."""
        with self._lock:
            self._wanted = False
            work, thread, self._work, self._thread = self._work, self._thread, None, None
        if work is not None and thread is not None:
            work.cancel()
            thread.join()
            atexit.unregister(self.stop)

    async def run(
        self, auth: Credentials | None = None, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Async :meth:`start`: run them in the calling task until it is cancelled. BadRequest where they run.

        ``await tasks.start(env.replications.run)`` puts it into a task group.
        """
        if auth is not None:
            self.scheduler.credentials = auth
        await self.scheduler.run(task_status=task_status)

    def begin(self, plan: Plan, user: str | None = None, as_target: TargetView | None = None) -> Job:
        """Run a continuous replication without a document, beside the others; it ends with the program.

        ``user`` is whom the listings name for it; ``as_target`` gives a database of this environment as it may be
        written to.
        """
        job = self.scheduler.begin(plan, user, as_target)
        with self._lock:
            if not self.scheduler.running:
                self._wanted = True
                self._begin()
        return job

    def database_appeared(self) -> None:
        """The environment opened ``_replicator``, which may be new."""
        with self._lock:
            if self._wanted:
                self._begin()
        self.call(self.scheduler.wake)

    def call(self, function: Callable[[], object]) -> bool:
        """Have the loop that runs the jobs call a function; False where none does."""
        with self._lock:
            work = self._work
        return self.scheduler.call(function) if work is None else work.call_soon(function)

    async def _run_logged(self) -> None:
        """Run until it is cancelled. Nobody waits for the thread: what ended it would not be heard of, nor undone."""
        while True:
            try:
                await self.scheduler.run()
            except Exception:
                logger.exception("the replications of %s ended; they begin again", self._environment.folder)
            await anyio.sleep(limits.RETRY_MAX_S)

    def _begin(self) -> None:
        """Start the thread, unless it runs."""
        if self._work is not None:
            return
        self._work = Work(self._run_logged)
        run = partial(workers.thread_context().run, self._work.run)
        # A program that forgets to stop them must be able to end; its exit then stops them first.
        self._thread = threading.Thread(target=run, name="couchette-replications", daemon=True)
        atexit.register(self.stop)
        self._thread.start()


def _stored(database: Database, name: str) -> Doc:
    """The document of this name; an empty one where there is none."""
    try:
        return database[name]
    except NotFound:
        return {}


def _plan(doc: Doc) -> Plan | None:
    try:
        return Plan.from_json(doc)
    except BadRequest:
        return None


def _missing(name: str) -> NotFound:
    return NotFound("missing", f"There is no replication {name!r}; add it first.")
