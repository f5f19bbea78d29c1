"""The file: how it is made, and that another's is left alone."""

from __future__ import annotations

import hashlib
import io

import apsw
import pytest

from couchette import Database
from couchette.errors import NewerSchema, NotADatabase, StoreError
from couchette.store import schema


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def sqlite(path):
    return apsw.Connection(str(path))


def dumped(db):
    file = io.BytesIO()
    db.dump(file)
    return file.getvalue()


def test_a_new_file_is_marked_as_ours(tmp_path):
    path = tmp_path / "new.couchette"
    Database(path).close()
    conn = sqlite(path)
    assert conn.pragma("application_id") == schema.APPLICATION_ID
    assert conn.pragma("user_version") == len(schema.MIGRATIONS)
    conn.close()


def test_a_reopened_file_is_the_same_database(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        rev = db.put({"_id": "a", "x": 1})["rev"]
        before = db.info()
    with Database(path) as db:
        assert db.get("a") == {"_id": "a", "_rev": rev, "x": 1}
        assert {**db.info(), "sizes": 0} == {**before, "sizes": 0}


def test_a_copy_of_the_file_alone_is_a_backup(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.put_attachment("a", "x", b"y" * 1_000_000)
    copy = tmp_path / "copy.couchette"
    copy.write_bytes(path.read_bytes())
    with Database(copy) as db:
        assert db.get_attachment("a", "x").data == b"y" * 1_000_000


def test_an_empty_file_becomes_a_database(tmp_path):
    path = tmp_path / "empty"
    path.touch()
    with Database(path) as db:
        assert len(db) == 0


@pytest.mark.parametrize(
    "content", [b"xy", b"hello world\n" * 1000, b"\0" * 5000, b"SQLite format 3\0" + b"\xff" * 5000]
)
def test_a_file_that_is_no_sqlite_file_is_refused_and_not_touched(tmp_path, content):
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    with pytest.raises(NotADatabase, match="is not a couchette database") as caught:
        Database(path)
    assert str(path) in caught.value.reason
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("application_id", [0, 1234])
def test_another_programs_database_is_refused_and_not_touched(tmp_path, mode, application_id):
    path = tmp_path / "other.db"
    conn = sqlite(path)
    conn.pragma("journal_mode", mode)
    conn.pragma("application_id", application_id)
    conn.execute("CREATE TABLE theirs(x)")
    conn.close()
    before = digest(path)
    with pytest.raises(NotADatabase, match="is not a couchette database"):
        Database(path)
    assert digest(path) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_a_newer_couchette_is_refused_and_not_touched(tmp_path):
    path = tmp_path / "a.couchette"
    Database(path).close()
    conn = sqlite(path)
    conn.pragma("user_version", len(schema.MIGRATIONS) + 1)
    conn.close()
    before = digest(path)
    with pytest.raises(NewerSchema, match="schema version") as caught:
        Database(path)
    assert "pip install" in caught.value.hint
    assert digest(path) == before


def test_an_older_file_is_migrated_step_by_step_and_keeps_its_documents(tmp_path, monkeypatch):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.put({"_id": "a"})
    steps = [
        lambda conn: conn.execute("CREATE TABLE second(x)"),
        lambda conn: conn.execute("INSERT INTO second SELECT count(*) FROM docs"),
    ]
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, *steps])
    with Database(path) as db:
        assert list(db) == ["a"]
    conn = sqlite(path)
    assert conn.execute("SELECT x FROM second").fetchall() == [(1,)]
    assert conn.pragma("user_version") == len(schema.MIGRATIONS)
    conn.close()


def as_version(version, source, path):
    """Write what the file at ``source`` holds to ``path``, as a couchette of that schema version did."""
    conn = sqlite(path)
    for migration in schema.MIGRATIONS[:version]:
        migration(conn)
    conn.execute("ATTACH ? AS new", (str(source),))
    for (table,) in conn.execute("SELECT name FROM main.sqlite_schema WHERE type='table'").fetchall():
        columns = ", ".join(row[1] for row in conn.execute(f"PRAGMA main.table_info({table})"))
        conn.execute(f"DELETE FROM main.{table}")
        conn.execute(f"INSERT INTO main.{table}({columns}) SELECT {columns} FROM new.{table}")
    conn.execute("DETACH new")
    conn.pragma("application_id", schema.APPLICATION_ID)
    conn.pragma("user_version", version)
    conn.close()


@pytest.mark.slow
@pytest.mark.parametrize("version", range(1, len(schema.MIGRATIONS)))
def test_a_file_of_any_older_version_is_the_same_database_afterwards(version, tmp_path):
    path, old = tmp_path / "new.couchette", tmp_path / "old.couchette"
    with Database(path, revs_limit=3) as db:
        db.bulk_docs({"_id": f"{n}", "n": n} for n in range(5))
        db.bulk_docs([{"_id": "1", "_rev": "2-a"}, {"_id": "2", "_rev": "5-b", "_deleted": True}], new_edits=False)
        db.put_attachment("3", "x", b"y" * 300_000, rev=db["3"]["_rev"])
        db.put({"_id": "_local/a", "n": 2**70})
        del db["4"]
        before, info = dumped(db), db.info()
    as_version(version, path, old)
    with Database(old) as db:
        assert db.verify() == []
        assert dumped(db) == before
        assert {**db.info(), "db_name": "new", "sizes": 0} == {**info, "sizes": 0}
        assert [row["id"] for row in db.conflicts()] == ["1"]
        db.purge({"1": ["2-a"]})
        db.put_attachment("3", "z", b"y", rev=db["3"]["_rev"])
        assert db.compact()["bodies"] > 0
        assert db.verify() == []


def test_a_migration_that_fails_leaves_the_file_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.put({"_id": "a"})

    def fails(conn):
        conn.execute("CREATE TABLE second(x)")
        raise ZeroDivisionError

    migrations = list(schema.MIGRATIONS)
    monkeypatch.setattr(schema, "MIGRATIONS", [*migrations, fails])
    with pytest.raises(ZeroDivisionError):
        Database(path)
    monkeypatch.setattr(schema, "MIGRATIONS", migrations)
    with Database(path) as db:
        assert list(db) == ["a"]
    conn = sqlite(path)
    assert conn.execute("SELECT name FROM sqlite_schema WHERE name='second'").fetchall() == []
    conn.close()


def test_a_folder_and_a_missing_folder_are_no_database(tmp_path):
    with pytest.raises(StoreError, match="cannot be opened"):
        Database(tmp_path)
    with pytest.raises(StoreError, match="cannot be opened") as caught:
        Database(tmp_path / "missing" / "a.couchette")
    assert "does not exist" in caught.value.hint
    with pytest.raises(StoreError, match="must not be empty"):
        Database("")


def test_a_damaged_file_raises_our_error(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db.bulk_docs({"_id": f"{n:05}", "x": "y" * 500} for n in range(2000))
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xaa" * (len(content) - 8192)
    path.write_bytes(content)
    with Database(path) as db, pytest.raises(StoreError, match="SQLite refused"):
        db.all_docs(include_docs=True)
