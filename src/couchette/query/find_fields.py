"""Projections: the part of a document that ``fields`` names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from couchette.document.selector import NOT_THERE, field_getter, split_path

Doc = dict[str, Any]


def projection(fields: Sequence[str]) -> Callable[[Doc], Doc] | None:
    """A function that gives a document's part with these paths, or None for whole documents.

    A nested path keeps its objects around it, an element of an array becomes a member named by its number, and what is
    not there is left out, as CouchDB does it.
    """
    if not fields:
        return None
    paths = [split_path(path) for path in fields]
    if all(len(names) == 1 for names in paths):
        members = [name for [name] in paths]
        return lambda doc: {name: doc[name] for name in members if name in doc}
    wanted = [(names, field_getter(path)) for names, path in zip(paths, fields, strict=True)]

    def project(doc: Doc) -> Doc:
        shown: Doc = {}
        for names, get in wanted:
            value = get(doc)
            if value is not NOT_THERE:
                put_at(shown, names, value)
        return shown

    return project


def put_at(doc: Doc, names: Sequence[str], value: Any) -> None:
    """Set what is at a path, making the objects on the way; a value on the way that is no object gives way."""
    *path, last = names
    for name in path:
        inner = doc.get(name)
        if not isinstance(inner, dict):
            inner = doc[name] = {}
        else:
            inner = doc[name] = dict(inner)
        doc = inner
    doc[last] = value


def rebuilder(columns: Sequence[str]) -> Callable[[str, Sequence[Any]], Doc]:
    """A function that makes a document of its id and an index's key: so much of it as the index holds."""
    paths = [split_path(path) for path in columns]
    if all(len(names) == 1 for names in paths):
        members = [name for [name] in paths]
        return lambda doc_id, key: {"_id": doc_id, **dict(zip(members, key, strict=True))}

    def rebuild(doc_id: str, key: Sequence[Any]) -> Doc:
        doc: Doc = {"_id": doc_id}
        for names, value in zip(paths, key, strict=True):
            put_at(doc, names, value)
        return doc

    return rebuild
