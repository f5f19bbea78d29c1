"""All that decides who may do what, for one app: how users are known, and the program's own rules."""

from __future__ import annotations

from dataclasses import dataclass

from couchette.database import Database
from couchette.environment import Environment
from couchette.errors import Unauthorized
from couchette.functions import PythonFunctions
from couchette.server import permissions
from couchette.server.accounts import Accounts
from couchette.server.authentication import Authentication, stored_secret
from couchette.server.guard import Judge, guarded
from couchette.server.identity import User
from couchette.server.policy import MayRead, Policy
from couchette.server.security import security_of
from couchette.server.tokens import Tokens
from couchette.wire.names import USERS

_ALWAYS_OPEN = (b"_session", b"_up")


@dataclass(frozen=True)
class Gate:
    """The rules of an app."""

    authentication: Authentication
    require_valid_user: bool
    may_read: MayRead | None
    validate: PythonFunctions | None

    def check(self, user: User, method: str, segments: list[bytes]) -> None:
        """Raise Unauthorized unless the user may use what a path names, as far as the server decides."""
        if self.require_valid_user and user.name is None and segments and segments[0] not in _ALWAYS_OPEN:
            raise Unauthorized("Authentication required.", "Log in.")
        permissions.check_server(user, method, segments)

    def admit(self, user: User, db: Database, method: str, path: list[bytes]) -> Database:
        """The database as the user may use it for a request to this part of it: what it writes is judged.

        Raises Unauthorized, Forbidden, NotFound.
        """
        writes = permissions.writes_documents(method, path)
        if user.is_admin and self.may_read is None and not writes:
            return db
        secured = security_of(db)
        permissions.check_database(user, secured, method, db.name, path)
        if self.may_read is not None and not self.may_read(user.context(db.name), db.name):
            raise user.refused("You are not authorized to access this db.", "You are not allowed to access this db.")
        if not writes:
            return db
        iterations = self.authentication.accounts.iterations
        return guarded(db, Judge(db.name, user, secured, self.validate, iterations))


def gate_of(environment: Environment, policy: Policy) -> Gate:
    """The gate of an app over this environment. With administrators it makes the database ``_users``.

    Deriving the administrators' keys takes half a second each. Raises BadRequest, MissingExtra, StoreError.
    """
    accounts = Accounts(environment, policy.admins, iterations=policy.password_iterations)
    if accounts.has_admins:
        environment[USERS].info()
    validate = policy.validate_doc_update
    authentication = Authentication(
        accounts,
        stored_secret(environment) if accounts.has_admins else b"",
        tokens=Tokens(policy.jwt_keys, required_claims=policy.jwt_required_claims) if policy.jwt_keys else None,
        proxy_secret=policy.proxy_secret,
    )
    return Gate(
        authentication,
        policy.require_valid_user,
        policy.may_read,
        None if validate is None else PythonFunctions(validate_doc_update=validate),
    )
