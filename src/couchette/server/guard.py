"""The one place that every write of a document passes on its way from a request to the store.

The resources write through a database that is guarded for the user who asks. It is the same database, but its pool
knows the operations that write documents, and has each edit judged before it runs: design documents are for
administrators, the documents of ``_users`` have rules and their passwords are derived, and then come the program's
function and those of the design documents. Operations that write no document go through as they are.
"""

from __future__ import annotations

import copy as shallow
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from couchette import store
from couchette.database import Database
from couchette.document.body import split
from couchette.document.docid import DESIGN, LOCAL, check_id, new_id
from couchette.errors import Conflict, CouchetteError, NotFound
from couchette.functions import PythonFunctions
from couchette.pool import Pool
from couchette.server import security, users
from couchette.server.identity import User
from couchette.server.security import Security
from couchette.server.validation import validators_of
from couchette.store import Edit
from couchette.wire.names import USERS

Doc = dict[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Judge:
    """What a user may write to a database.

    Attributes:
        validate: the program's own validation function.
        iterations: for the passwords of new users.
    """

    database: str
    user: User
    security: Security
    validate: PythonFunctions | None
    iterations: int

    def prepared(self, doc: Any) -> Any:
        """The document as it is to be stored; what is no document is left to the store to refuse."""
        if not isinstance(doc, Mapping):
            return doc
        if self.database == USERS and not _is_special(doc) and doc.get("_deleted") is not True:
            return users.prepare(doc, iterations=self.iterations)
        return doc

    def refusals(self, pool: Pool, docs: Sequence[Any], new_edits: bool) -> list[CouchetteError | None]:
        """For each document the error that it may not be stored for, or None.

        Raises what the store would raise for a malformed one, and what makes a validation function fail.
        """
        refusals: list[CouchetteError | None] = [self._design_refusal(doc) for doc in docs]
        judging = self.validate is not None or self.database == USERS or validators_of(pool).judges(pool)
        judged = [at for at, doc in enumerate(docs) if judging and isinstance(doc, Mapping) and not _is_special(doc)]
        if not judged:
            return refusals
        found = pool.read(store.edits_of, [docs[at] for at in judged], new_edits)
        edits: dict[int, Edit] = {}
        for at, edit in zip(judged, found, strict=True):
            if isinstance(edit, Conflict):
                refusals[at] = edit
            elif edit is not None:
                edits[at] = edit
        context = self.user.context(self.database)
        stages: list[Callable[[list[Edit]], list[CouchetteError | None]]] = [
            self._judged_here,
            lambda left: validators_of(pool).judge(pool, left, context, self.security),
        ]
        for stage in stages:
            left = {at: edit for at, edit in edits.items() if refusals[at] is None}
            for at, refusal in zip(left, stage(list(left.values())), strict=True):
                refusals[at] = refusal
        return refusals

    def _judged_here(self, edits: list[Edit]) -> list[CouchetteError | None]:
        """The rules of ``_users``, and the program's function."""
        refusals: list[CouchetteError | None] = []
        context = self.user.context(self.database)
        for edit in edits:
            refusal: CouchetteError | None = None
            if self.database == USERS:
                try:
                    users.validate(edit.doc, edit.old, self.user, is_admin=self.is_admin)
                except CouchetteError as exc:
                    refusal = exc
            if refusal is None and self.validate is not None:
                (refusal,) = self.validate.validate_all([(edit.doc, edit.old)], context, self.security)
            refusals.append(refusal)
        return refusals

    def _design_refusal(self, doc: Any) -> CouchetteError | None:
        is_design = isinstance(doc, Mapping) and str(doc.get("_id")).startswith(DESIGN)
        return security.design_refusal(self.user) if is_design and not self.is_admin else None

    @property
    def is_admin(self) -> bool:
        """Whether the user administers the database."""
        return security.is_admin(self.security, self.user)


def guarded(db: Database, judge: Judge) -> Database:
    """The same open database, whose writes of documents are judged."""
    view = shallow.copy(db)
    view._pool = GuardedPool(db._pool, judge)  # type: ignore[assignment] # It has what a pool has.
    return view


class GuardedPool:
    """A pool that has edits judged; it lends the connections of another one."""

    def __init__(self, pool: Pool, judge: Judge) -> None:
        self._pool = pool
        self._judge = judge

    def write(self, op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """As :meth:`Pool.write`; raises also what the user may not do."""
        judged = _JUDGED.get(op)
        if judged is None:
            return self._pool.write(op, *args, **kwargs)
        return judged(self._pool, self._judge, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


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
    if not str(doc_id).startswith(LOCAL) and rev is not None:
        pool.read(store.get, check_id(doc_id))
        _require(judge, pool, {"_id": doc_id, "_rev": rev, "_deleted": True}, True)
    return pool.write(store.remove, doc, rev)


def _copy(
    pool: Pool, judge: Judge, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None
) -> Row:
    check_id(new_id)
    doc = pool.read(store.get, id, rev=rev)
    found = doc.pop("_rev")
    _require(judge, pool, {**doc, "_id": new_id, **({} if target_rev is None else {"_rev": target_rev})}, True)
    # The revision that was judged, and not what may be the winner by now; a _local document has one only.
    return pool.write(store.copy, id, new_id, rev=None if id.startswith(LOCAL) else found, target_rev=target_rev)


def _put_attachment(
    pool: Pool, judge: Judge, id: str, name: str, data: Any, content_type: str, *, rev: str | None = None
) -> Row:
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


def _is_special(doc: Mapping[str, Any]) -> bool:
    """Whether no validation function sees the document: a design document's edit, or a ``_local`` one's."""
    return str(doc.get("_id")).startswith((DESIGN, LOCAL))
