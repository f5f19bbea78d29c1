"""Documents by id: ``_all_docs``, and ``_design_docs`` and ``_local_docs``, which list a part in the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio, store
from couchette.database import Database
from couchette.pool import Pool
from couchette.server import answers, partitions
from couchette.server.long_listings import listing_chunks, listing_parts
from couchette.server.long_views import answer_chunks
from couchette.server.request import Request
from couchette.server.streams import Chunk, made_answer
from couchette.server.views import json_body, several
from couchette.wire import parameters

FIRST, FINAL = "_design/", "_design0"
"""Between these are the ids of all design documents, and no others."""


Options = dict[str, Any]
Answer = dict[str, Any]


def _answer(request: Request, db: Database, listing: Callable[[Database, Options], Answer]) -> Response:
    """Answer one request; ``queries`` in the body asks several things at once."""
    body = json_body(request)
    if body is not None and "queries" in body:
        return _answer_several(request, db, listing, body)
    return answers.json_answer(listing(db, parameters.all_docs_options(request.query, body)))


def _answer_several(
    request: Request, db: Database, listing: Callable[[Database, Options], Answer], body: dict[str, Any]
) -> Response:
    asked = [parameters.all_docs_options(request.query, one, is_one_of_several=True) for one in several(body)]
    for options in asked:  # What one is refused for is found before the answer begins.
        refused = {**options, "limit": min(options.get("limit", 0), 0), "include_docs": False}
        _ = db.all_docs(**refused) if listing is _all_docs else listing(db, refused)
    made = (_parts(db, listing, options) for options in asked)
    return made_answer(answer_chunks(made, several=True), {"Content-Type": "application/json"}, head=False)


def _parts(db: Database, listing: Callable[[Database, Options], Answer], options: Options) -> Iterable[bytes]:
    """The text of one of several listings."""
    if listing is not _all_docs:
        return (jsonio.dumps(listing(db, options)),)
    if db._may_read is None and PAGED.issuperset(options):
        return (b"".join(pieces).removesuffix(b"\n") for pieces in _chunks(db._pool, **options))
    return listing_parts(db, options)


def all_docs(request: Request, db: Database) -> Response:
    """``GET`` or ``POST /{db}/_all_docs``. What can be long is sent page by page, each as it stands when it is read."""
    if request.query.first(partitions.PARAMETER) is not None:
        return partitions.all_docs(request, db)
    body = json_body(request)
    if body is not None and "queries" in body:
        return _answer_several(request, db, _all_docs, body)
    options = parameters.all_docs_options(request.query, body)
    ordinary = db._may_read is None and PAGED.issuperset(options)
    chunks: Iterator[Chunk] = _chunks(db._pool, **options) if ordinary else listing_chunks(db, options)
    return made_answer(chunks, {"Content-Type": "application/json"}, head=request.method == "HEAD")


PAGED: Final = frozenset(
    ["key", "start_key", "end_key", "inclusive_end", "descending", "skip", "limit", "include_docs", "update_seq"]
)
"""Options of listings that are put together of the text that is stored."""


def _chunks(
    pool: Pool,
    *,
    key: Any = store.UNSET,
    start_key: Any = store.UNSET,
    end_key: Any = store.UNSET,
    inclusive_end: bool = True,
    descending: bool = False,
    skip: int = 0,
    limit: int | None = None,
    include_docs: bool = False,
    update_seq: bool = False,
) -> Iterator[list[bytes]]:
    """The text of a listing, a page at a time."""
    span = store.span_of(key, start_key, end_key, inclusive_end, descending)
    head, page = pool.read(_first_page, span, skip, limit, include_docs, update_seq)
    begin = jsonio.dumps(head)[:-1] + b',"rows":['
    while True:
        yield _pieces(begin, page.texts, END if page.ended else b"")
        if page.ended:
            return
        begin = b","
        limit = None if limit is None else limit - page.rows
        span = span._replace(first=page.last, exclusive=True)
        page = pool.read(store.docs_texts, span, 0, limit, include_docs)


def _pieces(begin: bytes, texts: list[bytes], end: bytes) -> list[bytes]:
    """The pieces of a page; one that is the last, and empty, needs no comma."""
    if not texts:
        return [begin.removesuffix(b",") + end]
    pieces = [begin + texts[0], *(b"," + text for text in texts[1:])]
    pieces[-1] += end
    return pieces


END: Final = b"]}\n"


def _first_page(conn: Any, span: Any, skip: int, limit: int | None, include_docs: bool, update_seq: bool) -> Any:
    """The head of a listing and its first page, of one snapshot."""
    return store.docs_head(conn, span, skip, update_seq), store.docs_texts(conn, span, skip, limit, include_docs)


def all_docs_queries(request: Request, db: Database) -> Response:
    """``POST /{db}/_all_docs/queries``."""
    return _answer_several(request, db, _all_docs, json_body(request) or {})


def _all_docs(db: Database, options: Options) -> Answer:
    return db.all_docs(**options, exact_offset=True)


def design_docs(request: Request, db: Database) -> Response:
    """``GET`` or ``POST /{db}/_design_docs``. As in CouchDB, ``offset`` counts all documents that come before,
    but no more than there are design documents.
    """
    return _answer(request, db, _design_docs)


def design_docs_queries(request: Request, db: Database) -> Response:
    """``POST /{db}/_design_docs/queries``."""
    return _answer_several(request, db, _design_docs, json_body(request) or {})


def _design_docs(db: Database, options: Options) -> Answer:
    if "keys" in options:
        options["keys"] = [key for key in options["keys"] if _is_design(key)]
    elif "key" not in options:
        _clip(options)
    answer = db.all_docs(**options, exact_offset=True)
    answer["total_rows"] = len(db.all_docs(start_key=FIRST, end_key=FINAL)["rows"])
    if answer["offset"] is not None:
        answer["offset"] = min(answer["offset"], answer["total_rows"])
    answer["rows"] = [row for row in answer["rows"] if _is_design(row["key"])]
    return answer


def _is_design(key: Any) -> bool:
    return isinstance(key, str) and key.startswith(FIRST)


def _clip(options: dict[str, Any]) -> None:
    """Narrow a range of ids to design documents."""
    low, high = ("end_key", "start_key") if options.get("descending") else ("start_key", "end_key")
    for bound, outermost, narrower in ((low, FIRST, max), (high, FINAL, min)):
        key = options.get(bound, outermost)
        # A key that is no text matches no id, as an end; as a start it is before all of them.
        if isinstance(key, str):
            options[bound] = narrower(key, outermost)
        elif bound == "start_key":
            options[bound] = outermost


def local_docs(request: Request, db: Database) -> Response:
    """``GET`` or ``POST /{db}/_local_docs``."""
    return _answer(request, db, _local_docs)


def local_docs_queries(request: Request, db: Database) -> Response:
    """``POST /{db}/_local_docs/queries``."""
    return _answer_several(request, db, _local_docs, json_body(request) or {})


def _local_docs(db: Database, options: Options) -> Answer:
    """There are few, so they are all read; CouchDB does not count them."""
    rows = db.local_docs(include_docs=options.get("include_docs", False))
    answer = {"total_rows": None, "offset": None, "rows": narrowed(rows, options)}
    if options.get("update_seq"):
        answer["update_seq"] = db.info()["update_seq"]
    return answer


def narrowed(rows: list[dict[str, Any]], options: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows that the options of a listing ask for, of all rows in ascending order."""
    if (keys := options.get("keys")) is not None:
        held = {row["id"]: row for row in rows}
        rows = [held.get(key) or {"key": key, "error": "not_found"} for key in keys if isinstance(key, str)]
    elif "key" in options:
        rows = [row for row in rows if row["id"] == options["key"]]
    else:
        rows = [row for row in rows if _in_range(row["id"], options)]
    if options.get("descending"):
        rows.reverse()
    skip, limit = options.get("skip", 0), options.get("limit")
    return rows[skip:] if limit is None else rows[skip : skip + limit]


def _in_range(doc_id: str, options: dict[str, Any]) -> bool:
    first, final = options.get("start_key", doc_id), options.get("end_key", doc_id)
    if not isinstance(final, str):
        return False
    if not isinstance(first, str):
        first = doc_id
    if options.get("descending"):
        first, final = final, first
    excluded = not options.get("inclusive_end", True) and doc_id == options.get("end_key")
    return first <= doc_id <= final and not excluded
