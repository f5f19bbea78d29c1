"""A database as one user may read it: without the documents that the program's ``may_read_document`` withholds.

Where there is such a rule, a request gets its database in this form. It is the same open database, whose methods leave
out what the user may not read: a document is missing, and rows that are a document's are not listed. Pages are filled
up to their limit all the same, so that who pages by their length goes on. Without a rule nothing of this is used.

What is of no single document tells of hidden ones still: counts (``doc_count``, ``total_rows``, ``offset``,
``pending``), sequences, what a view reduces to, facet counts, whether an id or a revision exists (``_revs_diff``, a
conflict when it is written). Design documents and ``_local`` ones are everybody's who may use the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from couchette.attachment_file import AttachmentFile
from couchette.database import Database
from couchette.document.docid import DESIGN, LOCAL
from couchette.errors import Forbidden, NotFound
from couchette.query.find import find
from couchette.query.find_fields import projection
from couchette.query.find_options import FindOptions
from couchette.server.listed import listed

Doc = dict[str, Any]
MayReadDoc = Callable[[Doc], bool]


def readable(db: Database, may_read: MayReadDoc) -> Database:
    """The same open database, without the documents that the function is false for."""
    # Made now, the engines are the database's, and not a request's.
    _ = (db._views, db._texts, db._spatial)
    view = ReadableDatabase.__new__(ReadableDatabase)
    view.__dict__.update(db.__dict__)
    view._may_read = partial(_may, may_read)
    return view


def with_fields(db: Database, fields: Sequence[str]) -> Database:
    """The same open database, for reading one document at a time, of which only these members are shown."""
    view = PublicDatabase.__new__(PublicDatabase)
    view.__dict__.update(db.__dict__)
    view.shown = frozenset(("_id", "_rev", *fields))
    view._may_read = lambda doc: True  # What is read past the methods would be shown whole.
    return view


def find_readable(db: Database, options: FindOptions) -> Doc:
    """A find among the documents that the user of this database may read."""
    may_read = db._may_read
    if may_read is None:
        return find(db._pool, options)
    accepts = options.accepts
    whole = replace(options, fields=(), judged=True, accepts=lambda doc: accepts(doc) and may_read(doc))
    answer = find(db._pool, whole)
    answer["docs"] = [doc for doc in answer["docs"] if may_read(doc)]
    if (project := projection(options.fields)) is not None:
        answer["docs"] = [project(doc) for doc in answer["docs"]]
    return answer


def rows_readable(db: Database, answer: Doc) -> Doc:
    """An answer of a view or an index, without the rows of documents that the user of this database may not read."""
    may_read = db._may_read
    if may_read is None or not any("id" in row for row in answer.get("rows", ())):
        return answer
    ids = {row["id"] for row in answer["rows"]}
    shown = {doc_id for doc_id, doc in _winners(db, ids) if may_read(doc)}
    rows = [row for row in answer["rows"] if row["id"] in shown]
    for row in rows:
        if row.get("doc") is not None and not may_read(row["doc"]):
            row["doc"] = None  # That of another document, which the row's value names.
    return {**answer, "rows": rows}


def revisions_readable(db: Database, found: Doc) -> Doc:
    """An answer to ``_bulk_get``, in place, without the revisions that the user of this database may not read."""
    may_read = db._may_read
    if may_read is not None:
        for result in found["results"]:
            result["docs"] = [
                row if "ok" not in row or may_read(row["ok"]) else _missing(row) for row in result["docs"]
            ]
    return found


def _missing(row: Doc) -> Doc:
    doc = row["ok"]
    return {"error": {"id": doc["_id"], "rev": doc["_rev"], "error": "not_found", "reason": "missing"}}


class ReadableDatabase(Database):
    """Made by :func:`readable`."""

    def get(self, id: str, **options: Any) -> Any:  # type: ignore[override] # It is one of a mapping, too.
        found = super().get(id, **options)
        if isinstance(found, list):
            return [self._open_rev(row) for row in found]
        return self._require(found)

    def __getitem__(self, id: str) -> Doc:
        doc: Doc = self.get(id)
        return doc

    def all_docs(self, *, skip: int = 0, limit: int | None = None, include_docs: bool = False, **options: Any) -> Doc:
        answer = super().all_docs(**options, limit=0)
        asked = {name: value for name, value in options.items() if name not in ("exact_offset", "update_seq")}
        return {**answer, "rows": list(self.listed(skip=skip, limit=limit, include_docs=include_docs, **asked))}

    def listed(
        self, *, skip: int = 0, limit: int | None = None, include_docs: bool = False, **options: Any
    ) -> Iterator[Doc]:
        """The rows of :meth:`all_docs`, read some at a time."""
        shown = filter(self._is_shown, listed(self._pool, **options, include_docs=True))
        for row in islice(shown, skip, None if limit is None else skip + limit):
            if not include_docs:
                row.pop("doc", None)
            yield row

    def changes(self, *, filter: Callable[[Doc], bool] | None = None, **options: Any) -> Any:
        may_read = self._may_read
        assert may_read is not None
        passes = filter or (lambda doc: True)
        return super().changes(filter=lambda doc: may_read(doc) and passes(doc), **options)

    def bulk_get(self, docs: Iterable[Mapping[str, Any]], **options: Any) -> Doc:
        return revisions_readable(self, super().bulk_get(docs, **options))

    def open_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> AttachmentFile:
        self.get(id, rev=rev)
        return super().open_attachment(id, name, rev=rev, encoded=encoded)

    def get_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> Any:
        self.get(id, rev=rev)
        return super().get_attachment(id, name, rev=rev, encoded=encoded)

    def copy(self, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None) -> Doc:
        self.get(id, rev=rev)
        return super().copy(id, new_id, rev=rev, target_rev=target_rev)

    def history(self, id: str) -> list[Doc]:
        self.get(id)
        return super().history(id)

    def conflicts(self, **options: Any) -> list[Doc]:
        may_read = self._may_read
        assert may_read is not None
        rows = super().conflicts(**options)
        shown = {doc_id for doc_id, doc in _winners(self, {row["id"] for row in rows}) if may_read(doc)}
        return [row for row in rows if row["id"] in shown]

    def query(self, view: Any, **options: Any) -> Doc:
        answer = super().query(view, **options)
        if "results" in answer:
            return {"results": [rows_readable(self, one) for one in answer["results"]]}
        return rows_readable(self, answer)

    def search(self, index: Any, query: str, **options: Any) -> Doc:
        return rows_readable(self, super().search(index, query, **options))

    def spatial(self, view: Any, **options: Any) -> Doc:
        return rows_readable(self, super().spatial(view, **options))

    def find(self, selector: Mapping[str, Any], *, fields: Sequence[str] | None = None, **options: Any) -> Doc:
        assert self._may_read is not None
        answer = super().find(selector, **options)
        project = projection(tuple(fields or ()))
        docs = [doc for doc in answer["docs"] if self._may_read(doc)]
        return {**answer, "docs": docs if project is None else list(map(project, docs))}

    def sql(self, *_: Any, **__: Any) -> Any:
        raise _withheld("sql")

    def gql(self, *_: Any, **__: Any) -> Any:
        raise _withheld("gql")

    def live(self, *_: Any, **__: Any) -> Any:
        raise _withheld("live")

    def dump(self, *_: Any, **__: Any) -> Any:
        raise _withheld("dump")

    # -- Parts of answers -----------------------------------------------------------------------------

    def _require(self, doc: Doc) -> Doc:
        assert self._may_read is not None
        if not self._may_read(doc):
            raise NotFound("missing", f"There is no document {doc['_id']!r} that you may see.")
        return doc

    def _open_rev(self, row: Doc) -> Doc:
        assert self._may_read is not None
        return {"missing": row["ok"]["_rev"]} if "ok" in row and not self._may_read(row["ok"]) else row

    def _is_shown(self, row: Doc) -> bool:
        assert self._may_read is not None
        if "id" not in row:
            return True  # A key that there is nothing for.
        doc = row["doc"] or super().get(row["id"], rev=row["value"]["rev"])
        return self._may_read(doc)


class PublicDatabase(Database):
    """Made by :func:`with_fields`."""

    shown: frozenset[str]

    def get(self, id: str, **options: Any) -> Any:  # type: ignore[override] # It is one of a mapping, too.
        asked = {name: options[name] for name in ("rev", "latest", "open_revs") if name in options}
        found = super().get(id, **asked)
        if isinstance(found, list):
            return [{"ok": self._public(row["ok"])} if "ok" in row else row for row in found]
        return self._public(found)

    def _public(self, doc: Doc) -> Doc:
        return {name: value for name, value in doc.items() if name in self.shown}


def _may(may_read: MayReadDoc, doc: Doc) -> bool:
    return doc["_id"].startswith((DESIGN, LOCAL)) or may_read(doc)


def _winners(db: Database, ids: Iterable[str]) -> Iterator[tuple[str, Doc]]:
    """Documents as they are now, by id; of one that was deleted, there is nothing."""
    for row in listed(db._pool, keys=sorted(ids), include_docs=True):
        if row.get("doc") is not None:
            yield row["id"], row["doc"]


def _withheld(name: str) -> Forbidden:
    return Forbidden(f"`{name}` shows documents that you may not read.", "There is a rule of who may read what.")
