"""What happened to the databases of an environment: created, updated, deleted.

CouchDB keeps a database of such events. Here they are found by comparing the databases with what was seen of them
before; each reader does so as it comes, and while it waits whenever something was written. So nothing is stored, and
writers do no more than wake those who wait. Another process's databases are seen as they come and go, its writes in
those that are open here.

Of each kind of event the last is kept for each database. Sequences are valid until the server stops: with an older one
a reader begins anew, and finds an event for each database that exists. So it misses no change, but a deletion.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from couchette import surroundings, workers
from couchette.database import Database
from couchette.environment import Environment
from couchette.errors import DatabaseClosed
from couchette.limits import UPDATES_KEPT_MAX
from couchette.pool import Pool

CREATED: Final = "created"
UPDATED: Final = "updated"
DELETED: Final = "deleted"

Page = dict[str, Any]
State = tuple[str, int]


class UpdatesLog:
    """The events of one environment since this object was made. Its methods block, but for :meth:`wait`."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._id = surroundings.uuid_hex()
        self._lock = threading.Lock()
        self._seq = 0
        self._events: dict[tuple[str, str], int] = {}
        """(type, name) -> sequence, in the order of the sequences."""
        self._seen: dict[str, State | None] = {}
        """name -> the database's uuid and sequence; None for one that was not open yet."""
        self._marks: dict[str, tuple[Pool, int]] = {}
        """name -> the pool, and its commits, when that was read."""
        opened = environment.opened()
        for name in environment:
            self._seen[name] = self._state(name, opened[name]) if name in opened else None
            self._record(UPDATED, name)

    def read(self, since: int | str = 0, limit: int | None = None, descending: bool = False, **others: Any) -> Page:
        """The events after ``since``, in the shape of ``Database.changes``; what else that takes is ignored.

        As there, ``since`` is 0, ``"now"`` or a sequence of an earlier page, and a descending page ignores it.
        """
        with self._lock:
            self._look()
            after = 0 if descending else self._number(since)
            found = [(kind, name, seq) for (kind, name), seq in self._events.items() if seq > after]
            newest = self._seq
        if descending:
            found.reverse()
        shown = found if limit is None else found[:limit]
        last = newest if len(shown) == len(found) else shown[-1][2] if shown else after
        rows = [{"db_name": name, "type": kind, "seq": self._text(seq)} for kind, name, seq in shown]
        return {"results": rows, "last_seq": self._text(last), "pending": len(found) - len(shown)}

    async def wait(self, since: str, timeout_s: float | None) -> bool:
        """Wait for an event after ``since``; False if the time passes first."""
        after = self._number(since)

        async def is_ready() -> bool:
            return await workers.in_thread(self._newest) > after

        return await self._environment.notifier.wait_async(is_ready, timeout_s)

    def _newest(self) -> int:
        with self._lock:
            self._look()
            return self._seq

    def _look(self) -> None:
        """Compare the databases with what was seen of them, and record what is new."""
        opened = self._environment.opened()
        names = set(self._environment)
        for name in sorted(self._seen.keys() - names):
            del self._seen[name]
            self._marks.pop(name, None)
            self._record(DELETED, name)
        for name in sorted(names):
            state = self._state(name, opened[name]) if name in opened else None
            if name not in self._seen:
                self._seen[name] = None if state is None else (state[0], 0)
                self._record(CREATED, name)
            if state is not None:
                self._compare(name, state)

    def _compare(self, name: str, state: State) -> None:
        """Record what an open database's state shows."""
        before = self._seen[name]
        self._seen[name] = state
        if before is None:
            self._record(UPDATED, name)  # It may have changed; too much is better than too little.
            return
        if before[0] != state[0]:
            self._record(DELETED, name)
            self._record(CREATED, name)
            before = (state[0], 0)
        if before[1] != state[1]:
            self._record(UPDATED, name)

    def _record(self, kind: str, name: str) -> None:
        self._seq += 1
        self._events.pop((kind, name), None)
        self._events[kind, name] = self._seq
        if len(self._events) > UPDATES_KEPT_MAX:
            del self._events[next(iter(self._events))]

    def _state(self, name: str, database: Database) -> State | None:
        """An open database's uuid and sequence; None if it is closed by now. One that rests sleeps on, if it can."""
        pool, seen = database._pool, self._seen.get(name)
        marks = pool, pool.commits
        if pool.rests and seen is not None and self._marks.get(name) == marks:
            return seen
        try:
            number, _, uuid = database.info()["update_seq"].partition("-")
        except DatabaseClosed:
            return None
        self._marks[name] = marks
        return uuid, int(number)

    def _text(self, seq: int) -> str:
        return f"{seq}-{self._id}"

    def _number(self, since: int | str) -> int:
        """A sequence's number; 0 for one of an earlier log."""
        if since == "now":
            return self._seq
        number, _, log = str(since).partition("-")
        return int(number) if log == self._id else 0
