"""A database whose writes of documents are judged, by the validation functions and by who has set the judge.

It is the same open database, but its pool knows the operations that write documents, and has each edit judged before it
runs. Operations that write no document go through as they are. The server writes through such a database for every
request (its judge knows more rules), and so does ``db.as_user`` of the facades.
"""

from __future__ import annotations

import copy as shallow
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from couchette import document_mapping, store
from couchette.design.validation import validators_of
from couchette.document.body import split
from couchette.document.docid import DESIGN, LOCAL, check_id, new_id
from couchette.errors import Conflict, CouchetteError, NotFound
from couchette.functions import PythonFunctions
from couchette.pool import Pool
from couchette.store import Edit

if TYPE_CHECKING:
    from couchette.database import Database

Doc = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """Who writes to a database, as its validation functions are told.

    Attributes:
        user_ctx: CouchDB's ``userCtx``.
        security: the security object.
        validate: the program's own validation function, which is asked first.
    """

    user_ctx: Mapping[str, Any]
    security: Mapping[str, Any]
    validate: PythonFunctions | None = None

    def prepared(self, doc: Any) -> Any:
        """The document as it is to be stored; what is no document is left to the store to refuse."""
        return doc

    def check_ids(self, ids: Iterable[Any]) -> None:
        """Raise BadRequest for an id that the database cannot hold; what is no id is left to the store to refuse."""

    def check_attachments(self, members: Any) -> None:
        """Raise TooLarge for a document's ``_attachments`` with one that is larger than may be written."""

    def refusals(self, pool: Pool, docs: Sequence[Any], new_edits: bool) -> list[CouchetteError | None]:
        """For each document the error that it may not be stored for, or None.

        Raises what the store would raise for a malformed one, and what makes a validation function fail.
        """
        refusals = [self._refusal(doc) for doc in docs]
        judging = self._has_rules() or validators_of(pool).judges(pool)
        judged = [at for at, doc in enumerate(docs) if judging and isinstance(doc, Mapping) and not is_special(doc)]
        if not judged:
            return refusals
        found = pool.read(store.edits_of, [docs[at] for at in judged], new_edits)
        edits: dict[int, Edit] = {}
        for at, edit in zip(judged, found, strict=True):
            if isinstance(edit, Conflict):
                refusals[at] = edit
            elif edit is not None and refusals[at] is None:
                edits[at] = edit
        for at, refusal in zip(edits, self.refused_edits(pool, list(edits.values())), strict=True):
            refusals[at] = refusal
        return refusals

    def refused_edits(self, pool: Pool, edits: Sequence[Edit]) -> list[CouchetteError | None]:
        """For each edit the error that it may not be made for, or None. Raises what makes a function fail."""
        refusals = [self._edit_refusal(edit) for edit in edits]
        left = [at for at, refusal in enumerate(refusals) if refusal is None]
        found = validators_of(pool).judge(pool, [edits[at] for at in left], self.user_ctx, self.security)
        for at, refusal in zip(left, found, strict=True):
            refusals[at] = refusal
        return refusals

    def _has_rules(self) -> bool:
        """Whether edits are judged where no design document has a validation function."""
        return self.validate is not None

    def _refusal(self, doc: Any) -> CouchetteError | None:
        """Why this document may not be written, whatever it builds on."""
        return None

    def _edit_refusal(self, edit: Edit) -> CouchetteError | None:
        """What those say of an edit who are asked before the design documents."""
        if self.validate is None:
            return None
        (refusal,) = self.validate.validate_all([(edit.doc, edit.old)], self.user_ctx, self.security)
        return refusal


def judged(db: Database, judge: Judge) -> Database:
    """The same open database, whose writes of documents are judged."""
    return judged_by(db, lambda: judge)


def judged_by(db: Database, current: Callable[[], Judge]) -> Database:
    """As :func:`judged`, for what is open for long: each write is judged by whom ``current`` gives then."""
    view = shallow.copy(db)
    view._pool = JudgedPool(pool_of(db), current)  # type: ignore[assignment] # It has what a pool has.
    return view


def pool_of(db: Database) -> Pool:
    """The database's own pool, where nothing is judged."""
    pool: Any = db._pool
    return pool.pool if isinstance(pool, JudgedPool) else pool


def judge_of(db: Database) -> Judge | None:
    """Who judges what is written through this object; None where nobody does."""
    pool: Any = db._pool
    return pool.judge if isinstance(pool, JudgedPool) else None


class JudgedPool:
    """A pool that has edits judged; it lends the connections of another one."""

    def __init__(self, pool: Pool, current: Callable[[], Judge]) -> None:
        self.pool = pool
        self._current = current

    @property
    def judge(self) -> Judge:
        """Who judges what is written now."""
        return self._current()

    def write(self, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Pool.write`; raises also what the user may not do."""
        if op in _JUDGED_AFTERWARDS:
            return _judge_afterwards(self.pool, self.judge, op, *args, **kwargs)
        before = _JUDGED.get(op)
        if before is None:
            return self.pool.write(op, *args, **kwargs)
        return before(self.pool, self.judge, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pool, name)


# -- The operations that write documents, as they are judged -------------------------------------------


def _put(
    pool: Pool, judge: Judge, doc: Any, *, id: str | None = None, rev: str | None = None, new_edits: bool = True
) -> Row:
    if isinstance(doc, Mapping):
        doc = dict(doc)
        if id is not None:
            doc["_id"] = id
        if rev is not None:
            doc.setdefault("_rev", rev)
        judge.check_ids([doc.get("_id")])
        judge.check_attachments(doc.get("_attachments"))
    doc = judge.prepared(doc)
    _require(judge, pool, doc, new_edits)
    return pool.write(store.put, doc, rev=rev, new_edits=new_edits)


def _post(pool: Pool, judge: Judge, doc: Any) -> Row:
    return _put(pool, judge, doc, id=None if not isinstance(doc, Mapping) or "_id" in doc else new_id())


def _bulk_docs(pool: Pool, judge: Judge, docs: Iterable[Any], *, new_edits: bool = True) -> list[Row]:
    prepared: list[Any] = []
    refused: dict[int, CouchetteError] = {}
    for at, doc in enumerate(docs):
        named = {**doc, "_id": new_id()} if isinstance(doc, Mapping) and "_id" not in doc else doc
        if isinstance(named, Mapping):
            judge.check_ids([named["_id"]])
            judge.check_attachments(named.get("_attachments"))
        try:
            prepared.append(judge.prepared(named))
        except CouchetteError as exc:
            prepared.append(named)
            refused[at] = exc
    for at, refusal in enumerate(judge.refusals(pool, prepared, new_edits)):
        if refusal is not None:
            refused.setdefault(at, refusal)
    accepted = [doc for at, doc in enumerate(prepared) if at not in refused]
    rows = pool.write(store.bulk_docs, accepted, new_edits=new_edits)
    if not new_edits:
        return [*rows, *(_refused_row(prepared[at], refused[at], new_edits) for at in sorted(refused))]
    written = iter(rows)
    return [
        _refused_row(doc, refused[at], new_edits) if at in refused else next(written) for at, doc in enumerate(prepared)
    ]


def _remove(pool: Pool, judge: Judge, doc: Mapping[str, Any] | str, rev: str | None = None) -> Row:
    doc_id = doc.get("_id") if isinstance(doc, Mapping) else doc
    rev = rev or (doc.get("_rev") if isinstance(doc, Mapping) else None)
    if rev is not None:
        if not str(doc_id).startswith(LOCAL):
            pool.read(store.get, check_id(doc_id))
        _require(judge, pool, {"_id": doc_id, "_rev": rev, "_deleted": True}, True)
    return pool.write(store.remove, doc, rev)


def _copy(
    pool: Pool, judge: Judge, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None
) -> Row:
    judge.check_ids([check_id(new_id)])
    doc = pool.read(store.get, id, rev=rev)
    found = doc.pop("_rev")
    _require(judge, pool, {**doc, "_id": new_id, **({} if target_rev is None else {"_rev": target_rev})}, True)
    # The revision that was judged, and not what may be the winner by now; a _local document has one only.
    return pool.write(store.copy, id, new_id, rev=None if id.startswith(LOCAL) else found, target_rev=target_rev)


def _put_attachment(
    pool: Pool, judge: Judge, id: str, name: str, data: Any, content_type: str, *, rev: str | None = None
) -> Row:
    judge.check_ids([id])
    judge.check_attachments({name: {"data": data}})
    base = pool.read(store.check_base, id, name, rev)
    doc: Doc = {"_id": id} if base is None else _live(pool, id, rev)
    member = {"content_type": content_type, "stub": True}
    _require(judge, pool, {**doc, "_attachments": {**doc.get("_attachments", {}), name: member}}, True)
    return pool.write(store.put_attachment, id, name, data, content_type, rev=rev)


def _remove_attachment(pool: Pool, judge: Judge, id: str, name: str, rev: str | None = None) -> Row:
    if pool.read(store.check_base, id, name, rev) is not None:
        doc: Doc = pool.read(store.get, id, rev=rev)
        kept = {other: member for other, member in doc.get("_attachments", {}).items() if other != name}
        _require(judge, pool, {**doc, "_attachments": kept}, True)
    return pool.write(store.remove_attachment, id, name, rev)


_JUDGED: Final[dict[Callable[..., Any], Callable[..., Any]]] = {
    store.put: _put,
    store.post: _post,
    store.bulk_docs: _bulk_docs,
    store.remove: _remove,
    store.copy: _copy,
    store.put_attachment: _put_attachment,
    store.remove_attachment: _remove_attachment,
}


_JUDGED_AFTERWARDS: Final = frozenset(
    {document_mapping.replace, document_mapping.remove_winner, store.remove_leaves, store.resolve}
)
"""What they write is known when they have written it."""


def _judge_afterwards(
    pool: Pool, judge: Judge, op: Callable[..., Any], doc: Mapping[str, Any] | str, *args: Any, **kwargs: Any
) -> Any:
    """Judge what an operation has made of a document, in a transaction that is undone if it is refused.

    Others wait meanwhile with their writes, also while the functions run.
    """
    doc_id = str(doc.get("_id") if isinstance(doc, Mapping) else doc)
    with pool.transaction():
        before = _leaves(pool, doc_id)
        result = pool.write(op, doc, *args, **kwargs)
        made = [leaf for rev, leaf in _leaves(pool, doc_id).items() if rev not in before]
        refusals = [judge._refusal(leaf) for leaf in made]
        if not is_special({"_id": doc_id}):
            refusals += judge.refused_edits(pool, [_edit(leaf, before) for leaf in made])
        for refusal in refusals:
            if refusal is not None:
                raise refusal
    return result


def _leaves(pool: Pool, doc_id: str) -> dict[str, Doc]:
    """The leaves of a document by rev, with their histories."""
    if doc_id.startswith(LOCAL):
        return {}
    try:
        rows = pool.read(store.get, doc_id, open_revs="all", revs=True)
    except NotFound:
        return {}
    return {row["ok"]["_rev"]: row["ok"] for row in rows if "ok" in row}


def _edit(leaf: Doc, before: Mapping[str, Doc]) -> Edit:
    """The edit that made a leaf, as :func:`couchette.store.edits_of` would have shown it."""
    _, *ids = leaf["_revisions"]["ids"]
    start = leaf["_revisions"]["start"] - 1
    old = before.get(f"{start}-{ids[0]}") if ids else None
    if old is None or old.get("_deleted"):
        new = {name: value for name, value in leaf.items() if name != "_rev"}
        return Edit({**new, "_revisions": {"start": 0, "ids": []}}, None)
    return Edit({**leaf, "_rev": old["_rev"], "_revisions": {"start": start, "ids": ids}}, old)


def _require(judge: Judge, pool: Pool, doc: Any, new_edits: bool) -> None:
    """Raise unless this document may be stored."""
    (refusal,) = judge.refusals(pool, [doc], new_edits)
    if refusal is not None:
        raise refusal


def _live(pool: Pool, doc_id: str, rev: str | None) -> Doc:
    """A revision as an edit of it begins: not deleted."""
    try:
        doc: Doc = pool.read(store.get, doc_id, rev=rev)
    except NotFound as exc:
        raise Conflict(hint=f"{doc_id!r} has no revision {rev}.") from exc
    doc.pop("_deleted", None)
    return doc


def _refused_row(doc: Mapping[str, Any], refusal: CouchetteError, new_edits: bool) -> Row:
    shown = {"id": doc.get("_id")}
    if not new_edits:
        shown["rev"] = split(doc).path()[0]
    return {**shown, **refusal.as_json()}


def is_special(doc: Mapping[str, Any]) -> bool:
    """Whether no validation function sees the document: a design document's edit, or a ``_local`` one's."""
    return str(doc.get("_id")).startswith((DESIGN, LOCAL))
