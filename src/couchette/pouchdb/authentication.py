"""The plug-in for users: sign up, log in, log out, and who is logged in; as PouchDB-authentication answers.

On a server it is the server's ``_users`` and ``_session``, and the cookie is the environment's for that server. Local
databases have users too: documents in the environment's own ``_users``, in CouchDB's form and under its rules, so they
replicate to a server and back. The session is the environment's, and ends with it. It decides nothing about local
databases, whose program may do as it likes: it tells validation functions and the program itself who is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from couchette.environment import Environment
from couchette.errors import BadRequest, NotFound
from couchette.limits import PBKDF2_ITERATIONS
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.results import plain
from couchette.users import ANONYMOUS, EVERYONE_IS_ADMIN, PREFIX, Accounts, User, rules
from couchette.wire.names import USERS

Doc = dict[str, Any]

RESERVED: Final = frozenset(
    {"name", "type", "roles", "password", "password_scheme", "iterations", "derived_key", "salt", "pbkdf2_prf"}
)
"""Members of a user's document that metadata cannot be; nor can any that begins with an underscore."""

_HERE: Final = "local"
"""Where local users log in from, where a server would have an address."""


class LocalSession:
    """The users of an environment's local databases, and which of them is logged in. Safe to use from many threads."""

    def __init__(self, environment: Environment, *, iterations: int = PBKDF2_ITERATIONS) -> None:
        """Nobody is logged in; ``iterations`` are those of new passwords, which take half a second by default."""
        self._environment = environment
        self._accounts = Accounts(environment, {}, iterations=iterations)
        self._logged_in: tuple[str, str] | None = None
        """Name and salt: who has another password since, or is deleted, is not logged in any more."""

    @property
    def user(self) -> User:
        """Who is logged in. While nobody is, and the folder has no administrators, everybody is one, as in CouchDB."""
        if self._logged_in is not None:
            name, salt = self._logged_in
            account = self._accounts.find(name)
            if account is not None and account.salt == salt:
                return account.user
        return ANONYMOUS if self._accounts.has_admins else EVERYONE_IS_ADMIN

    def sign_up(self, doc: Doc) -> Doc:
        """Store a user's document: ``{"ok", "id", "rev"}``. Raises Conflict, Forbidden."""
        return self._accounts.sign_up(doc, by=self.user)

    def log_in(self, name: str, password: str) -> Doc:
        """Log in: ``{"ok", "name", "roles"}``. Raises Unauthorized, Forbidden; the session is then as before."""
        account = self._accounts.login(name, password, _HERE)
        self._logged_in = (name, account.salt)
        return {"ok": True, **account.user.context()}

    def log_out(self) -> Doc:
        """Log out, if anybody is logged in: ``{"ok": True}``."""
        self._logged_in = None
        return {"ok": True}

    def session(self) -> Doc:
        """Who is logged in: ``{"ok", "userCtx": {"name", "roles"}, "info"}``."""
        user = self.user
        info: Doc = {"authentication_db": USERS, "authentication_handlers": ["api"]}
        if user.name is not None:
            info["authenticated"] = "api"
        return {"ok": True, "userCtx": user.context(), "info": info}

    def get_user(self, name: str) -> Doc:
        """A user's document; a user who is logged in sees none but its own. Raises NotFound."""
        user = self.user
        rules.check_reader(PREFIX + name, user, is_admin=user.is_admin)
        if USERS not in self._environment:
            raise NotFound("missing", f"Nobody signed up as {name!r}.")
        doc: Doc = self._environment[USERS].get(PREFIX + name)
        return doc


def signup(
    core: DatabaseCore,
    username: str,
    password: str,
    *,
    metadata: Mapping[str, Any] | None = None,
    roles: Iterable[str] | None = None,
) -> Doc:
    """Make a new user: ``{"ok", "id", "rev"}``. It is not logged in by that.

    Args:
        metadata: further members of the user's document.
        roles: of the user; on a server only an administrator gives any.

    Raises:
        BadRequest: there is no name or password, or metadata has a member of the document's own.
        Conflict: there is a user of this name.
        Forbidden: the name cannot be one, such as with a colon.
    """
    _check(username, password)
    extra: Doc = plain(dict(metadata or {}))
    for name in extra:
        if name in RESERVED or name.startswith("_"):
            raise _refused(f'cannot use reserved word in metadata: "{name}"')
    doc = {
        "_id": PREFIX + username,
        "type": "user",
        "name": username,
        "password": password,
        "roles": [] if roles is None else [*roles],
        **extra,
    }
    if core.is_remote:
        stored: Doc = core.server.database(USERS).put(doc)
        return stored
    return core.environment.session.sign_up(doc)


def login(core: DatabaseCore, /, username: str, password: str) -> Doc:
    """Log in: ``{"ok", "name", "roles"}``.

    Raises:
        BadRequest: there is no name or password.
        Unauthorized: name or password is wrong.
        Forbidden: there were too many wrong passwords.
    """
    _check(username, password)
    answer: Doc = _session(core).log_in(username, password)
    return answer


def logout(core: DatabaseCore) -> Doc:
    """Log out whoever is logged in: ``{"ok": True}``."""
    answer: Doc = _session(core).log_out()
    return answer


def get_session(core: DatabaseCore) -> Doc:
    """Who is logged in: ``{"ok", "userCtx": {"name", "roles"}, "info"}``. ``name`` is None while nobody is."""
    answer: Doc = _session(core).session()
    return answer


def get_user(core: DatabaseCore, /, username: str) -> Doc:
    """The document of a user, metadata included. Raises NotFound, also for who may not see it."""
    if not username:
        raise _refused("you must provide a username")
    answer: Doc = _session(core).get_user(username)
    return answer


def _session(core: DatabaseCore) -> Any:
    """Where a database's users log in: its server, or the environment."""
    return core.server if core.is_remote else core.environment.session


def _check(username: str, password: str) -> None:
    if not username:
        raise _refused("you must provide a username")
    if not password:
        raise _refused("you must provide a password")


def _refused(reason: str) -> BadRequest:
    return BadRequest(reason, error="authentication_error")
