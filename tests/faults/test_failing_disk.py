"""Every write, sync and truncation of a workload fails in turn; nothing acknowledged may be lost, nothing half done.

SQLite calls the failing file system of ``vfs.py`` while it makes the database, commits, moves its log to the
file (with a log of few pages here, so that this happens often) and closes. Afterwards the file is opened as
usual. Revision ids follow from content, so it can be told whether an operation that failed took effect; it
must have done so wholly or not at all, and the rest must equal an undisturbed run without it.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import apsw
import pytest

from couchette import Database
from couchette.errors import CouchetteError
from tests.faults.vfs import CALLS, Plan, faulty

LOG_PAGES = 12
NOISE = bytes(range(256)) * 80
Revs = list[tuple[str, str]]
Operation = Callable[[Database, list[Revs]], Any]

OPERATIONS: list[Operation] = [
    lambda db, done: db.put({"_id": "a", "n": 1}),
    lambda db, done: db.bulk_docs([{"_id": f"doc{n}", "text": "x" * 200} for n in range(40)]),
    lambda db, done: db.put({"_id": "a", "_rev": done[0][0][1], "n": 2}),
    lambda db, done: db.put_attachment("b", "noise", NOISE),
    lambda db, done: branch(db, "a", "2-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    lambda db, done: db.put({"_id": "c", "_attachments": {"same": {"data": NOISE}, "note": {"data": b"hello"}}}),
    lambda db, done: db.remove("a", done[2][0][1]),
    lambda db, done: branch(db, "new", "7-cccccccccccccccccccccccccccccccc", "7-odd"),
    lambda db, done: db.bulk_docs([{"_id": id, "_rev": rev, "_deleted": True} for id, rev in done[1][:20]]),
    lambda db, done: db.remove_attachment("c", "note", done[5][0][1]),
]


def branch(db: Database, id: str, *revs: str) -> list[dict[str, Any]]:
    db.bulk_docs([{"_id": id, "_rev": rev, "n": rev} for rev in revs], new_edits=False)
    return [{"ok": True, "id": id, "rev": rev} for rev in revs]


def revs_of(result: Any) -> Revs:
    """The revisions that an operation acknowledged."""
    rows = result if isinstance(result, list) else [result]
    return [(row["id"], row["rev"]) for row in rows if row.get("ok")]


@pytest.fixture(scope="module")
def done() -> list[Revs]:
    """What each operation writes when nothing fails."""
    found: list[Revs] = []
    with Database(":memory:") as db:
        for operation in OPERATIONS:
            found.append(revs_of(operation(db, found)))
    return found


def disturbed(path: Path, done: list[Revs]) -> list[Revs | None]:
    """Run the workload on a new database; None for each operation that raised one of our errors."""
    acknowledged: list[Revs | None] = []
    try:
        db = Database(path)
    except CouchetteError:
        return [None] * len(OPERATIONS)
    for operation in OPERATIONS:
        try:
            acknowledged.append(revs_of(operation(db, done)))
        except CouchetteError:
            acknowledged.append(None)
    with suppress(CouchetteError):
        db.close()
    return acknowledged


def content(db: Database) -> list[Any]:
    """All that a database holds, its identity apart."""
    file = io.BytesIO()
    db.dump(file)
    header, *lines, _ = [json.loads(line) for line in file.getvalue().splitlines()]
    return [{name: header[name] for name in ("update_seq", "revs_limit")}, *lines]


def is_there(db: Database, revs: Revs) -> bool:
    """Whether an operation took effect; it must not have done so in part."""
    missing = sum("missing" in row for id, rev in revs for row in db.get(id, open_revs=[rev]))
    assert missing in (0, len(revs)), f"half of a write: {missing} of {len(revs)} revisions are missing"
    return missing == 0


def check(path: Path, acknowledged: list[Revs | None], done: list[Revs]) -> None:
    with Database(path) as db, Database(":memory:") as expected:
        assert db.verify() == []
        for operation, revs, usual in zip(OPERATIONS, acknowledged, done, strict=True):
            if revs is None and not is_there(db, usual):
                continue
            assert revs is None or is_there(db, revs), "an acknowledged write is lost"
            assert revs is None or revs_of(operation(expected, done)) == revs
            if revs is None:
                operation(expected, done)
        assert content(db) == content(expected)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("call", CALLS)
def test_a_failing_disk_loses_nothing_acknowledged_and_leaves_nothing_half(call, lasting, done, tmp_path, monkeypatch):
    monkeypatch.setattr("couchette.pool.WAL_PAGES", LOG_PAGES)
    for at in count(1):
        plan = Plan(call, at, lasting)
        path = tmp_path / f"{plan.at}.couchette"
        with faulty(monkeypatch, plan):
            acknowledged = disturbed(path, done)
        check(path, acknowledged, done)
        if not plan.failed:
            assert None not in acknowledged
            assert at > 4, f"the workload makes only {at - 1} calls of {call}"
            return


@pytest.mark.slow
def test_want_of_memory_loses_nothing_acknowledged_and_leaves_nothing_half(done, tmp_path):
    """SQLite gets so much memory and no more, from next to nothing to enough, in small steps."""
    room, failed = 4096, 0
    for at in count(1):
        path = tmp_path / f"{at}.couchette"
        try:
            apsw.hard_heap_limit(apsw.memory_used() + room)
            acknowledged = disturbed(path, done)
        finally:
            apsw.hard_heap_limit(0)
        check(path, acknowledged, done)
        failed += None in acknowledged
        if None not in acknowledged:
            break
        room = room * 26 // 25
    assert failed > 20
