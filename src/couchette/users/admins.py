"""The administrators of a server: those that its program names, and those that were added while it ran.

The latter are kept in the file ``admins`` of the environment's folder, which only its owner can read: a JSON object of
names with the lines that CouchDB's section ``[admins]`` would have. Passwords are derived before they are kept. What
the program names cannot be changed here, since it would be back when the program is started again; and the last one
cannot be removed, since everybody would be an administrator then. The file is read when the server starts.
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from couchette.environment import Environment
from couchette.errors import BadRequest, CouchetteError, NotFound, StoreError
from couchette.limits import PBKDF2_ITERATIONS
from couchette.users import passwords

ADMINS_FILE: Final = "admins"

Members = Mapping[str, Any]
"""What a password is checked by, as in a user's document."""


class Admins:
    """The administrators of an environment's server. Its methods may be called from any thread; some derive a key."""

    def __init__(
        self, environment: Environment, given: Mapping[str, str], *, iterations: int = PBKDF2_ITERATIONS
    ) -> None:
        """``given`` are the program's, with their passwords, plain or as CouchDB's configuration has them derived.

        Raises BadRequest for a name or password that cannot be one, StoreError for a file that cannot be read.
        """
        self._environment = environment
        self._iterations = iterations
        self._lock = threading.Lock()
        self._given = {name: _members(name, text, iterations) for name, text in given.items()}
        self._added = {name: _members(name, text, iterations) for name, text in stored_admins(environment).items()}

    def __bool__(self) -> bool:
        return bool(self._given or self._added)

    def find(self, name: str) -> Members | None:
        """What the password of this administrator is checked by; None where there is none. The program's go first."""
        return self._given.get(name) or self._added.get(name)

    def lines(self) -> dict[str, str]:
        """All of them by name, as CouchDB's configuration has them: derived."""
        return {name: passwords.admin_line(members) for name, members in sorted({**self._added, **self._given}.items())}

    def set(self, name: str, password: str) -> str:
        """Add an administrator, or change its password; return the line that it had, or an empty one.

        Raises BadRequest for a name or password that cannot be one, and for an administrator of the program's.
        """
        self._check_changeable(name)
        members = _members(name, password, self._iterations)
        with self._lock:
            old = self._added.get(name)
            self._keep({**self._added, name: members})
        return "" if old is None else passwords.admin_line(old)

    def remove(self, name: str) -> str:
        """Remove an administrator; return the line that it had. Raises NotFound, and BadRequest for the last one."""
        self._check_changeable(name)
        with self._lock:
            old = self._added.get(name)
            if old is None:
                raise NotFound("unknown_config_value", f"There is no administrator {name!r}.")
            kept = {other: members for other, members in self._added.items() if other != name}
            if not kept and not self._given:
                raise _fixed(f"{name!r} is the last administrator; without one everybody may do everything.")
            self._keep(kept)
        return passwords.admin_line(old)

    def _check_changeable(self, name: str) -> None:
        if name in self._given:
            raise _fixed(f"{name!r} is named by the program that runs the server; change it there.")

    def _keep(self, added: dict[str, Members]) -> None:
        if not self._environment.in_memory:
            text = json.dumps(
                {name: passwords.admin_line(members) for name, members in sorted(added.items())}, indent=1
            )
            _write(Path(self._environment.folder), text + "\n")
        self._added = added


def stored_admins(environment: Environment) -> dict[str, str]:
    """The administrators that an environment's folder has, with their lines. Raises StoreError."""
    if environment.in_memory:
        return {}
    file = Path(environment.folder, ADMINS_FILE)
    try:
        lines = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise StoreError(f"The file {file} cannot be used.", f"It holds the administrators: {exc}.") from exc
    if not isinstance(lines, dict) or not all(isinstance(line, str) for line in lines.values()):
        raise StoreError(f"The file {file} cannot be used.", "It is no JSON object of names and lines.")
    return lines


def _write(folder: Path, text: str) -> None:
    """Replace the file in one step. Raises StoreError."""
    fresh = folder / f"{ADMINS_FILE}.{secrets.token_hex(8)}"
    try:
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as output:
            output.write(text)
            output.flush()
            os.fsync(output.fileno())
        fresh.replace(folder / ADMINS_FILE)
    except OSError as exc:
        fresh.unlink(missing_ok=True)
        raise StoreError(f"The administrators cannot be written to {folder}.", f"{exc.strerror}.") from exc


def _members(name: str, text: str, iterations: int) -> Members:
    if not name or ":" in name or name.startswith("_") or not name.isprintable():
        raise BadRequest(f"{name!r} cannot be the name of an administrator.", "Leave out colons; begin with a letter.")
    if not text:
        raise BadRequest(f"The password of {name!r} is empty.", "Give the administrator a password.")
    return passwords.parse_admin(text) or passwords.derive(text, iterations=iterations)


def _fixed(hint: str) -> CouchetteError:
    return BadRequest("This config variable is read-only", hint, error="modification_not_allowed")
