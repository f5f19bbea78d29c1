"""Who may use a database: its ``_security`` object, and what follows from it.

It has ``admins`` and ``members``, each with ``names`` and ``roles``. Where it names members, only they, the admins
and the server's administrators may read and write; where it names none, everybody may. A database for which nothing
was set is the administrators' alone, as in CouchDB since 3.0.
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from couchette.database import Database
from couchette.design.request import security_of
from couchette.errors import BadRequest, CouchetteError, Forbidden, Unauthorized
from couchette.server.answers import json_answer
from couchette.server.request import Request
from couchette.users import User

Security = dict[str, Any]


def is_admin(security: Security, user: User) -> bool:
    """Whether the user administers the database."""
    return user.is_admin or _is_named(security, "admins", user)


def check_member(security: Security, user: User) -> None:
    """Raise Unauthorized or Forbidden unless the user may use the database at all."""
    if is_admin(security, user) or not _names_any(security, "members") or _is_named(security, "members", user):
        return
    raise user.refused("You are not authorized to access this db.", "You are not allowed to access this db.")


def check_admin(security: Security, user: User) -> None:
    """Raise Unauthorized unless the user administers the database."""
    if not is_admin(security, user):
        raise Unauthorized("You are not a server or db admin.", "Log in as one.")


def design_refusal(user: User) -> CouchetteError:
    """The error for a design document that no administrator of the database writes."""
    return Forbidden("You are not a db or server admin.", f"It is {user.name!r} who asks.")


def check(value: object) -> Security:
    """The object, if it can be one. Raises BadRequest."""
    if not isinstance(value, dict):
        raise BadRequest("Request body must be a JSON object", f"It is a JSON {type(value).__name__}.")
    for group in ("admins", "members", "readers"):
        members = value.get(group, {})
        if not isinstance(members, dict):
            raise BadRequest(f"{group} must be a JSON object", f"It is {members!r}.")
        for kind in ("names", "roles"):
            listed = members.get(kind, [])
            if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
                raise BadRequest(f"{kind} must be a JSON list of strings", f"{group}.{kind} is {listed!r}.")
    return value


def get(request: Request, db: Database) -> Response:
    """``GET /{db}/_security``."""
    return json_answer(security_of(db))


def put(request: Request, db: Database) -> Response:
    """``PUT /{db}/_security``; the body is an object, whatever its Content-Type."""
    db.set_security(check(request.json()))
    return json_answer({"ok": True})


def _group(security: Security, group: str) -> dict[str, Any]:
    """A group's names and roles; ``readers`` is the name that members had before CouchDB 1.2."""
    found = security.get(group, security.get("readers") if group == "members" else None)
    return found if isinstance(found, dict) else {}


def _names_any(security: Security, group: str) -> bool:
    found = _group(security, group)
    return bool(found.get("names") or found.get("roles"))


def _is_named(security: Security, group: str, user: User) -> bool:
    found = _group(security, group)
    return user.name in (found.get("names") or ()) or not set(user.roles).isdisjoint(found.get("roles") or ())
