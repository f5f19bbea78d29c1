"""All that decides who may do what, for one app: how users are known, and the program's own rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from couchette.database import Database
from couchette.design.judging import judged, judged_by
from couchette.design.request import security_of
from couchette.environment import Environment
from couchette.errors import Unauthorized
from couchette.functions import PythonFunctions
from couchette.server import permissions
from couchette.server.authentication import Authentication
from couchette.server.guard import UserJudge
from couchette.server.policy import MayRead, MayReadDocument, Policy
from couchette.server.readable import readable, with_fields
from couchette.server.security import Security
from couchette.server.settings import Settings
from couchette.server.tokens import Tokens
from couchette.users import Accounts, User
from couchette.users.secret import stored_secret
from couchette.wire.names import USERS

_ALWAYS_OPEN = (b"_session", b"_up", b"_utils")  # What a page shows, it asks for as the API would.


@dataclass(frozen=True)
class Gate:
    """The rules of an app."""

    authentication: Authentication
    require_valid_user: bool
    may_read: MayRead | None
    may_read_document: MayReadDocument | None
    validate: PythonFunctions | None

    @property
    def has_rules(self) -> bool:
        """Whether the program has rules of its own for reading."""
        return self.may_read is not None or self.may_read_document is not None

    def check(self, user: User, method: str, segments: list[bytes]) -> None:
        """Raise Unauthorized unless the user may use what a path names, as far as the server decides."""
        if self.require_valid_user and user.name is None and segments and segments[0] not in _ALWAYS_OPEN:
            raise Unauthorized("Authentication required.", "Log in.")
        permissions.check_server(user, method, segments)

    def admit(self, user: User, db: Database, method: str, path: list[bytes], settings: Settings) -> Database:
        """The database as the user may use it for a request to this part of it: what it writes is judged.

        Raises Unauthorized, Forbidden, NotFound.
        """
        writes = permissions.writes_documents(method, path)
        if user.is_admin and not self.has_rules and not writes:
            return db
        secured = security_of(db)
        is_public = bool(settings.public_fields) and permissions.is_public_user(user, secured, method, db.name, path)
        permissions.check_database(user, secured, method, db.name, path, is_public=is_public)
        if is_public:
            db = with_fields(db, settings.public_fields)
        if self.may_read is not None and not self.may_read(user.context(db.name), db.name):
            raise user.refused("You are not authorized to access this db.", "You are not allowed to access this db.")
        if self.may_read_document is not None:
            db = readable(db, partial(self.may_read_document, user.context(db.name), db.name))
        return judged(db, self._judge(user, db, secured, settings)) if writes else db

    def as_target(self, user: User, settings: Settings, db: Database) -> Database:
        """The database as the target of a replication that an administrator asked for: what it writes is judged.

        A replication may run for months, so what holds is read anew for each write.
        """
        return judged_by(db, lambda: self._judge(user, db, security_of(db), settings))

    def _judge(self, user: User, db: Database, secured: Security, settings: Settings) -> UserJudge:
        return UserJudge(
            user.context(db.name),
            secured,
            self.validate,
            database=db.name,
            user=user,
            iterations=self.authentication.accounts.iterations,
            partitioned=db._partitioned,
            attachment_bytes_max=settings.attachment_bytes_max,
        )


def gate_of(environment: Environment, policy: Policy) -> Gate:
    """The gate of an app over this environment. With administrators it makes the database ``_users``.

    Deriving the administrators' keys takes half a second each. Raises BadRequest, MissingExtra, StoreError.
    """
    accounts = Accounts(environment, policy.admins, iterations=policy.password_iterations)
    validate = policy.validate_doc_update
    authentication = Authentication(
        accounts,
        partial(stored_secret, environment),
        tokens=Tokens(policy.jwt_keys, required_claims=policy.jwt_required_claims) if policy.jwt_keys else None,
        proxy_secret=policy.proxy_secret,
    )
    begin_asking(authentication, environment)
    return Gate(
        authentication,
        policy.require_valid_user,
        policy.may_read,
        policy.may_read_document,
        None if validate is None else PythonFunctions(validate_doc_update=validate),
    )


def begin_asking(authentication: Authentication, environment: Environment) -> None:
    """Make what logging in needs, if there is an administrator: the database ``_users``, the secret of cookies.

    Raises StoreError.
    """
    if authentication.accounts.has_admins:
        environment[USERS].info()
        authentication.secret()
