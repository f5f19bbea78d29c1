"""What is printed at a terminal and elsewhere."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.table import Table

from couchette import Event, Status
from couchette.cli.screen import Screen, count, duration, pace, rate, size
from couchette.errors import Unreachable


def screen_at(terminal):
    console = Console(file=io.StringIO(), force_terminal=terminal, width=40, highlight=False, legacy_windows=False)
    return Screen(console), console.file


def test_a_file_gets_each_line_whole():
    shown, file = screen_at(terminal=False)
    shown.say("word " * 60)
    shown.show("word " * 60)
    assert [len(line) for line in file.getvalue().splitlines()] == [300, 302]


def test_a_terminal_wraps_and_keeps_the_indent():
    shown, file = screen_at(terminal=True)
    shown.show("word " * 20)
    lines = file.getvalue().splitlines()
    assert len(lines) > 1
    assert all(line.startswith("   word") and len(line) <= 40 for line in lines)


def test_tables_have_no_trailing_blanks_in_a_file():
    shown, file = screen_at(terminal=False)
    table = Table.grid(padding=(0, 2))
    table.add_row("a", "b")
    shown.show(table)
    assert file.getvalue() == "   a  b\n"


def test_a_terminal_shows_a_bar_that_ends_with_the_step():
    shown, file = screen_at(terminal=True)
    with shown.progress("Pulling") as meter:
        meter.tell(1000, 500)
        meter.tell(1500, None)
    assert "Pulling" in file.getvalue()
    assert "━" in file.getvalue()
    assert file.getvalue().endswith("\x1b[2K")


def test_elsewhere_a_long_step_prints_a_line_every_two_seconds(monkeypatch):
    now = 0.0
    monkeypatch.setattr("couchette.cli.screen.time.perf_counter", lambda: now)
    shown, file = screen_at(terminal=False)
    with shown.progress("Pulling") as meter:
        for done in range(0, 5001, 1000):
            meter.tell(done, 5000 - done)
            now += 1
    assert file.getvalue().splitlines() == [
        "   Pulling: 2,000 documents, 1,000 docs/s, 3,000 pending",
        "   Pulling: 4,000 documents, 1,000 docs/s, 1,000 pending",
    ]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        (count(1, "document"), "1 document"),
        (count(34006, "document"), "34,006 documents"),
        (count(0, "document"), "0 documents"),
        (rate(34006, 5.1), "6,700 docs/s"),
        (rate(7, 1), "7 docs/s"),
        (rate(99, 0), "99,000,000 docs/s"),
        (rate(508, 0.2, "edits"), "2,500 edits/s"),
        (pace(34006, 5.12), "34,006 documents in 5.1 s (6,600 docs/s)"),
        (duration(0.04), "0.04 s"),
        (duration(61), "61.0 s"),
        (size(1), "1 byte"),
        (size(999), "999 bytes"),
        (size(1000), "1.0 kB"),
        (size(15_300_000), "15.3 MB"),
        (size(10**16), "10000.0 TB"),
    ],
)
def test_numbers_are_written_for_people(told, text):
    assert told == text


def test_a_live_replication_tells_of_trouble_and_its_end():
    at = datetime(2026, 1, 1, 12, tzinfo=UTC)
    shown, file = screen_at(terminal=False)
    idle = Status("idle", "push", "a", "b", pending=0, docs_written=3)
    with shown.progress("Live") as meter:
        for status in (idle, replace(idle, state="retrying", last_error=Unreachable("Gone."), next_retry=at), idle):
            meter.watch(Event("state", status))
    assert file.getvalue().splitlines() == [
        f"   retrying, again at {at.astimezone():%H:%M:%S}: Gone.",
        "   Everything is in sync again.",
    ]
    assert meter.status is idle


def test_progress_tells_documents_bytes_attachments_and_what_is_pending(monkeypatch):
    now = 0.0
    monkeypatch.setattr("couchette.cli.screen.time.perf_counter", lambda: now)
    shown, file = screen_at(terminal=False)
    moving = Status("active", "pull", "a", "b", pending=7, docs_written=20, attachments_read=2, bytes_read=5_000)
    with shown.progress("Replicating") as meter:
        now = 2.0
        meter.watch(Event("batch", moving))
    assert file.getvalue() == "   Replicating: 20 documents, 5.0 kB, 2 attachments, 10 docs/s, 7 pending\n"
