"""Opening a connection to a database file: its settings, its tables, and SQLite's errors as ours."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import apsw

from couchette import store
from couchette.errors import CouchetteError, DatabaseBusy, NotADatabase, StoreError
from couchette.limits import BUSY_TIMEOUT_MS, CACHE_KIB, OPEN_RETRY_PAUSE_S, PAGE_BYTES, STATEMENT_CACHE, WAL_PAGES

Durability = Literal["normal", "full"]


def connect(
    path: str, flags: int, *, durability: Durability, key: bytes | None, prepares: bool = True
) -> apsw.Connection:
    """A connection that is set up; the first one to a file also makes or migrates its tables, unless told not to.

    Raises NotADatabase, NewerSchema, WrongKey, DatabaseBusy, StoreError.
    """
    with translating(path):
        conn = apsw.Connection(path, flags=flags, statementcachesize=STATEMENT_CACHE)
        try:
            if key is not None:
                store.unlock(conn, key)
            conn.set_busy_timeout(BUSY_TIMEOUT_MS)
            # Else SQLite plans a join anew whenever a bound value of it changes: a tenth of a small query's time.
            conn.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
            # First: a migration may sort more than fits in memory, and temporary files are not encrypted.
            conn.pragma("temp_store", "memory")
            if prepares and flags & apsw.SQLITE_OPEN_READWRITE:
                _prepare(conn, path)
            conn.pragma("synchronous", durability)
            conn.pragma("cache_size", -CACHE_KIB)
        except apsw.NotADBError as exc:
            conn.close()
            raise store.refusal(path, key) from exc
        except BaseException:
            conn.close()
            raise
    return conn


@contextmanager
def looked_at(path: str, key: str | bytes | None = None) -> Iterator[apsw.Connection]:
    """A connection on one snapshot of a file that stays as it is, also if an older couchette wrote it.

    Then it is migrated for the block alone, and others cannot write meanwhile. Raises as :func:`connect` does.
    """
    checked = None if key is None else store.check_key(key)
    conn = connect(path, apsw.SQLITE_OPEN_READWRITE, durability="normal", key=checked, prepares=False)
    with translating(path):
        try:
            if store.check(conn, path):
                conn.execute("BEGIN")
            else:
                conn.execute("BEGIN IMMEDIATE")
                store.migrate(conn, path)
            yield conn
        except apsw.NotADBError as exc:
            raise store.refusal(path, checked) from exc
        finally:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            conn.close()


def _prepare(conn: apsw.Connection, path: str) -> None:
    """Make or migrate the tables, once among all who open the file at the same time.

    SQLite's busy timeout does not cover the switch to WAL, nor another's last close: those we repeat.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            _prepare_nowait(conn, path)
            return
        except apsw.BusyError:
            if conn.in_transaction:
                conn.execute("ROLLBACK")
            if time.monotonic() > deadline:
                raise
            time.sleep(OPEN_RETRY_PAUSE_S)


def _prepare_nowait(conn: apsw.Connection, path: str) -> None:
    # Looked at first: another program's file must not even be switched to WAL.
    ready = store.check(conn, path)
    if not ready:
        # Both are without effect on a file that has pages.
        conn.pragma("page_size", PAGE_BYTES)
        conn.pragma("auto_vacuum", "incremental")
    conn.pragma("journal_mode", "wal")
    conn.pragma("wal_autocheckpoint", WAL_PAGES)
    if not ready:
        conn.execute("BEGIN IMMEDIATE")
        store.migrate(conn, path)
        conn.execute("COMMIT")


@contextmanager
def translating(path: str) -> Iterator[None]:
    """Turns SQLite's errors into ours."""
    try:
        yield
    except apsw.Error as exc:
        raise translated(exc, path) from exc


def translated(exc: apsw.Error, path: str) -> CouchetteError:
    """The error of ours that tells what one of SQLite's means for this file."""
    if isinstance(exc, apsw.BusyError):
        hint = f"It waited {BUSY_TIMEOUT_MS} ms; try again, or keep other transactions shorter."
        return DatabaseBusy(f"Another process is writing to {path}.", hint)
    if isinstance(exc, apsw.NotADBError):
        return NotADatabase(f"{path} is not a couchette database.", "It is no SQLite file; check the path.")
    if isinstance(exc, apsw.ReadOnlyError):
        hint = "To open it, its folder must be writable too: copy it to one where you may write, and open the copy."
        return StoreError(f"{path} may only be read.", hint)
    if isinstance(exc, apsw.CantOpenError):
        folder = Path(path).parent
        if Path(path).is_dir():
            return StoreError(f"{path} cannot be opened.", "It is a folder; name a file in it.")
        hint = "Check the permissions." if folder.is_dir() else f"The folder {folder} does not exist; make it first."
        return StoreError(f"{path} cannot be opened.", hint)
    return StoreError(f"SQLite refused an operation on {path}: {exc}.", "Check the disk and the file's permissions.")
