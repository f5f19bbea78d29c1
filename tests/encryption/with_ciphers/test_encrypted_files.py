"""Encrypted files: nothing of them can be read without the key, everything works with it."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from couchette import AsyncDatabase, Database, Environment, load
from couchette.errors import DatabaseNotFound, NotADatabase, StoreError, WrongKey

KEY = "Schlüssel '\"; --"
MARKS = [b"known-id", b"known-member", b"known-value", b"known-content", b"known-name", b"known-local"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.couchette"


def fill(db):
    """Documents, ancestors, a branch, attachments and _local documents with recognisable words in them."""
    rev = db.put({"_id": "known-id", "known-member": "known-value" * 100})["rev"]
    db.put_attachment("known-id", "known-name", b"known-content" * 50_000, "image/png", rev=rev)
    db.bulk_docs([{"_id": "known-id", "_rev": "2-abc", "known-member": 1}], new_edits=False)
    db.bulk_docs({"_id": f"known-id-{n}", "known-member": "known-value"} for n in range(300))
    db.put({"_id": "_local/known-local"})


def found_in(folder):
    """The marks that can be read in any file of the folder."""
    contents = [file.read_bytes() for file in folder.iterdir()]
    return [mark for mark in MARKS if any(mark in content for content in contents)]


def dumped(db):
    file = io.BytesIO()
    db.dump(file)
    return file.getvalue()


@pytest.mark.parametrize("key", [None, KEY])
def test_only_without_a_key_can_the_content_be_found_in_the_files(path, key):
    with Database(path, key=key) as db:
        fill(db)
        assert {file.name for file in path.parent.iterdir()} == {path.name, f"{path.name}-wal", f"{path.name}-shm"}
        assert found_in(path.parent) == ([] if key else MARKS)
        assert [b"SQLite format 3" in file.read_bytes() for file in (path,)] == [not key]
        db.compact()
        assert found_in(path.parent) == ([] if key else MARKS)
    assert list(path.parent.iterdir()) == [path]
    assert found_in(path.parent) == ([] if key else MARKS)


@pytest.mark.parametrize(
    "key", [KEY, b"\0\xff'\"", b"x" * 1000, "raw:" + "5a" * 32], ids=["text", "bytes", "long", "raw"]
)
def test_what_was_written_is_there_with_the_same_key_only(path, key):
    with Database(path, key=key) as db:
        fill(db)
        before = dumped(db)
    same = key.encode() if isinstance(key, str) else bytes(key)
    with Database(path, key=same) as db:
        assert dumped(db) == before
        assert db.verify() == []
    other = same[:-1] + b"\1"
    content = path.read_bytes()
    for wrong in (other, "another", None):
        with pytest.raises(WrongKey, match="does not open" if wrong else "is encrypted") as caught:
            Database(path, key=wrong)
        assert (caught.value.status, caught.value.error) == (500, "wrong_key")
        assert caught.value.hint
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == content


def test_a_key_for_a_file_in_clear_is_an_error_and_changes_nothing(path):
    with Database(path) as db:
        fill(db)
    content = path.read_bytes()
    with pytest.raises(WrongKey, match="is not encrypted"):
        Database(path, key=KEY)
    assert list(path.parent.iterdir()) == [path]
    assert path.read_bytes() == content


def test_a_file_that_is_no_database_is_still_called_so(path):
    path.write_bytes(b"hello world\n" * 1000)
    with pytest.raises(NotADatabase):
        Database(path)
    with pytest.raises(WrongKey, match="does not open"):
        Database(path, key=KEY)
    assert path.read_bytes() == b"hello world\n" * 1000


def test_a_database_in_memory_has_no_key():
    with pytest.raises(StoreError, match="in memory"):
        Database(key=KEY)


@pytest.mark.slow
def test_every_reader_knows_the_key(path):
    with Database(path, key=KEY) as db:
        fill(db)
        gate = threading.Barrier(12)

        def reads(conn):
            gate.wait()
            return conn.execute("SELECT count(*) FROM docs WHERE cur=1").get

        with ThreadPoolExecutor(12) as executor:
            assert list(executor.map(lambda _: db._pool.read(reads), range(12))) == [301] * 12
        assert len(db._pool._idle) == 12


def test_the_log_of_a_process_that_died_is_read_with_the_key(path, tmp_path_factory):
    """Copied while it is open, file and log are what a crash leaves."""
    left = tmp_path_factory.mktemp("left")
    with Database(path, key=KEY) as db:
        fill(db)
        for file in path.parent.iterdir():
            if not file.name.endswith("-shm"):
                shutil.copy(file, left)
        before = dumped(db)
    with Database(left / path.name, key=KEY) as db:
        assert dumped(db) == before
        assert db.verify() == []


TRY_LOCK = """if True:
    import fcntl, sys
    with open(sys.argv[1], "r+b") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 510, 0x40000002)  # SQLite's shared bytes
"""


@pytest.mark.parametrize("key", ["wrong", None])
def test_a_failed_opening_leaves_the_locks_of_this_process_in_place(path, key):
    """To open and close a file drops all locks of the process on it (POSIX), unless SQLite does it."""
    with Database(path, key=KEY) as db:
        fill(db)
        with pytest.raises(WrongKey):
            Database(path, key=key)
        tried = subprocess.run([sys.executable, "-c", TRY_LOCK, path], stderr=subprocess.PIPE)
        assert b"BlockingIOError" in tried.stderr


def test_a_damaged_page_is_an_error(path):
    with Database(path, key=KEY) as db:
        fill(db)
    content = bytearray(path.read_bytes())
    content[8192:] = bytes(len(content) - 8192)
    path.write_bytes(content)
    with Database(path, key=KEY) as db, pytest.raises(StoreError, match="SQLite refused"):
        db.all_docs(include_docs=True)


def test_a_dump_is_loaded_with_another_key_or_none(path):
    with Database(path, key=KEY) as db:
        fill(db)
        lines = dumped(db)
    for name, key in [("other", b"other"), ("clear", None)]:
        copy = path.with_name(name)
        load(io.BytesIO(lines), copy, key=key)
        with Database(copy, key=key) as db:
            assert dumped(db) == lines


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_the_asynchronous_form_takes_a_key(path, anyio_backend):
    async with AsyncDatabase(path, key=KEY) as db:
        await db.put({"_id": "a"})
    with Database(path, key=KEY) as again:
        assert list(again) == ["a"]


@pytest.mark.slow
def test_an_environment_has_one_key_for_its_databases(tmp_path):
    with Environment(tmp_path, key=KEY) as env:
        fill(env["one"])
        fill(env["two"])
    assert found_in(tmp_path) == []
    with Environment(tmp_path, key=KEY) as env:
        assert [len(env[name]) for name in env] == [301, 301]
    with Environment(tmp_path) as env:
        with pytest.raises(WrongKey):
            env["one"]
        with pytest.raises(DatabaseNotFound):
            env.open("three")


def test_an_encrypted_database_replicates(path):
    with Database(path, key=KEY) as db, Database(path.with_name("b"), key="other") as other:
        fill(db)
        assert db.sync(other).ok
        assert list(other) == list(db)
    assert found_in(path.parent) == []
