"""How a replication stands: a snapshot that can be trusted, the events that lead to it, and who waits for "synced".

A :class:`Tracker` belongs to one direction and to one event loop. Sessions come and go under it; it adds up what
they did, and knows what no session can know: that the last one failed, and when the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

import anyio

from couchette import surroundings
from couchette.wire.checkpoint import Seq
from couchette.wire.transfer import Refusal

State = Literal["starting", "active", "idle", "retrying", "denied", "error", "complete", "cancelled"]
Direction = Literal["push", "pull"]
Outcome = bool | BaseException
"""What one who waits for "synced" is told: whether it is, or why it cannot be."""


@dataclass(frozen=True)
class Status:
    """One direction of a replication, as it stood when it was asked for.

    Attributes:
        state: ``starting``: nothing is known yet. ``active``: documents move. ``idle``: all that is known is there, and
            it waits for changes. ``retrying``: it failed, and begins again at ``next_retry``. ``denied``: the other
            side refuses our credentials; it tries again at ``next_retry`` or when they are changed. ``error``:
            it ended, because waiting would not help. ``complete``: it ended and all is there. ``cancelled``.
        direction: ``push`` where the target is another's, ``pull`` where the source is.
        source, target: the two sides' names, without credentials.
        pending: changes of the source not yet looked at, where the source tells.
        docs_read, docs_written, doc_write_failures: document revisions fetched, stored, refused since it began.
        missing_checked, missing_found: revisions compared with the target, and found missing there.
        attachments_read: attachments that came with them.
        bytes_read: size of the fetched documents; estimated where nothing was sent over a line.
        last_seq: the source's sequence up to which all is on the target, but for what was refused.
        refused: documents that the target refuses until now, each to be offered again.
        last_error: the newest failure; it stays after it is overcome.
        last_contact: when both sides last answered.
        next_retry: when it begins again, in the states ``retrying`` and ``denied``.
    """

    state: State
    direction: Direction
    source: str
    target: str
    pending: int | None = None
    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0
    missing_checked: int = 0
    missing_found: int = 0
    attachments_read: int = 0
    bytes_read: int = 0
    last_seq: Seq = 0
    refused: tuple[dict[str, Any], ...] = ()
    last_error: BaseException | None = None
    last_contact: datetime | None = None
    next_retry: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """The status as JSON, for display."""
        shown = {name: getattr(self, name) for name in self.__dataclass_fields__}
        for name in ("last_contact", "next_retry"):
            moment = shown[name]
            shown[name] = None if moment is None else moment.isoformat()
        error = self.last_error
        return {**shown, "refused": list(self.refused), "last_error": None if error is None else str(error)}


@dataclass(frozen=True)
class Event:
    """Something that happened: ``kind`` is ``state``, ``batch`` or ``refused``; ``status`` is how it stands then."""

    kind: Literal["state", "batch", "refused"]
    status: Status
    refusal: Refusal | None = None


@dataclass
class Tally:
    """What one session has done so far."""

    last_seq: Seq = 0
    pending: int | None = None
    docs_read: int = 0
    docs_written: int = 0
    attachments_read: int = 0
    bytes_read: int = 0
    missing_checked: int = 0
    missing_found: int = 0
    refused: list[Refusal] = field(default_factory=list)
    would_move: list[dict[str, Any]] = field(default_factory=list)


class Tracker:
    """The state of one direction over all its sessions, and those who wait for it."""

    def __init__(self, on_event: Callable[[Event], object] | None = None) -> None:
        self._status = Status("starting", "pull", "", "")
        self._on_event = on_event
        self._tally = Tally()
        self._before = Status("starting", "pull", "", "")
        self._asked = 0
        self._waiters: list[tuple[int, Callable[[Outcome], object]]] = []
        self._waits: list[anyio.CancelScope] = []
        self._woken = False
        self.refused: Callable[[], tuple[dict[str, Any], ...]] = tuple
        """Gives the list of refused documents."""

    # -- What happens ---------------------------------------------------------------------------------

    def begin(self, tally: Tally, direction: Direction, source: str, target: str) -> None:
        """Count a new session."""
        self._before = self.status
        self._tally = tally
        self._status = replace(self._status, direction=direction, source=source, target=target)

    @property
    def status(self) -> Status:
        """How it stands now."""
        before, tally = self._before, self._tally
        return replace(
            self._status,
            pending=tally.pending,
            docs_read=before.docs_read + tally.docs_read,
            docs_written=before.docs_written + tally.docs_written,
            doc_write_failures=before.doc_write_failures + len(tally.refused),
            missing_checked=before.missing_checked + tally.missing_checked,
            missing_found=before.missing_found + tally.missing_found,
            attachments_read=before.attachments_read + tally.attachments_read,
            bytes_read=before.bytes_read + tally.bytes_read,
            last_seq=tally.last_seq,
            refused=self.refused(),
        )

    def became(self, state: State, error: BaseException | None = None, next_retry: datetime | None = None) -> None:
        """Enter a state; tell of it where it is another one, or has another reason."""
        old = self._status
        if (old.state, old.next_retry) == (state, next_retry) and error is None:
            return
        self._status = replace(old, state=state, next_retry=next_retry, last_error=error or old.last_error)
        self._tell(Event("state", self.status))

    def ended(self, state: State, error: Exception | None = None) -> None:
        """Enter the last state. Who is told of events may be what failed, so it is not asked to hear of this."""
        self._on_event = None if error is not None else self._on_event
        self.became(state, error)

    def heard(self) -> None:
        """A side answered."""
        self._status = replace(self._status, last_contact=surroundings.now())

    def moved(self) -> None:
        """A batch is on the target."""
        self._tell(Event("batch", self.status))

    def refuse(self, refusal: Refusal) -> None:
        """The target does not take a document."""
        self._tell(Event("refused", self.status, refusal))

    def _tell(self, event: Event) -> None:
        if self._on_event is not None:
            self._on_event(event)

    # -- Waiting for what was known when one asked ----------------------------------------------------

    @property
    def asked(self) -> int:
        """A mark: who asked until now is answered by the end of changes that are read from now on."""
        return self._asked

    def when_synced(self, tell: Callable[[Outcome], object]) -> None:
        """Call ``tell`` once, when all that the source has now is on the target, or cannot be."""
        self._asked += 1
        self._waiters.append((self._asked, tell))
        self.wake()

    def synced(self, mark: int) -> None:
        """All is on the target that the source had when ``asked`` was this mark."""
        ready = [tell for asked, tell in self._waiters if asked <= mark]
        self._waiters = [waiter for waiter in self._waiters if waiter[0] > mark]
        complete = not self.refused()
        for tell in ready:
            tell(complete)

    def disappoint(self, outcome: Outcome) -> None:
        """Tell all who wait that it will not be, or not without somebody's doing."""
        waiters, self._waiters = self._waiters, []
        for _, tell in waiters:
            tell(outcome)

    # -- Pauses ---------------------------------------------------------------------------------------

    @contextmanager
    def pause(self, seconds: float | None = None, *, anew: bool = False) -> Iterator[None]:
        """A block that waits; it ends after ``seconds`` and by :meth:`wake`, also an earlier one unless ``anew``."""
        with anyio.move_on_after(seconds) as scope:
            if self._woken and not anew:
                scope.cancel()
            self._woken = False
            self._waits.append(scope)
            try:
                yield
            finally:
                self._waits.remove(scope)

    def wake(self) -> None:
        """End the pause under way, or else the next one: there is something to do."""
        self._woken = not self._waits
        for scope in self._waits:
            scope.cancel()
