"""A database of this process as one side of a replication.

The operations run in worker threads, as the network's tasks must not wait for a disk. They are the ones
that the server answers from; only JSON and base64 are left out: attachments travel as the stored bytes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any

from anyio import to_thread

from couchette import limits, store
from couchette.errors import BadRequest, NotFound, TooLarge
from couchette.pool import Pool
from couchette.wire.checkpoint import Seq
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

    def __repr__(self) -> str:
        return f"<LocalPeer {self.label}>"

    async def __aenter__(self) -> LocalPeer:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Nothing was opened: the pool is its owner's."""

    async def _read(self, op: Any, *args: Any, **options: Any) -> Any:
        return await to_thread.run_sync(partial(self._pool.read, op, *args, **options))

    async def _write(self, op: Any, *args: Any, **options: Any) -> Any:
        return await to_thread.run_sync(partial(self._pool.write, op, *args, **options))

    # -- The database ---------------------------------------------------------------------------------

    async def create(self) -> None:
        """It is open, so it exists."""

    async def info(self) -> PeerInfo:
        """The uuid that the file was given when it was made."""
        info = await self._read(store.info)
        return PeerInfo(info["uuid"], info["instance_start_time"])

    async def commit(self) -> str:
        """Each write was committed by itself; a checkpoint is one more, and cannot outlive those before it."""
        return (await self.info()).instance_start_time

    async def get_checkpoint(self, doc_id: str) -> Document | None:
        """The ``_local`` document, or None."""
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

    async def changes(self, since: Seq, limit: int) -> ChangesPage:
        """The next page of changes, with all leaves of each document."""
        return read_changes(await self._read(store.changes, since=since, limit=limit, style="all_docs"))

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """Read these revisions, or the leaves that followed them, in portions of bounded size."""
        entries = [{"id": one.id, "rev": rev} for one in wanted for rev in one.revs]
        fetched = read_bulk_get(await self._read(store.bulk_get, entries, revs=True, latest=True))
        docs = {(doc["_id"], doc["_rev"]): doc for doc in fetched.docs}
        ancestors = {one.id: one.ancestors for one in wanted}
        needed = {key: names for key, doc in docs.items() if (names := needed_attachments(doc, ancestors[doc["_id"]]))}
        heavy = [docs[key] for key in needed]
        yield Fetched([doc for key, doc in docs.items() if key not in needed], fetched.refused)
        for portion in portions(
            heavy, lambda doc: attachment_bytes(doc, needed[doc["_id"], doc["_rev"]]), limits.BATCH_BYTES
        ):
            entries = [{"id": doc["_id"], "rev": doc["_rev"]} for doc in portion]
            answer = await self._read(store.bulk_get, entries, revs=True, attachments=True, binary=True)
            filled = read_bulk_get(answer)
            for doc in filled.docs:
                _back_to_stubs(doc, needed[doc["_id"], doc["_rev"]])
            yield filled

    # -- As a target ----------------------------------------------------------------------------------

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> list[Wanted]:
        """Which of these revisions the database lacks, with its leaves that may be their ancestors."""
        return read_revs_diff(await self._read(store.revs_diff, revs))

    async def write(self, docs: Sequence[Document]) -> list[Refusal]:
        """Store the documents in one transaction; return those refused.

        A document that the store cannot take fails the transaction. It is found by halving, so that the
        others are stored and it alone is refused. MissingStub is raised: the stubs must be replaced.
        """
        if not docs:
            return []
        try:
            return read_bulk_docs(await self._write(store.bulk_docs, docs, new_edits=False))
        except (BadRequest, TooLarge) as exc:
            if len(docs) == 1:
                return [Refusal(docs[0]["_id"], docs[0]["_rev"], exc.error, str(exc))]
        half = len(docs) // 2
        return await self.write(docs[:half]) + await self.write(docs[half:])


def _back_to_stubs(doc: Document, needed: Sequence[str]) -> None:
    """Take the data from the attachments that the target has; nothing else of them changes."""
    filled = {name for name, _ in stubs(doc)}
    for name, entry in doc["_attachments"].items():
        if name not in needed and name not in filled:
            del entry["data"]
            entry["stub"] = True
