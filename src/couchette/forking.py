"""What becomes of open databases in the child of a fork.

A connection must not be carried over a fork ("How To Corrupt An SQLite Database File", 2.6): a process's locks on a
file are not inherited, but SQLite in the child believes that it has them, and even shares the belief with connections
that the child opens anew. So the child closes what it inherited, without touching the file; its databases are closed,
and it may open them again.

That is possible while nobody is at work on a database. If another thread is, what it holds is held for ever in the
child, and closing may hang. Then all is left as it is, and the files that were open are refused.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol

from couchette.errors import StoreError

HINT: Final = "It was opened before this process was forked; open it again here."


class Opened(Protocol):
    """A pool of connections to a file."""

    path: str

    @property
    def in_use(self) -> bool:
        """Whether somebody is using a connection; asked in the child, never blocks."""

    def let_go(self, *, close: bool) -> None:
        """Be closed in the child; ``close`` tells whether the connections can be."""


_opened: Final[weakref.WeakSet[Opened]] = weakref.WeakSet()
_refused: Final[set[tuple[int, int]]] = set()
"""Device and number of the files whose inherited connections could not be closed."""


def watch(opened: Opened) -> None:
    """Look after a pool, for as long as it lives, when the process forks."""
    _opened.add(opened)


def check(path: str) -> None:
    """Raise StoreError for a file that this process, a child, must not open."""
    if _refused and _number(path) in _refused:
        hint = "Open databases after the fork, or start processes with multiprocessing's 'spawn' or 'forkserver'."
        raise StoreError(f"Another thread was using {path}, or another database, when this process was forked.", hint)


def _number(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _in_child() -> None:
    opened = list(_opened)
    in_use = any(one.in_use for one in opened)
    for one in opened:
        number = _number(one.path) if in_use else None
        if number is not None:
            _refused.add(number)
        one.let_go(close=not in_use)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
