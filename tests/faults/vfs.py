"""A file system that fails on request: SQLite's own, with a fault at the k-th call of one kind.

Registered with SQLite under ``NAME``; a test opens databases with it by :func:`faulty`. Each write, sync
and truncate of every file of the database counts. A failing write leaves half of its bytes, as a full
disk or a torn page may.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import apsw

NAME = "faulty"
CALLS = ("write", "sync", "truncate")


@dataclass
class Plan:
    """Which call fails: the ``at``-th of ``call`` (from 1), and with ``lasting`` all that come after it, too."""

    call: str = ""
    at: int = 0
    lasting: bool = False
    seen: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CALLS, 0))
    failed: int = 0

    def fails(self, call: str) -> bool:
        """Count a call, and say whether it fails."""
        self.seen[call] += 1
        fails = call == self.call and (self.seen[call] == self.at or (self.lasting and self.seen[call] > self.at))
        self.failed += fails
        return fails


class FaultyFile(apsw.VFSFile):
    """A file whose writes, syncs and truncations follow the plan."""

    def __init__(self, plan: Plan, name: Any, flags: list[int]) -> None:
        super().__init__("", name, flags)
        self.plan = plan

    def xWrite(self, data: Any, offset: int) -> None:
        if self.plan.fails("write"):
            super().xWrite(data[: len(data) // 2], offset)
            raise apsw.FullError("the disk is full")
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:
        if self.plan.fails("sync"):
            raise apsw.IOError("the disk does not answer")
        # Nothing waits for the disk: no power is cut here, only calls fail.

    def xTruncate(self, size: int) -> None:
        if self.plan.fails("truncate"):
            raise apsw.IOError("the disk does not answer")
        super().xTruncate(size)


class FaultyVFS(apsw.VFS):
    """SQLite's default file system, but for its files."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(NAME, "")
        self.plan = plan

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:
        return FaultyFile(self.plan, name, flags)


@contextmanager
def faulty(monkeypatch: Any, plan: Plan) -> Iterator[None]:
    """All connections that are opened meanwhile follow the plan."""
    vfs = FaultyVFS(plan)
    plain = apsw.Connection

    def connect(*args: Any, **kwargs: Any) -> apsw.Connection:
        return plain(*args, **{**kwargs, "vfs": NAME})

    with monkeypatch.context() as patch:
        patch.setattr(apsw, "Connection", connect)
        yield
    vfs.unregister()
