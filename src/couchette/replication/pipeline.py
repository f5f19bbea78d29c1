"""The stages that move documents: changes, comparison, fetching, writing, checkpoints.

Each stage is a task, and hands on through a channel of bounded length: while one batch is written the next
is fetched and the one after it compared, and no faster stage fills the memory before a slower one.

    read_changes -> compare -> fetch -> write -> record
       (source)    (target)  (source) (target)  (both)

Batches keep their order, so the sequence at the end of a written batch is one before which nothing is
missing; that alone is recorded. The last stage takes the newest sequence that waits, and takes its time between
two: checkpoints save comparisons, nothing else.

A one-time replication is a live one that ends when it has caught up: the first stage then closes its channel,
and the others follow. A live one goes on with the source's feed. Whoever wants to know whether all is moved cannot
compare opaque sequences, so they leave a *mark*: the first stage reads the changes to their end once more and sends
the mark behind them, and when it comes out of the last stage all that went before it is on the target.

A stage that fails cancels the others. What was written stays; the next session compares it and finds it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing, nullcontext, suppress
from dataclasses import replace

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from couchette import limits, workers
from couchette.document.stored import StoredDoc
from couchette.merging import Resolver
from couchette.replication.batching import Batch, BatchSize, Page, Portion, UnreadPage
from couchette.replication.fetching import Fetching
from couchette.replication.options import Options
from couchette.replication.peer import Peer
from couchette.replication.refusals import Refusals
from couchette.replication.status import Tally, Tracker
from couchette.replication.writing import Writing
from couchette.wire.checkpoint import Seq, same_place
from couchette.wire.transfer import ChangesPage, UnreadChanges, Wanted


class Pipeline:
    """Moves what ``target`` lacks from ``source``, counting in ``tally`` and telling ``tracker``.

    ``record`` is awaited when ``tally`` has advanced, though not at each of its steps, ``check`` now and then, and
    ``report`` is called after each batch. ``target_empty`` spares the comparison until it has caught up, and
    ``source_local`` says that to ask the source takes this process's work and no waiting.
    """

    def __init__(
        self,
        source: Peer,
        target: Peer,
        options: Options,
        *,
        tally: Tally,
        tracker: Tracker,
        refusals: Refusals | None,
        source_local: bool,
        target_empty: bool,
        resolve: Callable[[Resolver, Sequence[str]], Awaitable[None]] | None,
        record: Callable[[], Awaitable[None]],
        check: Callable[[], Awaitable[None]],
        report: Callable[[], None],
    ) -> None:
        self._source = source
        self._target = target
        self._options = options
        self._tally = tally
        self._tracker = tracker
        self._source_local = source_local
        self._target_empty = target_empty
        self._record = record
        self._check = check
        self._report = report
        self._with_docs = replace(options.selection, with_docs=True)
        self._page_size = BatchSize(options.batch_docs, options.batch_bytes)
        self._including = target_empty and not options.dry_run and not options.selection.filtered
        """Whether the source is asked for documents with its changes."""
        self._processor = anyio.Lock()
        """Reading a page and writing documents take turns: side by side they would only fight for the interpreter."""
        self._refusals = refusals
        self._fetching = Fetching(source, options, tally, tracker)
        self._writing = Writing(
            self._fetching.again,
            target,
            options,
            tally=tally,
            tracker=tracker,
            refusals=refusals,
            resolve=resolve,
            processor=self._processor,
        )
        self._under_way: deque[Batch] = deque()
        """Compared, and not yet written."""
        self._written = anyio.Event()
        """Set when the stage that writes has ended."""

    async def run(self) -> None:
        """Work through the source's changes from ``tally.last_seq`` to their end, or for ever if it is live."""
        ahead = limits.BATCHES_AHEAD - 1  # One more is in the hands of the stage that waits to hand it on.
        pages_out, pages_in = anyio.create_memory_object_stream[Page | UnreadPage](ahead)
        batches_out, batches_in = anyio.create_memory_object_stream[Batch](ahead)
        portions_out, portions_in = anyio.create_memory_object_stream[Portion](ahead)
        advances_out, advances_in = anyio.create_memory_object_stream[None](1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._read_changes, pages_out)
            tasks.start_soon(self._compare, pages_in, batches_out)
            tasks.start_soon(self._fetching.run, batches_in, portions_out)
            tasks.start_soon(self._write, portions_in, advances_out)
            tasks.start_soon(self._record_advances, advances_in)

    # -- Changes --------------------------------------------------------------------------------------

    async def _read_changes(self, pages: MemoryObjectSendStream[Page | UnreadPage]) -> None:
        since = self._tally.last_seq
        async with pages:
            while True:
                await self._offer_refused(pages, since)
                since = await self._catch_up(pages, since)
                if not self._options.live:
                    return
                since = await self._follow(pages, since)
                await self._check()

    async def _offer_refused(self, pages: MemoryObjectSendStream[Page | UnreadPage], since: Seq) -> None:
        """What was refused earlier is compared and fetched like a page of changes, one that ends where we stand."""
        if self._refusals is not None and (wanted := self._refusals.wanted()):
            await pages.send(Page(ChangesPage(wanted, since, None)))

    async def _catch_up(self, pages: MemoryObjectSendStream[Page | UnreadPage], since: Seq) -> Seq:
        """Page through the changes; return the sequence of their end.

        A source that does not say what is pending ends with an empty page, and so does one that says something
        but does not move.
        """
        while True:
            mark = self._tracker.asked
            started = anyio.current_time()
            page = await self._ask_for_changes(since)
            self._tracker.heard()
            if isinstance(page, UnreadChanges):
                if self._page_size.known and not same_place(page.last_seq, since):
                    await pages.send(UnreadPage(page, anyio.current_time() - started))
                    since = page.last_seq
                    continue
                page = await workers.in_thread(page.read)
            self._learn(page, anyio.current_time() - started)
            stuck = page.pending is None or same_place(page.last_seq, since)
            ended = page.pending == 0 or (not page.leaves and stuck)
            await pages.send(Page(page, mark if ended else None))
            since = page.last_seq
            if ended:
                return since

    async def _ask_for_changes(self, since: Seq) -> ChangesPage | UnreadChanges:
        """The next page of changes; for a target that lacks them all with documents, as long as most come so."""
        if self._including:
            async with self._processor if self._source_local else nullcontext():
                return await self._source.changes(since, self._page_size.revs, self._with_docs)
        return await self._source.changes(since, self._options.batch_docs, self._options.selection)

    def _learn(self, page: ChangesPage, seconds: float) -> None:
        """See from a page how large the next may be, and whether it pays to ask for documents with it."""
        if self._including and page.leaves:
            self._page_size.note(len(page.docs), page.size, seconds)
            self._including = 2 * len(page.docs) >= len(page.leaves)

    async def _follow(self, pages: MemoryObjectSendStream[Page | UnreadPage], since: Seq) -> Seq:
        """Hand on changes as they happen, until there is something else to do; return the sequence reached.

        Now and then there is: refused documents are offered again, and feed and databases are checked.
        """
        feed = self._source.live_changes(since, self._options.batch_docs, self._options.selection)
        with self._tracker.pause(limits.LIVE_CHECK_S):
            async with aclosing(feed):
                async for page in feed:
                    self._tracker.heard()
                    # Nobody's mark: who asked before this page may have meant a change that it does not show.
                    await pages.send(Page(page, None if page.pending else 0))
                    since = page.last_seq
        return since

    # -- Comparison -----------------------------------------------------------------------------------

    async def _compare(
        self, pages: MemoryObjectReceiveStream[Page | UnreadPage], batches: MemoryObjectSendStream[Batch]
    ) -> None:
        async with pages, batches:
            async for page in pages:
                if isinstance(page, UnreadPage):
                    async with self._processor:
                        changes = await workers.in_thread(page.changes.read)
                    self._learn(changes, page.seconds)
                    page = Page(changes)
                if page.changes.leaves:
                    self._tracker.became("active")
                batch = await self._batch(page)
                self._under_way.append(batch)
                if page.mark is not None:
                    self._target_empty = self._including = False
                await batches.send(batch)

    async def _batch(self, page: Page) -> Batch:
        """What the target lacks of a page. An empty one lacks it all; what others write there meanwhile comes twice."""
        changes = page.changes
        skip = changes.deleted if self._options.skip_deletes else frozenset()
        here: list[StoredDoc] = []
        wanted: list[Wanted] = []
        compared = dict(changes.leaves)
        if self._target_empty:
            here = [doc for doc_id, doc in changes.docs.items() if doc_id not in skip]
            fetched = changes.leaves.keys() - changes.docs.keys() - skip
            wanted = [Wanted(doc_id, revs) for doc_id, revs in changes.leaves.items() if doc_id in fetched]
            compared = {doc_id: revs for doc_id, revs in changes.leaves.items() if doc_id in skip} if skip else {}
        if compared:
            wanted += await self._target.revs_diff(compared)
            self._tracker.heard()
        if skip:
            wanted = [one for one in wanted if one.id not in skip or one.ancestors or self._is_under_way(one.id)]
        return Batch(page, wanted, here)

    def _is_under_way(self, doc_id: str) -> bool:
        """Whether the target may soon have a revision of the document that it did not know of when it was asked."""
        return any(doc_id in batch.page.changes.leaves for batch in self._under_way)

    # -- Writing --------------------------------------------------------------------------------------

    async def _write(
        self, portions: MemoryObjectReceiveStream[Portion], advances: MemoryObjectSendStream[None]
    ) -> None:
        try:
            async with portions, advances:
                await self._writing.run(portions, lambda batch: self._advance(batch, advances))
        finally:
            self._written.set()

    def _advance(self, batch: Batch, advances: MemoryObjectSendStream[None]) -> None:
        """Everything of a batch is on the target."""
        self._under_way.popleft()
        changes, tally = batch.page.changes, self._tally
        moved = bool(changes.leaves) or not same_place(changes.last_seq, tally.last_seq)
        tally.last_seq = changes.last_seq
        tally.pending = changes.pending
        tally.missing_checked += sum(map(len, changes.leaves.values()))
        tally.missing_found += sum(len(wanted.revs) for wanted in batch.wanted) + len(batch.here)
        self._writing.settle_unwanted(batch)
        if changes.leaves:
            self._report()
        if moved:
            # One waiting signal is enough: it stands for all that is written when it is taken. In a replication that is
            # just cancelled nobody may be left to take it.
            with suppress(anyio.WouldBlock, anyio.BrokenResourceError):
                advances.send_nowait(None)
        if batch.page.mark is not None:
            if self._options.live and not any(later.page.changes.leaves for later in self._under_way):
                self._tracker.became("idle")
            self._tracker.synced(batch.page.mark)

    # -- Checkpoints ----------------------------------------------------------------------------------

    async def _record_advances(self, advances: MemoryObjectReceiveStream[None]) -> None:
        async with advances:
            async for _ in advances:
                await self._record()
                with anyio.move_on_after(limits.CHECKPOINT_INTERVAL_S):
                    await self._written.wait()
