"""Writing many documents in one transaction.

Nearly all of them are usual: first edits, edits of an unbranched winner, replicated revisions of new documents. Those
wait until there are some, and are written by columns (:meth:`Batch.edit_together`, :meth:`Batch.graft_together`);
what turns out to be otherwise goes the long way, one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import apsw

from couchette.document.body import Draft, split
from couchette.document.docid import LOCAL, check_id, new_id
from couchette.errors import BadRequest
from couchette.limits import DOCS_TOGETHER, DOCS_TOGETHER_MIN
from couchette.store.batch import Batch, Result
from couchette.store.branches import Branches
from couchette.store.local import put_local


def bulk_docs(conn: apsw.Connection, docs: Iterable[Mapping[str, Any]], *, new_edits: bool = True) -> list[Result]:
    """Write many documents in one transaction.

    New edits answer a row a document, in order: ``{"ok", "id", "rev"}`` or ``{"id", "error", "reason"}``.
    With ``new_edits=False`` the revisions are merged as they are and only failures have rows, so ``[]``
    is success. A malformed document or a dangling stub raises, and nothing is stored.
    """
    if isinstance(docs, (Mapping, str, bytes)):
        raise BadRequest("`docs` parameter must be an array.", f"Give a list of documents, not {type(docs).__name__}.")
    return _Bulk(conn, list(docs), new_edits).write()


class _Bulk:
    """The documents of one call, and what is answered of each."""

    def __init__(self, conn: apsw.Connection, docs: list[Mapping[str, Any]], new_edits: bool) -> None:
        self.docs = docs
        self.ids = _ids_of(docs)
        self.new_edits = new_edits
        self.batch = Batch(conn, self.ids)
        self.results: list[Result] = [{}] * len(docs)

    def write(self) -> list[Result]:
        """Write all of them, in the order of their ids; return the rows to answer."""
        if len(self.ids) == 1:
            self._write_one(0)
        else:
            self._write_many()
        self.batch.write()
        return self.results if self.new_edits else []

    def _write_many(self) -> None:
        ids = self.ids
        are_usual = self.batch.are_usual_edits if self.new_edits else self.batch.are_usual_grafts
        usual = are_usual(ids, self.docs)
        repeated = _repeated(ids)
        in_order = range(len(ids)) if ids == sorted(ids) else sorted(range(len(ids)), key=ids.__getitem__)
        if not repeated and all(usual):
            self._write_usual(in_order)
        else:
            self._write_mixed(in_order, usual, repeated)

    def _write_mixed(self, in_order: Sequence[int], usual: list[bool], repeated: dict[str, list[int]]) -> None:
        """Write the usual together, as far as nothing that is not stands between them."""
        waiting: list[int] = []
        for index in in_order:
            positions = repeated.get(self.ids[index])
            if usual[index] and not positions:
                waiting.append(index)
                continue
            self._write_usual(waiting)
            waiting = []
            if not positions:
                self._write_one(index)
            elif positions[0] == index:
                self._write_several(self.ids[index], positions)
        self._write_usual(waiting)

    def _write_usual(self, indexes: Sequence[int]) -> None:
        if len(indexes) < DOCS_TOGETHER_MIN:
            for index in indexes:
                self._write_one(index)
            return
        for start in range(0, len(indexes), DOCS_TOGETHER):
            some = indexes[start : start + DOCS_TOGETHER]
            if not self._write_together(some):
                for index in some:
                    self._write_one(index)

    def _write_together(self, indexes: Sequence[int]) -> bool:
        """Write these by columns; False, and nothing is written, if one is unusual after all."""
        ids, docs = [self.ids[index] for index in indexes], [self.docs[index] for index in indexes]
        if not self.new_edits:
            return self.batch.graft_together(ids, docs)
        rows = self.batch.edit_together(ids, docs)
        if rows is None:
            return False
        for index, row in zip(indexes, rows, strict=True):
            self.results[index] = row
        return True

    def _write_one(self, index: int) -> None:
        doc_id, doc = self.ids[index], self.docs[index]
        if not self.new_edits and self.batch.graft_stored(doc_id, doc):
            return
        draft = self._draft(doc)
        if doc_id.startswith(LOCAL):
            self.results[index] = put_local(self.batch.conn, doc_id, draft, new_edits=self.new_edits)
        elif self.new_edits:
            self.results[index] = self.batch.edit(doc_id, draft) or self._branch(doc_id, [draft])[0]
        elif not self.batch.graft(doc_id, draft):
            self._branch(doc_id, [draft])

    def _write_several(self, doc_id: str, indexes: list[int]) -> None:
        """Write all that there is of one document, in the order given."""
        if doc_id.startswith(LOCAL):
            for index in indexes:
                self._write_one(index)
            return
        rows = self._branch(doc_id, (self._draft(self.docs[index]) for index in indexes))
        for index, row in zip(indexes, rows, strict=True):
            self.results[index] = row

    def _branch(self, doc_id: str, drafts: Iterable[Draft]) -> list[Result]:
        """Write what only a document's tree can judge; return a row for each."""
        branches = Branches(self.batch, doc_id)
        rows: list[Result] = []
        for draft in drafts:
            if self.new_edits:
                rows.append(branches.edit(draft))
            else:
                branches.graft(draft)
                rows.append({})
        branches.write()
        return rows

    def _draft(self, doc: Mapping[str, Any]) -> Draft:
        draft = split(doc)
        if not self.new_edits and not draft.ids:
            raise BadRequest(
                "When `new_edits: false`, the document needs `_rev` or `_revisions` specified",
                "A replicated revision brings its own rev; leave new_edits out to make new ones.",
            )
        return draft


def _ids_of(docs: list[Mapping[str, Any]]) -> list[str]:
    """The documents' ids, made where they have none. Raises for one that CouchDB refuses."""
    try:
        ids = [doc["_id"] for doc in docs]
        text = "\0".join(ids)
        text.encode()
    except (LookupError, TypeError, UnicodeEncodeError):
        return [_id_of(doc) for doc in docs]
    # Only an id that is empty or begins with an underscore has to be looked at by itself.
    if "\0_" in text or "\0\0" in text or text[:1] in ("_", "\0", "") or text[-1] == "\0":
        return [_id_of(doc) for doc in docs]
    return ids


def _id_of(doc: Mapping[str, Any]) -> str:
    if type(doc) is not dict and not isinstance(doc, Mapping):
        raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
    return check_id(doc["_id"]) if "_id" in doc else new_id()


def _repeated(ids: list[str]) -> dict[str, list[int]]:
    """The ids that stand more than once, each with its positions; usually none."""
    if len(set(ids)) == len(ids):
        return {}
    positions: dict[str, list[int]] = {}
    for index, doc_id in enumerate(ids):
        positions.setdefault(doc_id, []).append(index)
    return {doc_id: indexes for doc_id, indexes in positions.items() if len(indexes) > 1}
