"""The options of a full-text search, in a query string or the body of a POST."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from couchette import jsonio
from couchette.errors import BadRequest
from couchette.limits import SEARCH_LIMIT, SEARCH_LIMIT_MAX
from couchette.wire.parameters import Query

Read = Callable[[str, Any], Any]
"""Reads an option by its name from a query string's text, or from what a body has."""


def search_options(query: Query, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The keyword arguments of ``Database.search``, and ``query``, which must be given. Raises BadRequest."""
    options: dict[str, Any] = {}
    drilldown: list[Any] = []
    for name, value in [*query.pairs, *(body or {}).items()]:
        if name == "drilldown":
            read = _json(name, value)
            # One facet, which a query string may repeat; or an array of them.
            drilldown += read if isinstance(read, list) and read and isinstance(read[0], list) else [read]
        elif name in _OPTIONS:
            keyword, reader = _OPTIONS[name]
            options[keyword] = reader(name, value)
    if drilldown:
        options["drilldown"] = drilldown
    if options.get("query") is None:
        reason = "Query must include a 'query' or 'q' argument."
        raise BadRequest(reason, "Add q=… to the address, or to the body of a POST.")
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
