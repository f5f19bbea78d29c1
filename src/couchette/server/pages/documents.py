"""The documents of a database, a page at a time: all of them, a range of ids, or what a filter finds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio
from couchette.database import Database
from couchette.errors import BadRequest, CouchetteError
from couchette.server.pages.rendering import page
from couchette.server.pages.visit import Visit

PAGE_ROWS: Final = 50
_LAST: Final = "\U0010ffff"
"""Greater than any character that follows a prefix."""


@dataclass(frozen=True)
class Row:
    """A document in the list."""

    id: str
    rev: str
    fields: dict[str, Any]


@dataclass(frozen=True)
class Rows:
    """A page of the list, and the parameters of its neighbours' addresses; None where there is none."""

    rows: list[Row]
    previous: dict[str, str | None] | None = None
    following: dict[str, str | None] | None = None
    note: str = ""


@dataclass(frozen=True)
class Wanted:
    """What of a database is to be listed: ids that begin so, from one to another, and what a filter leaves."""

    kind: str
    prefix: str
    first: str
    last: str
    filter: str

    @property
    def parameters(self) -> dict[str, str | None]:
        """The parameters of an address that ask for it."""
        given = {"kind": self.kind, "prefix": self.prefix, "from": self.first, "to": self.last, "filter": self.filter}
        return {name: value or None for name, value in given.items()}

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out."""
        return not any(self.parameters.values())

    def bounds(self) -> tuple[str | None, str | None]:
        """The least and the greatest id; None where there is no bound."""
        lows = [self.first or None, self.prefix or None, "_design/" if self.kind == "design" else None]
        highs = [
            self.last or None,
            self.prefix + _LAST if self.prefix else None,
            "_design/" + _LAST if self.kind == "design" else None,
        ]
        # The order of ids is that of their UTF-8, which is that of code points.
        low = max((bound for bound in lows if bound is not None), default=None)
        return low, min((bound for bound in highs if bound is not None), default=None)


def show(visit: Visit) -> Response:
    """The list, with the means to narrow it. A filter that is wrong is shown again with what is wrong."""
    name = visit.given("db")
    wanted = Wanted(*(visit.optional(one) or "" for one in ("kind", "prefix", "from", "to", "filter")))
    problem, status = "", 200
    try:
        rows = _found(visit, wanted) if wanted.filter else _listed(visit, wanted)
    except BadRequest as exc:
        visit.database("GET", "_all_docs")
        rows, problem, status = Rows([]), str(exc), exc.status
    return page(
        visit,
        "documents.html",
        title=name,
        crumbs=[(name, None)],
        database=name,
        section="documents",
        status=status,
        wanted=wanted,
        listed=rows,
        problem=problem,
        info=visit.database("GET").info(),
    )


def _listed(visit: Visit, wanted: Wanted) -> Rows:
    """The page that follows the id ``after``, or goes before ``before``, or the first one."""
    db = visit.database("GET", "_all_docs")
    low, high = wanted.bounds()
    if low is not None and high is not None and low > high:
        return Rows([])
    options: dict[str, Any] = {"limit": PAGE_ROWS + 1, "include_docs": True}
    after, before = visit.optional("after"), visit.optional("before")
    backwards = before is not None
    start, end = (before, low) if backwards else (after if after is not None else low, high)
    if start is not None:
        options["start_key"] = start
    if end is not None:
        options["end_key"] = end
    # The neighbour itself is on the other page; it may be deleted by now.
    found = db.all_docs(**options, descending=backwards)["rows"]
    if found and found[0]["id"] in (after, before):
        found = found[1:]
    elif (after or before) is not None and len(found) > PAGE_ROWS:
        found = found[:-1]
    return _page(db, wanted, found, backwards)


def _page(db: Database, wanted: Wanted, found: list[dict[str, Any]], backwards: bool) -> Rows:
    low, high = wanted.bounds()
    rows = [_row(one["doc"]) for one in found[:PAGE_ROWS]]
    if backwards:
        rows.reverse()
    if not rows:
        return Rows([])
    above: dict[str, Any] = {
        "limit": 2,
        "start_key": rows[0].id,
        "descending": True,
        **({} if low is None else {"end_key": low}),
    }
    below: dict[str, Any] = {"limit": 2, "start_key": rows[-1].id, **({} if high is None else {"end_key": high})}
    has_previous = len(db.all_docs(**above)["rows"]) > 1
    has_following = len(db.all_docs(**below)["rows"]) > 1
    return Rows(
        rows,
        {**wanted.parameters, "before": rows[0].id} if has_previous else None,
        {**wanted.parameters, "after": rows[-1].id} if has_following else None,
    )


def _found(visit: Visit, wanted: Wanted) -> Rows:
    """What a filter finds: a Mango selector, or words for a full-text index."""
    db = visit.database("POST", "_find")
    selector = read_filter(db, wanted.filter)
    low, high = wanted.bounds()
    bounds = {**({} if low is None else {"$gte": low}), **({} if high is None else {"$lte": high})}
    if bounds:
        selector = {"$and": [{"_id": bounds}, selector]}
    answer = db.find(selector, limit=PAGE_ROWS, bookmark=visit.optional("bookmark"))
    rows = [_row(doc) for doc in answer["docs"]]
    following = {**wanted.parameters, "bookmark": answer["bookmark"]} if len(rows) == PAGE_ROWS else None
    return Rows(rows, None, following, answer.get("warning") or "")


def read_filter(db: Database, text: str) -> dict[str, Any]:
    """The selector that a filter stands for. Raises BadRequest, with what is wrong and what would do."""
    if text.lstrip().startswith("{"):
        selector: dict[str, Any] = parse_object(text)
        return selector
    if any(index["type"] == "text" for index in db.get_indexes()["indexes"]):
        return {"$text": text}
    raise BadRequest(
        "This database has no full-text index, so words cannot be looked up.",
        'Give a selector in JSON, such as {"kind": "cat"}.',
    )


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object that somebody typed. Raises BadRequest, with the place of what is wrong."""
    try:
        value = jsonio.loads(text)
    except CouchetteError as exc:
        try:
            json.loads(text)
        except ValueError as error:
            raise BadRequest("This is not JSON.", f"{error}.") from exc
        except RecursionError:
            raise BadRequest("This is not JSON.", "It nests too deeply to find the place.") from exc
        raise
    if not isinstance(value, dict):
        raise BadRequest("This is not a JSON object.", "Put it between { and }.")
    return value


def _row(doc: dict[str, Any]) -> Row:
    return Row(doc.pop("_id"), doc.pop("_rev"), doc)


def conflicts(visit: Visit) -> Response:
    """The documents with conflicts."""
    name = visit.given("db")
    db = visit.database("GET", "_all_docs")
    found = db.conflicts(limit=PAGE_ROWS + 1, start_key=visit.optional("from"))
    following = {"from": found[PAGE_ROWS]["id"]} if len(found) > PAGE_ROWS else None
    return page(
        visit,
        "conflicts.html",
        title="Conflicts",
        crumbs=[(name, visit.link("documents", db=name)), ("Conflicts", None)],
        database=name,
        section="conflicts",
        rows=found[:PAGE_ROWS],
        following=following,
    )


ROUTES: Final = {("GET", "documents"): show, ("GET", "conflicts"): conflicts}
