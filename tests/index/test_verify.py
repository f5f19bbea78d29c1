"""``verify``: silent about indexes as they are written, and it finds each way in which one may be bent."""

from __future__ import annotations

import apsw
import pytest

from couchette import Database

SPATIAL = "function (doc) { if (doc.at) emit({type: 'Point', coordinates: doc.at}); }"


@pytest.fixture
def path(tmp_path):
    """A database with indexes of each kind, which have followed edits, deletions and a purge."""
    path = tmp_path / "some.couchette"
    with Database(path) as db:
        db.bulk_docs([{"_id": f"d{n:03}", "n": n, "at": [n, n], "text": "a" * 40 * n} for n in range(100)])
        db.put({"_id": "_design/space", "spatial": {"points": SPATIAL}})
        db.view("large", reduce="_count")(_by_number)
        db.text_index("texts", ["text", "n"])
        _ask(db)
        db.remove("d007", db.get("d007")["_rev"])
        db.purge({"d008": [db.get("d008")["_rev"]]})
        db.put({**db.get("d009"), "n": -9})
        _ask(db)
        assert db.verify() == []
    return path


def _by_number(doc):
    return [(doc["n"], doc["text"])] if "n" in doc else []


def _ask(db):
    db.create_index("n")
    db.query("large", limit=1)
    db.query("large", reduce=False)
    db.spatial("space/points", bbox=[0, 0, 9, 9])
    db.search("texts", "n:9")


def problems_after(path, *statements):
    conn = apsw.Connection(str(path))
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    number = {name.partition("_")[0]: name.split("_")[1] for name in tables if name[-1].isdigit()}
    for statement in statements:
        conn.execute(statement.format(num=number["reduction"], space=number["spatial"], text=number["text"]))
    conn.close()
    with Database(path) as db:
        return [problem["problem"] for problem in db.verify()]


BENT = {
    "a wrong count": ("DELETE FROM view_{num}_0 WHERE id='d001'", "The count of rows of view 0 of the index"),
    "no rows at all": ("DROP TABLE view_{num}_0", "The rows of view 0 of the index"),
    "an index that is not listed": ("DELETE FROM index_groups WHERE num={num}", "There are tables of an index {num}, "),
    "an index ahead of the database": (
        "UPDATE index_groups SET seq=9999 WHERE num={num}",
        "has followed more than there is: 9999",
    ),
    "rows of a deleted document": ("UPDATE view_{num}_0 SET id='d007' WHERE id='d001'", "which is not there."),
    "rows of a purged document": ("UPDATE view_{num}_0 SET id='d008' WHERE id='d001'", "which is not there."),
    "a value that is not there": ("DELETE FROM value_{num}", "there are values that are not there: "),
    "a partial result of nothing": (
        "INSERT INTO reduction_{num}_0 VALUES(1, x'ff', 'z', 0, NULL)",
        "there are partial results that begin at no row: 1.",
    ),
    "a document without terms": ("DELETE FROM text_{text} WHERE rowid=3", "there are documents without terms: 1."),
    "terms of no document": ("DELETE FROM text_{text}_doc WHERE num=3", "there are terms of no document: 1."),
    "a number of no document": (
        "INSERT INTO text_{text}_number VALUES('n', 1, 9999)",
        "there are numbers of no document: 1.",
    ),
    "a row that no R*Tree finds": (
        "DELETE FROM rtree_{space}_0_2 WHERE rid=1",
        "there are rows that no R*Tree finds: 1.",
    ),
    "an entry without a row": (
        "DELETE FROM spatial_{space}_0 WHERE rid=1",
        "there are entries of R*Trees without a row: 1.",
    ),
}


@pytest.mark.parametrize("name", BENT)
def test_what_is_bent_is_found(path, name):
    statement, problem = BENT[name]
    found = problems_after(path, statement)
    assert any(problem.partition("{")[0] in one for one in found), found


def test_an_index_that_is_behind_is_sound(path):
    with Database(path) as db:
        db.remove("d001", db.get("d001")["_rev"])
        db.purge({"d002": [db.get("d002")["_rev"]]})
        assert db.verify() == []


def test_a_page_that_cannot_be_read_keeps_no_other_problem_from_being_found(path):
    found = problems_after(path, "UPDATE index_groups SET seq=9999", "DROP TABLE value_{num}")
    assert any("SQLite cannot read on in index" in one for one in found), found
    assert sum("has followed more" in one for one in found) > 1
