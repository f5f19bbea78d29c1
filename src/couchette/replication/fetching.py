"""The stage that fetches: some portions beside each other, handed on in order.

A source on the other end of a line, or in another process, works on one answer while we read the one before. So a few
fetches are under way at any time. Each waits for its turn to hand on what came; the order of batches is what
makes a checkpoint true.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from couchette import limits, workers
from couchette.replication.batching import Batch, BatchSize, Portion, size_of
from couchette.replication.options import Options
from couchette.replication.peer import Peer
from couchette.replication.status import Tally, Tracker
from couchette.wire.stubs import stubs
from couchette.wire.transfer import Document, Fetched, Refusal, Wanted


class Fetching:
    """Fetches from ``source`` what batches want, counting in ``tally`` and telling ``tracker``."""

    def __init__(self, source: Peer, options: Options, tally: Tally, tracker: Tracker) -> None:
        self._source = source
        self._options = options
        self._tally = tally
        self._tracker = tracker
        self._size = BatchSize(options.batch_docs, options.batch_bytes)

    async def run(self, batches: MemoryObjectReceiveStream[Batch], portions: MemoryObjectSendStream[Portion]) -> None:
        """Hand on the portions of each batch, and its end. Until the first fetch has told how large documents are
        it is the only one."""
        room = anyio.Semaphore(limits.FETCHES_AHEAD)
        turn = anyio.Event()
        turn.set()
        async with batches, portions, anyio.create_task_group() as tasks:
            async for batch in batches:
                if batch.here:
                    await room.acquire()
                    turn, previous = anyio.Event(), turn
                    tasks.start_soon(self._hand_on, batch, portions, room, previous, turn)
                for wanted in self._size.cut(batch.wanted):
                    await room.acquire()
                    turn, previous = anyio.Event(), turn
                    tasks.start_soon(self._fetch, wanted, portions, room, previous, turn)
                    if not self._size.known:
                        await turn.wait()
                turn, previous = anyio.Event(), turn
                tasks.start_soon(self._end, batch, portions, previous, turn)

    async def _hand_on(
        self,
        batch: Batch,
        portions: MemoryObjectSendStream[Portion],
        room: anyio.Semaphore,
        turn: anyio.Event,
        next_turn: anyio.Event,
    ) -> None:
        """Hand on documents that came with their changes."""
        self._tally.bytes_read += batch.page.changes.size
        here = await self._accepted(Fetched(batch.here))
        await turn.wait()
        await portions.send(Portion(here))
        room.release()
        next_turn.set()

    async def _end(
        self, batch: Batch, portions: MemoryObjectSendStream[Portion], turn: anyio.Event, next_turn: anyio.Event
    ) -> None:
        await turn.wait()
        await portions.send(Portion(Fetched(()), ended=batch))
        next_turn.set()

    async def _fetch(
        self,
        wanted: Sequence[Wanted],
        portions: MemoryObjectSendStream[Portion],
        room: anyio.Semaphore,
        turn: anyio.Event,
        next_turn: anyio.Event,
    ) -> None:
        if self._options.dry_run and self._options.selection.accepts is None:
            self._tally.would_move += [{"id": one.id, "revs": list(one.revs)} for one in wanted]
        else:
            await self._fetch_in_turn(wanted, portions, turn)
        await turn.wait()
        room.release()
        next_turn.set()

    async def _fetch_in_turn(
        self, wanted: Sequence[Wanted], portions: MemoryObjectSendStream[Portion], turn: anyio.Event
    ) -> None:
        """Fetch documents, learn from the time it took, and hand on those that pass the filter."""
        docs, size, seconds, started = 0, 0, 0.0, anyio.current_time()
        async with aclosing(self._fetched(wanted)) as fetched_portions:
            async for fetched in fetched_portions:
                seconds += anyio.current_time() - started
                docs, size = docs + len(fetched.docs), size + (portion_size := size_of(fetched))
                self._tracker.heard()
                self._tally.bytes_read += portion_size
                self._tally.attachments_read += sum(map(_attachments_sent, fetched.docs))
                fetched = await self._accepted(fetched)
                await turn.wait()
                await portions.send(Portion(fetched))
                started = anyio.current_time()
        self._size.note(docs, size, seconds)

    async def again(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """What the source gives of these revisions, or what followed them, as far as it passes the filter."""
        async with aclosing(self._fetched(wanted)) as fetched_portions:
            async for fetched in fetched_portions:
                yield await self._accepted(fetched)

    async def _fetched(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """What the source gives. A revision that is gone is asked for once more: the leaf that followed it is given."""
        ancestors = {one.id: one.ancestors for one in wanted}
        repeated: set[tuple[str, str | None]] = set()
        while wanted:
            gone: list[tuple[str, str | None]] = []
            async with aclosing(self._source.fetch(wanted)) as fetched_portions:
                async for fetched in fetched_portions:
                    again = [one for one in fetched.refused if is_gone(one) and (one.id, one.rev) not in repeated]
                    gone += [(one.id, one.rev) for one in again]
                    yield replace(fetched, refused=[one for one in fetched.refused if one not in again])
            repeated.update(gone)
            wanted = wanted_of(gone, ancestors)

    async def _accepted(self, fetched: Fetched) -> Fetched:
        """What passes the filter. The source may not have been able to run it, or a later revision may have come."""
        accepts = self._options.selection.accepts
        if accepts is None:
            return fetched
        return replace(fetched, docs=await workers.in_thread(_passed, fetched.docs, accepts))


def _passed(docs: Sequence[Document], accepts: Callable[[dict[str, Any]], bool]) -> list[Document]:
    return [doc for doc in docs if accepts(dict(doc))]


def wanted_of(
    revs: Iterable[tuple[str, str | None]], ancestors: Mapping[str, Sequence[str]] | None = None
) -> list[Wanted]:
    """The revisions to ask for, those of one document together."""
    of: dict[str, list[str]] = {}
    for doc_id, rev in revs:
        if rev is not None:
            of.setdefault(doc_id, []).append(rev)
    return [Wanted(doc_id, some, (ancestors or {}).get(doc_id, ())) for doc_id, some in of.items()]


def is_gone(refusal: Refusal) -> bool:
    """Whether the source had the revision no more: purged, or superseded and dropped, since it was listed."""
    return refusal.error == "not_found" and refusal.rev is not None


def _attachments_sent(doc: Document) -> int:
    """How many attachments came with a document."""
    attachments = doc.get("_attachments")
    return len(attachments) - len(stubs(doc)) if isinstance(attachments, dict) else 0
