"""Text indexes as they are declared, by a design document or a program.

A design document keeps them as CouchDB does, ``{"indexes": {name: {"index": "function (doc) {…}", "analyzer": …}}}``,
in JavaScript. A program declares a Python function, or names the fields. Each index is a group by itself: what decides
its rows is its function, its library and its analyzers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from couchette.document.selector import NOT_THERE, field_getter
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.functions.indexers import PythonIndex
from couchette.index import Group, signature_of
from couchette.index.text_analysis import Analyzers, read_analyzers
from couchette.limits import TEXT_SORTED_CHARS
from couchette.query.definitions import JAVASCRIPT, PYTHON, owner_of, source_of
from couchette.query.text_syntax import DEFAULT_FIELD

_FORM: Final = "text-1"
"""Part of each signature: when what is kept of a document changes, indexes are made anew."""


@dataclass(frozen=True)
class TextIndex:
    """One text index."""

    group: Group
    function: str | PythonIndex
    analyzers: Analyzers
    fields: tuple[str, ...] = (DEFAULT_FIELD,)
    """Where terms without a field are looked for."""
    lib: Mapping[str, Any] = field(default_factory=dict)


def text_index(doc: Mapping[str, Any], name: str) -> TextIndex:
    """The index of this name in a design document. Raises NotFound, and BadRequest for a malformed one."""
    declared = doc.get("indexes")
    definition = declared.get(name) if isinstance(declared, dict) else None
    if definition is None:
        raise NotFound(f"{name} not found.", f"{doc.get('_id')} has no text index of this name.")
    if doc.get("language", JAVASCRIPT) != JAVASCRIPT:
        hint = f"{doc.get('_id')} is in {doc['language']!r}; text indexes are in JavaScript."
        raise CouchetteError("unknown_query_language", hint, error="unknown_query_language")
    function = definition.get("index") if isinstance(definition, dict) else None
    if not isinstance(function, str):
        reason = f"index `{name}` must have parameter `index`"
        raise BadRequest(reason, "It is the source of a function.", error="invalid_design_doc")
    views = doc.get("views")
    lib = views.get("lib") if isinstance(views, dict) else None
    lib = lib if isinstance(lib, dict) else {}
    analyzer = definition.get("analyzer")
    group = Group(signature_of(_FORM, JAVASCRIPT, function, analyzer, lib), owner=str(doc.get("_id", "")))
    return TextIndex(group, function, read_analyzers(analyzer), lib=lib)


def text_signatures(doc: Mapping[str, Any]) -> Iterator[str]:
    """The signatures of the text indexes that a design document declares properly."""
    declared = doc.get("indexes")
    for name in declared if isinstance(declared, dict) else ():
        try:
            yield text_index(doc, name).group.signature
        except CouchetteError:
            continue  # It cannot be built, so there are no rows of it.


def program_index(
    name: str, given: PythonIndex | Sequence[str], analyzer: Any, fields: Sequence[str] | None, version: str
) -> TextIndex:
    """A program's index: by a Python function, or of the members that paths name. Raises BadRequest."""
    if callable(given):
        function, source = given, source_of(given)
        looked_at = fields or (DEFAULT_FIELD,)
    else:
        if isinstance(given, str) or not given or not all(isinstance(path, str) and path for path in given):
            raise BadRequest("A text index needs a function or the names of fields.", f"{name!r} got {given!r}.")
        function, source = members_function(given), list(given)
        looked_at = fields or given
    signature = signature_of(_FORM, PYTHON, name, source, analyzer, version)
    return TextIndex(Group(signature, owner=text_owner(name)), function, read_analyzers(analyzer), tuple(looked_at))


def text_owner(name: str) -> str:
    """How an index of a program is marked. Names of views have no slash, so that it is none of theirs."""
    return owner_of(f"text/{name}")


def members_function(paths: Sequence[str]) -> Callable[[dict[str, Any]], Iterator[tuple[str, Any, dict[str, Any]]]]:
    """A function that indexes and stores the members at some paths; each element of an array, and no objects."""
    getters = [(path, field_getter(path)) for path in paths]

    def members(doc: dict[str, Any]) -> Iterator[tuple[str, Any, dict[str, Any]]]:
        for path, get in getters:
            value = get(doc)
            for one in value if isinstance(value, list) else [value]:
                if one is not NOT_THERE and isinstance(one, str | int | float | bool):
                    # A long text is nothing that one counts.
                    facet = not isinstance(one, str) or len(one) <= TEXT_SORTED_CHARS
                    yield path, one, {"store": True, "facet": facet}

    return members
