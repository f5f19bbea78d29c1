"""Mango indexes: as design documents keep them, and what they make of a document.

CouchDB keeps them as views of design documents in the language ``query``::

    {"language": "query", "views": {name: {
        "map": {"fields": {path: "asc", ..}, "partial_filter_selector": {..}},
        "reduce": "_count", "options": {"def": {..}}}}}

``map`` is the definition that counts, ``options.def`` what the user wrote. A document's key is the list of its values
at the paths; one that lacks any of them, or is a design document, is not in the index, and neither is one that the
partial filter does not match.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from couchette.document import selector as selectors
from couchette.errors import BadRequest
from couchette.index.groups import Group, IndexedView, signature_of

Doc = dict[str, Any]
Emitted = tuple[Any, Any]

LANGUAGE: Final = "query"


@dataclass(frozen=True)
class MangoIndex:
    """An index that a query may choose."""

    ddoc: str | None
    """``_design/x``; None for the documents by id."""
    name: str
    fields: tuple[tuple[str, str], ...]
    """Paths, each with its direction. CouchDB keeps all rows ascending all the same."""
    partial_filter: Doc | None = None
    """The selector, in normal form, of the documents that are in it; None for all."""
    view: int = 0
    """Its place among the indexes of its design document."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The paths."""
        return tuple(path for path, _ in self.fields)

    @property
    def sort_key(self) -> tuple[str, str]:
        """Between equals, CouchDB takes the one that is first by design document and name."""
        return (self.ddoc or "", self.name)

    def definition(self) -> Doc:
        """The member ``def`` of CouchDB's listing."""
        shown: Doc = {"fields": [{path: direction} for path, direction in self.fields]}
        if self.partial_filter is not None:
            shown["partial_filter_selector"] = self.partial_filter
        return shown

    def as_json(self) -> Doc:
        """The index in CouchDB's listing."""
        if self.ddoc is None:
            return {"ddoc": None, "name": self.name, "type": "special", "def": self.definition()}
        shown = {"ddoc": self.ddoc, "name": self.name, "type": "json", "partitioned": False}
        return {**shown, "def": self.definition()}


ALL_DOCS: Final = MangoIndex(None, "_all_docs", (("_id", "asc"),))
"""The documents by id, which serve every query that nothing else serves."""


def mango_indexes(ddoc: Mapping[str, Any]) -> list[MangoIndex]:
    """The indexes in a design document; views that are no index are passed over, as CouchDB does."""
    views = ddoc.get("views")
    if ddoc.get("language") != LANGUAGE or not isinstance(views, Mapping):
        return []
    found: list[MangoIndex] = []
    for name, view in views.items():
        if isinstance(view, Mapping) and (definition := _definition(view)) is not None:
            found.append(MangoIndex(str(ddoc["_id"]), name, *definition, view=len(found)))
    return found


def _definition(view: Mapping[str, Any]) -> tuple[tuple[tuple[str, str], ...], Doc | None] | None:
    """The fields and the partial filter of a view, or None where it has no proper ones."""
    made, options = view.get("map"), view.get("options")
    if not isinstance(made, Mapping) or not isinstance(options, Mapping):
        return None
    fields = made.get("fields")
    if not isinstance(fields, Mapping) or not fields or not all(isinstance(way, str) for way in fields.values()):
        return None
    partial = made.get("partial_filter_selector")
    try:
        for path in fields:
            selectors.split_path(path)
        selectors.compile(partial or {})
    except BadRequest:
        return None
    return tuple(fields.items()), (dict(partial) if partial else None)


def index_view(index: MangoIndex, written: Any) -> Doc:
    """The index as a view of a design document; ``written`` is the definition as the user gave it."""
    return {
        "map": {"fields": dict(index.fields), "partial_filter_selector": index.partial_filter or {}},
        "reduce": "_count",
        "options": {"def": written},
    }


def mango_group(indexes: Sequence[MangoIndex]) -> Group:
    """The group of all Mango indexes of one design document, each at its place :attr:`MangoIndex.view`."""
    parts = [[index.columns, index.partial_filter] for index in indexes]
    views = tuple(IndexedView() for _ in indexes)
    return Group(signature_of("mango-1", parts), views, owner=indexes[0].ddoc or "")


class FieldMapper:
    """The map functions of a design document's Mango indexes, all in one pass; a Mapper as views have it."""

    def __init__(self, indexes: Sequence[MangoIndex]) -> None:
        self._maps = [map_function(index) for index in indexes]

    def map(self, docs: Sequence[Doc]) -> list[list[list[Emitted]]]:
        """Per document, per index, its row or nothing."""
        maps = self._maps
        return [[[] if doc["_id"].startswith("_design/") else one(doc) for one in maps] for doc in docs]

    def close(self) -> None:
        """There is nothing to free."""


def map_function(index: MangoIndex) -> Callable[[Doc], list[Emitted]]:
    """What an index makes of a document: its row or nothing. Design documents are for the caller to leave out."""
    accepts = selectors.compile(index.partial_filter or {})
    filtered = index.partial_filter is not None
    fields = [selectors.field_getter(path) for path in index.columns]

    def rows(doc: Doc) -> list[Emitted]:
        if filtered and not accepts(doc):
            return []
        key = []
        for field in fields:
            value = field(doc)
            if value is selectors.NOT_THERE:
                return []
            key.append(value)
        return [(key, None)]

    return rows
