"""The list of databases: made, opened and deleted here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from couchette.errors import CouchetteError, DatabaseClosed, DatabaseNotFound, Unauthorized
from couchette.server import answers, databases
from couchette.server.pages.rendering import page
from couchette.server.pages.visit import Visit

PAGE_ROWS: Final = 100
"""Databases on a page; each of them is opened."""


@dataclass(frozen=True)
class Listed:
    """A database and its numbers; without them, what keeps it from being opened."""

    name: str
    info: dict[str, Any] | None
    problem: str = ""


def show(visit: Visit) -> Response:
    """All databases with their numbers, for whom the API lists them; others name the one that they know."""
    problem = None
    try:
        visit.require("GET", "_all_dbs")
    except Unauthorized:
        if visit.user.name is None:
            raise
        problem = "Only administrators see the list of databases. Name the one that you know."
    first = visit.optional("from") or ""
    names = [] if problem else sorted(name for name in visit.request.environment if name >= first)
    listed = [one for name in names[:PAGE_ROWS] if (one := _listed(visit, name))]
    following = names[PAGE_ROWS] if len(names) > PAGE_ROWS else None
    return page(
        visit, "databases.html", title="Databases", section="", listed=listed, problem=problem, following=following
    )


def _listed(visit: Visit, name: str) -> Listed | None:
    try:
        return Listed(name, visit.request.environment.open(name).info())
    except (DatabaseNotFound, DatabaseClosed):
        return None  # It was deleted meanwhile.
    except CouchetteError as exc:
        return Listed(name, None, str(answers.told(exc, visit.request.environment)))


def create(visit: Visit) -> Response:
    """Make a database, and open it."""
    name = visit.given("name").strip()
    databases.create(visit.require("PUT", name))
    return visit.go(visit.link("documents", db=name), f"Created the database {name}.")


def ask_to_delete(visit: Visit) -> Response:
    """Ask for a database's name, typed, before it is deleted."""
    return _question(visit, visit.given("db"))


def delete(visit: Visit) -> Response:
    """Delete a database, if its name was typed."""
    name = visit.given("db")
    typed = visit.form.fields.get("confirmation", "").strip()
    if typed != name:
        return _question(visit, name, f"You typed {typed!r}. Type {name} to delete it.", 400)
    databases.destroy(visit.require("DELETE", name))
    return visit.go(visit.root, f"Deleted the database {name}.")


def _question(visit: Visit, name: str, problem: str = "", status: int = 200) -> Response:
    info = visit.database("GET").info()
    crumbs = [(name, visit.link("documents", db=name)), ("Delete", None)]
    return page(
        visit,
        "delete_database.html",
        title=f"Delete {name}",
        crumbs=crumbs,
        status=status,
        database=name,
        info=info,
        problem=problem,
    )


ROUTES: Final = {
    ("GET", ""): show,
    ("POST", "databases/create"): create,
    ("GET", "databases/delete"): ask_to_delete,
    ("POST", "databases/delete"): delete,
}
