"""Who may sign in: the administrators of the server, and the users that ``_users`` holds.

What is written passes the rules of ``_users``, as through the API: passwords are derived before they are stored, and
names and roles are checked. No page shows what a password was derived to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest, CouchetteError
from couchette.server import databases
from couchette.server.gate import begin_asking
from couchette.server.pages.rendering import page
from couchette.server.pages.visit import Visit
from couchette.users import PREFIX
from couchette.wire.names import USERS

PAGE_ROWS: Final = 100
CONFIG: Final = ("_node", "_local", "_config", "admins")
"""The API's path of the administrators."""


@dataclass(frozen=True)
class Listed:
    """A user, as lists show one."""

    name: str
    roles: list[str]


def show(visit: Visit) -> Response:
    """Administrators and users, with forms for new ones."""
    return _listed(visit)


def _listed(
    visit: Visit, *, about: str = "", name: str = "", roles: str = "", problem: str = "", status: int = 200
) -> Response:
    """The lists, and with them what is wrong with the form ``about`` an ``admin`` or a ``user``."""
    visit.require("GET", *CONFIG)
    accounts = visit.request.gate.authentication.accounts
    rows = _rows(visit, visit.optional("from"))
    return page(
        visit,
        "users.html",
        title="Users",
        section="users",
        status=status,
        admins=sorted(accounts.admins.lines()),
        users=rows[:PAGE_ROWS],
        following=rows[PAGE_ROWS].name if len(rows) > PAGE_ROWS else None,
        about=about,
        name=name,
        roles=roles,
        problem=problem,
    )


def _rows(visit: Visit, first: str | None) -> list[Listed]:
    """The users from a name on, one more than a page has."""
    request = visit.require("GET", USERS, "_all_docs")
    if USERS not in visit.request.environment:
        return []
    found = request.database().all_docs(
        start_key=PREFIX + (first or ""),
        end_key=PREFIX + "\U0010ffff",
        limit=PAGE_ROWS + 1,
        include_docs=True,
    )["rows"]
    return [Listed(row["id"].removeprefix(PREFIX), _roles_of(row["doc"])) for row in found]


def _roles_of(doc: dict[str, Any]) -> list[str]:
    roles = doc.get("roles")
    return [str(role) for role in roles] if isinstance(roles, list) else []


def read_names(text: str) -> list[str]:
    """Names or roles that were typed, one a line; spaces around them do not count, nor does one given twice."""
    return list(dict.fromkeys(line.strip() for line in text.splitlines() if line.strip()))


def add_admin(visit: Visit) -> Response:
    """Make an administrator. From the first one on, everybody has to sign in."""
    name, password = visit.form.fields.get("name", "").strip(), visit.form.fields.get("password", "")
    visit.require("PUT", *CONFIG, name)
    authentication = visit.request.gate.authentication
    was_open = not authentication.accounts.has_admins
    try:
        if name in authentication.accounts.admins.lines():
            raise BadRequest(f"{name!r} is an administrator already.", "Remove it first to give it another password.")
        authentication.accounts.admins.set(name, password)
    except CouchetteError as exc:
        return _listed(visit, about="admin", name=name, problem=str(exc), status=exc.status)
    if was_open:
        begin_asking(authentication, visit.request.environment)
        return visit.go(visit.link("sign-in", next=visit.link("users")), f"Sign in as {name}, who decides from now on.")
    return visit.go(visit.link("users"), f"{name} is an administrator now.")


def remove_admin(visit: Visit) -> Response:
    """Take an administrator back, unless it is the last one, or the program's."""
    name = visit.given("name")
    visit.require("DELETE", *CONFIG, name)
    visit.request.gate.authentication.accounts.admins.remove(name)
    return visit.go(visit.link("users"), f"{name} is no administrator any more.")


def create(visit: Visit) -> Response:
    """Make a user. What is wrong is shown beside the form; the password is typed again."""
    fields = visit.form.fields
    name, roles, password = fields.get("name", "").strip(), fields.get("roles", ""), fields.get("password", "")
    try:
        if not name or not password:
            raise BadRequest("A user has a name and a password.", "Type both.")
        if USERS not in visit.request.environment:
            databases.create(visit.require("PUT", USERS))
        doc = {"_id": PREFIX + name, "name": name, "type": "user", "roles": read_names(roles), "password": password}
        _writer(visit).put(doc)
    except CouchetteError as exc:
        problem = f"There is a user {name!r} already." if exc.status == 409 else str(exc)
        return _listed(visit, about="user", name=name, roles=roles, problem=problem, status=exc.status)
    return visit.go(visit.link("users"), f"Created the user {name}.")


def _writer(visit: Visit) -> Database:
    """``_users``, for writing to it."""
    return visit.require("POST", USERS, "_bulk_docs").database()


def edit(visit: Visit) -> Response:
    """The roles of a user, and a new password for it."""
    doc = _document(visit)
    return _editor(visit, rev=doc["_rev"], roles="\n".join(_roles_of(doc)))


def _document(visit: Visit) -> dict[str, Any]:
    """The document of the user ``name``. Raises NotFound."""
    visit.require("GET", *CONFIG)
    doc_id = PREFIX + visit.given("name")
    doc: dict[str, Any] = visit.require("GET", USERS, doc_id).database().get(doc_id)
    return doc


def save(visit: Visit) -> Response:
    """Store roles, and a password where one was typed; not if somebody has changed the user meanwhile."""
    name, rev, roles = visit.given("name"), visit.given("rev"), visit.form.fields.get("roles", "")
    password = visit.form.fields.get("password", "")
    doc = {**_document(visit), "_rev": rev, "roles": read_names(roles)}
    try:
        _writer(visit).put({**doc, "password": password} if password else doc)
    except CouchetteError as exc:
        problem = "Somebody has changed the user meanwhile. Load it again." if exc.status == 409 else str(exc)
        return _editor(visit, rev=rev, roles=roles, problem=problem, status=exc.status)
    return visit.go(visit.link("users"), f"Saved {name}" + (", with a new password." if password else "."))


def _editor(visit: Visit, *, rev: str, roles: str, problem: str = "", status: int = 200) -> Response:
    name = visit.given("name")
    return page(
        visit,
        "user.html",
        title=name,
        crumbs=[("Users", visit.link("users")), (name, None)],
        section="users",
        status=status,
        name=name,
        rev=rev,
        roles=roles,
        problem=problem,
    )


def delete(visit: Visit) -> Response:
    """Delete a user, who cannot sign in any more."""
    name, rev = visit.given("name"), visit.given("rev")
    visit.require("GET", *CONFIG)
    _writer(visit).remove(PREFIX + name, rev)
    return visit.go(visit.link("users"), f"Deleted the user {name}.")


ROUTES: Final = {
    ("GET", "users"): show,
    ("POST", "users/create"): create,
    ("GET", "users/edit"): edit,
    ("POST", "users/save"): save,
    ("POST", "users/delete"): delete,
    ("POST", "users/add-admin"): add_admin,
    ("POST", "users/remove-admin"): remove_admin,
}
