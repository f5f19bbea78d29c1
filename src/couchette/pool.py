"""Connections to one database file: who may use which, and when a transaction begins and ends.

One connection writes, under a lock; readers each borrow one of their own, so that they see the last
commit and never wait for the writer (SQLite's WAL). An in-memory database has a single connection that
all share in turn. Only this module opens, locks, commits and publishes.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Concatenate, Literal, ParamSpec, TypeVar

import apsw

from couchette import store
from couchette.errors import CouchetteError, DatabaseBusy, DatabaseClosed, NotADatabase, StoreError
from couchette.limits import (
    BUSY_TIMEOUT_MS,
    CACHE_KIB,
    IDLE_READERS_KEYED_MAX,
    IDLE_READERS_MAX,
    OPEN_RETRY_PAUSE_S,
    PAGE_BYTES,
    STATEMENT_CACHE,
    WAL_PAGES,
)
from couchette.log_mover import LogMover
from couchette.notifier import Notifier
from couchette.tasks import Tasks

P = ParamSpec("P")
T = TypeVar("T")
Durability = Literal["normal", "full"]


class Pool:
    """The connections of one database. Safe to use from many threads."""

    def __init__(
        self, path: str | os.PathLike[str], *, durability: Durability = "normal", key: str | bytes | None = None
    ) -> None:
        """Open the file, making it if it is not there.

        Raises NotADatabase, NewerSchema, WrongKey, StoreError, and MissingExtra for a key that SQLite cannot use.
        """
        self.path = os.fspath(path)
        if not self.path:
            raise StoreError("The path of a database must not be empty.", "Give a file, or ':memory:'.")
        self.notifier = Notifier()
        self.tasks = Tasks()
        """The long work that is done on the database, and how far it is."""
        if durability not in ("normal", "full"):
            raise StoreError(f"durability={durability!r} is unknown.", "Give 'normal' or 'full'.")
        self._durability = durability
        self._shared = self.path == ":memory:"
        self._key = None if key is None else store.check_key(key)
        if self._key is not None and self._shared:
            raise StoreError("A database in memory cannot have a key.", "Leave it out: nothing of it is stored.")
        self._idle_max = IDLE_READERS_MAX if self._key is None else IDLE_READERS_KEYED_MAX
        self._lock = threading.RLock()
        self._idle: deque[apsw.Connection] = deque()
        self._closed = False
        self._on_close: list[Callable[[], object]] = []
        self._owner: int | None = None
        """The thread that is inside :meth:`transaction`."""
        self._log_mover = LogMover(self._move_log)
        self._moves_log: apsw.Connection | None = None
        self._writer = self._open(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)

    def read(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a reading operation on one snapshot of the database; blocks only while it runs."""
        if self._owner is not None and self._owner == threading.get_ident():
            return self._read_inside(op, *args, **kwargs)
        conn = self._borrow()
        try:
            if self._shared:
                return op(conn, *args, **kwargs)
            conn.execute("BEGIN")
            try:
                return op(conn, *args, **kwargs)
            finally:
                # There is nothing to commit, and a COMMIT fails where a damaged page was met.
                conn.execute("ROLLBACK")
        except apsw.Error as exc:
            raise _translated(exc, self.path) from exc
        finally:
            self._give_back(conn)

    def read_one(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run an operation of a single statement, which is a snapshot by itself: cheaper than :meth:`read`."""
        if self._owner is not None and self._owner == threading.get_ident():
            return self._read_inside(op, *args, **kwargs)
        try:
            conn = self._idle.pop()
        except IndexError:
            return self.read(op, *args, **kwargs)
        try:
            return op(conn, *args, **kwargs)
        except apsw.Error as exc:
            raise _translated(exc, self.path) from exc
        finally:
            # As _give_back does it: a call costs a twentieth of a get.
            if len(self._idle) < self._idle_max and not self._closed:
                self._idle.append(conn)
            else:
                conn.close()

    def _borrow(self) -> apsw.Connection:
        """A connection to read with; the in-memory database's only one comes with its lock."""
        if self._shared:
            self._lock.acquire()
            if self._closed:
                self._lock.release()
            self._check_open()
            return self._writer
        try:
            return self._idle.pop()
        except IndexError:
            self._check_open()
            return self._open(apsw.SQLITE_OPEN_READONLY)

    def _give_back(self, conn: apsw.Connection) -> None:
        if self._shared:
            self._lock.release()
        elif len(self._idle) < self._idle_max and not self._closed:
            self._idle.append(conn)
        else:
            conn.close()

    def write(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a writing operation in one transaction: committed when it returns, undone when it raises.

        Waits for this process's other writers, and up to ``limits.BUSY_TIMEOUT_MS`` for another
        process's; then raises DatabaseBusy.
        """
        with self._lock:
            self._check_open()
            conn = self._writer
            if self._owner is not None:
                with self._part():
                    return op(conn, *args, **kwargs)
            if conn.in_transaction:
                hint = "Do not write in what a write calls: a merge function, or a generator of its documents."
                raise StoreError("A write cannot be made inside another one.", hint)
            with _translating(self.path):
                conn.execute("BEGIN IMMEDIATE")
                try:
                    result = op(conn, *args, **kwargs)
                    conn.execute("COMMIT")
                except BaseException:
                    if conn.in_transaction:
                        conn.execute("ROLLBACK")
                    raise
        self.notifier.publish()
        return result

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make one commit of all that this thread writes in the block, or nothing of it when the block raises.

        This thread's reads see what it wrote; others' see nothing before the commit, and others' writes wait
        for it. A write that raises undoes only itself, and so does a block within the block.
        """
        with self._lock:
            self._check_open()
            if self._owner is not None:
                with self._part():
                    yield
                return
            conn = self._writer
            with _translating(self.path):
                conn.execute("BEGIN IMMEDIATE")
            self._owner = threading.get_ident()
            try:
                yield
                self._check_transaction()
                with _translating(self.path):
                    conn.execute("COMMIT")
            except BaseException:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                raise
            finally:
                self._owner = None
        self.notifier.publish()

    def sync(self) -> None:
        """Wait until the disk has every commit so far, as ``durability="full"`` waits at each. Blocks no one else."""
        self._check_open()
        if self._shared:
            return
        try:
            # What left the log is safe: before a page moves to the file SQLite syncs the log, and then the file.
            with Path(f"{self.path}-wal").open("rb+") as log:
                os.fsync(log.fileno())
        except OSError as exc:
            raise StoreError(f"The disk did not confirm the commits of {self.path}: {exc}.", "Check the disk.") from exc

    def wrote(self, size: int) -> None:
        """Say that so many bytes of a long write were committed, of which more follow; see :class:`LogMover`."""
        if not self._shared:
            self._log_mover.wrote(size)

    def _move_log(self) -> None:
        """Move the log to the file as far as nobody is in the way."""
        # As when SQLite does it in a commit, a failure is no failure of the commits: they are in the log.
        with suppress(apsw.Error, CouchetteError):
            if self._moves_log is None:
                self._moves_log = self._open(apsw.SQLITE_OPEN_READWRITE)
            self._moves_log.wal_checkpoint()

    @property
    def in_transaction(self) -> bool:
        """Whether this thread is inside :meth:`transaction`."""
        return self._owner == threading.get_ident()

    @contextmanager
    def _part(self) -> Iterator[None]:
        """A part of this thread's transaction: it is undone alone when it raises."""
        self._check_transaction()
        with _translating(self.path), self._writer:
            yield

    def _read_inside(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A read in this thread's transaction, which sees what it wrote."""
        with _translating(self.path):
            return op(self._writer, *args, **kwargs)

    def _check_transaction(self) -> None:
        """SQLite itself undoes a transaction after some errors, a full disk for one."""
        if not self._writer.in_transaction:
            raise StoreError("The transaction was undone by an earlier error.", "Leave its block, and try it again.")

    def close(self) -> None:
        """Close every connection; waiters wake up and find the database closed. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            if self._owner is not None:
                raise StoreError("The database cannot be closed inside a transaction.", "Leave its block first.")
            self._closed = True
            self._log_mover.close()
            with _translating(self.path):
                while self._idle:
                    self._idle.pop().close()
                if self._moves_log is not None:
                    self._moves_log.close()
                self._writer.close()
        for call in self._on_close:
            call()
        self.notifier.publish()

    def on_close(self, call: Callable[[], object]) -> None:
        """Have a function called when the database has been closed: for what others keep because of it."""
        self._on_close.append(call)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    def _check_open(self) -> None:
        if self._closed:
            raise DatabaseClosed(f"The database {self.path} is closed.", "Open it again.")

    def _open(self, flags: int) -> apsw.Connection:
        """A connection that is set up; the first one to a file also makes or migrates its tables."""
        with _translating(self.path):
            conn = apsw.Connection(self.path, flags=flags, statementcachesize=STATEMENT_CACHE)
            try:
                if self._key is not None:
                    store.unlock(conn, self._key)
                conn.set_busy_timeout(BUSY_TIMEOUT_MS)
                # First: a migration may sort more than fits in memory, and temporary files are not encrypted.
                conn.pragma("temp_store", "memory")
                if flags & apsw.SQLITE_OPEN_READWRITE:
                    self._prepare(conn)
                conn.pragma("synchronous", self._durability)
                conn.pragma("cache_size", -CACHE_KIB)
            except apsw.NotADBError as exc:
                conn.close()
                raise store.refusal(self.path, self._key) from exc
            except BaseException:
                conn.close()
                raise
        return conn

    def _prepare(self, conn: apsw.Connection) -> None:
        """Make or migrate the tables, once among all who open the file at the same time.

        SQLite's busy timeout does not cover the switch to WAL, nor another's last close: those we repeat.
        """
        deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
        while True:
            try:
                self._prepare_nowait(conn)
                return
            except apsw.BusyError:
                if conn.in_transaction:
                    conn.execute("ROLLBACK")
                if time.monotonic() > deadline:
                    raise
                time.sleep(OPEN_RETRY_PAUSE_S)

    def _prepare_nowait(self, conn: apsw.Connection) -> None:
        # Looked at first: another program's file must not even be switched to WAL.
        ready = store.check(conn, self.path)
        if not ready:
            # Both are without effect on a file that has pages.
            conn.pragma("page_size", PAGE_BYTES)
            conn.pragma("auto_vacuum", "incremental")
        conn.pragma("journal_mode", "wal")
        conn.pragma("wal_autocheckpoint", WAL_PAGES)
        if not ready:
            conn.execute("BEGIN IMMEDIATE")
            store.migrate(conn, self.path)
            conn.execute("COMMIT")


@contextmanager
def _translating(path: str) -> Iterator[None]:
    """Turns SQLite's errors into ours."""
    try:
        yield
    except apsw.Error as exc:
        raise _translated(exc, path) from exc


def _translated(exc: apsw.Error, path: str) -> CouchetteError:
    if isinstance(exc, apsw.BusyError):
        hint = f"It waited {BUSY_TIMEOUT_MS} ms; try again, or keep other transactions shorter."
        return DatabaseBusy(f"Another process is writing to {path}.", hint)
    if isinstance(exc, apsw.NotADBError):
        return NotADatabase(f"{path} is not a couchette database.", "It is no SQLite file; check the path.")
    if isinstance(exc, apsw.CantOpenError):
        folder = Path(path).parent
        if Path(path).is_dir():
            return StoreError(f"{path} cannot be opened.", "It is a folder; name a file in it.")
        hint = "Check the permissions." if folder.is_dir() else f"The folder {folder} does not exist; make it first."
        return StoreError(f"{path} cannot be opened.", hint)
    return StoreError(f"SQLite refused an operation on {path}: {exc}.", "Check the disk and the file's permissions.")
