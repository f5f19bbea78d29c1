"""Encryption at rest: the key of a file, which each connection is told before it reads anything.

SQLite as apsw brings it cannot encrypt, and ignores ``PRAGMA key`` in silence, so that all would be written in
clear. The package apsw-sqlite3mc is the same module built with SQLite3 Multiple Ciphers, which encrypts every page of
the file, of its ``-wal`` and of its journal (ChaCha20-Poly1305 by default, the key by PBKDF2 from what is given).
Temporary files it does not encrypt: whoever opens a connection keeps those in memory.

A wrong key shows when the first page is read, as a file that is no database. :func:`refusal` then tells from
the file's first bytes which mistake it was: SQLite's own words begin a file in clear; an encrypted one begins with 16
random bytes, and has SQLite's constants for the payload fractions, 64, 32 and 32, in clear at offset 21.
"""

from __future__ import annotations

import os
from typing import Final

import apsw

from couchette.errors import MissingExtra, NotADatabase, StoreError, WrongKey

CLEAR: Final = b"SQLite format 3\0"
FRACTIONS: Final = b"\x40\x20\x20"
HEADER_BYTES: Final = 24
INSTALL: Final = "pip uninstall apsw; pip install apsw-sqlite3mc"


def can_encrypt() -> bool:
    """Whether the module ``apsw`` at hand is the build with ciphers."""
    return getattr(apsw, "mc_version", None) is not None


def check_key(key: str | bytes) -> bytes:
    """The key as bytes, a text as UTF-8. Raises MissingExtra where SQLite cannot encrypt, StoreError for no key."""
    if not isinstance(key, (str, bytes)) or not key:
        hint = "It is empty." if isinstance(key, (str, bytes)) else f"It is a {type(key).__name__}."
        raise StoreError("The key must be a text or bytes, and not empty.", hint)
    if not can_encrypt():
        raise MissingExtra(
            "This SQLite cannot encrypt.",
            f"Put the build with ciphers in apsw's place (they are one module): {INSTALL}",
        )
    try:
        return key if isinstance(key, bytes) else key.encode()
    except UnicodeEncodeError as exc:
        raise StoreError("The key is no valid Unicode.", "Give it as bytes.") from exc


def unlock(conn: apsw.Connection, key: bytes) -> None:
    """Tell a new connection the key, before all else. As hex, any bytes go, and none can end the statement."""
    conn.pragma("hexkey", key.hex())


def refusal(path: str, key: bytes | None) -> StoreError:
    """Why SQLite took the file for no database when it was opened with this key, or with none."""
    header = _header(path)
    if key is not None and header.startswith(CLEAR):
        hint = "Open it without a key. To encrypt it, dump it, and load the dump with a key."
        return WrongKey(f"{path} is not encrypted.", hint)
    if key is not None:
        hint = "It is another file's key, or the file is damaged or no database."
        return WrongKey(f"The key does not open {path}.", hint)
    if header.endswith(FRACTIONS) and len(header) == HEADER_BYTES and not header.startswith(CLEAR):
        build = "" if can_encrypt() else f" This SQLite cannot read it: {INSTALL}"
        hint = f"Give its key: `key=`, on the command line COUCHETTE_KEY or a --key-file.{build}"
        return WrongKey(f"{path} is encrypted.", hint)
    return NotADatabase(f"{path} is not a couchette database.", "It is no SQLite file; check the path.")


def _header(path: str) -> bytes:
    """The first bytes of the file, as many as there are.

    Read through SQLite: to open and close the file ourselves would drop the locks that this process's other
    connections to it hold (POSIX).
    """
    file = apsw.VFSFile("", os.path.abspath(path), [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0])
    try:
        return file.xRead(min(HEADER_BYTES, file.xFileSize()), 0)
    finally:
        file.xClose()
