"""A database as a mapping of ids to documents (the dict of Python-PouchDB's synchronous API)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import suppress
from typing import Any

from couchette import store
from couchette.errors import BadRequest, NotFound
from couchette.limits import ITERATED_PAGE_DOCS
from couchette.pool import Pool

Doc = dict[str, Any]


class DocumentMapping(MutableMapping[str, Doc]):
    """The mapping's methods, on a pool of connections."""

    _pool: Pool

    def __getitem__(self, id: str) -> Doc:
        """The document. Raises NotFound, which is a KeyError."""
        doc = self._pool.read_one(store.get_plain, id)
        if doc is None:
            doc = self._pool.read(store.get, id)
        return doc

    def __setitem__(self, id: str, doc: Doc) -> None:
        """Save the document under this id, and leave ``_id`` and ``_rev`` in it.

        Without a ``_rev`` it replaces the current revision, whichever that is.
        """
        if not isinstance(doc, MutableMapping):
            raise BadRequest("Document must be a JSON object", f"Give a dict, not {type(doc).__name__}.")
        result = self._pool.write(replace, id, doc)
        doc["_id"], doc["_rev"] = result["id"], result["rev"]

    def __delitem__(self, id: str) -> None:
        """Delete the document's current revision. Raises NotFound, which is a KeyError."""
        self._pool.write(remove_winner, id)

    def __contains__(self, id: object) -> bool:
        try:
            self[id]  # type: ignore[index]
        except (NotFound, BadRequest):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The ids, in order, in pages; what is written meanwhile is seen if it lies ahead."""
        rows = self._pool.read(store.all_docs, limit=ITERATED_PAGE_DOCS)["rows"]
        while rows:
            for row in rows:
                yield row["id"]
            if len(rows) < ITERATED_PAGE_DOCS:
                return
            # The next id in order, if there were one; the last row may be deleted by now.
            rows = self._pool.read(store.all_docs, start_key=rows[-1]["id"] + "\0", limit=ITERATED_PAGE_DOCS)["rows"]

    def __len__(self) -> int:
        """How many documents there are, deleted ones not counted."""
        return self._pool.read(store.read_meta).doc_count

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


def replace(conn: Any, doc_id: str, doc: Mapping[str, Any]) -> Doc:
    """Put on top of the current revision where the document names none, in the same transaction."""
    if doc.get("_rev") is None:
        doc = {key: value for key, value in doc.items() if key != "_rev"}
        with suppress(NotFound):
            doc["_rev"] = store.get(conn, doc_id)["_rev"]
    return store.put(conn, doc, id=doc_id)


def remove_winner(conn: Any, doc_id: str) -> Doc:
    """Delete the current revision, whichever that is."""
    return store.remove(conn, doc_id, store.get(conn, doc_id)["_rev"])
