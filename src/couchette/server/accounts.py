"""The users that exist, and whether a password is theirs.

Administrators come from the program that runs the server; everybody else is a document ``org.couchdb.user:NAME`` in
the database ``_users``. Deriving a key from a password takes half a second by design. So what was verified is
remembered, as a keyed digest, until the process ends or the document changes; and what fails is counted.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from couchette.environment import Environment
from couchette.errors import BadRequest, Conflict, CouchetteError, NotFound, Unauthorized
from couchette.limits import PBKDF2_ITERATIONS, VERIFIED_MAX
from couchette.server import passwords
from couchette.server.identity import ADMIN_ROLE, User
from couchette.server.lockout import Lockout
from couchette.wire.names import USERS

PREFIX: Final = "org.couchdb.user:"


@dataclass(frozen=True)
class Account:
    """One user, and what its password is checked by."""

    user: User
    members: Mapping[str, Any]
    stored: bool
    """Whether it is a document, and not an administrator."""

    @property
    def salt(self) -> str:
        """What makes this password's cookies its own."""
        salt = self.members.get("salt", "")
        return salt if isinstance(salt, str) else ""


class Accounts:
    """The users of an environment. Its methods block, some for half a second: call them in a worker thread."""

    def __init__(
        self, environment: Environment, admins: Mapping[str, str], *, iterations: int = PBKDF2_ITERATIONS
    ) -> None:
        """``admins`` are names with their passwords, plain or as CouchDB's configuration has them derived.

        Raises BadRequest for a name or password that cannot be one.
        """
        self.iterations = iterations
        self._environment = environment
        self._admins = {name: _admin(name, text, iterations) for name, text in admins.items()}
        self._lockout = Lockout(time.monotonic)
        self._lock = threading.Lock()
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._key = secrets.token_bytes(32)

    @property
    def has_admins(self) -> bool:
        """Whether there is an administrator; without one, everybody is."""
        return bool(self._admins)

    def find(self, name: str) -> Account | None:
        """The user of this name. An administrator's document, if there is one, adds its roles."""
        doc = self._document(name)
        if name not in self._admins:
            return None if doc is None else Account(User(name, _roles(doc)), doc, True)
        roles = () if doc is None else _roles(doc)
        return Account(User(name, (ADMIN_ROLE, *roles)), self._admins[name], False)

    def login(self, name: str, password: str, address: str) -> Account:
        """The user with this name and password.

        Raises:
            Unauthorized: there is none.
            Forbidden: there were too many wrong passwords for it from this address.
        """
        account = self.find(name)
        if account is None:
            raise wrong_password()
        key = (name, account.salt, address)
        self._lockout.check(key)
        if not self._is_verified(account, password):
            self._lockout.fail(key)
            raise wrong_password()
        self._lockout.succeed(key)
        if account.stored and passwords.is_outdated(account.members, iterations=self.iterations):
            return self._upgraded(account, password)
        return account

    def _is_verified(self, account: Account, password: str) -> bool:
        """Whether the password is right; a user is verified once, and remembered by what it was verified against."""
        against = repr(sorted((name, repr(account.members.get(name))) for name in _VERIFIED_BY))
        text = "\0".join((account.user.name or "", password, against))
        mark = hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)
        with self._lock:
            if mark in self._verified:
                self._verified.move_to_end(mark)
                return True
        if not passwords.verify(password, account.members):
            return False
        with self._lock:
            self._verified[mark] = None
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        return True

    def _upgraded(self, account: Account, password: str) -> Account:
        """Derive the password of a document anew; another's edit at the same time goes first."""
        doc = {name: value for name, value in account.members.items() if name != "password_sha"}
        doc.update(passwords.derive(password, iterations=self.iterations))
        with suppress(Conflict):
            self._environment.open(USERS).put(doc)
        return self.find(account.user.name or "") or account

    def _document(self, name: str) -> dict[str, Any] | None:
        try:
            doc: dict[str, Any] = self._environment.open(USERS).get(PREFIX + name)
        except (NotFound, BadRequest):
            return None
        return doc


_VERIFIED_BY: Final = ("password_scheme", "pbkdf2_prf", "salt", "iterations", "derived_key", "password_sha")


def wrong_password() -> CouchetteError:
    """The error for an unknown name as well as for a wrong password, so that names cannot be tried out."""
    return Unauthorized("Name or password is incorrect.", "Check both; names are case-sensitive.")


def _admin(name: str, text: str, iterations: int) -> dict[str, Any]:
    if not name or ":" in name or name.startswith("_") or not name.isprintable():
        raise BadRequest(f"{name!r} cannot be the name of an administrator.", "Leave out colons; begin with a letter.")
    if not text:
        raise BadRequest(f"The password of {name!r} is empty.", "Give the administrator a password.")
    return passwords.parse_admin(text) or passwords.derive(text, iterations=iterations)


def _roles(doc: Mapping[str, Any]) -> tuple[str, ...]:
    """The roles of a user's document; a system role can only be in one that no rule has seen."""
    roles = doc.get("roles")
    if not isinstance(roles, list):
        return ()
    return tuple(role for role in roles if isinstance(role, str) and not role.startswith("_"))
