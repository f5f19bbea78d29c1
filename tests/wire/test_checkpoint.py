"""Checkpoint documents: what is written, and where two of them say to resume."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import limits
from couchette.wire.checkpoint import Resume, Session, checkpoint_doc, checkpoint_id, common_seq

NOON = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def session(session_id="s1", seq="5-x", **counts):
    return Session(session_id, NOON, NOON, 0, seq, **counts)


def log(*entries):
    """A checkpoint document in CouchDB's form from (session, seq) pairs, newest first."""
    history = [{"session_id": session_id, "recorded_seq": seq} for session_id, seq in entries]
    return {"session_id": entries[0][0], "source_last_seq": entries[0][1], "history": history}


def pouch_log(*entries):
    """The same in PouchDB's form."""
    history = [{"session_id": session_id, "last_seq": seq} for session_id, seq in entries]
    return {
        "version": 1,
        "replicator": "pouchdb",
        "session_id": entries[0][0],
        "last_seq": entries[0][1],
        "history": history,
    }


def test_a_document_has_the_members_that_couchdb_writes():
    doc = checkpoint_doc("_local/r", session(missing_checked=6, missing_found=5, docs_read=4, docs_written=3), Resume())
    assert doc == {
        "_id": "_local/r",
        "session_id": "s1",
        "source_last_seq": "5-x",
        "replication_id_version": 4,
        "history": [
            {
                "session_id": "s1",
                "start_time": "Sat, 21 Nov 2026 12:00:00 GMT",
                "end_time": "Sat, 21 Nov 2026 12:00:00 GMT",
                "start_last_seq": 0,
                "end_last_seq": "5-x",
                "recorded_seq": "5-x",
                "missing_checked": 6,
                "missing_found": 5,
                "docs_read": 4,
                "docs_written": 3,
                "doc_write_failures": 0,
            }
        ],
    }


def test_later_checkpoints_of_a_session_replace_its_entry():
    first = checkpoint_doc("_local/r", session(seq="5-x"), Resume())
    second = checkpoint_doc("_local/r", session(seq="9-x"), Resume("5-x", first["history"]))
    assert [entry["recorded_seq"] for entry in second["history"]] == ["9-x"]


def test_the_log_keeps_the_newest_sessions_only():
    doc: Any = None
    for number in range(limits.CHECKPOINT_HISTORY_MAX + 5):
        doc = checkpoint_doc("_local/r", session(f"s{number}", f"{number}-x"), common_seq(doc, doc))
    assert len(doc["history"]) == limits.CHECKPOINT_HISTORY_MAX
    assert doc["history"][0]["session_id"] == f"s{limits.CHECKPOINT_HISTORY_MAX + 4}"


def test_without_a_document_on_both_sides_it_starts_at_zero():
    doc = log(("s1", "5-x"))
    assert common_seq(None, None) == common_seq(doc, None) == common_seq(None, doc) == Resume(0, ())


def test_the_same_newest_session_resumes_at_its_seq():
    doc = log(("s2", "9-x"), ("s1", "5-x"))
    resume = common_seq(doc, doc)
    assert resume.seq == "9-x"
    assert [entry["session_id"] for entry in resume.history] == ["s2", "s1"]


@pytest.mark.parametrize("form", [log, pouch_log])
def test_the_newest_common_session_counts_when_one_side_lost_later_ones(form):
    longer, shorter = form(("s3", "12-x"), ("s2", "9-x"), ("s1", "5-x")), form(("s2", "9-x"), ("s1", "5-x"))
    assert common_seq(longer, shorter).seq == "9-x"
    assert common_seq(shorter, longer).seq == "9-x"
    assert [entry["session_id"] for entry in common_seq(longer, shorter).history] == ["s2", "s1"]


def test_logs_that_share_no_session_start_at_zero():
    assert common_seq(log(("s1", "5-x")), log(("s2", "5-x"))) == Resume(0, ())


@pytest.mark.parametrize(
    ("source", "target", "lower"),
    [("9-x", "5-y", "5-y"), ("5-x", "9-y", "5-x"), (9, 5, 5), ([9, "x"], [5, "y"], [5, "y"]), ("10-x", "9-y", "9-y")],
)
def test_one_session_with_two_seqs_resumes_at_the_lower(source, target, lower):
    assert common_seq(log(("s1", source)), log(("s1", target))).seq == lower


def test_seqs_without_a_number_resume_at_the_target_s():
    assert common_seq(log(("s1", "abc")), log(("s1", "def"))).seq == "def"


@pytest.mark.parametrize(
    "doc", [{}, {"history": 5}, {"history": [5]}, {"session_id": 7, "source_last_seq": 1}, {"session_id": "s1"}]
)
def test_a_document_that_is_no_checkpoint_is_as_good_as_none(doc):
    assert common_seq(doc, log(("s1", "5-x"))) == Resume(0, ())
    assert common_seq(log(("s1", "5-x")), doc) == Resume(0, ())


@given(st.lists(st.integers(0, 9).map(str), unique=True, max_size=5), st.lists(st.integers(0, 9).map(str), unique=True))
def test_it_resumes_at_zero_exactly_when_nothing_is_shared(source, target):
    source_log = log(*((session_id, f"{session_id}-x") for session_id in source)) if source else None
    target_log = log(*((session_id, f"{session_id}-x") for session_id in target)) if target else None
    shared = [session_id for session_id in source if session_id in target]
    assert common_seq(source_log, target_log).seq == (f"{shared[0]}-x" if shared else 0)


def test_the_id_depends_on_both_sides_their_order_and_the_options_alone():
    ids = {
        checkpoint_id("a", "b"),
        checkpoint_id("b", "a"),
        checkpoint_id("a", "c"),
        checkpoint_id("a", "b", {"doc_ids": ["x"]}),
        checkpoint_id("a", "b", {"filter": "x"}),
    }
    assert len(ids) == 5
    assert all(doc_id.startswith("_local/") for doc_id in ids)
    assert checkpoint_id("a", "b", {}) == checkpoint_id("a", "b")
    assert checkpoint_id("a", "b", {"x": 1, "y": 2}) == checkpoint_id("a", "b", {"y": 2, "x": 1})
