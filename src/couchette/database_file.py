"""A database as a file: opening and closing it, what it holds in numbers, and its upkeep."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from couchette import index, stopping, store
from couchette.connecting import Durability
from couchette.errors import StoreError
from couchette.pool import Pool
from couchette.store import Freed

if TYPE_CHECKING:
    from couchette.store import SupportsWrite

Doc = dict[str, Any]


class DatabaseFile:
    """What :class:`~couchette.Database` can do with its file as a whole."""

    _may_read: Callable[[Doc], bool] | None = None
    """Which documents the server shows to the user of this object; all, where it is None."""

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        name: str | None = None,
        revs_limit: int | None = None,
        durability: Durability = "normal",
        auto_compaction: bool | None = None,
        key: str | bytes | None = None,
    ) -> None:
        """Open the file, making it if it is not there.

        Args:
            path: the file; ``":memory:"`` for a database that ends with this object.
            name: shown as ``db_name``; the file's name without its ending by default.
            revs_limit: revisions kept on each leaf's path from now on; stored in the file (1000 at first).
            durability: ``"normal"`` survives a crash of the program; a power cut may take the newest
                commits, never the file. ``"full"`` waits for the disk at each commit.
            auto_compaction: whether a write drops the bodies that it supersedes, from now on, so that only
                leaves can be read; stored in the file (False at first). See :meth:`compact` for the rest.
            key: what the file is encrypted with; a new one is encrypted. It needs apsw-sqlite3mc in apsw's place.

        Raises:
            WrongKey: the file is encrypted with another key, or it is and none was given, or it is not.
            MissingExtra: there is a key, and SQLite cannot encrypt.
            NotADatabase: the file is something else.
            NewerSchema: the file was written by a newer couchette.
            StoreError: the file cannot be opened.
        """
        self._pool = Pool(path, durability=durability, key=key)
        self.path = self._pool.path
        self.name = name if name is not None else Path(self.path).stem
        try:
            if revs_limit is not None:
                self.set_revs_limit(revs_limit)
            if auto_compaction is not None:
                self._pool.write(store.write_auto_compaction, auto_compaction)
        except BaseException:
            self._pool.close()
            raise

    def info(self) -> Doc:
        """Counts, sequences and sizes, in the shape of CouchDB's ``GET /db``.

        ``conflict_count`` is how many documents have several live leaves. ``sizes`` are bytes: ``file`` is the
        whole file, ``active`` what is in use of it; ``external`` is not measured apart.
        """
        return self._pool.read(store.info, self.name)

    def ensure_full_commit(self) -> Doc:
        """Wait until the disk has all that was committed: a power cut then takes nothing of it.

        Return ``{"ok", "instance_start_time"}``, as CouchDB's ``POST /db/_ensure_full_commit``. With
        ``durability="full"`` each write has waited already.
        """
        self._pool.sync()
        return {"ok": True, "instance_start_time": self.info()["instance_start_time"]}

    def get_revs_limit(self) -> int:
        """How many revisions are kept on each leaf's path."""
        return self._pool.read(store.read_meta).revs_limit

    def set_revs_limit(self, revs_limit: int) -> None:
        """Keep so many revisions on each leaf's path, in all documents that are written from now on.

        Raises:
            BadRequest: it is not a positive integer.
        """
        self._pool.write(store.write_revs_limit, revs_limit)

    def get_security(self) -> Doc | None:
        """CouchDB's ``_security`` object, which says who may use the database through a server; None if never set."""
        return self._pool.read(store.read_security)

    def set_security(self, security: Mapping[str, Any]) -> None:
        """Replace the ``_security`` object. The server heeds it; the methods of this object do not.

        Raises:
            BadRequest: it is not a JSON object.
        """
        self._pool.write(store.write_security, security)

    @cached_property
    def _partitioned(self) -> bool:
        """Whether it was made as a partitioned database, whose ids the server wants to be ``partition:rest``."""
        return self._pool.read(store.read_partitioned)

    def compact(self, *, progress: Callable[[Freed], object] | None = None) -> Freed:
        """Drop the bodies of revisions that are not leaves, and attachment content that nothing names.

        Their revs stay known. Others may read and write meanwhile, since it works in short transactions. Return
        what it freed: ``{"bodies", "attachments", "bytes"}``; ``bytes`` went back to the file system, which sees it
        when SQLite next moves its write-ahead log to the file, at the latest when the database is closed.

        Args:
            progress: called after each of the transactions with what is freed so far. When it raises, compaction
                ends there; what is done stays done.
        """
        freed = Freed(bodies=0, attachments=0, bytes=0)
        with self._pool.tasks.running("database_compaction", total=self._pool.read(store.superseded_bodies)) as task:
            for freed in store.compaction(self._pool):
                task.advance(freed["bodies"] + freed["attachments"])
                if progress is not None:
                    progress(freed)
                stopping.check()
        return freed

    def purge(self, revs: Mapping[str, Sequence[str]]) -> Doc:
        """Forget leaves, ``{id: [rev, ...]}``, as if they never were; a document without leaves is gone.

        Return ``{"purge_seq": None, "purged": {id: [rev, ...]}}``, without revisions that are not leaves. It does not
        replicate: to delete a document everywhere, :meth:`remove` it. Content of attachments goes at :meth:`compact`.

        Raises:
            BadRequest: an id or rev is malformed; nothing is purged.
        """
        return self._pool.write(store.purge, revs)

    def purged_infos(self, since: int | str = 0) -> list[Doc]:
        """What was purged after ``since``, oldest first: ``[{"purge_seq", "id", "revs"}]``.

        ``since`` is 0, ``"now"``, or a ``purge_seq`` from here or from :meth:`info`.
        """
        return self._pool.read(store.purged_infos, since)

    def get_purged_infos_limit(self) -> int:
        """How many purges :meth:`compact` leaves in the log, the newest ones."""
        return self._pool.read(store.read_purged_infos_limit)

    def set_purged_infos_limit(self, limit: int) -> None:
        """Have :meth:`compact` leave so many purges in the log, and those that an index has still to follow.

        Raises:
            BadRequest: it is not a positive integer.
        """
        self._pool.write(store.write_purged_infos_limit, limit)

    def verify(self) -> list[dict[str, str]]:
        """Check every invariant of the file, on one snapshot; nothing is changed.

        Return what is wrong, ``[{"id"?, "rev"?, "problem"}]`` with a sentence each: ``[]`` for a sound database. It
        reads everything, all content of attachments and the indexes included.
        """
        return self._pool.read(verify)

    def dump(self, file: SupportsWrite, *, progress: Callable[[int, int], None] | None = None) -> dict[str, int]:
        """Write the whole database to a binary file, as JSON lines; :func:`couchette.load` restores it.

        It is one snapshot; others may write meanwhile. Return the counts of ``documents``, ``revisions``,
        ``attachments`` and ``local`` documents.

        Args:
            file: anything with a ``write`` that takes bytes.
            progress: called after each document with how many are written, and how many there are.
        """
        return self._pool.read(store.dump, file, progress)

    def close(self) -> None:
        """Close the file. Calling it again does nothing."""
        self._pool.close()

    def destroy(self) -> None:
        """Close the database and delete its file."""
        self._pool.close()
        if self.path != ":memory:":
            delete_files(self.path)

    @property
    def closed(self) -> bool:
        """Whether the database was closed."""
        return self._pool.closed

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<couchette.Database {self.path!r}{' closed' if self.closed else ''}>"


def make_private(path: str) -> None:
    """Make an empty file for a new database, which its owner alone can use; a file that is there stays as it is.

    What SQLite keeps beside a file has that file's rights. Raises StoreError.
    """
    fresh = os.path.join(os.path.dirname(path), f"new.{uuid.uuid4().hex}")
    try:
        os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            # Closed before it has its name: closing a database's file ends the locks that others here have on it.
            os.link(fresh, path)
        except FileExistsError:
            pass  # Another process was first.
        finally:
            os.unlink(fresh)
    except OSError as exc:
        raise StoreError(f"{path} cannot be opened.", f"{exc.strerror}; give a folder where you may write.") from exc


def delete_files(path: str) -> None:
    """Delete a database's file that nobody has open, and what SQLite keeps beside it. Raises OSError."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        with suppress(FileNotFoundError):
            os.unlink(path + suffix)


def verify(conn: Any) -> list[dict[str, str]]:
    """What is wrong with a database and its indexes; see :meth:`DatabaseFile.verify`."""
    return store.verify(conn) + index.verify(conn)
