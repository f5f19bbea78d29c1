"""Query strings: read as CouchDB reads them, with its errors.

CouchDB has three habits, and clients depend on each:

* options of a document (``revs``, ``conflicts``...) are on when ``name=true`` occurs anywhere; any
  other value is ignored;
* options of ``_all_docs`` are typed: a wrong boolean or number is 400 ``query_parse_error``, keys are JSON;
* elsewhere the first value counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from couchette import jsonio
from couchette.document.revision import normal_rev
from couchette.errors import BadRequest, QueryParseError
from couchette.wire.names import unquote

_INTEGER: Final = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INTEGER_DIGITS_MAX: Final = 18
"""Longer numbers name no row; refusing them keeps every number within SQLite's 64 bits."""


class Query:
    """The parameters of one query string, in their order, repeats included."""

    __slots__ = ("pairs",)

    def __init__(self, query_string: bytes) -> None:
        self.pairs = list(_pairs(query_string))

    def first(self, name: str, default: str | None = None) -> str | None:
        """The first value of a parameter."""
        return next((value for key, value in self.pairs if key == name), default)

    def flag(self, name: str) -> bool:
        """Whether ``name=true`` occurs."""
        return (name, "true") in self.pairs

    def json(self, name: str) -> Any:
        """The first value of a parameter, parsed as JSON; None when it is not given."""
        text = self.first(name)
        return None if text is None else jsonio.loads(text)


def _pairs(query_string: bytes) -> list[tuple[str, str]]:
    pairs = []
    for part in query_string.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((_text(name), _text(value)))
    return pairs


def _text(quoted: bytes) -> str:
    try:
        return unquote(quoted).decode()
    except UnicodeDecodeError as exc:
        raise BadRequest("The query string is not UTF-8.", f"It holds {quoted!r}.") from exc


def read_integer(text: str) -> int:
    """An integer as it is written in a query string."""
    if not _INTEGER.fullmatch(text) or len(text) > _INTEGER_DIGITS_MAX:
        # An empty value is an empty list to CouchDB, and its answer shows it so.
        shown = f'"{text}"' if text else "[]"
        raise QueryParseError(f"Invalid value for integer: {shown}")
    return int(text)


# -- Documents ------------------------------------------------------------------------------------

DOCUMENT_FLAGS: Final = (
    "revs",
    "revs_info",
    "latest",
    "conflicts",
    "deleted_conflicts",
    "local_seq",
    "meta",
    "attachments",
    "att_encoding_info",
)


def document_options(query: Query) -> dict[str, Any]:
    """The keyword arguments of ``Database.get`` that a query string asks for."""
    if not query.pairs:  # The usual case, and a tenth of the time of its answer.
        return {}
    options: dict[str, Any] = {name: True for name in DOCUMENT_FLAGS if query.flag(name)}
    if (rev := query.first("rev")) is not None:
        options["rev"] = normal_rev(rev)
    if (open_revs := query.first("open_revs")) is not None and (asked := _open_revs(open_revs)):
        options["open_revs"] = asked
    if (atts_since := query.json("atts_since")) is not None:
        options["atts_since"] = _rev_list("atts_since", atts_since)
    return options


def _open_revs(text: str) -> list[str] | str:
    return "all" if text == "all" else _rev_list("open_revs", jsonio.loads(text))


def _rev_list(name: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(rev, str) for rev in value):
        raise BadRequest(f"`{name}` must be a JSON array of revisions.", f"Got {value!r}.")
    return value


# -- _all_docs ------------------------------------------------------------------------------------

Parameter = tuple[str, Callable[[str], Any]]
"""The keyword argument that a parameter is, and what reads its value."""


def all_docs_options(
    query: Query, body: Mapping[str, Any] | None = None, *, is_one_of_several: bool = False
) -> dict[str, Any]:
    """The keyword arguments of ``Database.all_docs`` from a query string and the body of a POST.

    What the query string says counts more than the body, unless this is one of several queries in a body.
    ``key`` is both ends of a range, of which a later parameter may move one.
    """
    options: dict[str, Any] = {}
    for keyword, value in _given(query, body, _ALL_DOCS, is_one_of_several):
        if keyword in _ENDS and "key" in options:
            options["start_key"] = options["end_key"] = options.pop("key")
        options[keyword] = value
    return _checked(options)


_ENDS: Final = ("start_key", "end_key")


def _given(
    query: Query, body: Mapping[str, Any] | None, known: Mapping[str, Parameter], is_one_of_several: bool
) -> list[tuple[str, Any]]:
    """The keywords and values of both, of which the last one counts."""
    asked = [(known[name][0], known[name][1](text)) for name, text in query.pairs if name in known]
    if not body:
        return asked
    ordered = sorted(body, key="keys".__eq__)  # The members of an object have no order.
    held = [(known[name][0], _from_body(body[name], known[name][1])) for name in ordered if name in known]
    return [*asked, *held] if is_one_of_several else [*held, *asked]


def _from_body(value: Any, read: Callable[[str], Any]) -> Any:
    """A member of a POST body: JSON already where a query string has JSON, else the same texts."""
    if read is jsonio.loads:
        return value
    if isinstance(value, str):
        return read(value)
    return read(jsonio.dumps(value).decode())


def _checked(options: dict[str, Any]) -> dict[str, Any]:
    reduce = options.pop("reduce", False)
    if reduce:
        raise QueryParseError("Reduce is invalid for map-only views.")
    if options.pop("group", False) or options.pop("group_level", 0):
        raise QueryParseError("Invalid use of grouping on a map view.")
    keys = options.get("keys")
    if "keys" in options and not isinstance(keys, list):
        raise BadRequest("`keys` parameter must be an array.", f"Got {keys!r}.")
    if keys is not None:
        options.pop("key", None)
        if "start_key" in options or "end_key" in options:
            raise QueryParseError("`keys` is incompatible with `key`, `start_key` and `end_key`")
    return options


def read_boolean(text: str) -> bool:
    """A boolean as it is written in a query string."""
    match text.lower():
        case "true":
            return True
        case "false":
            return False
    raise QueryParseError(f'Invalid boolean parameter: "{text}"')


def read_positive(text: str) -> int:
    """A count as it is written in a query string."""
    number = read_integer(text)
    if number < 0:
        raise QueryParseError(f'Invalid value for positive integer: "{text}"')
    return number


_ALL_DOCS: Final[dict[str, Parameter]] = {
    "key": ("key", jsonio.loads),
    "keys": ("keys", jsonio.loads),
    "startkey": ("start_key", jsonio.loads),
    "start_key": ("start_key", jsonio.loads),
    "endkey": ("end_key", jsonio.loads),
    "end_key": ("end_key", jsonio.loads),
    "inclusive_end": ("inclusive_end", read_boolean),
    "descending": ("descending", read_boolean),
    "skip": ("skip", read_positive),
    "limit": ("limit", read_positive),
    "include_docs": ("include_docs", read_boolean),
    "conflicts": ("conflicts", read_boolean),
    "attachments": ("attachments", read_boolean),
    "att_encoding_info": ("att_encoding_info", read_boolean),
    "update_seq": ("update_seq", read_boolean),
    "reduce": ("reduce", read_boolean),
    "group": ("group", read_boolean),
    "group_level": ("group_level", read_positive),
}


# -- Views ----------------------------------------------------------------------------------------


def view_options(
    query: Query, body: Mapping[str, Any] | None = None, *, is_one_of_several: bool = False
) -> dict[str, Any]:
    """The keyword arguments of ``Database.query`` from a query string and the body of a POST.

    As CouchDB takes them one after the other, first those of the body: ``key``, and ``keys`` of one, is both ends of a
    range, either of which a later parameter may move, and of ``group`` and ``group_level`` the last one counts.
    What a body with several queries says of one counts more than the query string.
    """
    options: dict[str, Any] = {}
    for keyword, value in _given(query, body, _VIEW, is_one_of_several):
        _take(options, keyword, value)
    if not isinstance(options.get("keys", []), list):
        raise QueryParseError("`keys` must be an array of strings.", f"Got {options['keys']!r}.")
    return options


def _take(options: dict[str, Any], keyword: str, value: Any) -> None:
    if keyword == "keys" and isinstance(value, list) and len(value) == 1:
        options.pop("keys", None)
        keyword, [value] = "key", value
    if keyword == "key":
        options["start_key"] = options["end_key"] = value
        return
    if keyword in ("group", "group_level"):
        options.pop("group_level", None)
    options[keyword] = value


def _text_value(text: str) -> str:
    return text


def _update(text: str) -> bool | str:
    values: dict[str, bool | str] = {"true": True, "false": False, "lazy": "lazy"}
    if text not in values:
        raise QueryParseError("Invalid value for `update`.", f"update={text!r}; give true, false or lazy.")
    return values[text]


def _stale(text: str) -> bool | str:
    values: dict[str, bool | str] = {"ok": False, "update_after": "lazy"}
    if text not in values:
        raise QueryParseError("Invalid value for `stale`.", f"stale={text!r}; give ok or update_after.")
    return values[text]


_VIEW: Final[dict[str, Parameter]] = {
    **_ALL_DOCS,
    "startkey_docid": ("start_key_doc_id", _text_value),
    "start_key_doc_id": ("start_key_doc_id", _text_value),
    "endkey_docid": ("end_key_doc_id", _text_value),
    "end_key_doc_id": ("end_key_doc_id", _text_value),
    "sorted": ("sorted", read_boolean),
    "stale": ("update", _stale),
    "update": ("update", _update),
}
