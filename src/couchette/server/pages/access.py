"""Who may use a database: its ``_security`` as a form, and in words what follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from couchette.design.request import security_of
from couchette.server import security
from couchette.server.pages.rendering import page
from couchette.server.pages.users import read_names
from couchette.server.pages.views import administers
from couchette.server.pages.visit import Visit
from couchette.users import ADMIN_ROLE

GROUPS: Final = ("admins", "members")
KINDS: Final = ("names", "roles")


def show(visit: Visit) -> Response:
    """Who may do what, and the form to change it for whoever may."""
    name = visit.given("db")
    db = visit.database("GET", "_security")
    secured = security_of(db)
    return page(
        visit,
        "access.html",
        title="Access",
        crumbs=[(name, visit.link("documents", db=name)), ("Access", None)],
        database=name,
        section="access",
        groups={group: {kind: listed(secured, group, kind) for kind in KINDS} for group in GROUPS},
        readers=readers(secured, asks=visit.request.gate.require_valid_user),
        keepers=keepers(secured),
        may_write=administers(visit, db),
        has_rules=bool(visit.request.gate.may_read or visit.request.gate.may_read_document),
        may_sign_up=visit.may("GET", "_node", "_local", "_config", "admins"),
    )


def save(visit: Visit) -> Response:
    """Store what was typed; what else the object has stays."""
    db = visit.database("PUT", "_security")
    value: dict[str, Any] = dict(security_of(db))
    for group in GROUPS:
        old = value.get(group)
        typed = {kind: read_names(visit.form.fields.get(f"{group}-{kind}", "")) for kind in KINDS}
        value[group] = {**(old if isinstance(old, dict) else {}), **typed}
    db.set_security(security.check(value))
    said = "Saved."
    if not security.is_admin(value, visit.user):
        said = "Saved. You do not administer the database any more."
    return visit.go(visit.link("access", db=visit.given("db")), said)


def listed(secured: Mapping[str, Any], group: str, kind: str) -> list[str]:
    """The names or the roles of a group. ``readers`` is what members were called before CouchDB 1.2."""
    found = secured.get(group, secured.get("readers") if group == "members" else None)
    values = found.get(kind) if isinstance(found, Mapping) else None
    return [str(value) for value in values] if isinstance(values, list) else []


def readers(secured: Mapping[str, Any], *, asks: bool) -> str:
    """Who reads and writes documents; ``asks`` says whether the server wants everybody to sign in."""
    names, roles = listed(secured, "members", "names"), listed(secured, "members", "roles")
    if not names and not roles:
        return "everybody who is signed in" if asks else "everybody, without signing in"
    given = [role for role in roles if role != ADMIN_ROLE]
    if not names and not given:
        return "administrators only"
    return f"{_people(names, given)}, and administrators"


def keepers(secured: Mapping[str, Any]) -> str:
    """Who writes design documents and indexes, and changes who may use the database."""
    names = listed(secured, "admins", "names")
    roles = [role for role in listed(secured, "admins", "roles") if role != ADMIN_ROLE]
    return "the server’s administrators" + (f", and {_people(names, roles)}" if names or roles else " only")


def _people(names: list[str], roles: list[str]) -> str:
    parts = [", ".join(names)] if names else []
    parts += [f"whoever has the role {' or '.join(roles)}"] if roles else []
    return " and ".join(parts)


ROUTES: Final = {
    ("GET", "access"): show,
    ("POST", "access/save"): save,
}
