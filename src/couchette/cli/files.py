"""Database files that a command names and must not make."""

from __future__ import annotations

from pathlib import Path

from couchette.database import Database
from couchette.errors import DatabaseNotFound, NotADatabase


def open_existing(path: str) -> Database:
    """The database in this file. Raises DatabaseNotFound where there is none, rather than make it."""
    file = Path(path)
    if not file.exists():
        raise DatabaseNotFound("Database does not exist.", f"There is no file {path}.")
    if file.is_file() and file.stat().st_size == 0:
        raise NotADatabase(f"{path} is not a couchette database.", "It is empty; check the path.")
    return Database(path)
