"""A file or a folder of this machine as an environment that pages show: it is looked at, and no server for others."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from couchette.database import Database
from couchette.environment import Environment
from couchette.errors import DatabaseNotFound, Forbidden
from couchette.jobs import Replications
from couchette.limits import DATABASE_NAME_BYTES_MAX

_ILLEGAL: Final = re.compile(r"[^a-z0-9_$()+/-]")


class _AtRest(Replications):
    """The replications of a folder, which nothing runs here: a look at them must not move data."""

    def start(self, auth: object = None) -> None:
        """They stay at rest."""


class Folder(Environment):
    """A folder of databases whose replications stay at rest."""

    def __init__(self, folder: str, *, key: bytes | None = None) -> None:
        super().__init__(folder, key=key)
        self.replications = _AtRest(self)


class OneFile(Environment):
    """An environment with one database, a file anywhere; there are no others, and it is neither made nor deleted."""

    def __init__(self, database: Database) -> None:
        """The database is closed with the environment."""
        super().__init__(":memory:")
        self.replications = _AtRest(self)
        self.name = legal_name(database.path)
        """What the file is called here, since a file may have a name that no database can have."""
        self._open[self.name] = database
        database.name = self.name

    def create(self, name: str, *, partitioned: bool = False) -> Database:
        """Raises Forbidden."""
        raise self._refusal()

    def destroy(self, name: str) -> None:
        """Raises Forbidden."""
        raise self._refusal()

    def __getitem__(self, name: str) -> Database:
        database = self._open.get(name)
        if database is None:
            raise DatabaseNotFound("Database does not exist.", f"Only {self.name!r} is shown here.")
        return database

    def _refusal(self) -> Forbidden:
        return Forbidden("Only one file is shown here.", "To have several databases, open their folder.")


def legal_name(path: str) -> str:
    """A database name for a file, as like its own as the rules allow."""
    name = _ILLEGAL.sub("_", Path(path).stem.lower())[: DATABASE_NAME_BYTES_MAX - 3]
    return name if name[:1].isalpha() else f"db_{name}"
