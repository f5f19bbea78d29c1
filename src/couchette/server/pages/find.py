"""Mango: a query with what it finds and the index that serves it, and the indexes of a database.

A query is typed as the body of ``_find``, and is read as the API reads it. Its limit is that of a page.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio
from couchette.database import Database
from couchette.document.partition import check_partition
from couchette.errors import BadRequest, CouchetteError
from couchette.query.find_explain import explain
from couchette.query.find_indexes import create_index, delete_index, get_indexes
from couchette.query.find_options import FindOptions, read_options
from couchette.server.pages.documents import parse_object
from couchette.server.pages.rendering import page, pretty
from couchette.server.pages.views import administers
from couchette.server.pages.visit import Visit
from couchette.server.readable import find_readable

Doc = dict[str, Any]
PAGE_ROWS: Final = 50
PAGE_ROWS_MAX: Final = 500
QUERY: Final = {"selector": {"_id": {"$gt": None}}}
INDEX: Final = {"index": {"fields": ["name"]}, "name": "by-name"}


def show(visit: Visit) -> Response:
    """A query and what it finds. A wrong one is shown again with what is wrong."""
    name, text = visit.given("db"), visit.optional("query")
    db = visit.database("POST", "_find")
    found, explained, problem, status = None, None, "", 200
    if text is not None:
        try:
            options = _read(db, parse_object(text), visit.optional("bookmark"))
            explained = explain(db._pool, options, db.name, strict=False)
            found = find_readable(db, options)
        except CouchetteError as exc:
            problem, status = str(exc), exc.status
    docs = [] if found is None else found["docs"]
    has_more = docs and explained is not None and len(docs) == explained["limit"]
    suggested = None if explained is None else explained["suggested_index"]
    return page(
        visit,
        "find.html",
        title="Find",
        crumbs=[(name, visit.link("documents", db=name)), ("Find", None)],
        database=name,
        section="find",
        status=status,
        text=pretty(QUERY) if text is None else text,
        docs=[_split(doc) for doc in docs],
        has_ids=any("_id" in doc for doc in docs),
        found=found,
        following={"query": text, "bookmark": found["bookmark"]} if found and has_more else None,
        explained=explained,
        suggested=None if suggested is None else jsonio.dumps({"index": suggested}).decode(),
        problem=problem,
        may_write=administers(visit, db),
    )


def _split(doc: Doc) -> Doc:
    """A document's id, if it is shown, beside the rest of what is."""
    rest = {name: value for name, value in doc.items() if name not in ("_id", "_rev")}
    return {"id": doc.get("_id"), "fields": rest}


def _read(db: Database, body: Doc, bookmark: str | None) -> FindOptions:
    """What is asked for, a page of it. Raises BadRequest."""
    if bookmark is not None:
        body = {**body, "bookmark": bookmark}
    limit = body.get("limit", PAGE_ROWS)
    if isinstance(limit, int):
        body = {**body, "limit": min(limit, PAGE_ROWS_MAX)}
    if not db._partitioned:
        return read_options(body)
    partition = body.pop("partition", "")
    if not isinstance(partition, str):
        raise BadRequest("Partition must be a string", f"Got {partition!r}.", error="illegal_partition")
    return read_options(body, partition=partition and check_partition(partition))


def indexes(visit: Visit) -> Response:
    """All indexes, and one to make."""
    return _listed(visit, text=pretty(INDEX))


def create(visit: Visit) -> Response:
    """Make an index. A wrong one is shown again with what is wrong."""
    text = visit.form.fields.get("definition", "")
    db = visit.database("POST", "_index")
    try:
        made = create_index(db._pool, parse_object(text))
    except CouchetteError as exc:
        return _listed(visit, text=text, problem=str(exc), status=exc.status)
    said = "There is such an index already" if made["result"] == "exists" else "Created the index"
    return visit.go(visit.link("indexes", db=visit.given("db")), f"{said}: {made['name']} in {made['id']}.")


def delete(visit: Visit) -> Response:
    """Delete an index."""
    ddoc, name, kind = visit.given("ddoc"), visit.given("name"), visit.given("type")
    db = visit.database("DELETE", "_index", ddoc, kind, name)
    delete_index(db._pool, ddoc, name, kind)
    return visit.go(visit.link("indexes", db=visit.given("db")), f"Deleted the index {name}.")


def _listed(visit: Visit, *, text: str, problem: str = "", status: int = 200) -> Response:
    name = visit.given("db")
    db = visit.database("GET", "_index")
    return page(
        visit,
        "indexes.html",
        title="Indexes",
        crumbs=[(name, visit.link("documents", db=name)), ("Indexes", None)],
        database=name,
        section="indexes",
        status=status,
        indexes=get_indexes(db._pool)["indexes"],
        text=text,
        problem=problem,
        may_write=administers(visit, db),
    )


ROUTES: Final = {
    ("GET", "find"): show,
    ("GET", "indexes"): indexes,
    ("POST", "indexes/create"): create,
    ("POST", "indexes/delete"): delete,
}
