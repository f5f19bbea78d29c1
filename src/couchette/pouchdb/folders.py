"""Folders of databases, each opened once in a process however many environments are set up on it.

So a database that one environment destroys is gone for the others, and all of them hear of it. Folders stay open until
the program ends, since a database outlives the environment that it came from; temporary ones are removed then.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import threading
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from couchette.database import Database
from couchette.environment import Environment
from couchette.pouchdb.names import shown_name, stored_name

if TYPE_CHECKING:
    from couchette.pouchdb.core import DatabaseCore, EnvironmentCore


class Folder:
    """A folder, and those who use it: its environments and the databases that they have open."""

    def __init__(self, path: str) -> None:
        """Use this folder, making it if it is not there. Raises StoreError."""
        self.path = path
        self.environment = Environment(path)
        self.environments: WeakSet[EnvironmentCore] = WeakSet()
        self.databases: WeakSet[DatabaseCore] = WeakSet()
        self._lock = threading.RLock()

    def names(self) -> list[str]:
        """The names of the databases that there are, in their order."""
        return sorted(shown_name(stored) for stored in self.environment)

    def __contains__(self, name: str) -> bool:
        return stored_name(name) in self.environment

    def open(self, name: str) -> Database:
        """A database, which is made if it is not there. Raises IllegalDatabaseName, StoreError."""
        stored = stored_name(name)
        with self._lock:
            is_new = stored not in self.environment
            database = self.environment[stored]
        if is_new:
            self._tell("created", name)
        return database

    def destroy(self, name: str) -> None:
        """Delete a database, if there is one; whoever has it open finds it gone."""
        stored = stored_name(name)
        with self._lock:
            existed = stored in self.environment
            if existed:
                self.environment.destroy(stored)
            opened = self._opened(name)
        for core in opened:
            core.gone("database is destroyed")
        # As with PouchDB, which opens what it destroys: a database that was not there is destroyed too.
        self._tell("destroyed", name)

    def release(self, name: str) -> None:
        """Close a database's file, unless somebody else has it open."""
        with self._lock:
            if not self._opened(name):
                database = self.environment.opened().get(stored_name(name))
                if database is not None:
                    database.close()

    def close(self) -> None:
        """End what its environments have under way, and close its databases."""
        for environment in tuple(self.environments):
            environment.end()
        self.environment.close()

    def _opened(self, name: str) -> list[DatabaseCore]:
        return [core for core in self.databases if core.name == name and not core.is_gone]

    def _tell(self, event: str, name: str) -> None:
        for environment in tuple(self.environments):
            environment.tell(event, name)


_folders: Final[dict[str, Folder]] = {}
_lock: Final = threading.Lock()


def folder_at(path: str | os.PathLike[str] | None) -> Folder:
    """The folder at this path, the same object each time; a temporary one for None."""
    if path is None:
        real = os.path.realpath(tempfile.mkdtemp(prefix="pouchdb-"))
        atexit.register(shutil.rmtree, real, ignore_errors=True)
    else:
        real = os.path.realpath(os.fspath(path))
    with _lock:
        folder = _folders.get(real)
        if folder is None:
            folder = _folders[real] = Folder(real)
            # Registered after the folder's removal, so it runs before that.
            atexit.register(folder.close)
    return folder
