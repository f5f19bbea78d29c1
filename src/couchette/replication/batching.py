"""What the stages of a pipeline hand on, and how much of it at once: as the line, sizes and the caller's bounds allow.

Nothing is known at first, so the first fetch is small. Each then tells how large documents are and how long
they took: a quick one lets the next be twice as large, a slow one halves it. A page of changes is not cut by this,
since its rows are small whatever the documents are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from couchette import jsonio, limits
from couchette.document.stored import StoredDoc
from couchette.errors import CouchetteError
from couchette.wire.stubs import attachment_bytes
from couchette.wire.transfer import ChangesPage, Document, Fetched, UnreadChanges, Wanted

SAMPLES = 8
"""Documents measured for the size of a portion that came without a line."""


@dataclass(frozen=True)
class Page:
    """A page of changes; ``mark`` is set where the source had no more after it."""

    changes: ChangesPage
    mark: int | None = None


@dataclass(frozen=True)
class UnreadPage:
    """A page of changes with documents that has arrived, so many ``seconds`` after it was asked for."""

    changes: UnreadChanges
    seconds: float


@dataclass(frozen=True)
class Batch:
    """A page of changes, and what the target lacks of it."""

    page: Page
    wanted: Sequence[Wanted]
    here: Sequence[StoredDoc] = ()
    """Documents that the target lacks and that came with the page."""


@dataclass(frozen=True)
class Portion:
    """Fetched documents on their way to the target; ``ended`` is the batch that they complete."""

    fetched: Fetched
    ended: Batch | None = None


class BatchSize:
    """The size of the next fetch, in revisions; ``docs_max`` and ``bytes_max`` bound it."""

    def __init__(self, docs_max: int, bytes_max: int) -> None:
        self._docs_max = docs_max
        self._bytes_max = bytes_max
        self._docs = min(docs_max, limits.BATCH_DOCS_FIRST)
        self._doc_bytes = 0.0

    @property
    def known(self) -> bool:
        """Whether any fetch has told how large documents are."""
        return self._doc_bytes > 0

    @property
    def revs(self) -> int:
        """How many to fetch next; at least one."""
        fitting = self._docs_max if self._doc_bytes == 0 else int(self._bytes_max / self._doc_bytes)
        return max(1, min(self._docs, fitting))

    def note(self, docs: int, size: int, seconds: float) -> None:
        """Learn from a fetch of ``docs`` documents of ``size`` bytes in all."""
        if docs:
            # The larger of the last two: sizes come in runs, and too large is worse than too small.
            self._doc_bytes = max(size / docs, (self._doc_bytes + size / docs) / 2)
        if seconds > limits.BATCH_SECONDS_LONG:
            self._docs = max(1, self._docs // 2)
        elif seconds < limits.BATCH_SECONDS_GOOD:
            self._docs = min(self._docs_max, self._docs * 2)

    def cut(self, wanted: Sequence[Wanted]) -> Iterator[list[Wanted]]:
        """Cut what is wanted into fetches, each of the size that holds when it is its turn."""
        portion: list[Wanted] = []
        room = self.revs
        for one in wanted:
            while len(one.revs) >= room:
                yield [*portion, Wanted(one.id, one.revs[:room], one.ancestors)]
                one, portion, room = Wanted(one.id, one.revs[room:], one.ancestors), [], self.revs
            if one.revs:
                portion.append(one)
                room -= len(one.revs)
        if portion:
            yield portion


def size_of(fetched: Fetched) -> int:
    """The bytes of a portion; where none came over a line, what its documents would take, by a sample of them."""
    if fetched.size or not fetched.docs:
        return fetched.size
    step = -(-len(fetched.docs) // SAMPLES)
    samples = fetched.docs[::step]
    return sum(map(doc_bytes, samples)) * len(fetched.docs) // len(samples)


def doc_bytes(doc: Document) -> int:
    """What a document takes on its way, about."""
    if isinstance(doc, StoredDoc):
        return len(doc.body) + len(doc.path)
    attached = doc.get("_attachments")
    bare = {name: value for name, value in doc.items() if name != "_attachments"}
    try:
        size = len(jsonio.dumps(bare))
    except CouchetteError:
        size = limits.DOC_BYTES_MAX  # It will be refused when it is written.
    return size + (attachment_bytes(doc, list(attached)) if attached else 0)
