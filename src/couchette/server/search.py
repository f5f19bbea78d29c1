"""Full-text search over HTTP: ``_search``, ``_search_info`` and ``_search_analyze``, as CouchDB has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from couchette import jsonio
from couchette.database import Database
from couchette.errors import BadRequest
from couchette.limits import SEARCH_LIMIT, SEARCH_LIMIT_MAX
from couchette.server import answers
from couchette.server.request import Request
from couchette.server.views import json_body

Read = Callable[[str, Any], Any]
"""Reads an option by its name from a query string's text, or from what a body has."""


def search(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET`` or ``POST /{db}/_design/{design}/_search/{name}``."""
    options = _options(request)
    query = options.pop("query", None)
    if query is None:
        reason = "Query must include a 'query' or 'q' argument."
        raise BadRequest(reason, "Add q=… to the address, or to the body of a POST.")
    return answers.json_answer(db.search((design, name), query, **options))


def info(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET /{db}/_design/{design}/_search_info/{name}``."""
    return answers.json_answer(db.search_info((design, name)))


def analyze(request: Request) -> Response:
    """``POST /_search_analyze`` of an analyzer and a text."""
    # The search engine is loaded by the first request that needs it.
    from couchette.query.text_search import analyze as terms_of

    body = json_body(request) or {}
    for name in ("analyzer", "text"):
        if name not in body:
            raise BadRequest(f"{name} parameter is missing", 'Give {"analyzer": "standard", "text": "…"}.')
    return answers.json_answer({"tokens": terms_of(body["analyzer"], body["text"])})


def _options(request: Request) -> dict[str, Any]:
    """The keyword arguments of ``Database.search`` from a query string and the body of a POST."""
    options: dict[str, Any] = {}
    drilldown: list[Any] = []
    given = [*request.query.pairs, *(json_body(request) or {}).items()]
    for name, value in given:
        if name == "drilldown":
            read = _json(name, value)
            # One facet, which a query string may repeat; or an array of them.
            drilldown += read if isinstance(read, list) and read and isinstance(read[0], list) else [read]
        elif name in _OPTIONS:
            keyword, reader = _OPTIONS[name]
            options[keyword] = reader(name, value)
    if drilldown:
        options["drilldown"] = drilldown
    return options


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise _wrong(name, value, "a string")
    return value


def _json(name: str, value: Any) -> Any:
    return jsonio.loads(value) if isinstance(value, str) else value


def _names(name: str, value: Any) -> Any:
    """Names: an array of them, or one by itself, which a query string need not quote."""
    if isinstance(value, str):
        value = jsonio.loads(value) if value[:1] in ('"', "[") else value
    return [value] if isinstance(value, str) else value


def _integer(name: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 19:
        return int(value)
    if type(value) is not int or value < 0:
        raise _wrong(name, value, "a non-negative integer")
    return value


def _limit(name: str, value: Any) -> int:
    limit = _integer(name, value)
    if limit > SEARCH_LIMIT_MAX:
        reason = f"Value for limit is too large, must not exceed {SEARCH_LIMIT_MAX}"
        raise BadRequest(reason, f"Got {limit}; it is {SEARCH_LIMIT} by default. Bookmarks lead on.")
    return limit


def _boolean(name: str, value: Any) -> bool:
    read = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if type(read) is not bool:
        raise _wrong(name, value, "true or false")
    return read


def _stale(name: str, value: Any) -> bool:
    if value != "ok":
        raise _wrong(name, value, "ok")
    return False


def _bookmark(name: str, value: Any) -> str | None:
    return None if value in (None, "", "nil") else _text(name, value)


def _wrong(name: str, value: Any, wanted: str) -> BadRequest:
    return BadRequest(f"Invalid value for {name}: {jsonio.dumps(value).decode():.80}", f"Give {wanted}.")


_OPTIONS: Final[dict[str, tuple[str, Read]]] = {
    "q": ("query", _text),
    "query": ("query", _text),
    "limit": ("limit", _limit),
    "skip": ("skip", _integer),
    "bookmark": ("bookmark", _bookmark),
    "sort": ("sort", _names),
    "include_docs": ("include_docs", _boolean),
    "conflicts": ("conflicts", _boolean),
    "include_fields": ("include_fields", _names),
    "highlight_fields": ("highlight_fields", _names),
    "highlight_pre_tag": ("highlight_pre_tag", _text),
    "highlight_post_tag": ("highlight_post_tag", _text),
    "highlight_number": ("highlight_number", _integer),
    "highlight_size": ("highlight_size", _integer),
    "counts": ("counts", _names),
    "ranges": ("ranges", _json),
    "stale": ("update", _stale),
    "update": ("update", _boolean),
}
