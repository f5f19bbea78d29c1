"""Turns: how many jobs run at once, and which, where there are more.

As in CouchDB's scheduler, ``max_jobs`` run. The others wait in line, and every ``interval_s`` up to ``max_churn`` of
those that have run longest go to its end and make room. A one-time job keeps its turn, unless it only waits to try
again: it is over the sooner. Nothing is timed while nobody waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

from couchette import limits

if TYPE_CHECKING:
    from couchette.jobs.job import Job


@dataclass
class Turns:
    """The turns of one event loop's jobs; the three numbers may be changed at any time, from any thread."""

    max_jobs: int = limits.JOBS_MAX
    interval_s: float = limits.JOBS_INTERVAL_S
    max_churn: int = limits.JOBS_CHURN_MAX

    def __post_init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        """Forget everything, and use the event loop that runs now."""
        self._running: dict[Job, anyio.CancelScope] = {}
        self._line: deque[anyio.Event] = deque()
        self._granted = 0
        """Turns that were given to jobs which have not woken up yet."""
        self._somebody_waits: anyio.Event | None = None

    async def run(self, job: Job, work: Callable[[], Awaitable[None]]) -> None:
        """Do the work of a job, in turns, until it ends by itself."""
        while True:
            if self._line or len(self._running) + self._granted >= self.max_jobs:
                job.wait_in_line()
                await self._turn()
            scope = anyio.CancelScope()
            self._running[job] = scope
            try:
                with scope:
                    await work()
            finally:
                self._running.pop(job, None)
                self._grant()
            if not scope.cancelled_caught:
                return

    async def rotate(self) -> None:
        """Take turns from those that run, for as long as the calling task lives."""
        while True:
            if not self._line:
                self._somebody_waits = anyio.Event()
                await self._somebody_waits.wait()
            await anyio.sleep(self.interval_s)
            self._grant()  # There may be more room than there was.
            resting = [job for job in self._running if job.may_rest][: min(self.max_churn, len(self._line))]
            for job in resting:
                self._running[job].cancel()

    async def _turn(self) -> None:
        """Wait for a turn."""
        turn = anyio.Event()
        self._line.append(turn)
        if self._somebody_waits is not None:
            self._somebody_waits.set()
        try:
            await turn.wait()
        finally:
            if turn.is_set():
                self._granted -= 1
            else:
                self._line.remove(turn)

    def _grant(self) -> None:
        """Give a turn to whoever is first in line, as far as there is room."""
        while self._line and len(self._running) + self._granted < self.max_jobs:
            self._granted += 1
            self._line.popleft().set()
