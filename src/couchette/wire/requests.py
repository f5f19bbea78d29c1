"""What a client asks, as CouchDB's HTTP API has it: options of calls as parameters of addresses and bodies of requests.

Each function undoes what the server's reading does (:mod:`couchette.wire.parameters`, :mod:`couchette.wire.spatial`,
``query.find_options``); property tests hold them together. Options that have their default value are left out, so that
servers which do not know them are not asked for them. Parameters are texts, ready to be escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from couchette import jsonio
from couchette.errors import BadRequest, QueryParseError
from couchette.limits import FIND_LIMIT
from couchette.wire.parameters import DOCUMENT_FLAGS

Params = dict[str, str]
Doc = dict[str, Any]

_DEFAULTS: Final[dict[str, Any]] = {
    "inclusive_end": True,
    "descending": False,
    "skip": 0,
    "limit": None,
    "include_docs": False,
    "conflicts": False,
    "attachments": False,
    "att_encoding_info": False,
    "update_seq": False,
    "reduce": None,
    "group": False,
    "group_level": None,
    "start_key_doc_id": None,
    "end_key_doc_id": None,
    "update": True,
    "sorted": True,
}
"""The options of listings and views whose default is said by leaving them out."""

_KEYS: Final = ("start_key", "end_key", "key")
"""The last one counts, to a server, and ``key`` says both ends of a range."""
_TEXTS: Final = frozenset({"start_key_doc_id", "end_key_doc_id", "update"})
"""Options that are text in an address, and not JSON."""


def text_of(value: Any) -> str:
    """A value as JSON text."""
    return jsonio.dumps(value).decode()


# -- Documents ------------------------------------------------------------------------------------


def document_params(options: Mapping[str, Any]) -> Params:
    """The parameters of ``GET /{db}/{id}`` for the keyword arguments of ``get``."""
    params = {name: "true" for name in DOCUMENT_FLAGS if options.get(name)}
    if (rev := options.get("rev")) is not None:
        params["rev"] = rev
    if open_revs := options.get("open_revs"):
        params["open_revs"] = open_revs if open_revs == "all" else text_of(list(open_revs))
    if (known := options.get("atts_since")) is not None:
        params["atts_since"] = text_of(list(known))
    return params


# -- Listings and views ---------------------------------------------------------------------------


def listing_request(options: Mapping[str, Any], unset: object) -> tuple[Params, Doc | None]:
    """Parameters and body for the keyword arguments of ``all_docs`` or ``query``; the body is that of a POST.

    ``unset`` is the value of a key that was not given. Keys that are listed go into the body: there may be many.
    """
    given = _given(options, unset)
    params = {
        name: value if name in _TEXTS and isinstance(value, str) else text_of(value) for name, value in given.items()
    }
    keys = options.get("keys")
    return params, None if keys is None else {"keys": _list_of_keys(keys)}


def listing_member(options: Mapping[str, Any], unset: object) -> Doc:
    """One of several queries in a body, for the options that differ from those in the address."""
    unknown = [name for name in options if name not in _KNOWN]
    if unknown:
        raise QueryParseError(f"Unknown option `{unknown[0]}`.", f"There are {', '.join(sorted(_KNOWN))}.")
    member: Doc = {name: value for name, value in options.items() if value is not unset and name != "exact_offset"}
    if "keys" in member:
        member["keys"] = _list_of_keys(member["keys"])
    return member


_KNOWN: Final = frozenset({*_DEFAULTS, *_KEYS, "keys", "exact_offset"})


def _given(options: Mapping[str, Any], unset: object) -> Doc:
    given: Doc = {name: options[name] for name in _KEYS if options.get(name, unset) is not unset}
    for name, default in _DEFAULTS.items():
        value = options.get(name, default)
        if value != default or type(value) is not type(default):
            given[name] = value
    return given


def _list_of_keys(keys: Any) -> list[Any]:
    if isinstance(keys, str | bytes) or not isinstance(keys, Sequence):
        raise QueryParseError("`keys` must be an array of strings.", f"Got {keys!r}.")
    return list(keys)


# -- Mango ----------------------------------------------------------------------------------------


def find_body(selector: Mapping[str, Any], options: Mapping[str, Any]) -> Doc:
    """The body of ``_find`` and ``_explain`` for the arguments of ``find``. One name to sort by needs no list."""
    body: Doc = {"selector": selector}
    for name, default in _FIND.items():
        value = options.get(name, default)
        if value is not None and value != default:
            body[name] = value
    if isinstance(sort := body.get("sort"), str | Mapping):
        body["sort"] = [sort]
    return body


_FIND: Final[dict[str, Any]] = {
    "fields": None,
    "sort": None,
    "limit": FIND_LIMIT,
    "skip": 0,
    "bookmark": None,
    "use_index": None,
    "allow_fallback": True,
    "conflicts": False,
    "update": True,
    "execution_stats": False,
}


def index_body(
    fields: Any,
    *,
    name: str | None = None,
    ddoc: str | None = None,
    type: str = "json",
    **definition: Any,
) -> Doc:
    """The body of ``_index`` for the keyword arguments of ``create_index``.

    One name of a field needs no list, and in a text index a name alone is that of a text.
    """
    if fields is not None:
        listed = [fields] if isinstance(fields, str | Mapping) else fields
        if type == "text":
            listed = [{"name": one, "type": "string"} if isinstance(one, str) else one for one in listed]
        definition = {"fields": listed, **definition}
    index = {key: value for key, value in definition.items() if value is not None}
    named = {key: value for key, value in (("name", name), ("ddoc", ddoc)) if value is not None}
    return {"index": index, "type": type, **named}


# -- Search and space -----------------------------------------------------------------------------


def search_body(query: str, options: Mapping[str, Any]) -> Doc:
    """The body of ``_search`` for the keyword arguments of ``search``."""
    body: Doc = {"query": query}
    for name, default in _SEARCH.items():
        value = options.get(name, default)
        if value != default and value is not None:
            body[name] = list(value) if isinstance(value, tuple) else value
    if options.get("update", True) is not True:
        body["stale"] = "ok"  # CouchDB's search knows no other word for it.
    return body


_SEARCH: Final[dict[str, Any]] = {
    "limit": None,
    "skip": 0,
    "bookmark": None,
    "sort": None,
    "include_docs": False,
    "conflicts": False,
    "include_fields": None,
    "highlight_fields": None,
    "highlight_pre_tag": "<em>",
    "highlight_post_tag": "</em>",
    "highlight_number": 1,
    "highlight_size": 100,
    "counts": (),
    "ranges": None,
    "drilldown": (),
}


def spatial_params(options: Mapping[str, Any]) -> Params:
    """The parameters of ``_spatial`` for the keyword arguments of ``spatial``."""
    params: Params = {}
    for name in ("bbox", "plane_bounds"):
        if options.get(name) is not None:
            params[name] = ",".join(text_of(number) for number in options[name])
    for name in ("start_range", "end_range"):
        if options.get(name) is not None:
            params[name] = text_of(list(options[name]))
    for name in ("include_docs", "count"):
        if options.get(name):
            params[name] = "true"
    for name, default in (("skip", 0), ("limit", None)):
        if options.get(name, default) != default:
            params[name] = text_of(options[name])
    if options.get("update", True) is not True:
        params["stale"] = "ok"  # GeoCouch's word for it.
    return params


# -- Changes --------------------------------------------------------------------------------------


def changes_params(options: Mapping[str, Any]) -> Params:
    """The parameters of ``_changes`` for the keyword arguments of ``changes`` that say what to show of which rows."""
    params: Params = {}
    if (since := options.get("since", 0)) != 0:
        params["since"] = since if isinstance(since, str) else text_of(since)
    if (style := options.get("style", "main_only")) != "main_only":
        params["style"] = style
    for name in ("descending", "include_docs", "conflicts", "attachments", "att_encoding_info"):
        if options.get(name):
            params[name] = "true"
    for name in ("limit", "seq_interval"):
        if options.get(name) is not None:
            params[name] = text_of(options[name])
    return params


# -- Names of functions in design documents -------------------------------------------------------


def design_and_name(view: Any, remedy: str) -> tuple[str, str]:
    """The two names of ``"design/name"`` or a pair. Raises BadRequest, with the remedy, for what is none of these."""
    names = view.partition("/")[::2] if isinstance(view, str) else view
    if isinstance(names, tuple) and len(names) == 2 and all(isinstance(one, str) and one for one in names):
        design, name = names
        return design.removeprefix("_design/"), name
    shown = repr(view) if isinstance(view, str) else type(view).__name__
    raise BadRequest("A server has functions in design documents only.", f"Got {shown:.200}; {remedy}")
