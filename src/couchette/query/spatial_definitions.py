"""Spatial views as they are declared, by a design document, a program, or for one query.

A design document keeps them as GeoCouch does, ``{"spatial": {name: "function (doc) { emit(doc.geometry, …); }"}}``, in
JavaScript; ``{"map": …}`` in the place of the text is taken too. All of one design document are one group, apart from
that of its views: neither is made anew when the other changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from couchette.errors import BadRequest, CouchetteError
from couchette.index import Group, IndexedView, signature_of
from couchette.query.definitions import JAVASCRIPT, PYTHON, PythonMap, Views, owner_of, source_of

_FORM: Final = "spatial-1"
"""Part of each signature: when what is kept of a document changes, indexes are made anew."""


def design_spatial(doc: Mapping[str, Any]) -> Views:
    """The spatial views that a design document declares; there may be none.

    Raises CouchetteError for a language whose functions we do not run.
    """
    language = doc.get("language", JAVASCRIPT)
    declared = {name: _source(function) for name, function in _members(doc.get("spatial")).items()}
    maps = {name: source for name, source in declared.items() if source is not None}
    if maps and language != JAVASCRIPT:
        hint = f"{doc.get('_id')} is in {language!r}; design documents are in JavaScript."
        raise CouchetteError("unknown_query_language", hint, error="unknown_query_language")
    lib, options = _members(_members(doc.get("views")).get("lib")), _members(doc.get("options"))
    group = Group(
        signature_of(_FORM, JAVASCRIPT, sorted(maps.items()), lib, options),
        (IndexedView(),) * len(maps),
        owner=str(doc.get("_id", "")),
        include_design=options.get("include_design") is True,
        local_seq=options.get("local_seq") is True,
    )
    # By name, as in the signature: two design documents with the same functions share one index.
    names = tuple(sorted(maps))
    return Views(group, names, tuple(maps[name] for name in names), (None,) * len(names), JAVASCRIPT, lib)


def spatial_signatures(doc: Mapping[str, Any]) -> Iterator[str]:
    """The signature of the spatial index of a design document, if it has one."""
    try:
        views = design_spatial(doc)
    except CouchetteError:
        return  # In a language that we do not run, so it has no index.
    if views.names:
        yield views.group.signature


def program_spatial(name: str, function: PythonMap, version: str) -> Views:
    """A Python function that is kept under a name, and indexed anew when its source or ``version`` changes."""
    if not isinstance(name, str) or not name or "/" in name:
        raise BadRequest("A view's name must be text without a slash.", f"Got {name!r}.")
    if not callable(function):
        raise BadRequest("A spatial view needs a function.", f"{name!r} got {function!r}.")
    signature = signature_of(_FORM, PYTHON, name, source_of(function), version)
    return Views(Group(signature, owner=spatial_owner(name)), (name,), (function,), (None,), PYTHON)


def spatial_owner(name: str) -> str:
    """How an index of a program is marked. Names of views have no slash, so that it is none of theirs."""
    return owner_of(f"spatial/{name}")


def temporary_spatial(function: str | PythonMap) -> Views:
    """A function of one query, in Python or JavaScript."""
    if not (callable(function) or isinstance(function, str)):
        raise BadRequest("A spatial view needs a function.", f"Got {function!r}.")
    return Views(Group(""), ("",), (function,), (None,), JAVASCRIPT if isinstance(function, str) else PYTHON)


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _source(function: Any) -> str | None:
    source = function.get("map") if isinstance(function, dict) else function
    return source if isinstance(source, str) else None
