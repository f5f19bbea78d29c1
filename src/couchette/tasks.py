"""What a database is busy with: long work and how far it is, for whoever asks while it runs.

Compaction and the building of an index note their progress in the :class:`Tasks` of the database's pool, after each of
their steps; the server lists them as CouchDB's ``_active_tasks``. Nothing is noted of work that has nothing to do.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from couchette import surroundings

_numbers: Final = itertools.count(1)


@dataclass
class Task:
    """Work under way. One thread does it, any may read.

    Attributes:
        kind: CouchDB's ``type``: ``database_compaction``, ``indexer`` or ``search_indexer``.
        owner: whose work it is, such as ``_design/x``; empty for the database's own.
        total: steps to make, as far as is known; more may come while it runs.
        done: steps made.
        number: of this process's tasks.
    """

    kind: str
    owner: str
    total: int = 0
    done: int = 0
    number: int = field(default_factory=_numbers.__next__)
    started: datetime = field(default_factory=surroundings.now)
    updated: datetime = field(default_factory=surroundings.now)

    def advance(self, done: int, total: int | None = None) -> None:
        """Note how far it is."""
        self.total = max(done, self.total if total is None else total)
        self.done, self.updated = done, surroundings.now()

    @property
    def percent(self) -> int:
        """How much of it is done."""
        return self.done * 100 // self.total if self.total else 0


class Tasks:
    """The work under way in one database, by this process. Safe to use from many threads."""

    def __init__(self) -> None:
        self._running: dict[int, Task] = {}
        self._lock = threading.Lock()

    @contextmanager
    def running(self, kind: str, owner: str = "", total: int = 0) -> Iterator[Task]:
        """A task that is listed for as long as the context lasts."""
        task = Task(kind, owner, total)
        with self._lock:
            self._running[task.number] = task
        try:
            yield task
        finally:
            with self._lock:
                del self._running[task.number]

    def all(self) -> list[Task]:
        """What runs now, the oldest first."""
        with self._lock:
            return list(self._running.values())
