"""A database of this process as one side of a replication.

The operations run in worker threads, as the network's tasks must not wait for a disk. They are the ones
that the server answers from; only JSON and base64 are left out: attachments travel as the stored bytes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from types import TracebackType
from typing import Any

import anyio

from couchette import limits, store, workers
from couchette.document.stored import StoredDoc
from couchette.errors import BadRequest, NotFound, TooLarge
from couchette.merging import Resolver
from couchette.pool import Pool
from couchette.query.filtered_changes import filtered_changes
from couchette.replication.contents import fill_from_store, has_large, receive_contents
from couchette.replication.local_filter import LocalFilter, local_filter
from couchette.replication.resolving import resolve_conflicts
from couchette.uploads import Uploads
from couchette.wire.checkpoint import Seq
from couchette.wire.content import streamed
from couchette.wire.selection import Selection
from couchette.wire.stubs import attachment_bytes, needed_attachments, stubs
from couchette.wire.transfer import (
    ChangesPage,
    Document,
    Fetched,
    PeerInfo,
    Refusal,
    Wanted,
    portions,
    read_bulk_docs,
    read_bulk_get,
    read_changes,
    read_revs_diff,
)


class LocalPeer:
    """The database whose connections ``pool`` lends; ``label`` names it in progress and results."""

    def __init__(self, pool: Pool, *, label: str) -> None:
        self.label = label
        self._pool = pool
        self._uses = 0
        self._filter: tuple[Selection, LocalFilter] | None = None

    def __repr__(self) -> str:
        return f"<LocalPeer {self.label}>"

    async def __aenter__(self) -> LocalPeer:
        self._uses += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the filter; the pool is its owner's."""
        self._uses -= 1
        if self._uses == 0 and self._filter is not None:
            (_, used), self._filter = self._filter, None
            with anyio.CancelScope(shield=True):
                await workers.in_thread(used.close)

    async def _read(self, op: Any, *args: Any, **options: Any) -> Any:
        return await workers.in_thread(self._pool.read, op, *args, **options)

    async def _write(self, op: Any, *args: Any, **options: Any) -> Any:
        return await workers.in_thread(self._pool.write, op, *args, **options)

    # -- The database ---------------------------------------------------------------------------------

    async def create(self, params: Mapping[str, Any] | None = None) -> None:
        """It is open, so it exists."""

    async def info(self) -> PeerInfo:
        """The uuid that the file was given when it was made."""
        info = await self._read(store.info)
        empty = info["doc_count"] + info["doc_del_count"] == 0
        return PeerInfo(
            info["uuid"], info["instance_start_time"], empty=empty, local=True, update_seq=info["update_seq"]
        )

    async def commit(self) -> str:
        """Each write was committed by itself; a checkpoint is one more, and cannot outlive those before it."""
        return (await self.info()).instance_start_time

    async def get_checkpoint(self, doc_id: str) -> Document | None:
        """The ``_local`` or design document, or None."""
        try:
            doc: Document = await self._read(store.get, doc_id)
        except NotFound:
            return None
        return doc

    async def put_checkpoint(self, doc: Document) -> str:
        """Store the ``_local`` document and return its new rev."""
        rev: str = (await self._write(store.put, doc))["rev"]
        return rev

    # -- As a source ----------------------------------------------------------------------------------

    async def changes(self, since: Seq, limit: int, selection: Selection) -> ChangesPage:
        """The next page of changes; a filter that finds little ends a page all the same."""
        chosen = await self._chosen(selection)
        scan_max = max(limit, limits.FEED_PAGE_DOCS)
        if chosen.passes is not None:
            options: dict[str, Any] = {"since": since, "limit": limit, "style": selection.style, "scan_max": scan_max}
            return read_changes(await workers.in_thread(filtered_changes, self._pool, chosen.passes, **options))
        if chosen.accepts is None and selection.doc_ids is None:
            options = {"since": since, "limit": limit, "style": selection.style}
            if selection.with_docs:
                options["docs_bytes"] = limits.BATCH_BYTES
            page = await self._read(store.changed_leaves, **options)
            size = sum([len(doc.body) + len(doc.path) for doc in page.docs.values()])
            return ChangesPage(page.revs, page.last_seq, page.pending, frozenset(page.deleted), page.docs, size)
        answer = await self._read(
            store.changes,
            since=since,
            limit=limit,
            style=selection.style,
            doc_ids=selection.doc_ids,
            accepts=chosen.accepts,
            scan_max=None if chosen.accepts is None else scan_max,
        )
        return read_changes(answer)

    async def live_changes(self, since: Seq, limit: int, selection: Selection) -> AsyncGenerator[ChangesPage, None]:
        """Pages as the database changes; waiting takes no thread and no polling of our own."""

        async def ready() -> bool:
            return bool(await self._read(store.update_seq) > reached)

        while True:
            page = await self.changes(since, limit, selection)
            if page.leaves or page.last_seq != since:
                yield page
            since = page.last_seq
            reached = await self._read(_number, since)
            await self._pool.notifier.wait_async(ready, None)

    async def changed(self, least_s: float) -> None:
        """Wait until something is written here from now on, and ``least_s`` seconds have passed."""
        begun = await self._read(store.update_seq)

        async def ready() -> bool:
            return bool(await self._read(store.update_seq) > begun)

        await anyio.sleep(least_s)
        await self._pool.notifier.wait_async(ready, None)

    async def _chosen(self, selection: Selection) -> LocalFilter:
        """The selection's filter; a session has one selection."""
        if self._filter is None or self._filter[0] is not selection:
            previous, self._filter = self._filter, (selection, await self._read(local_filter, selection))
            if previous is not None:
                await workers.in_thread(previous[1].close)
        return self._filter[1]

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """Read these revisions, or the leaves that followed them, in portions of bounded size."""
        stored, others = await self._read(store.stored_docs, [(one.id, rev) for one in wanted for rev in one.revs])
        if stored:
            yield Fetched(stored)
        if not others:
            return
        entries = [{"id": id, "rev": rev} for id, rev in others]
        fetched = read_bulk_get(await self._read(store.bulk_get, entries, revs=True, latest=True))
        docs = {(doc["_id"], doc["_rev"]): doc for doc in fetched.docs}
        ancestors = {one.id: one.ancestors for one in wanted}
        needed = {key: names for key, doc in docs.items() if (names := needed_attachments(doc, ancestors[doc["_id"]]))}
        yield Fetched([doc for key, doc in docs.items() if key not in needed], fetched.refused)
        heavy = [docs[key] for key, names in needed.items() if not has_large(docs[key], names)]
        for portion in portions(
            heavy, lambda doc: attachment_bytes(doc, needed[doc["_id"], doc["_rev"]]), limits.BATCH_BYTES
        ):
            entries = [{"id": doc["_id"], "rev": doc["_rev"]} for doc in portion]
            answer = await self._read(store.bulk_get, entries, revs=True, attachments=True, binary=True)
            filled = read_bulk_get(answer)
            for doc in filled.docs:
                _back_to_stubs(doc, needed[doc["_id"], doc["_rev"]])
            yield filled
        for key, names in needed.items():
            if has_large(docs[key], names):
                yield await self._fetch_large(docs[key], names)

    async def _fetch_large(self, doc: Document, names: Sequence[str]) -> Fetched:
        """One document whose attachments are streamed."""
        try:
            await fill_from_store(self._pool, doc, names)
        except NotFound as exc:
            return Fetched((), [Refusal(doc["_id"], doc["_rev"], exc.error, exc.reason)])
        return Fetched([doc])

    # -- As a target ----------------------------------------------------------------------------------

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> list[Wanted]:
        """Which of these revisions the database lacks, with its leaves that may be their ancestors."""
        return read_revs_diff(await self._read(store.revs_diff, revs))

    async def write(self, docs: Sequence[Document]) -> list[Refusal]:
        """Store the documents in one transaction; return those refused.

        A document that the store cannot take fails the transaction. It is found by halving, so that the
        others are stored and it alone is refused. MissingStub is raised: the stubs must be replaced.
        """
        if not any(type(doc) is not StoredDoc and streamed(doc) for doc in docs):
            return await self._write_docs(docs)
        async with Uploads(self._pool) as uploads:
            received, refused = await receive_contents(uploads, docs)
            return refused + await self._write_docs(received)

    async def _write_docs(self, docs: Sequence[Document]) -> list[Refusal]:
        if not docs:
            return []
        try:
            refused = read_bulk_docs(await self._write(store.bulk_docs, docs, new_edits=False))
            # Documents that are dicts are read and written so slowly that moving the log is nothing beside it.
            self._pool.wrote(sum(len(doc.body) + len(doc.path) for doc in docs if type(doc) is StoredDoc))
            return refused
        except (BadRequest, TooLarge) as exc:
            if len(docs) == 1:
                return [Refusal(docs[0]["_id"], docs[0]["_rev"], exc.error, str(exc))]
        half = len(docs) // 2
        return await self._write_docs(docs[:half]) + await self._write_docs(docs[half:])

    # -- As a place of conflicts ----------------------------------------------------------------------

    async def resolve(self, resolver: Resolver, doc_ids: Sequence[str] | None = None) -> None:
        """End the conflicts of these documents, or of all, as the resolver does."""
        await workers.in_thread(resolve_conflicts, self._pool, resolver, doc_ids)


def _number(conn: Any, seq: int | str) -> int:
    return store.parse_seq(seq, store.read_meta(conn))


def _back_to_stubs(doc: Document, needed: Sequence[str]) -> None:
    """Take the data from the attachments that the target has; nothing else of them changes."""
    filled = {name for name, _ in stubs(doc)}
    for name, entry in doc["_attachments"].items():
        if name not in needed and name not in filled:
            del entry["data"]
            entry["stub"] = True
