"""Operations that query: views, and documents found by a selector, in PouchDB's shapes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from couchette.errors import BadRequest
from couchette.pouchdb.arguments import is_on, json_value, known
from couchette.pouchdb.arguments import options as spelled
from couchette.pouchdb.copies import copy_of
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.documents import decode_attachments, sequence
from couchette.pouchdb.filters import positional_count
from couchette.pouchdb.results import plain
from couchette.query.views import is_javascript

Doc = dict[str, Any]

QUERY: Final = (
    "reduce",
    "key",
    "keys",
    "start_key",
    "end_key",
    "start_key_doc_id",
    "end_key_doc_id",
    "inclusive_end",
    "descending",
    "skip",
    "limit",
    "group",
    "group_level",
    "include_docs",
    "conflicts",
    "attachments",
    "update_seq",
)
FIND: Final = (
    "fields",
    "sort",
    "limit",
    "skip",
    "bookmark",
    "use_index",
    "allow_fallback",
    "conflicts",
    "update",
    "execution_stats",
)
INDEX: Final = (
    "fields",
    "name",
    "ddoc",
    "partial_filter_selector",
    "type",
    "default_field",
    "default_analyzer",
    "index_array_lengths",
)
STALE: Final = {"ok": False, "update_after": "lazy"}
"""PouchDB's words for an answer from an index as it is, and the engine's."""


def query(core: DatabaseCore, /, fun: Any, **options: Any) -> Doc:
    """Query a view: ``{"total_rows", "offset", "rows": [{"id", "key", "value", "doc"?}]}``, reduced ``{"rows"}`` alone.

    ``fun`` is a stored view, ``"design/view"`` or ``"name"`` for one of the same two names; or a view for this query
    only: the source of a JavaScript function, a Python function, or ``{"map": ..., "reduce"?: ...}`` of them. A Python
    map function gets the document and returns or yields pairs of key and value; if it has a second parameter, that is
    ``emit``, to be called with a key and a value. A server has no views for one query: its documents are copied into
    memory for them, without their attachments.

    Options: ``reduce``, ``include_docs``, ``conflicts``, ``attachments``, ``binary``, ``startkey``, ``endkey``,
    ``inclusive_end``, ``limit``, ``skip``, ``descending``, ``key``, ``keys``, ``group``, ``group_level``, ``stale``,
    ``update_seq``.

    Raises the error 404 ``not_found`` for a view that is not there.
    """
    chosen = known(options, QUERY)
    stale = known(options, ("stale",)).get("stale")
    if stale in STALE:
        chosen["update"] = STALE[stale]
    is_stored = isinstance(fun, str) and not is_javascript(fun)
    if isinstance(fun, Mapping):
        fun = {**plain(fun), "map": _map_function(fun.get("map"))}
    answer: Doc
    if is_stored or not core.is_remote:
        answer = core.database.query(_map_function(fun), **chosen)
    else:
        chosen.pop("update_seq", None)  # The copy has another one.
        with copy_of(core) as copied:
            answer = copied.query(_map_function(fun), **chosen)
    if is_on(options, "binary"):
        for row in answer["rows"]:
            decode_attachments(row.get("doc") or {})
    if answer.get("offset", 0) is None:
        answer["offset"] = chosen.get("skip", 0)
    if "update_seq" in answer:
        answer["update_seq"] = sequence(answer["update_seq"], is_remote=core.is_remote)
    return answer


def _map_function(fun: Any) -> Any:
    """The function as the engine calls it: one that takes ``emit`` gets one."""
    if not callable(fun) or positional_count(fun) != 2:
        return fun

    def collected(doc: Doc) -> list[tuple[Any, Any]]:
        emitted: list[tuple[Any, Any]] = []
        fun(doc, lambda key=None, value=None: emitted.append((key, value)))
        return emitted

    return collected


def find(core: DatabaseCore, /, request: Any = None, **options: Any) -> Doc:
    """The documents that match a selector: ``{"docs", "bookmark", "warning"?}``.

    ``request`` is ``{"selector", "fields"?, "sort"?, "limit"?, "skip"?, "use_index"?}``; these may be keywords too.
    """
    selector, chosen = _find_request(request, options)
    answer: Doc = core.database.find(selector, **chosen)
    return answer


def explain(core: DatabaseCore, /, request: Any = None, **options: Any) -> Doc:
    """What :func:`find` would do with the same arguments, in the shape of CouchDB's ``_explain``."""
    selector, chosen = _find_request(request, options)
    answer: Doc = core.database.explain(selector, **chosen)
    return answer


def _find_request(request: Any, options: Mapping[str, Any]) -> tuple[Any, Doc]:
    asked = {**_object(request), **options}
    if "selector" not in asked:
        raise BadRequest("you must provide a selector to find()", "Give a `selector`, {} for all documents.")
    return json_value(asked["selector"]), {"limit": None, **known(asked, FIND)}


def create_index(core: DatabaseCore, /, index: Any = None, **options: Any) -> Doc:
    """Make an index for :func:`find`: ``{"result": "created" | "exists", "id", "name"}``.

    ``index`` is ``{"index": {"fields", "name"?, "ddoc"?, "type"?, "partial_filter_selector"?}}``, or the inner part.
    """
    asked = {**_object(index), **options}
    inner = asked.pop("index", None)
    answer: Doc = core.database.create_index(**known({**asked, **_object(inner)}, INDEX))
    return answer


def get_indexes(core: DatabaseCore, /) -> Doc:
    """The indexes: ``{"total_rows", "indexes": [{"ddoc", "name", "type", "def"}]}``."""
    answer: Doc = core.database.get_indexes()
    return answer


def delete_index(core: DatabaseCore, /, index: Any = None, **options: Any) -> Doc:
    """Remove an index: ``{"ddoc", "name", "type"?}``, as :func:`get_indexes` lists it. Returns ``{"ok": True}``."""
    asked = spelled({**_object(index), **options})
    for name in ("ddoc", "name"):
        if name not in asked:
            raise BadRequest(f"you must provide an index's {name}", "Give an index as getIndexes() lists it.")
    answer: Doc = core.database.delete_index(asked["ddoc"], asked["name"], asked.get("type", "json"))
    return answer


def _object(value: Any) -> Doc:
    """A mapping or its JSON text as a dict; empty for None. Raises BadRequest."""
    given = json_value({} if value is None else value)
    if not isinstance(given, Mapping):
        raise BadRequest("The request must be a JSON object", f"Got {value!r}.")
    return dict(given)
