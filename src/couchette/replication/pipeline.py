"""The stages that move documents: changes, comparison, fetching, writing, checkpoints.

Each stage is a task, and hands on through a channel of bounded length: while one batch is written the next
is fetched and the one after it compared, and no faster stage fills the memory before a slower one.

    read_changes -> compare -> fetch -> write -> record
       (source)    (target)  (source) (target)  (both)

Batches keep their order, so the sequence at the end of a written batch is one before which nothing is
missing; that alone is recorded. The last stage takes the newest sequence that waits: recording slower than
the writing costs checkpoints, not time.

A stage that fails cancels the others. What was written stays; the next session compares it and finds it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from couchette import limits
from couchette.errors import MissingStub, ReplicationFailed
from couchette.replication.peer import Peer
from couchette.wire.checkpoint import Seq
from couchette.wire.stubs import stubs
from couchette.wire.transfer import ChangesPage, Document, Fetched, Refusal, Wanted


@dataclass(frozen=True)
class Batch:
    """A page of changes, and what the target lacks of it."""

    page: ChangesPage
    wanted: Sequence[Wanted]


@dataclass(frozen=True)
class Portion:
    """Fetched documents on their way to the target; ``ended`` is the batch that they complete."""

    fetched: Fetched
    ended: Batch | None = None


@dataclass
class Tally:
    """What a session has done so far."""

    last_seq: Seq
    pending: int | None = None
    docs_read: int = 0
    docs_written: int = 0
    missing_checked: int = 0
    missing_found: int = 0
    refused: list[Refusal] = field(default_factory=list)

    def advance(self, batch: Batch) -> None:
        """Count a batch of which everything is written."""
        self.last_seq = batch.page.last_seq
        self.pending = batch.page.pending
        self.missing_checked += sum(map(len, batch.page.leaves.values()))
        self.missing_found += sum(len(wanted.revs) for wanted in batch.wanted)


class Pipeline:
    """Moves what ``target`` lacks from ``source``, counting in ``tally``.

    ``record`` is awaited when ``tally`` has advanced, though not at each of its steps; ``report`` is called
    after each batch.
    """

    def __init__(
        self,
        source: Peer,
        target: Peer,
        tally: Tally,
        *,
        batch_docs: int,
        record: Callable[[], Awaitable[None]],
        report: Callable[[], None],
    ) -> None:
        self._source = source
        self._target = target
        self._tally = tally
        self._batch_docs = batch_docs
        self._record = record
        self._report = report

    async def run(self) -> None:
        """Work through the source's changes from ``tally.last_seq`` to their end."""
        ahead = limits.BATCHES_AHEAD - 1  # One more is in the hands of the stage that waits to hand it on.
        pages_out, pages_in = anyio.create_memory_object_stream[ChangesPage](ahead)
        batches_out, batches_in = anyio.create_memory_object_stream[Batch](ahead)
        portions_out, portions_in = anyio.create_memory_object_stream[Portion](ahead)
        advances_out, advances_in = anyio.create_memory_object_stream[None](1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read_changes, pages_out)
            tasks.start_soon(self._compare, pages_in, batches_out)
            tasks.start_soon(self._fetch, batches_in, portions_out)
            tasks.start_soon(self._write, portions_in, advances_out)
            tasks.start_soon(self._record_advances, advances_in)

    async def _read_changes(self, pages: MemoryObjectSendStream[ChangesPage]) -> None:
        """Page through the changes. A source that does not say what is pending ends with an empty page."""
        since = self._tally.last_seq
        async with pages:
            while True:
                page = await self._source.changes(since, self._batch_docs)
                if page.leaves:
                    await pages.send(page)
                if not page.leaves or page.pending == 0:
                    return
                since = page.last_seq

    async def _compare(
        self, pages: MemoryObjectReceiveStream[ChangesPage], batches: MemoryObjectSendStream[Batch]
    ) -> None:
        async with pages, batches:
            async for page in pages:
                await batches.send(Batch(page, await self._target.revs_diff(page.leaves)))

    async def _fetch(
        self, batches: MemoryObjectReceiveStream[Batch], portions: MemoryObjectSendStream[Portion]
    ) -> None:
        async with batches, portions:
            async for batch in batches:
                if batch.wanted:
                    async with aclosing(self._source.fetch(batch.wanted)) as fetched_portions:
                        async for fetched in fetched_portions:
                            await portions.send(Portion(fetched))
                await portions.send(Portion(Fetched(()), ended=batch))

    async def _write(
        self, portions: MemoryObjectReceiveStream[Portion], advances: MemoryObjectSendStream[None]
    ) -> None:
        async with portions, advances:
            async for portion in portions:
                await self._write_fetched(portion.fetched)
                if portion.ended is not None:
                    self._tally.advance(portion.ended)
                    self._report()
                    # One waiting signal is enough: it stands for all that is written when it is taken.
                    with suppress(anyio.WouldBlock):
                        advances.send_nowait(None)

    async def _write_fetched(self, fetched: Fetched) -> None:
        """Write documents; if the target cannot fill a stub, once more with all their data."""
        self._tally.docs_read += len(fetched.docs)
        self._tally.refused.extend(fetched.refused)
        try:
            await self._write_docs(fetched.docs)
        except MissingStub:
            await self._write_in_full(fetched.docs)

    async def _write_docs(self, docs: Sequence[Document]) -> None:
        if docs:
            refused = await self._target.write(docs)
            self._tally.docs_written += len(docs) - len(refused)
            self._tally.refused.extend(refused)

    async def _write_in_full(self, docs: Sequence[Document]) -> None:
        """Write documents, of which those with stubs are fetched again as for a target that has nothing."""
        await self._write_docs([doc for doc in docs if not stubs(doc)])
        wanted = [Wanted(doc["_id"], [doc["_rev"]]) for doc in docs if stubs(doc)]
        async with aclosing(self._source.fetch(wanted)) as portions:
            async for fetched in portions:
                self._tally.refused.extend(fetched.refused)
                try:
                    await self._write_docs(fetched.docs)
                except MissingStub as exc:
                    raise ReplicationFailed(
                        "The target asks for attachments that were sent in full.",
                        f"{self._target.label}: {exc}",
                    ) from exc

    async def _record_advances(self, advances: MemoryObjectReceiveStream[None]) -> None:
        async with advances:
            async for _ in advances:
                await self._record()
