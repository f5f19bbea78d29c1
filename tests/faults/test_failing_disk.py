"""Every write, sync and truncation of a workload fails in turn; nothing acknowledged may be lost, nothing half done.

SQLite calls the failing file system of ``vfs.py`` while it makes the database, commits, moves its log to the
file (with a log of few pages here, so that this happens often) and closes. Afterwards the file is opened as
usual. Revision ids follow from content, so it can be told whether an operation that failed took effect; it
must have done so wholly or not at all, and the rest must equal an undisturbed run without it.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest

from couchette import Database
from couchette.errors import CouchetteError
from tests.faults.vfs import CALLS, Plan, faulty

LOG_PAGES = 12
CHUNK_BYTES = 8192
NOISE = bytes(range(256)) * 80
"""An attachment of three chunks, since these are so small here."""
LEFT, RIGHT = "2-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "2-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

Revs = list[tuple[str, str]]


class Step(NamedTuple):
    """An operation of the workload. It is given what the ones before it write when nothing fails."""

    run: Callable[[Database, list[Revs]], Any]
    forgets: tuple[tuple[str, str], ...] = ()
    """What a purge takes away: it took effect when these are not there."""
    compacted: bool = False
    """Whether its bodies go at compaction. Then no later step makes its revs known when it failed itself."""


def branch(db: Database, id: str, *revs: str) -> list[dict[str, Any]]:
    db.bulk_docs([{"_id": id, "_rev": rev, "n": rev} for rev in revs], new_edits=False)
    return [{"ok": True, "id": id, "rev": rev} for rev in revs]


def put_attachments(db: Database, id: str, **contents: bytes) -> Any:
    return db.put({"_id": id, "_attachments": {name: {"data": data} for name, data in contents.items()}})


def leaves_after(db: Database, id: str, work: Callable[[], Any]) -> list[dict[str, Any]]:
    """Do some work; return the leaves that the document has then, all of which it must have made."""
    work()
    return [{"ok": True, "id": id, "rev": one["rev"]} for one in db.history(id) if one["leaf"]]


def together(db: Database) -> list[dict[str, Any]]:
    """Two writes and a read of one transaction."""
    with db.transaction():
        first = db.put({"_id": "pair-1", "of": 2})
        return [first, db.put_attachment("pair-2", "twin", NOISE[:9000], rev=None), *([] if "pair-1" in db else [{}])]


STEPS: list[Step] = [
    Step(lambda db, done: db.put({"_id": "a", "n": 1})),
    Step(lambda db, done: db.bulk_docs([{"_id": f"doc{n}", "text": "x" * 200} for n in range(40)])),
    Step(lambda db, done: db.put_attachment("b", "noise", NOISE), compacted=True),
    Step(lambda db, done: put_attachments(db, "c", same=NOISE, note=b"hello"), compacted=True),
    Step(lambda db, done: db.remove_attachment("b", "noise", done[2][0][1])),
    Step(lambda db, done: db.remove_attachment("c", "note", done[3][0][1])),
    Step(lambda db, done: branch(db, "torn", LEFT, RIGHT), compacted=True),
    Step(lambda db, done: leaves_after(db, "torn", lambda: db.resolve("torn", keep=LEFT))),
    Step(lambda db, done: branch(db, "forked", LEFT, RIGHT)[:1]),
    Step(lambda db, done: db.purge({"forked": [RIGHT]}), forgets=(("forked", RIGHT),)),
    Step(lambda db, done: db.compact()),
    Step(lambda db, done: db.put({"_id": "a", "_rev": done[0][0][1], "n": 2})),
    Step(lambda db, done: branch(db, "a", RIGHT)),
    Step(lambda db, done: db.remove("a", done[11][0][1])),
    Step(lambda db, done: branch(db, "new", "7-cccccccccccccccccccccccccccccccc", "7-odd")),
    Step(lambda db, done: db.bulk_docs([{"_id": id, "_rev": rev, "_deleted": True} for id, rev in done[1][:20]])),
    Step(lambda db, done: together(db)),
    Step(lambda db, done: db.put_attachment("c", "more", NOISE * 2, rev=done[5][0][1])),
]
COMPACT = 10


def revs_of(result: Any) -> Revs:
    """The revisions that an operation acknowledged."""
    rows = result if isinstance(result, list) else [result]
    return [(row["id"], row["rev"]) for row in rows if row.get("ok")]


@pytest.fixture(scope="module")
def done() -> list[Revs]:
    """What each operation writes when nothing fails."""
    found: list[Revs] = []
    with Database(":memory:") as db:
        for step in STEPS:
            found.append(revs_of(step.run(db, found)))
    return found


def disturbed(path: Path, done: list[Revs]) -> list[Revs | None]:
    """Run the workload on a new database; None for each operation that raised one of our errors."""
    acknowledged: list[Revs | None] = []
    try:
        db = Database(path)
    except CouchetteError:
        return [None] * len(STEPS)
    for step in STEPS:
        try:
            acknowledged.append(revs_of(step.run(db, done)))
        except CouchetteError:
            acknowledged.append(None)
    with suppress(CouchetteError):
        db.close()
    return acknowledged


def content(db: Database) -> list[Any]:
    """All that a database holds; not its identity, nor the numbers of contents and losing bodies: they tell nothing."""
    file = io.BytesIO()
    db.dump(file)
    header, *lines, _ = [json.loads(line) for line in file.getvalue().splitlines()]
    digests = {line["content"]: line["digest"] for line in lines if "content" in line}
    found: list[Any] = [{name: header[name] for name in ("update_seq", "purge_seq", "revs_limit")}]
    for line in lines:
        if "data" in line:
            found[-1]["data"] += line["data"]
        elif "content" in line:
            found.append({**line, "content": "", "data": ""})
        else:
            for attachment in line.get("attachments", ()):
                attachment["content"] = digests[attachment["content"]]
            found.append({**line, "seq": max(line.get("seq", 0), 0)})
    contents = sorted((line for line in found if "content" in line), key=lambda line: line["digest"])
    return [contents, *(line for line in found if "content" not in line)]


def is_there(db: Database, revs: Sequence[tuple[str, str]], *, known: bool = False) -> bool:
    """Whether these revisions are stored, or ``known`` at least; it must not be some of them."""
    if known:
        missing = sum(bool(db.revs_diff({id: [rev]})) for id, rev in revs)
    else:
        missing = sum("missing" in row for id, rev in revs for row in db.get(id, open_revs=[rev]))
    assert missing in (0, len(revs)), f"half of a write: {missing} of {len(revs)} revisions are missing"
    return missing == 0


def took_effect(db: Database, step: Step, revs: Revs) -> bool:
    return not is_there(db, step.forgets) if step.forgets else is_there(db, revs, known=step.compacted)


def check(path: Path, acknowledged: list[Revs | None], done: list[Revs]) -> None:
    with Database(path) as db, Database(":memory:") as expected:
        assert db.verify() == []
        for step, revs, usual in zip(STEPS, acknowledged, done, strict=True):
            done_here = took_effect(db, step, usual if revs is None else revs)
            assert done_here or revs is None, "an acknowledged write is lost"
            if done_here:
                found = revs_of(step.run(expected, done))
                assert revs is None or found == revs
        if acknowledged[COMPACT] is None:
            # It may have ended between any two of its transactions, and another one goes on.
            db.compact()
            expected.compact()
            assert db.verify() == []
        assert content(db) == content(expected)


@pytest.mark.slow
@pytest.mark.parametrize("lasting", [False, True], ids=["once", "from then on"])
@pytest.mark.parametrize("call", CALLS)
def test_a_failing_disk_loses_nothing_acknowledged_and_leaves_nothing_half(call, lasting, done, tmp_path, monkeypatch):
    monkeypatch.setattr("couchette.connecting.WAL_PAGES", LOG_PAGES)
    for module in ("content", "verify"):
        monkeypatch.setattr(sys.modules[f"couchette.store.{module}"], "ATTACHMENT_CHUNK_BYTES", CHUNK_BYTES)
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
def test_want_of_memory_loses_nothing_acknowledged_and_leaves_nothing_half(done, tmp_path, pytestconfig):
    """SQLite gets so much memory and no more, from next to nothing to enough, in small steps."""
    room, failed = 4096, 0
    parts = 400 if pytestconfig.getoption("--long") else 25
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
        room = room * (parts + 1) // parts
    assert failed > 20
