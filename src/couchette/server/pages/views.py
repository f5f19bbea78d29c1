"""The views of a database's design documents: listed, asked, and their rows shown."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.responses import Response

from couchette.database import Database
from couchette.design.request import security_of
from couchette.document.docid import DESIGN
from couchette.errors import CouchetteError, NotFound
from couchette.server import security
from couchette.server.pages.rendering import Crumb, page
from couchette.server.pages.view_rows import OPTIONS, read, read_options
from couchette.server.pages.visit import Visit

JAVASCRIPT: Final = "javascript"


@dataclass(frozen=True)
class StoredView:
    """A view of a design document, which is named without ``_design/``."""

    design: str
    name: str
    map: str
    reduce: str | None
    language: str


def administers(visit: Visit, db: Database) -> bool:
    """Whether the user administers the database."""
    return security.is_admin(security_of(db), visit.user)


def show(visit: Visit) -> Response:
    """All views, and the rows of the chosen one. Wrong options are shown again with what is wrong."""
    name, design, view = visit.given("db"), visit.optional("design"), visit.optional("view")
    db = visit.database("GET", "_design_docs")
    views = stored_views(db)
    chosen = next((one for one in views if (one.design, one.name) == (design, view)), None)
    if chosen is None and view is not None:
        raise NotFound("missing_named_view", f"The design document {design!r} has no view {view!r}.")
    typed = {one: visit.optional(one) or "" for one in OPTIONS}
    asked = {one: text for one, text in typed.items() if text}
    shown, problem, status = None, "", 200
    if chosen is not None:
        ask = partial(visit.database("GET", "_design", chosen.design, "_view", chosen.name).query, _pair(chosen))
        where = {one: visit.optional(one) for one in ("at", "before", "skip")}
        try:
            shown = read(ask, read_options(asked), where, has_reduce=chosen.reduce is not None)
        except CouchetteError as exc:
            problem, status = str(exc), exc.status
    return page(
        visit,
        "views.html",
        title="Views" if chosen is None else f"{chosen.design}/{chosen.name}",
        crumbs=crumbs_to(visit, *([] if chosen is None else [f"{chosen.design}/{chosen.name}"])),
        database=name,
        section="views",
        status=status,
        views=views,
        chosen=chosen,
        typed=typed,
        asked=asked,
        shown=shown,
        previous={**asked, **shown.previous} if shown and shown.previous else None,
        following={**asked, **shown.following} if shown and shown.following else None,
        problem=problem,
        may_write=administers(visit, db),
    )


def _pair(view: StoredView) -> tuple[str, str]:
    return view.design, view.name


def crumbs_to(visit: Visit, *rest: str) -> list[Crumb]:
    """The way to a page about views."""
    name = visit.given("db")
    steps: list[Crumb] = [(name, visit.link("documents", db=name))]
    return [*steps, ("Views", visit.link("views", db=name) if rest else None), *((text, None) for text in rest)]


def stored_views(db: Database) -> list[StoredView]:
    """The map/reduce views of all design documents; indexes of Mango are none."""
    found = []
    for row in db.all_docs(start_key=DESIGN, end_key="_design0", inclusive_end=False, include_docs=True)["rows"]:
        doc = row["doc"]
        language, views = doc.get("language", JAVASCRIPT), doc.get("views")
        if language == "query" or not isinstance(views, dict):
            continue
        for name, view in views.items():
            if isinstance(view, dict) and isinstance(view.get("map"), str):
                reduce = view.get("reduce")
                shown = reduce if isinstance(reduce, str) and reduce else None
                found.append(StoredView(row["id"].removeprefix(DESIGN), name, view["map"], shown, language))
    return found


ROUTES: Final = {("GET", "views"): show}
