"""The users that exist, and whether a password is theirs.

Administrators are the program's, or were added to the folder (``admins``); everybody else is a document
``org.couchdb.user:NAME`` in the database ``_users``. Deriving a key from a password takes half a second by design. So
what was verified is remembered, as a keyed digest, until the process ends or the document changes; and what fails is
counted.
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

from couchette import at_once, surroundings
from couchette.environment import Environment
from couchette.errors import BadRequest, Conflict, CouchetteError, NotFound, Unauthorized
from couchette.limits import PBKDF2_ITERATIONS, VERIFIED_MAX
from couchette.users import passwords, rules, totp
from couchette.users.admins import Admins
from couchette.users.lockout import Lockout, Turns
from couchette.users.user import ADMIN_ROLE, PREFIX, User
from couchette.wire.names import USERS


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
        self.admins = Admins(environment, admins, iterations=iterations)
        self._lockout = Lockout(time.monotonic)
        self._turns = Turns()
        self._lock = threading.Lock()
        self._verified: OrderedDict[bytes, None] = OrderedDict()
        self._key = secrets.token_bytes(32)

    @property
    def has_admins(self) -> bool:
        """Whether there is an administrator; without one, everybody is."""
        return bool(self.admins)

    def find(self, name: str) -> Account | None:
        """The user of this name. An administrator's document, if there is one, adds its roles."""
        doc = self._document(name)
        admin = self.admins.find(name)
        if admin is None:
            return None if doc is None else Account(User(name, _roles(doc)), doc, True)
        roles = () if doc is None else _roles(doc)
        return Account(User(name, (ADMIN_ROLE, *roles)), admin, False)

    def login(self, name: str, password: str, address: str, *, token: str = "") -> Account:
        """The user with this name and password, and with this one-time ``token``, if its document asks for one.

        Raises:
            Unauthorized: there is none.
            Forbidden: there were too many wrong passwords for it from this address.
        """
        account = self.find(name)
        if account is None:
            raise wrong_password()
        key = (name, account.salt, address)
        mark = self._mark(account, password)
        if self._is_remembered(mark) and not totp.is_wanted(account.members):
            self._lockout.check(key)
        else:
            at_once.would_wait()
            with self._turns.of(key):
                self._lockout.check(key)
                if not self._is_right(account, password, mark, token):
                    self._lockout.fail(key)
                    raise wrong_password()
        self._lockout.succeed(key)
        if account.stored and passwords.is_outdated(account.members, iterations=self.iterations):
            return self._upgraded(account, password)
        return account

    def sign_up(self, doc: Mapping[str, Any], *, by: User) -> dict[str, Any]:
        """Store the document of a new user, with a plain ``password``; return ``{"ok", "id", "rev"}``.

        Raises:
            Conflict: there is a user of this name.
            Forbidden: the document is no user's, or ``by`` may not store it; see :mod:`couchette.users.rules`.
        """
        # What is wrong with a document shows without the half second that its password takes.
        rules.validate(doc, None, by, is_admin=by.is_admin)
        stored: dict[str, Any] = self._environment[USERS].put(rules.prepare(doc, iterations=self.iterations))
        return stored

    def _is_right(self, account: Account, password: str, mark: bytes, token: str) -> bool:
        """Whether the password is right, and the token, if one is wanted; a password is derived once."""
        if not self._is_remembered(mark):
            if not passwords.verify(password, account.members):
                return False
            self._remember(mark)
        if not totp.is_wanted(account.members):
            return True
        return totp.verify(account.members, token, surroundings.now().timestamp())

    def _mark(self, account: Account, password: str) -> bytes:
        """What stands for a password, and for what it is verified against."""
        against = repr(sorted((name, repr(account.members.get(name))) for name in _VERIFIED_BY))
        text = "\0".join((account.user.name or "", password, against))
        return hmac.digest(self._key, text.encode("utf-8", "surrogatepass"), hashlib.sha256)

    def _is_remembered(self, mark: bytes) -> bool:
        """Whether the password was right before."""
        with self._lock:
            if mark not in self._verified:
                return False
            self._verified.move_to_end(mark)
            return True

    def _remember(self, mark: bytes) -> None:
        with self._lock:
            self._verified[mark] = None
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)

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
    """The error for an unknown name as well as for a wrong password. How long it took may tell them apart."""
    return Unauthorized("Name or password is incorrect.", "Check both; names are case-sensitive.")


def _roles(doc: Mapping[str, Any]) -> tuple[str, ...]:
    """The roles of a user's document; a system role can only be in one that no rule has seen."""
    roles = doc.get("roles")
    if not isinstance(roles, list):
        return ()
    return tuple(role for role in roles if isinstance(role, str) and not role.startswith("_"))
