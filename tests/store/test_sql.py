"""SQL over the documents: the views that stay, in our hands and in another program's, and that nothing else works."""

from __future__ import annotations

import json
import sqlite3
import threading

import anyio
import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, CouchetteError, Forbidden, QueryParseError, TooLarge

ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
SCHEMA = {
    "couch_docs": ["id", "rev", "seq", "doc"],
    "couch_changes": ["seq", "id", "rev", "deleted"],
    "couch_attachments": ["id", "rev", "name", "content_type", "length", "digest", "revpos"],
    "couch_conflicts": ["id", "winner", "rev", "doc"],
    "couch_local": ["id", "rev", "doc"],
}


@pytest.fixture
def filled(db):
    db.bulk_docs([{"_id": "ann", "age": 30}, {"_id": "bob", "age": 25, "n": 2**70}, {"_id": "rex", "age": 7}])
    db.put_attachment("ann", "ü.txt", b"hello", "text/plain", rev=db["ann"]["_rev"])
    del db["rex"]
    db.put({"_id": "_local/x", "n": 1})
    leaves = [{"_id": "c", "_rev": f"1-{name}", "v": name} for name in "ade"]
    db.bulk_docs([*leaves, {"_id": "c", "_rev": "1-f", "_deleted": True}], new_edits=False)
    db.put({"_id": "c", "_rev": "1-a", "v": "after a"})
    return db


def test_an_answer_is_a_sequence_of_dictionaries_with_columns_and_tuples(filled):
    answer = filled.sql("SELECT id, doc->>'age' AS age FROM couch_docs WHERE age >= :least ORDER BY id", {"least": 25})
    assert list(answer) == [{"id": "ann", "age": 30}, {"id": "bob", "age": 25}]
    assert answer.columns == ("id", "age")
    assert answer.rows == [("ann", 30), ("bob", 25)]
    assert (answer[-1], answer[:1], len(answer)) == ({"id": "bob", "age": 25}, [{"id": "ann", "age": 30}], 2)
    nothing = filled.sql("SELECT id, rev FROM couch_docs WHERE id=?", ["nobody"])
    assert (nothing.columns, list(nothing)) == (("id", "rev"), [])


@pytest.mark.parametrize("name", SCHEMA)
def test_the_columns_of_a_view_stay(filled, name):
    assert filled.sql(f"SELECT * FROM {name}").columns == tuple(SCHEMA[name])


def test_documents_are_their_winners_in_exact_json(filled):
    rows = {row["id"]: row for row in filled.sql("SELECT * FROM couch_docs")}
    assert rows.keys() == set(filled)
    for doc_id, row in rows.items():
        doc = filled.get(doc_id)
        doc.pop("_attachments", None)
        assert {"_id": doc_id, "_rev": row["rev"], **json.loads(row["doc"])} == doc
    changes = filled.sql("SELECT seq, id, rev, deleted FROM couch_changes ORDER BY seq")
    feed = filled.changes()["results"]
    assert [(row["id"], row["rev"], bool(row["deleted"])) for row in changes] == [
        (row["id"], row["changes"][0]["rev"], row.get("deleted", False)) for row in feed
    ]
    assert [row["seq"] for row in changes] == [int(row["seq"].partition("-")[0]) for row in feed]


def test_attachments_conflicts_and_local_documents_are_there(filled):
    [stub] = filled["ann"]["_attachments"].values()
    [row] = filled.sql("SELECT * FROM couch_attachments")
    described = {name: stub[name] for name in ("content_type", "length", "digest", "revpos")}
    assert row == {"id": "ann", "rev": filled["ann"]["_rev"], "name": "ü.txt", **described}
    [listed] = filled.conflicts()
    rows = filled.sql("SELECT * FROM couch_conflicts ORDER BY rev DESC")
    assert [row["rev"] for row in rows] == listed["conflicts"] == ["1-e", "1-d"]
    assert {(row["id"], row["winner"]) for row in rows} == {("c", listed["rev"])}
    assert [json.loads(row["doc"]) for row in rows] == [{"v": "e"}, {"v": "d"}]
    assert list(filled.sql("SELECT * FROM couch_local")) == [{"id": "_local/x", "rev": "0-1", "doc": '{"n":1}'}]


def test_forged_histories_with_two_parents_have_the_same_conflicts(db):
    for parent in ("1-a", "1-b"):
        revisions = {"start": 2, "ids": ["c", parent[2:]]}
        db.put({"_id": "x", "_rev": "2-c", "_revisions": revisions}, new_edits=False)
    db.put({"_id": "x", "_rev": "1-e"}, new_edits=False)
    assert (
        [row["rev"] for row in db.sql("SELECT rev FROM couch_conflicts")] == db.conflicts()[0]["conflicts"] == ["1-e"]
    )


def test_another_program_reads_the_file(filled):
    """Python's own sqlite3, to which the file is any SQLite file."""
    conn = sqlite3.connect(f"file:{filled.path}?mode=ro", uri=True)
    try:
        for name, columns in SCHEMA.items():
            cursor = conn.execute(f"SELECT * FROM {name}")
            assert [column[0] for column in cursor.description] == columns
            assert cursor.fetchall() == filled.sql(f"SELECT * FROM {name}").rows
        ages = conn.execute("SELECT id, json_extract(doc, '$.age') FROM couch_docs WHERE id='ann'")
        assert ages.fetchall() == [("ann", 30)]
    finally:
        conn.close()


def test_a_look_up_by_id_reads_one_row(filled):
    for name in ("couch_docs", "couch_changes", "couch_attachments"):
        plan = filled.sql(f"EXPLAIN QUERY PLAN SELECT * FROM {name} WHERE id='ann'").rows
        assert "SEARCH docs USING INDEX docs_id" in plan[0][3]


@pytest.mark.parametrize(
    "query",
    [
        "DELETE FROM docs",
        "INSERT INTO local SELECT * FROM local RETURNING id",
        "UPDATE meta SET uuid='x'",
        "DROP VIEW couch_docs",
        "CREATE TEMP TABLE t(x)",
        "ATTACH 'other.db' AS other",
        "VACUUM INTO 'copy.db'",
        "VACUUM",
        "PRAGMA journal_mode=delete",
        "SELECT * FROM pragma_journal_mode",
        "BEGIN IMMEDIATE",
        "SAVEPOINT s",
        "REINDEX",
        "ANALYZE",
        "DETACH main",
    ],
)
@pytest.mark.parametrize("memory", [False, True])
def test_nothing_but_reading_is_allowed(tmp_path, monkeypatch, query, memory):
    monkeypatch.chdir(tmp_path)
    with Database(":memory:" if memory else "a.couchette") as db:
        db["a"] = {}
        with pytest.raises(Forbidden, match="only read"):
            db.sql(query)
        with db.transaction(), pytest.raises(Forbidden):
            db.sql(query)
        db["b"] = {}
        assert db.verify() == []
        assert len(db) == 2
    assert {path.name for path in tmp_path.iterdir()} <= {"a.couchette"}


def test_in_a_transaction_it_sees_what_that_wrote_and_ends_nothing(db):
    with db.transaction():
        db["a"] = {}
        assert len(db.sql("SELECT * FROM couch_docs")) == 1
        with pytest.raises(CouchetteError, match="reasonable amount of time"):
            db.sql(ENDLESS, timeout=0)
        db["b"] = {}
    assert list(db) == ["a", "b"]


@pytest.mark.parametrize(
    ("query", "reason", "hint"),
    [
        ("SELECT *\n  FRM couch_docs", 'near "FRM": syntax error', "line 2, column 3: 'FRM couch_docs'"),
        ("SELECT 'é', nope FROM couch_docs", "no such column: nope", "line 1, column 13: 'nope"),
        ("SELECT * FROM nope", "no such table: nope", "SELECT * FROM nope"),
        ("SELECT load_extension('x')", "not authorized to use function: load_extension", "column 8"),
        ("SELECT 1; SELECT 2", "more than one statement", "one by one"),
        (" -- nothing", "no statement", "nothing"),
        ("SELECT ?", "parameters do not fit", "uses 1"),
        ("SELECT '\ud800'", "Unicode", "surrogates"),
        (7, "SQL text", "7"),
    ],
)
def test_a_wrong_query_is_refused_with_its_place(db, query, reason, hint):
    with pytest.raises(QueryParseError, match=reason) as caught:
        db.sql(query)
    assert hint in caught.value.hint
    assert db.sql("SELECT 1").rows == [(1,)]


def test_values_and_parameters_that_do_not_fit_are_refused(db):
    with pytest.raises(TooLarge, match="value is too large"):
        db.sql("SELECT zeroblob(3000000000)")
    for params in ([object()], {"other": 1}, [2**70]):
        with pytest.raises(BadRequest, match="parameters do not fit"):
            db.sql("SELECT :a", params)


def test_too_many_rows_are_refused(filled):
    assert len(filled.sql("SELECT * FROM couch_docs", rows_max=3)) == 3
    with pytest.raises(TooLarge, match="more than 2 rows") as caught:
        filled.sql("SELECT * FROM couch_docs", rows_max=2)
    assert "LIMIT" in caught.value.hint


def test_a_query_ends_with_its_time_or_when_it_is_told(db):
    with pytest.raises(CouchetteError, match="reasonable amount of time") as caught:
        db.sql(ENDLESS, timeout=0)
    assert caught.value.error == "timeout"
    with pytest.raises(CouchetteError, match="cancelled") as caught:
        db.sql(ENDLESS, cancelled=lambda: True)
    assert caught.value.error == "cancelled"
    assert db.sql("SELECT 1", cancelled=lambda: True).rows == [(1,)]


@pytest.mark.anyio
async def test_it_is_awaited_and_ends_when_its_task_is_cancelled():
    async with AsyncDatabase() as db:
        await db.put({"_id": "a"})
        assert (await db.sql("SELECT id FROM couch_docs WHERE id=?", ["a"])).rows == [("a",)]
        with pytest.raises(QueryParseError):
            await db.sql("nonsense")
        with pytest.raises(CouchetteError, match="cancelled"):
            await db.sql(ENDLESS, cancelled=lambda: True)
        running = threading.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: db.sql(ENDLESS, cancelled=running.set))  # type: ignore[arg-type]
            while not running.is_set():
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert await db.get("a")
