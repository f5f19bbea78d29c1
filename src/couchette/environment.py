"""A folder of databases."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Final

from couchette import at_once, store, surroundings
from couchette.connecting import Durability
from couchette.database import Database
from couchette.database_file import delete_files, make_private
from couchette.descriptors import databases_awake_max
from couchette.errors import (
    BadRequest,
    DatabaseBusy,
    DatabaseExists,
    DatabaseNotFound,
    IllegalDatabaseName,
    MissingExtra,
    StoreError,
)
from couchette.jobs import Replications
from couchette.notifier import Notifier
from couchette.wire.names import REPLICATOR, SYSTEM_DATABASES, check_database_name

SUFFIX: Final = ".couchette"
SLASH: Final = "="
"""Stands for a slash in a file's name: one character that no database name has, so that long names still fit."""


class Environment(Mapping[str, Database]):
    """A folder of databases, as a mapping of names to them.

    ``env["notes"]`` opens the database, and makes it if it is not there; as long as it is open it is the
    same object. ``in``, ``len`` and iteration tell of those that exist. Names follow CouchDB's rules.
    ``Environment(":memory:")`` keeps its databases in memory.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        durability: Durability = "normal",
        auto_compaction: bool | None = None,
        key: str | bytes | None = None,
        private: bool = False,
    ) -> None:
        """Use this folder, making it if it is not there; the options are those of each Database.

        What a ``private`` one makes, the folder and the files, its owner alone can use. What is there keeps its rights.
        Raises StoreError, and MissingExtra for a key that SQLite cannot use.
        """
        self.folder = os.fspath(folder)
        self._durability: Durability = durability
        self._auto_compaction = auto_compaction
        self._key = None if key is None else store.check_key(key)
        self.private = private
        """Whether what is made from now on is for its owner alone; a server sets it."""
        self._lock = threading.RLock()
        self._open: dict[str, Database] = {}
        """Those that were asked for, the last one last."""
        self.notifier = Notifier()
        """Wakes up whoever waits for a write to an open database, or for one that comes or goes."""
        self.replications = Replications(self)
        """Replications that are kept here and start with the program."""
        self.uuid = surroundings.uuid_hex() if self.in_memory else self._stored_uuid()

    @property
    def in_memory(self) -> bool:
        """Whether the databases end with this object."""
        return self.folder == ":memory:"

    def _stored_uuid(self) -> str:
        """The environment's name to peers; made once and kept in the folder."""
        file = Path(self.folder, "uuid")
        try:
            file.parent.mkdir(0o700 if self.private else 0o777, parents=True, exist_ok=True)
            if not file.exists():
                fresh = Path(self.folder, f"uuid.{uuid.uuid4().hex}")
                fresh.write_text(surroundings.uuid_hex())
                try:
                    os.link(fresh, file)
                except FileExistsError:
                    pass  # Another process was first; its uuid stands.
                finally:
                    fresh.unlink()
            return file.read_text().strip()
        except OSError as exc:
            problem = "It is a file" if os.path.isfile(self.folder) else exc.strerror
            hint = f"{problem}; give a folder where you may write."
            raise StoreError(f"The folder {self.folder} cannot be used.", hint) from exc

    def open(self, name: str) -> Database:
        """An existing database. Raises DatabaseNotFound."""
        at_once.acquire(self._lock)
        try:
            if name not in self:
                raise DatabaseNotFound("Database does not exist.", f"There is no database {name!r}; create it first.")
            return self[name]
        finally:
            self._lock.release()

    def create(self, name: str, *, partitioned: bool = False) -> Database:
        """A new database. Raises DatabaseExists, IllegalDatabaseName.

        The server wants the ids of a ``partitioned`` one to be ``partition:rest``, and lists and queries its partitions
        as CouchDB does. It stays so.
        """
        with self._lock:
            check_database_name(name)
            if partitioned and name in SYSTEM_DATABASES:
                raise BadRequest("Cannot partition a system database", f"{name!r} is one.")
            if name in self:
                raise DatabaseExists(
                    "The database could not be created, the file already exists.", f"Open {name!r} instead."
                )
            if name in self._open:
                self._open[name].close()  # Its file was taken away under it.
            database = self[name]
            if partitioned:
                database._pool.write(store.write_partitioned)
            return database

    def destroy(self, name: str) -> None:
        """Close a database and delete its file, also one that cannot be opened.

        Raises DatabaseNotFound, StoreError for a file that cannot be deleted, or inside a transaction.
        """
        with self._lock:
            try:
                database = self.open(name)
            except DatabaseBusy:
                raise
            except (StoreError, MissingExtra):
                self._delete(name)
            else:
                database.destroy()
            self._open.pop(name, None)
        self.notifier.publish()

    def _delete(self, name: str) -> None:
        """Delete the file of a database that cannot be opened."""
        try:
            delete_files(self._file(name))
        except OSError as exc:
            raise StoreError(f"The database {name} cannot be deleted: {exc.strerror}.", "Delete its file.") from exc

    def opened(self) -> dict[str, Database]:
        """The databases that are open here, by name."""
        with self._lock:
            return {name: database for name, database in self._open.items() if not database.closed}

    def close(self) -> None:
        """End the replications and close every open database."""
        self.replications.stop()
        with self._lock:
            for database in self._open.values():
                database.close()
            self._open.clear()

    def __getitem__(self, name: str) -> Database:
        """Open a database, making it if it is not there. Raises IllegalDatabaseName."""
        with self._lock:
            database = self._open.get(name)
            if database is None or database.closed:
                at_once.would_wait()
                check_database_name(name)
                self._make_room()
                self._open.pop(name, None)
                database = self._open[name] = self._opened(name)
                database._pool.before_waking = self._make_room
                database._pool.notifier.subscribe(self.notifier.publish)
                self.notifier.publish()
                if name == REPLICATOR:
                    self.replications.database_appeared()
            elif not self.in_memory:
                self._open[name] = self._open.pop(name)
            return database

    def _make_room(self) -> None:
        """Let databases rest that were not asked for longest, where too many keep their files open to open another."""
        # Without the lock, since a database that wakes may be used by whoever waits for it; a copy is made in one step.
        pools = [database._pool for database in list(self._open.values())]
        awake = [pool for pool in pools if not (pool.closed or pool.rests)]
        for pool in awake[: max(0, len(awake) + 1 - databases_awake_max())]:
            pool.rest()

    def _opened(self, name: str) -> Database:
        """Open the file; where it is a new one and that fails, nothing of it stays."""
        path = ":memory:" if self.in_memory else self._file(name)
        is_new = not self.in_memory and not os.path.exists(path)
        try:
            if is_new and self.private:
                make_private(path)
            return Database(
                path, name=name, durability=self._durability, auto_compaction=self._auto_compaction, key=self._key
            )
        except BaseException:
            # One with something in it is another process's, which made it meanwhile.
            if is_new and os.path.exists(path) and not os.path.getsize(path):
                delete_files(path)
            raise

    def __delitem__(self, name: str) -> None:
        self.destroy(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        if (database := self._open.get(name)) is not None:
            return self.in_memory or os.path.isfile(database.path)
        try:
            check_database_name(name)
        except IllegalDatabaseName:
            return False
        return not self.in_memory and os.path.isfile(self._file(name))

    def __iter__(self) -> Iterator[str]:
        if self.in_memory:
            yield from sorted(self._open)
        else:
            files = Path(self.folder).glob(f"*{SUFFIX}")
            names = (file.name.removesuffix(SUFFIX).replace(SLASH, "/") for file in files)
            yield from sorted(name for name in names if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __enter__(self) -> Environment:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<couchette.Environment {self.folder!r}>"

    def _file(self, name: str) -> str:
        # Not by a Path: every request asks for one, and making it takes a tenth of a get.
        return os.path.join(self.folder, name.replace("/", SLASH) + SUFFIX)
