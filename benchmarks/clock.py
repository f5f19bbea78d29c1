"""Rates: operations a second of work whose material is made off the clock."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterable
from typing import Any


def rate_of(count: int, work: Callable[[], object]) -> float:
    """The rate of ``work``, which does ``count`` operations."""
    gc.collect()
    start = time.perf_counter()
    work()
    return count / (time.perf_counter() - start)


def rate_of_batches(batches: Iterable[Any], write: Callable[[Any], object]) -> float:
    """The rate of writing batches. Each is made just before it is written, off the clock, as a program does."""
    gc.collect()
    count, taken = 0, 0.0
    for batch in batches:
        start = time.perf_counter()
        write(batch)
        taken += time.perf_counter() - start
        count += len(batch)
    return count / taken
