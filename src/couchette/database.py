"""A database in a file, in the caller's thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

from couchette import store
from couchette.document.attachment import DEFAULT_TYPE, Attachment
from couchette.errors import BadRequest, NotFound
from couchette.pool import Durability, Pool
from couchette.store import UNSET

if TYPE_CHECKING:
    from couchette.replication import ReplicationResult, SyncResult

Doc = dict[str, Any]


class Database(MutableMapping[str, Doc]):
    """A document database in one SQLite file, or in memory.

    It is a mapping of ids to documents, and has CouchDB's operations as methods, named as PouchDB names
    them. Every call runs in the calling thread and is one transaction: what it wrote is committed when it
    returns, and nothing is written when it raises. One object may be used from many threads, one file by
    many processes.

    >>> with Database(":memory:") as db:
    ...     db["mittens"] = {"kind": "cat"}
    ...     db["mittens"]["kind"]
    'cat'
    """

    def __init__(
        self,
        path: str | os.PathLike[str] = ":memory:",
        *,
        name: str | None = None,
        revs_limit: int | None = None,
        durability: Durability = "normal",
    ) -> None:
        """Open the file, making it if it is not there.

        Args:
            path: the file; ``":memory:"`` for a database that ends with this object.
            name: shown as ``db_name``; the file's name without its ending by default.
            revs_limit: revisions kept on each leaf's path from now on; stored in the file (1000 at first).
            durability: ``"normal"`` survives a crash of the program; a power cut may take the newest
                commits, never the file. ``"full"`` waits for the disk at each commit.

        Raises:
            NotADatabase: the file is something else.
            NewerSchema: the file was written by a newer couchette.
            StoreError: the file cannot be opened.
        """
        self._pool = Pool(path, durability=durability)
        self.path = self._pool.path
        self.name = name if name is not None else Path(self.path).stem
        if revs_limit is not None:
            if type(revs_limit) is not int or revs_limit < 1:
                self._pool.close()
                raise BadRequest("`revs_limit` must be a positive integer", f"Got {revs_limit!r}.")
            self._pool.write(store.write_revs_limit, revs_limit)

    # -- One document -----------------------------------------------------------------------------

    def get(  # type: ignore[override]
        self,
        id: str,
        *,
        rev: str | None = None,
        revs: bool = False,
        revs_info: bool = False,
        open_revs: Sequence[str] | Literal["all"] | None = None,
        latest: bool = False,
        conflicts: bool = False,
        deleted_conflicts: bool = False,
        local_seq: bool = False,
        meta: bool = False,
        attachments: bool = False,
        atts_since: Sequence[str] | None = None,
        att_encoding_info: bool = False,
        binary: bool = False,
    ) -> Any:
        """The document, as CouchDB shows it; unlike a dict's ``get`` it raises NotFound.

        Args:
            rev: this stored revision instead of the winner.
            revs: add ``_revisions``, the history as ``{"start", "ids"}``, newest first.
            revs_info: add ``_revs_info``, the history with what is still stored of it.
            open_revs: a list of revs, or ``"all"`` for every leaf; the answer is then a list of
                ``{"ok": doc}`` and ``{"missing": rev}``.
            latest: the winner whatever ``rev`` says; with ``open_revs`` the leaves that descend from them.
            conflicts: add ``_conflicts``, the live leaves beside the winner, where there are any.
            deleted_conflicts: add ``_deleted_conflicts``, the deleted leaves.
            local_seq: add ``_local_seq``, the number of the document's last change.
            meta: ``revs_info``, ``conflicts`` and ``deleted_conflicts`` at once.
            attachments: add the attachments' content as base64 text.
            atts_since: add the content of attachments that are newer than these known revs.
            att_encoding_info: tell how attachments are stored.
            binary: give content as stored bytes instead, in the form that :meth:`put` takes back.

        Raises:
            NotFound: ``reason`` is ``"missing"`` or ``"deleted"``.
        """
        special = rev or revs or revs_info or open_revs or latest or conflicts or deleted_conflicts or local_seq or meta
        if not (special or attachments or atts_since is not None):
            doc = self._pool.read_one(store.get_plain, id)
            if doc is not None:
                return doc
        return self._pool.read(
            store.get,
            id,
            rev=rev,
            revs=revs,
            revs_info=revs_info,
            open_revs=open_revs,
            latest=latest,
            conflicts=conflicts,
            deleted_conflicts=deleted_conflicts,
            local_seq=local_seq,
            meta=meta,
            attachments=attachments,
            atts_since=atts_since,
            att_encoding_info=att_encoding_info,
            binary=binary,
        )

    def put(
        self, doc: Mapping[str, Any], *, id: str | None = None, rev: str | None = None, new_edits: bool = True
    ) -> Doc:
        """Create a document or a new revision of it; return ``{"ok", "id", "rev"}``. ``doc`` is not changed.

        A new revision names the one it builds on, in ``_rev`` or ``rev``; a new or deleted document needs
        none. ``new_edits=False`` stores the revision that the document brings, as replication does.

        Raises:
            Conflict: the document has moved on; get it, apply the change again, put.
            BadRequest: the document is malformed (see its subclasses).
        """
        return self._pool.write(store.put, doc, id=id, rev=rev, new_edits=new_edits)

    def post(self, doc: Mapping[str, Any]) -> Doc:
        """Create a document under a new, time-ordered id; return ``{"ok", "id", "rev"}``."""
        return self._pool.write(store.post, doc)

    def remove(self, doc: Mapping[str, Any] | str, rev: str | None = None) -> Doc:
        """Delete a document: give it, or its id and rev. Return ``{"ok", "id", "rev"}`` of the tombstone.

        Only that leaf is deleted; where there was a conflict, another one becomes the winner.

        Raises:
            NotFound: there is no such document, or it is deleted.
            Conflict: ``rev`` is not a leaf, or none was given.
        """
        return self._pool.write(store.remove, doc, rev)

    # -- Many documents ---------------------------------------------------------------------------

    def all_docs(
        self,
        *,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        inclusive_end: bool = True,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        update_seq: bool = False,
        exact_offset: bool = False,
    ) -> Doc:
        """The documents by id, in the order of the ids' UTF-8 bytes.

        Return ``{"total_rows", "offset", "rows": [{"id", "key", "value": {"rev"}, "doc"?}]}``. ``offset`` is
        None with a ``start_key`` unless ``exact_offset`` has the documents before it counted.

        Raises:
            QueryParseError: options that do not go together, or a negative count.
        """
        return self._pool.read(
            store.all_docs,
            key=key,
            keys=keys,
            start_key=start_key,
            end_key=end_key,
            inclusive_end=inclusive_end,
            descending=descending,
            skip=skip,
            limit=limit,
            include_docs=include_docs,
            conflicts=conflicts,
            attachments=attachments,
            att_encoding_info=att_encoding_info,
            update_seq=update_seq,
            exact_offset=exact_offset,
        )

    def bulk_docs(self, docs: Iterable[Mapping[str, Any]], *, new_edits: bool = True) -> list[Doc]:
        """Write many documents in one transaction.

        Return a row a document, in order: ``{"ok", "id", "rev"}``, or ``{"id", "error", "reason"}`` for a
        conflict, which leaves the others alone. With ``new_edits=False`` revisions are merged as they are
        and only failures have rows.

        Raises:
            BadRequest, MissingStub: a document is malformed; nothing is stored.
        """
        return self._pool.write(store.bulk_docs, docs, new_edits=new_edits)

    def bulk_get(
        self,
        docs: Iterable[Mapping[str, Any]],
        *,
        revs: bool = False,
        latest: bool = False,
        attachments: bool = False,
        binary: bool = False,
    ) -> Doc:
        """Many revisions at once. ``docs`` are ``{"id", "rev"?, "atts_since"?}``; without rev all leaves.

        Return ``{"results": [{"id", "docs": [{"ok": doc} | {"error": {"id", "rev", "error", "reason"}}]}]}``.
        """
        return self._pool.read(store.bulk_get, docs, revs=revs, latest=latest, attachments=attachments, binary=binary)

    def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """Which of ``{id: [rev, ...]}`` are not known here: ``{id: {"missing", "possible_ancestors"?}}``."""
        return self._pool.read(store.revs_diff, revs)

    def changes(
        self,
        *,
        since: int | str = 0,
        limit: int | None = None,
        descending: bool = False,
        style: Literal["main_only", "all_docs"] = "main_only",
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        doc_ids: Sequence[str] | None = None,
        seq_interval: int | None = None,
    ) -> Doc:
        """What changed after ``since``, each document once, in the order of its last change.

        Return ``{"results": [{"seq", "id", "changes": [{"rev"}], "deleted"?, "doc"?}], "last_seq", "pending"}``.
        ``since`` is 0, ``"now"`` or a seq of an earlier answer. ``style="all_docs"`` lists all leaves' revs.
        ``pending`` is an upper bound when many changes remain.
        """
        return self._pool.read(
            store.changes,
            since=since,
            limit=limit,
            descending=descending,
            style=style,
            include_docs=include_docs,
            conflicts=conflicts,
            attachments=attachments,
            att_encoding_info=att_encoding_info,
            doc_ids=doc_ids,
            seq_interval=seq_interval,
        )

    def wait_changes(self, since: int | str = "now", timeout: float | None = None) -> bool:
        """Block until something changes after ``since``; False if ``timeout`` seconds pass first.

        Writes of other processes are seen within ``limits.FOREIGN_WRITES_POLL_S``.
        """
        after = self._seq_number(since)
        return self._pool.notifier.wait(lambda: self._pool.read(store.update_seq) > after, timeout)

    def _seq_number(self, since: int | str) -> int:
        return store.parse_seq(since, self._pool.read(store.read_meta))

    # -- Attachments ------------------------------------------------------------------------------

    def put_attachment(
        self,
        id: str,
        name: str,
        data: bytes,
        content_type: str = DEFAULT_TYPE,
        *,
        rev: str | None = None,
        encoding: str | None = None,
    ) -> Doc:
        """Add or replace one attachment, as a new revision; return ``{"ok", "id", "rev"}``.

        Without ``rev`` the document is made. ``encoding="gzip"`` says that ``data`` is gzip already.

        Raises:
            Conflict: the document exists and ``rev`` is not its leaf.
        """
        return self._pool.write(store.put_attachment, id, name, data, content_type, rev=rev, encoding=encoding)

    def get_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> Attachment:
        """One attachment with its content in ``data``; with ``encoded`` as stored, maybe gzip. Raises NotFound."""
        return self._pool.read(store.get_attachment, id, name, rev=rev, encoded=encoded)

    def remove_attachment(self, id: str, name: str, rev: str | None = None) -> Doc:
        """Remove one attachment, as a new revision; return ``{"ok", "id", "rev"}``.

        Raises:
            NotFound: there is no such attachment.
            Conflict: ``rev`` is not a leaf, or none was given.
        """
        return self._pool.write(store.remove_attachment, id, name, rev)

    # -- Replication ------------------------------------------------------------------------------

    def replicate_to(self, target: Any, **options: Any) -> ReplicationResult:
        """Push to a URL, a path or a database; see :func:`couchette.replicate` for the options."""
        from couchette.endpoints import replicate

        return replicate(self, target, **options)

    def replicate_from(self, source: Any, **options: Any) -> ReplicationResult:
        """Pull from a URL, a path or a database; see :func:`couchette.replicate` for the options."""
        from couchette.endpoints import replicate

        return replicate(source, self, **options)

    def sync(self, other: Any, **options: Any) -> SyncResult:
        """Push, then pull; see :func:`couchette.replicate` for the options."""
        from couchette.endpoints import sync

        return sync(self, other, **options)

    # -- The database itself ----------------------------------------------------------------------

    def info(self) -> Doc:
        """Counts, sequences and sizes, in the shape of CouchDB's ``GET /db``."""
        return self._pool.read(store.info, self.name)

    def close(self) -> None:
        """Close the file. Calling it again does nothing."""
        self._pool.close()

    def destroy(self) -> None:
        """Close the database and delete its file."""
        self._pool.close()
        if self.path != ":memory:":
            for suffix in ("", "-wal", "-shm"):
                Path(self.path + suffix).unlink(missing_ok=True)

    @property
    def closed(self) -> bool:
        """Whether the database was closed."""
        return self._pool.closed

    def __enter__(self) -> Database:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<couchette.Database {self.path!r}{' closed' if self.closed else ''}>"

    # -- Mapping ----------------------------------------------------------------------------------

    def __getitem__(self, id: str) -> Doc:
        """The document. Raises NotFound, which is a KeyError."""
        doc: Doc = self.get(id)
        return doc

    def __setitem__(self, id: str, doc: Doc) -> None:
        """Save the document under this id, and leave ``_id`` and ``_rev`` in it.

        Without a ``_rev`` it replaces the current revision, whichever that is.
        """
        if not isinstance(doc, MutableMapping):
            raise BadRequest("Document must be a JSON object", f"Give a dict, not {type(doc).__name__}.")
        result = self._pool.write(_replace, id, doc)
        doc["_id"], doc["_rev"] = result["id"], result["rev"]

    def __delitem__(self, id: str) -> None:
        """Delete the document's current revision. Raises NotFound, which is a KeyError."""
        self._pool.write(_remove_winner, id)

    def __contains__(self, id: object) -> bool:
        try:
            self.get(id)  # type: ignore[arg-type]
        except (NotFound, BadRequest):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The ids, in order, in pages; what is written meanwhile is seen if it lies ahead."""
        rows = self.all_docs(limit=_ITER_PAGE)["rows"]
        while rows:
            for row in rows:
                yield row["id"]
            if len(rows) < _ITER_PAGE:
                return
            # The next id in order, if there were one; the last row may be deleted by now.
            rows = self.all_docs(start_key=rows[-1]["id"] + "\0", limit=_ITER_PAGE)["rows"]

    def __len__(self) -> int:
        """How many documents there are, deleted ones not counted."""
        count: int = self.info()["doc_count"]
        return count

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)


_ITER_PAGE = 1000


def _replace(conn: Any, doc_id: str, doc: Mapping[str, Any]) -> Doc:
    """Put on top of the current revision where the document names none, in the same transaction."""
    if doc.get("_rev") is None:
        doc = {key: value for key, value in doc.items() if key != "_rev"}
        with suppress(NotFound):
            doc["_rev"] = store.get(conn, doc_id)["_rev"]
    return store.put(conn, doc, id=doc_id)


def _remove_winner(conn: Any, doc_id: str) -> Doc:
    return store.remove(conn, doc_id, store.get(conn, doc_id)["_rev"])
