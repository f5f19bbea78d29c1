"""Connections to one database file: who may use which, and when a transaction begins and ends.

One connection writes, under a lock; readers each borrow one of their own, so that they see the last
commit and never wait for the writer (SQLite's WAL). An in-memory database has a single connection that
all share in turn. Only this module opens, locks, commits and publishes.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import apsw

from couchette import at_once, forking, store
from couchette.connecting import Durability, connect, translated, translating
from couchette.errors import CouchetteError, DatabaseClosed, StoreError
from couchette.limits import (
    IDLE_READERS_KEYED_MAX,
    IDLE_READERS_MAX,
)
from couchette.log_mover import LogMover
from couchette.notifier import Notifier
from couchette.stopping import Stop
from couchette.tasks import Tasks

P = ParamSpec("P")
T = TypeVar("T")
_left_open: Final[list[apsw.Connection]] = []
"""In the child of a fork: connections that must be neither used nor closed, nor be collected, which closes them."""


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
        self.closing = Stop(partial(DatabaseClosed, f"The database {self.path} is closed.", "Open it again."))
        """Ends such work when it is closed."""
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
        self._opened: weakref.WeakSet[apsw.Connection] = weakref.WeakSet()
        self._closed = False
        self._closed_hint = "Open it again."
        self._on_close: list[Callable[[], object]] = []
        self._owner: int | None = None
        """The thread that is inside :meth:`transaction`."""
        self._log_mover = LogMover(self._move_log)
        self._moves_log: apsw.Connection | None = None
        forking.check(self.path)
        self._writer: apsw.Connection | None = self._open(apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        """None while the pool rests."""
        self.before_waking: Callable[[], object] = bool
        """Called before a pool that rested opens its file again; it must not wait for another thread."""
        self.commits = 0
        """How many commits of this process there were, so that who looks at many databases need not wake them all."""
        forking.watch(self)

    def read(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a reading operation on one snapshot of the database; blocks only while it runs."""
        if self._owner is not None and self._owner == threading.get_ident():
            return self._read_inside(op, *args, **kwargs)
        try:
            if self._shared:
                at_once.would_wait()
                with self._lock:
                    return op(self._awake(), *args, **kwargs)
            conn = self._borrow()
            try:
                conn.execute("BEGIN")
                return op(conn, *args, **kwargs)
            finally:
                self._give_back(conn)
        except apsw.Error as exc:
            self._check_open()  # What fails with the file of a database that was deleted is no fault of the disk.
            raise translated(exc, self.path) from exc

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
            self._check_open()
            raise translated(exc, self.path) from exc
        finally:
            # As _give_back does it: a call costs a twentieth of a get.
            if len(self._idle) < self._idle_max and not self._closed:
                self._idle.append(conn)
            else:
                conn.close()

    def _borrow(self) -> apsw.Connection:
        """A connection to read with."""
        try:
            return self._idle.pop()
        except IndexError:
            self._check_open()
            at_once.would_wait()
            if self._writer is None:
                with self._lock:
                    self._awake()
            try:
                return self._open(apsw.SQLITE_OPEN_READONLY)
            except StoreError:
                self._check_open()
                raise

    def _give_back(self, conn: apsw.Connection) -> None:
        if conn.in_transaction:
            # There is nothing to commit, and a COMMIT fails where a damaged page was met.
            conn.execute("ROLLBACK")
        if len(self._idle) < self._idle_max and not self._closed:
            self._idle.append(conn)
        else:
            conn.close()

    def write(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a writing operation in one transaction: committed when it returns, undone when it raises.

        Waits for this process's other writers, and up to ``limits.BUSY_TIMEOUT_MS`` for another
        process's; then raises DatabaseBusy.
        """
        at_once.would_wait()
        with self._lock:
            conn = self._awake()
            if self._owner is not None:
                self._check_transaction()
                with translating(self.path), conn:
                    return op(conn, *args, **kwargs)
            if conn.in_transaction:
                hint = "Do not write in what a write calls: a merge function, or a generator of its documents."
                raise StoreError("A write cannot be made inside another one.", hint)
            try:
                # Inside: Ctrl-C that came while this waited raises right after it.
                conn.execute("BEGIN IMMEDIATE")
                result = op(conn, *args, **kwargs)
                conn.execute("COMMIT")
                self.commits += 1
            except BaseException as exc:
                if conn.in_transaction and not self._closed:
                    conn.execute("ROLLBACK")
                if isinstance(exc, apsw.Error):
                    raise translated(exc, self.path) from exc
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
            conn = self._awake()
            if self._owner is not None:
                # A part of this thread's transaction: it is undone alone when it raises.
                self._check_transaction()
                with translating(self.path), conn:
                    yield
                return
            try:
                with translating(self.path):
                    conn.execute("BEGIN IMMEDIATE")
                self._owner = threading.get_ident()
                yield
                self._check_transaction()
                with translating(self.path):
                    conn.execute("COMMIT")
                self.commits += 1
            except BaseException:
                if conn.in_transaction and not self._closed:
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
        except FileNotFoundError:
            pass  # All of it left the log when the last connection was closed.
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

    def _read_inside(self, op: Callable[Concatenate[apsw.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """A read in this thread's transaction, which sees what it wrote."""
        with translating(self.path):
            return op(self._awake(), *args, **kwargs)

    def _check_transaction(self) -> None:
        """SQLite itself undoes a transaction after some errors, a full disk for one."""
        if not self._awake().in_transaction:
            raise StoreError("The transaction was undone by an earlier error.", "Leave its block, and try it again.")

    def close(self) -> None:
        """Close every connection; waiters wake up and find the database closed. Calling it again does nothing."""
        with self._lock:
            if self._closed:
                return
            if self._owner is not None:
                raise StoreError("The database cannot be closed inside a transaction.", "Leave its block first.")
            self._closed = True
            self.closing.set()
            self._log_mover.close()
            with translating(self.path):
                while self._idle:
                    self._idle.pop().close()
                if self._moves_log is not None:
                    self._moves_log.close()
                if self._writer is not None:
                    self._writer.close()
        for call in self._on_close:
            call()
        self.notifier.publish()

    def rest(self) -> None:
        """Close the connections that nobody uses, so that the file takes no descriptors until it is used again.

        Nobody notices but by the time that opening it takes. It does nothing while the database is written to, and to
        one in memory.
        """
        if self._shared or not self._lock.acquire(blocking=False):
            return
        try:
            writer = self._writer
            if self._closed or writer is None or writer.in_transaction or self._log_mover.moving:
                return
            with translating(self.path):
                if self._moves_log is not None:
                    self._log_mover.close()
                    self._moves_log.close()
                    self._log_mover, self._moves_log = LogMover(self._move_log), None
                with suppress(IndexError):  # Others take and give back meanwhile.
                    while True:
                        self._idle.pop().close()
                self._writer = None
                writer.close()
        finally:
            self._lock.release()

    @property
    def rests(self) -> bool:
        """Whether :meth:`rest` was called since the database was last used."""
        return self._writer is None

    def _awake(self) -> apsw.Connection:
        """The connection that writes, opened anew if the pool rested, for who has the lock. Raises DatabaseClosed."""
        self._check_open()
        if self._writer is None:
            self.before_waking()
            self._writer = self._open(apsw.SQLITE_OPEN_READWRITE)
        return self._writer

    def on_close(self, call: Callable[[], object]) -> None:
        """Have a function called when the database has been closed: for what others keep because of it."""
        self._on_close.append(call)

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._closed

    @property
    def in_use(self) -> bool:
        """Whether somebody is using a connection. Asked in the child of a fork; never blocks."""
        if self._closed:
            return False
        if not self._lock.acquire(blocking=False):
            return True
        known = {id(conn) for conn in (*self._idle, self._writer, self._moves_log)}
        reads = any(id(conn) not in known for conn in self._opened)
        writes = self._writer is not None and self._writer.in_transaction
        self._lock.release()
        return reads or writes or self._log_mover.moving

    def let_go(self, *, close: bool) -> None:
        """Be closed in the child of a fork, or if that cannot be, at least never be used again."""
        if self._closed or (close and self._shared):
            return
        self._closed = True
        self._closed_hint = forking.HINT
        self._lock = threading.RLock()
        for conn in list(self._opened):
            if close:
                with suppress(apsw.ConnectionClosedError):  # Closed, and not collected yet.
                    # What is in the log is the parent's to move.
                    conn.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                    conn.close()
            else:
                _left_open.append(conn)
        self._idle.clear()

    def _check_open(self) -> None:
        if self._closed:
            raise DatabaseClosed(f"The database {self.path} is closed.", self._closed_hint)

    def _open(self, flags: int) -> apsw.Connection:
        conn = connect(self.path, flags, durability=self._durability, key=self._key)
        self._opened.add(conn)
        return conn
