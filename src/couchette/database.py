"""A database in a file, in the caller's thread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from couchette import store
from couchette.attachment_access import AttachmentAccess
from couchette.change_feeds import ChangeFeeds
from couchette.database_file import DatabaseFile
from couchette.design.access import DesignAccess
from couchette.document_mapping import DocumentMapping
from couchette.find_queries import FindQueries
from couchette.gql_queries import GqlQueries
from couchette.live_queries import LiveQueries
from couchette.spatial_queries import SpatialQueries
from couchette.sql_queries import SqlQueries
from couchette.store import UNSET
from couchette.text_queries import TextQueries
from couchette.uploads import Uploads, has_streams, take_all
from couchette.view_queries import ViewQueries

if TYPE_CHECKING:
    from couchette.merging import MergeFunction

Doc = dict[str, Any]


class Database(
    DatabaseFile,
    DocumentMapping,
    AttachmentAccess,
    ChangeFeeds,
    FindQueries,
    ViewQueries,
    LiveQueries,
    SqlQueries,
    GqlQueries,
    TextQueries,
    SpatialQueries,
    DesignAccess,
):
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
        none. ``new_edits=False`` stores the revision that the document brings, as replication does. ``data`` of an
        attachment may be base64 text, or all that :meth:`put_attachment` takes. Beside a stream its ``digest`` and
        ``length`` are checked; beside text and bytes they say nothing, as in CouchDB.

        Raises:
            Conflict: the document has moved on; get it, apply the change again, put.
            BadRequest: the document is malformed (see its subclasses).
        """
        if has_streams(doc):
            with Uploads(self._pool) as uploads:
                return self._pool.write(store.put, take_all(uploads, doc), id=id, rev=rev, new_edits=new_edits)
        return self._pool.write(store.put, doc, id=id, rev=rev, new_edits=new_edits)

    def post(self, doc: Mapping[str, Any]) -> Doc:
        """Create a document under a new, time-ordered id; return ``{"ok", "id", "rev"}``."""
        return self._pool.write(store.post, doc)

    def remove(self, doc: Mapping[str, Any] | str, rev: str | None = None, *, all_leaves: bool = False) -> Doc:
        """Delete a document: give it, or its id and rev. Return ``{"ok", "id", "rev"}`` of the tombstone.

        Only that leaf is deleted; where there was a conflict, another one becomes the winner. ``all_leaves``
        deletes every live leaf at once; it needs no rev, and ``deleted`` in the answer lists the leaves.

        Raises:
            NotFound: there is no such document, or it is deleted.
            Conflict: ``rev`` is not a leaf, or none was given.
        """
        return self._pool.write(store.remove_leaves if all_leaves else store.remove, doc, rev)

    def copy(self, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None) -> Doc:
        """Write a document, or its revision ``rev``, under another id; return ``{"ok", "id", "rev"}`` of that.

        Attachments come along, history does not. ``target_rev`` names the revision to replace where the other
        document exists.

        Raises:
            NotFound: there is no such document or revision.
            Conflict: the other document exists and ``target_rev`` is not its leaf.
        """
        return self._pool.write(store.copy, id, new_id, rev=rev, target_rev=target_rev)

    def history(self, id: str) -> list[Doc]:
        """The revision tree of a document, deleted or not, as a list, newest first.

        Each revision is ``{"rev", "parents", "deleted", "available", "leaf", "winner"}``. ``parents`` is empty where
        the history begins, or older revisions were dropped; ``available`` says whether ``get(id, rev=...)`` finds it.

        Raises:
            NotFound: there never was such a document.
        """
        return self._pool.read(store.history, id)

    # -- Conflicts --------------------------------------------------------------------------------

    def conflicts(self, *, limit: int | None = None, start_key: str | None = None) -> list[Doc]:
        """The documents with several live leaves, by id, from ``start_key`` on.

        Return ``[{"id", "rev", "conflicts": [rev, ...]}]``: the winner and the leaves beside it, best first. Only
        documents that ever branched are looked at, so it takes no longer in a large database.
        """
        return self._pool.read(store.list_conflicts, limit=limit, start_key=start_key)

    def resolve(self, id: str, *, keep: str | None = None, merge: MergeFunction | None = None) -> Doc:
        """End a document's conflict in one transaction; return ``{"ok", "id", "rev", "deleted": [rev, ...]}``.

        What stands is written over the winner where it differs, and all other live leaves are deleted. Replicas
        that resolve the same leaves in the same way make the same revisions. Without a conflict nothing is written.

        Args:
            keep: the leaf whose content shall stand.
            merge: a function of the leaves, the winner first, and their newest common ancestor or None where
                that is not stored any more. It returns the content that shall stand, or None to keep the winner; see
                :mod:`couchette.merging` for ready ones. It runs while others wait to write, and must not write itself.

        Raises:
            NotFound: there is no such document, or it is deleted.
            Conflict: ``keep`` is no live leaf.
            BadRequest, MissingStub: ``merge`` returned something else than a document.
        """
        return self._pool.write(store.resolve, id, keep=keep, merge=merge)

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

    def local_docs(self, *, include_docs: bool = False) -> list[Doc]:
        """The ``_local`` documents by id, which replication's checkpoints are among.

        Return a row for each, ``{"id", "key", "value": {"rev"}, "doc"?}``, as :meth:`all_docs` has them.
        """
        return self._pool.read(store.local_docs, include_docs=include_docs)

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

    def missing_revs(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """The older form of :meth:`revs_diff`, without ancestors: ``{"missing_revs": {id: [rev, ...]}}``."""
        return self._pool.read(store.missing_revs, revs)

    # -- Transactions -----------------------------------------------------------------------------

    def transaction(self, work: Callable[[Database], Any] | None = None) -> Any:
        """Make one commit of several writes, or none of them.

        Without ``work`` it is a context manager: all that this thread writes in the block is committed at its
        end, and undone when the block raises. With ``work`` it calls ``work(db)`` in such a block and returns what
        that returns.

        >>> db = Database()
        >>> with db.transaction():
        ...     db["a"] = {"balance": 1}
        ...     db["b"] = {"balance": 2}

        Reads in the block see its writes; other threads see them after the commit. Their writes wait meanwhile,
        so keep it short, and neither ``await`` nor replicate in it. A single write that raises, such as a conflict,
        undoes only itself and may be handled within the block; the same holds for a block within the block.

        Raises:
            DatabaseBusy: another process wrote for too long.
        """
        if work is None:
            return self._pool.transaction()
        with self._pool.transaction():
            return work(self)

    # -- Replication ------------------------------------------------------------------------------

    def replicate_to(self, target: Any, **options: Any) -> Any:
        """Push to a URL, a path or a database; see :func:`couchette.replicate` for the options.

        Return a :class:`~couchette.ReplicationResult`; with ``live=True`` a handle, at once.
        """
        from couchette.endpoints import replicate

        return replicate(self, target, **options)

    def replicate_from(self, source: Any, **options: Any) -> Any:
        """Pull from a URL, a path or a database; otherwise as :meth:`replicate_to`."""
        from couchette.endpoints import replicate

        return replicate(source, self, **options)

    def sync(self, other: Any, **options: Any) -> Any:
        """Push, then pull, or with ``live=True`` both at once; see :func:`couchette.replicate` for the options.

        Return a :class:`~couchette.SyncResult`; with ``live=True`` a handle, at once.
        """
        from couchette.endpoints import sync

        return sync(self, other, **options)
