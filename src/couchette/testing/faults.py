"""What can go wrong with a request: single faults, and how often each of them is drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from random import Random
from typing import Final

from couchette.errors import BadRequest

RETRY_AFTER_STATUSES: Final = frozenset({429, 503})

CUT_BYTES_MAX: Final = 20_000
"""Bodies are cut after at most so many bytes: most of those in a test are shorter."""


class Kind(Enum):
    """The ways in which a request fails."""

    REFUSED = "refused"
    """No connection: the request was never sent."""
    LOST = "lost"
    """It never arrives, and nothing ever comes back: the client waits until its own timeout."""
    TORN = "torn"
    """The line breaks in the middle of the request's body."""
    UNANSWERED = "unanswered"
    """The server does it, and the line breaks before the answer arrives."""
    REPEATED = "repeated"
    """A proxy sends it twice, and answers with the second answer. Safe methods and uploads alike."""
    CUT = "cut"
    """The line breaks in the middle of the answer's body."""
    DELAYED = "delayed"
    """It arrives late, but well."""
    ANSWERED = "answered"
    """Something answers with an error in the server's place; the server sees nothing of it."""


@dataclass(frozen=True)
class Fault:
    """One fault of one request.

    Attributes:
        kind: what happens.
        status: of the answer, if it is ANSWERED.
        size: bytes after which a body breaks off, if it is TORN or CUT.
        seconds: of the delay if it is DELAYED; of the Retry-After header, if it is ANSWERED with 429 or 503.
    """

    kind: Kind
    status: int = 0
    size: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        details = [f"{value:g}" for value in (self.status, self.size, self.seconds) if value]
        return " ".join([self.kind.value, *details])


@dataclass(frozen=True)
class Faults:
    """How often each fault happens, as probabilities of each request; the rest arrive well.

    Attributes:
        refused, lost, torn, unanswered, repeated, cut, delayed: see :class:`Kind`.
        answers: the probabilities of answers with an error status, ``{503: 0.05}``.
        delay_s: the shortest and the longest delay.
        retry_after_s: what 429 and 503 say in their Retry-After header at most; a third of them have none.
    """

    refused: float = 0.0
    lost: float = 0.0
    torn: float = 0.0
    unanswered: float = 0.0
    repeated: float = 0.0
    cut: float = 0.0
    delayed: float = 0.0
    answers: Mapping[int, float] = field(default_factory=dict)
    delay_s: tuple[float, float] = (0.5, 10.0)
    retry_after_s: float = 5.0

    def __post_init__(self) -> None:
        total = sum(probability for _, _, probability in self._rows())
        if total > 1:
            raise BadRequest("The faults are more than all requests.", f"Their probabilities add up to {total:g}.")

    def draw(self, random: Random) -> Fault | None:
        """What happens to the next request; None: nothing."""
        left = random.random()
        for kind, status, probability in self._rows():
            left -= probability
            if left < 0:
                return self._with_details(kind, status, random)
        return None

    def _rows(self) -> Iterator[tuple[Kind, int, float]]:
        for kind in Kind:
            if kind is not Kind.ANSWERED:
                yield kind, 0, getattr(self, kind.value)
        for status, probability in self.answers.items():
            yield Kind.ANSWERED, status, probability

    def _with_details(self, kind: Kind, status: int, random: Random) -> Fault:
        size, seconds = 0, 0.0
        if kind in (Kind.TORN, Kind.CUT):
            # As often below 100 bytes as between 100 and 10,000 or so.
            size = int(CUT_BYTES_MAX ** random.random())
        elif kind is Kind.DELAYED:
            seconds = random.uniform(*self.delay_s)
        elif status in RETRY_AFTER_STATUSES and random.random() < 2 / 3:
            seconds = float(random.randint(1, max(1, int(self.retry_after_s))))
        return Fault(kind, status, size, seconds)


NO_FAULTS: Final = Faults()

ROUGH: Final = Faults(
    refused=0.01,
    lost=0.01,
    torn=0.01,
    unanswered=0.02,
    repeated=0.02,
    cut=0.02,
    delayed=0.05,
    answers={429: 0.01, 500: 0.01, 503: 0.02},
)
"""A line on which one request in six goes wrong, and from which a client can recover without help."""
