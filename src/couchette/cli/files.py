"""Database files that a command names and must not make, and the key of those that are encrypted.

A key never stands on a command line, where every user of the machine can read it: it is what the environment variable
``COUCHETTE_KEY`` holds, or the content of a file that ``--key-file`` names, without a newline at its end.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from couchette.cli.usage import UsageError
from couchette.connecting import looked_at
from couchette.database import Database
from couchette.errors import DatabaseNotFound, NotADatabase

KEY_VARIABLE = "COUCHETTE_KEY"


def open_existing(path: str, key: bytes | None = None) -> Database:
    """The database in this file. Raises DatabaseNotFound where there is none, rather than make it."""
    _check_exists(path)
    return Database(path, key=key)


def look_at(path: str, key: bytes | None = None) -> AbstractContextManager[Any]:
    """A connection to this file, for commands that must not change it, not even to migrate it. Raises as the other."""
    _check_exists(path)
    return looked_at(path, key)


def _check_exists(path: str) -> None:
    file = Path(path)
    if not file.exists():
        raise DatabaseNotFound("Database does not exist.", f"There is no file {path}.")
    if file.is_file() and file.stat().st_size == 0:
        raise NotADatabase(f"{path} is not a couchette database.", "It is empty; check the path.")


def read_key(key_file: str | None) -> bytes | None:
    """The key for the files of a command: from the file that was named, or the environment; None for neither."""
    if key_file is None:
        return os.fsencode(os.environ.get(KEY_VARIABLE, "")) or None
    try:
        key = Path(key_file).read_bytes()
    except OSError as exc:
        raise UsageError(f"The key file {key_file} cannot be read: {exc.strerror}.") from exc
    key = key.removesuffix(b"\n").removesuffix(b"\r")
    if not key:
        raise UsageError(f"The key file {key_file} is empty.")
    return key
