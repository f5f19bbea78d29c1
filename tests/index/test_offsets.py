"""Offsets are what counting finds, whatever was asked before and however the index moved meanwhile."""

from __future__ import annotations

from contextlib import suppress
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from couchette import Database, index
from couchette.document.collation import sort_key
from couchette.index import Span, after, before, offsets

IDS = st.sampled_from([None, "d003", "é"])
POINTS = st.lists(st.tuples(st.sampled_from([before, after]), st.integers(-1, 12), IDS))
WRITES = st.dictionaries(st.sampled_from([f"d{n:03}" for n in range(30)] + ["é"]), st.integers(0, 11), max_size=5)


@pytest.fixture
def db(tmp_path, monkeypatch):
    """Sixty rows of twelve keys, every fourth of which is noted."""
    monkeypatch.setattr(offsets, "INDEX_MILESTONE_ROWS", 4)
    with Database(tmp_path / "db.couchette") as database:
        database.bulk_docs([{"_id": f"d{n:03}", "n": n % 12} for n in range(60)])
        yield database


def view(db):
    db.view("n")(lambda doc: [(doc["n"], None)])
    db.query("n", limit=0)
    views, _ = db._views.stored("n")
    return views.group.signature


def told_and_counted(conn, known, signature, points):
    state = index.find_group(conn, signature)
    assert state is not None
    told = [known.rows_before(conn, state, 0, point) for point in points]
    return told, [index.count(conn, state.num, 0, Span(None, point)) for point in points]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.tuples(POINTS, WRITES), max_size=4), size=st.sampled_from([1, 2000, 10**6]))
def test_an_offset_is_what_counting_finds_at_every_position_of_the_index(db, monkeypatch, steps, size):
    monkeypatch.setattr(offsets, "INDEX_MILESTONES_BYTES", size)
    known = index.Offsets()
    for asked, written in steps:
        db.bulk_docs([{**(db.get(name) if name in db else {}), "_id": name, "n": n} for name, n in written.items()])
        signature = view(db)
        points = [make(sort_key(key), doc_id) for make, key, doc_id in asked]
        told, counted = db._pool.read(told_and_counted, known, signature, points)
        assert told == counted


def test_only_what_lies_before_the_point_is_walked_and_only_once(db):
    signature, known = view(db), index.Offsets()
    early, late = before(sort_key(2)), after(sort_key(11))
    (told, counted), walked = traced(db, known, signature, [early, late])
    assert told == counted == [10, 60]
    assert len(walked) == 14
    _, walked = traced(db, known, signature, [late, early])
    assert walked == []


def traced(db, known, signature, points):
    """What is told and counted, and the statements that looked for milestones."""

    def reading(conn):
        statements = []

        def note(cursor, sql, bindings):
            statements.append(sql)
            return True

        conn.exec_trace = note
        try:
            return told_and_counted(conn, known, signature, points), [sql for sql in statements if "OFFSET" in sql]
        finally:
            conn.exec_trace = None

    return db._pool.read(reading)


def test_what_a_transaction_sees_is_not_remembered(db):
    """It may be rolled back, and another write is then at the same position."""
    view(db)
    with suppress(ZeroDivisionError), db.transaction():
        db.put({"_id": "a", "n": -1})
        assert db.query("n", start_key=11, exact_offset=True)["offset"] == 56
        raise ZeroDivisionError
    db.put({"_id": "z", "n": 20})
    assert db.query("n", start_key=11, exact_offset=True)["offset"] == 55


def test_a_database_in_memory_counts():
    with Database() as db:
        db.bulk_docs([{"_id": str(n), "n": n} for n in range(9)])
        signature, known = view(db), index.Offsets()
        told, counted = db._pool.read(told_and_counted, known, signature, [before(sort_key(7))])
        assert told == counted == [7]


def test_offsets_of_both_directions_are_those_of_the_rows(db):
    view(db)
    for options in ({}, {"descending": True}):
        rows = db.query("n", **options)["rows"]
        for key in range(12):
            answer = db.query("n", start_key=key, exact_offset=True, **options)
            assert answer["offset"] == next(at for at, row in enumerate(rows) if row["key"] == key)


def test_the_views_that_are_known_are_few(db, monkeypatch):
    monkeypatch.setattr(offsets, "INDEX_MILESTONE_VIEWS", 1)
    signature, known = view(db), index.Offsets()
    db.view("m")(lambda doc: [(-doc["n"], None)])
    db.query("m", limit=0)
    other = db._views.stored("m")[0].group.signature
    for one in (signature, other, signature):
        told, counted = db._pool.read(told_and_counted, known, one, [before(sort_key(0))])
        assert told == counted
    assert len(known._known) == 1


def test_threads_share_what_is_known(db):
    signature, known = view(db), index.Offsets()
    points = [before(sort_key(key)) for key in range(12)]
    answers = []

    def ask(order):
        answers.append(db._pool.read(told_and_counted, known, signature, order))

    threads = [Thread(target=ask, args=(points[start:] + points[:start],)) for start in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 6
    assert all(told == counted for told, counted in answers)
