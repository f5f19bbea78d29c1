"""Virtual time, and the same order of tasks each time.

Time stands still while anything can run, and jumps to the next deadline when nothing can (trio's MockClock):
a test waits a day in a millisecond, and timeouts do not depend on how busy the machine is.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from trio.testing import MockClock

STARTING_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""What the clock on the wall shows when a simulation begins."""


class Clocks:
    """The loop's clock, which only advances, and the one on the wall, which somebody may set."""

    def __init__(self) -> None:
        self.monotonic = MockClock(autojump_threshold=0)
        self._wall_offset_s = 0.0

    @property
    def elapsed_s(self) -> float:
        """Virtual seconds since the simulation began."""
        return self.monotonic.current_time()

    def now(self) -> datetime:
        """What the clock on the wall shows."""
        return STARTING_TIME + timedelta(seconds=self.elapsed_s + self._wall_offset_s)

    def sleep_through(self, seconds: float) -> None:
        """Let both clocks jump ahead at once, as for a computer that was asleep: every deadline within is due."""
        self.monotonic.jump(seconds)

    def set_wall(self, seconds: float) -> None:
        """Move the clock on the wall alone, ahead or back."""
        self._wall_offset_s += seconds


@contextmanager
def tasks_in_order_of(seed: int) -> Iterator[None]:
    """Let trio choose between tasks that could run by ``seed``, where otherwise it flips a coin of its own.

    This is the switch that hypothesis and pytest-trio use; trio has no public one.
    """
    run = importlib.import_module("trio._core._run")
    was, state = run._ALLOW_DETERMINISTIC_SCHEDULING, run._r.getstate()
    setattr(run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)  # noqa: B010 - declared Final
    run._r.seed(seed)
    try:
        yield
    finally:
        setattr(run, "_ALLOW_DETERMINISTIC_SCHEDULING", was)  # noqa: B010
        run._r.setstate(state)
