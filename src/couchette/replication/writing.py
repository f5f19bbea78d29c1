"""The stage that writes: portions in order, what the target refuses remembered, and large attachments beside others.

Documents that are held in memory are written one portion after the other: the target works on one as fast as it can. A
portion whose attachments are streamed keeps a line busy for as long as it takes, with gaps where one content ends and
the next is asked for, and while the target settles it. So a few of those are written beside each other. A
batch has ended when all of its portions are there.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, nullcontext
from dataclasses import replace

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream

from couchette import limits
from couchette.document.stored import StoredDoc
from couchette.errors import MissingStub, ReplicationFailed
from couchette.merging import Resolver
from couchette.replication.batching import Batch, Portion
from couchette.replication.fetching import is_gone, wanted_of
from couchette.replication.options import Options
from couchette.replication.peer import Peer
from couchette.replication.refusals import Refusals
from couchette.replication.status import Tally, Tracker
from couchette.wire.content import streamed
from couchette.wire.stubs import stubs
from couchette.wire.transfer import Document, Fetched, Refusal, Wanted


class Writing:
    """Writes to ``target`` what was fetched, counting in ``tally`` and telling ``tracker``; ``fetch`` does it again.

    It holds ``processor`` while it writes documents that are in memory, which is work rather than waiting.
    """

    def __init__(
        self,
        fetch: Callable[[Sequence[Wanted]], AsyncGenerator[Fetched, None]],
        target: Peer,
        options: Options,
        *,
        tally: Tally,
        tracker: Tracker,
        refusals: Refusals | None,
        resolve: Callable[[Resolver, Sequence[str]], Awaitable[None]] | None,
        processor: anyio.Lock,
    ) -> None:
        self._fetch = fetch
        self._target = target
        self._options = options
        self._tally = tally
        self._tracker = tracker
        self._refusals = refusals
        self._resolve = resolve
        self._resolving = anyio.Lock()
        self._processor = processor

    async def run(self, portions: MemoryObjectReceiveStream[Portion], ended: Callable[[Batch], None]) -> None:
        """Write the portions that come, and call ``ended`` when everything of a batch, and before it, is written."""
        room = anyio.Semaphore(limits.STREAMED_WRITES)
        async with anyio.create_task_group() as tasks:
            async for portion in portions:
                if self._options.dry_run:
                    self._tally.would_move += [
                        {"id": doc["_id"], "revs": [doc["_rev"]]} for doc in portion.fetched.docs
                    ]
                elif _are_streamed(portion.fetched.docs):
                    await room.acquire()
                    tasks.start_soon(self._write_beside, portion.fetched, room)
                else:
                    await self._write_fetched(portion.fetched, self._processor)
                if portion.ended is not None:
                    await self._all_written(room)
                    ended(portion.ended)

    async def _write_beside(self, fetched: Fetched, room: anyio.Semaphore) -> None:
        """Write a portion whose attachments are streamed, which is waiting rather than work."""
        await self._write_fetched(fetched, nullcontext())
        room.release()

    async def _all_written(self, room: anyio.Semaphore) -> None:
        """Wait until nothing is being written any more: until all the room is free."""
        for _ in range(limits.STREAMED_WRITES):
            await room.acquire()
        for _ in range(limits.STREAMED_WRITES):
            room.release()

    async def _write_fetched(self, fetched: Fetched, turn: AbstractAsyncContextManager[None]) -> None:
        """Write documents, in their ``turn``; if the target cannot fill a stub, once more with all their data."""
        self._tally.docs_read += len(fetched.docs)
        self._missed(fetched.refused)
        try:
            gone = await self._write_docs(fetched.docs, turn)
        except MissingStub:
            gone = await self._write_docs([doc for doc in fetched.docs if not stubs(doc)], turn)
            again = [(doc["_id"], doc["_rev"]) for doc in fetched.docs if stubs(doc)]
        else:
            again = []
        # What the source dropped while it was being written has been followed by another revision.
        again += [(refusal.id, refusal.rev) for refusal in gone]
        if again:
            await self._write_anew(wanted_of(again), turn)

    async def _write_docs(self, docs: Sequence[Document], turn: AbstractAsyncContextManager[None]) -> list[Refusal]:
        """Write documents; return those whose content the source does not have any more."""
        if not docs:
            return []
        async with turn:
            refused = await self._target.write(docs)
        self._tracker.heard()
        self._tally.docs_written += len(docs) - len(refused)
        if refused or (self._refusals is not None and self._refusals.rows()):
            self._sort_out(docs, refused)
        if self._resolve is not None and self._options.resolver is not None:
            async with self._resolving:
                await self._resolve(self._options.resolver, list(dict.fromkeys(doc["_id"] for doc in docs)))
        return [refusal for refusal in refused if is_gone(refusal)]

    def _sort_out(self, docs: Sequence[Document], refused: Sequence[Refusal]) -> None:
        """Remember what was refused, and forget what was taken. Some servers do not say which revision they mean."""
        revs: dict[str, list[str]] = {}
        for doc in docs:
            revs.setdefault(doc["_id"], []).append(doc["_rev"])
        keys = set()
        for refusal in refused:
            for rev in [refusal.rev] if refusal.rev is not None else revs.get(refusal.id, [None]):
                keys.add((refusal.id, rev))
                if not is_gone(refusal):
                    self._refused(replace(refusal, rev=rev), keep=True)
        if self._refusals is not None:
            for doc in docs:
                if (doc["_id"], doc["_rev"]) not in keys:
                    self._refusals.settle(doc)

    def _missed(self, refused: Sequence[Refusal]) -> None:
        """What the source did not give: purged since it was listed, or not given to us."""
        for refusal in refused:
            if is_gone(refusal) and self._refusals is not None and refusal.rev is not None:
                self._refusals.forget(refusal.id, refusal.rev)
            self._refused(refusal, keep=not is_gone(refusal))

    def _refused(self, refusal: Refusal, *, keep: bool) -> None:
        self._tally.refused.append(refusal)
        if keep and self._refusals is not None:
            self._refusals.add(refusal)
        self._tracker.refuse(refusal)

    async def _write_anew(self, wanted: Sequence[Wanted], turn: AbstractAsyncContextManager[None]) -> None:
        """Fetch documents again as for a target that has nothing, and write them."""
        async with aclosing(self._fetch(wanted)) as portions:
            async for fetched in portions:
                self._missed(fetched.refused)
                try:
                    self._missed(await self._write_docs(fetched.docs, turn))
                except MissingStub as exc:
                    raise ReplicationFailed(
                        "The target asks for attachments that were sent in full.",
                        f"{self._target.label}: {exc}",
                    ) from exc

    def settle_unwanted(self, batch: Batch) -> None:
        """What was refused once and is not missing any more came by another way."""
        if self._refusals is None or not self._refusals.rows():
            return
        lacking = {(one.id, rev) for one in batch.wanted for rev in one.revs} | {
            (doc.id, doc.rev) for doc in batch.here
        }
        for doc_id, revs in batch.page.changes.leaves.items():
            for rev in revs:
                if (doc_id, rev) not in lacking:
                    self._refusals.forget(doc_id, rev)


def _are_streamed(docs: Sequence[Document]) -> bool:
    """Whether an attachment of any of these documents is streamed."""
    return any(type(doc) is not StoredDoc and streamed(doc) for doc in docs)
