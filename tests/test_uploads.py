"""Attachments written as streams: all of it or nothing, stored once, and safe from compaction while they arrive."""

from __future__ import annotations

import io
import subprocess
import sys
from base64 import b64encode
from contextlib import contextmanager
from hashlib import md5
from random import Random

import anyio
import apsw
import pytest

from couchette import AsyncDatabase, Database, store, uploads
from couchette.document.attachment import gzip
from couchette.errors import BadRequest, Conflict, DigestMismatch, StoreError
from couchette.limits import ATTACHMENT_CHUNK_BYTES, ATTACHMENT_PORTION_CHUNKS
from couchette.uploads import Uploads

PORTION = ATTACHMENT_PORTION_CHUNKS * ATTACHMENT_CHUNK_BYTES
PIECES = [Random(n).randbytes(300_000) for n in range(10)]
DATA = b"".join(PIECES)
"""More than a portion, so that some of it goes ahead of its document."""

assert len(DATA) > PORTION


def digest(data):
    return "md5-" + b64encode(md5(data).digest()).decode()


@contextmanager
def opened(db):
    """The file, as another process has it."""
    conn = apsw.Connection(db.path)
    conn.set_busy_timeout(1000)
    try:
        yield conn
    finally:
        conn.close()


def held(db):
    """How many contents, chunks and marks there are."""
    with opened(db) as conn:
        return conn.execute(
            "SELECT (SELECT count(*) FROM att), (SELECT count(*) FROM att_chunk), (SELECT count(*) FROM upload)"
        ).fetchone()


def age_marks(db):
    """Let the uploads under way look as if nothing had come for long."""
    with opened(db) as conn:
        conn.execute("UPDATE upload SET touched=0")


def breaking(*pieces):
    yield from pieces
    raise ZeroDivisionError


async def slowly(pieces):
    for piece in pieces:
        await anyio.lowlevel.checkpoint()
        yield piece


# -- What may be written --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "source",
    [
        DATA,
        memoryview(DATA),
        pytest.param(lambda: io.BytesIO(DATA), id="file"),
        pytest.param(lambda: PIECES, id="list"),
        pytest.param(lambda: (bytearray(piece) for piece in PIECES), id="iterator"),
    ],
)
@pytest.mark.parametrize("content_type", ["image/png", "text/plain"])
def test_any_source_gives_the_attachment_that_its_bytes_would(db, source, content_type):
    data = source() if callable(source) else source
    written = db.put_attachment("a", "x", data, content_type, digest=digest(DATA), length=len(DATA))
    with Database() as other:
        whole = {"content_type": content_type, "data": DATA}
        assert other.put({"_id": "a", "_attachments": {"x": whole}}) == written
        assert other.get("a", att_encoding_info=True) == db.get("a", att_encoding_info=True)
    assert db.get_attachment("a", "x").data == DATA
    assert held(db)[2] == 0
    assert db.verify() == []


@pytest.mark.parametrize("size", [0, 1, ATTACHMENT_CHUNK_BYTES, PORTION - 1, PORTION, PORTION + 1])
def test_contents_around_the_bounds_come_back(db, size):
    data = bytes(range(251)) * (size // 251 + 1)
    db.put_attachment("a", "x", io.BytesIO(data[:size]))
    assert db.get_attachment("a", "x").data == data[:size]
    assert db.verify() == []


def test_a_database_in_memory_takes_streams_too():
    with Database() as db:

        def pieces():
            for piece in PIECES:
                yield piece
                db["beside"] = {}

        db.put_attachment("a", "x", pieces())
        assert db.open_attachment("a", "x").read() == DATA


def test_gzip_that_comes_as_gzip_is_stored_as_it_is(db):
    packed = gzip(DATA)
    db.put_attachment("a", "x", iter([packed]), "text/plain", encoding="gzip", digest=digest(packed))
    assert db.get_attachment("a", "x").data == DATA
    assert db.get_attachment("a", "x", encoded=True).data == packed


def test_a_document_may_bring_several_streams(db):
    rev = db.put_attachment("a", "kept", b"old")["rev"]
    members = {
        "one": {"content_type": "image/png", "data": iter(PIECES), "digest": digest(DATA), "length": len(DATA)},
        "kept": {"stub": True},
        "two": {"content_type": "text/plain", "data": io.BytesIO(b"hello")},
        "three": {"data": b"bytes"},
        "four": {"data": "aGVsbG8="},
    }
    doc = {"_id": "a", "_rev": rev, "_attachments": members}
    db.put(doc)
    found = {name: db.get_attachment("a", name).data for name in db.get("a")["_attachments"]}
    assert found == {"one": DATA, "kept": b"old", "two": b"hello", "three": b"bytes", "four": b"hello"}
    assert list(found) == list(members)
    assert db.get("a")["_attachments"]["two"]["content_type"] == "text/plain"


def test_a_replicated_revision_may_bring_a_stream(db):
    packed = gzip(DATA)
    member = {"content_type": "text/plain", "encoding": "gzip", "length": len(DATA), "revpos": 3}
    db.put({"_id": "a", "_rev": "3-a", "_attachments": {"x": {**member, "data": [packed]}}}, new_edits=False)
    shown = db.get("a", att_encoding_info=True)["_attachments"]["x"]
    assert (shown["length"], shown["encoded_length"], shown["revpos"]) == (len(DATA), len(packed), 3)


@pytest.mark.parametrize("data", [7, None, "text", {"a": 1}, [1, 2], io.StringIO("text"), ["text"]])
def test_what_is_no_source_of_bytes_is_refused(db, data):
    with pytest.raises(BadRequest, match="Invalid attachment data for x"):
        db.put_attachment("a", "x", data)
    assert held(db) == (0, 0, 0)


def test_an_asynchronous_source_needs_the_asynchronous_facade(db):
    with pytest.raises(BadRequest, match="Invalid attachment data for x"):
        db.put_attachment("a", "x", aiter(slowly([])))


# -- All or nothing -------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [PIECES, PIECES[:1]])
def test_a_source_that_raises_leaves_nothing(db, pieces):
    with pytest.raises(ZeroDivisionError):
        db.put_attachment("a", "x", breaking(*pieces))
    with pytest.raises(ZeroDivisionError):
        db.put({"_id": "a", "_attachments": {"x": {"data": iter(PIECES)}, "y": {"data": breaking(*pieces)}}})
    assert "a" not in db
    db.compact()
    assert held(db) == (0, 0, 0)
    assert db.verify() == []


@pytest.mark.parametrize("data", [b"new", "bmV3"])
def test_an_old_digest_beside_bytes_or_text_says_nothing(db, data):
    """A document that was read and got other content has it still; CouchDB does not look at it either."""
    rev = db.put({"_id": "a", "_attachments": {"x": {"content_type": "image/png", "data": b"old"}}})["rev"]
    doc = db.get("a", rev=rev, attachments=True)
    doc["_attachments"]["x"]["data"] = data
    db.put(doc)
    assert db.get_attachment("a", "x").data == b"new"


@pytest.mark.parametrize("announced", [{"digest": digest(b"other")}, {"length": 5}, {"length": len(DATA) + 1}])
def test_what_is_not_as_announced_leaves_nothing(db, announced):
    with pytest.raises(BadRequest) as caught:
        db.put_attachment("a", "x", iter(PIECES), **announced)
    assert isinstance(caught.value, DigestMismatch) == ("digest" in announced)
    assert "a" not in db
    assert held(db) == (0, 0, 0)


def test_nobody_sees_an_attachment_that_is_arriving(db):
    def pieces():
        for n, piece in enumerate(PIECES):
            yield piece
            assert "a" not in db
            db.put({"_id": f"beside {n}"})
            assert db.verify() == []

    db.put_attachment("a", "x", pieces())
    assert len(db) == 11


def test_a_conflict_is_told_before_anything_is_read(db):
    db.put({"_id": "a"})
    with pytest.raises(Conflict):
        db.put_attachment("a", "x", breaking())
    assert held(db) == (0, 0, 0)


def test_an_upload_whose_document_was_refused_is_forgotten(db):
    def pieces():
        yield from PIECES
        db.put({"_id": "a"})

    with pytest.raises(Conflict):
        db.put_attachment("a", "x", pieces())
    assert held(db)[2] == 0
    assert db.compact()["attachments"] == 1
    assert held(db) == (0, 0, 0)


def test_in_a_transaction_it_is_part_of_it(db):
    def work(db):
        db.put_attachment("a", "x", iter(PIECES))
        assert db.get_attachment("a", "x").data == DATA
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        db.transaction(work)
    assert held(db) == (0, 0, 0)
    with db.transaction():
        with pytest.raises(ZeroDivisionError):
            db.put_attachment("a", "x", breaking(*PIECES))
        db.put_attachment("b", "x", iter(PIECES))
    assert list(db) == ["b"]
    assert db.get_attachment("b", "x").data == DATA
    assert held(db) == (1, len(DATA) // ATTACHMENT_CHUNK_BYTES + 1, 0)


# -- Stored once ----------------------------------------------------------------------------------


def test_equal_content_is_stored_once(db):
    db.put_attachment("a", "x", iter(PIECES))
    before = held(db)
    db.put_attachment("b", "x", io.BytesIO(DATA))
    db.put({"_id": "c", "_attachments": {"x": {"data": DATA}}})
    assert held(db) == before


def test_uploads_of_equal_content_at_the_same_time_end_as_one(db):
    def pieces():
        yield from PIECES
        db.put_attachment("b", "x", iter(PIECES))

    db.put_attachment("a", "x", pieces())
    assert held(db)[0] == 1
    assert db.get_attachment("a", "x").data == db.get_attachment("b", "x").data == DATA


def test_equal_content_that_comes_while_it_is_compared_is_found_too(db, monkeypatch):
    settlings = []
    write = db._pool.write

    def write_later(op, *args, **kwargs):
        if op is store.settle:
            settlings.append(args)
        if len(settlings) == 1 and op is store.settle:
            with Database(db.path) as other:
                other.put({"_id": "b", "_attachments": {"x": {"data": DATA}}})
        return write(op, *args, **kwargs)

    monkeypatch.setattr(db._pool, "write", write_later)
    db.put_attachment("a", "x", iter(PIECES))
    assert len(settlings) == 2
    assert held(db)[0] == 1


def test_another_content_with_the_same_digest_is_kept_apart(db):
    db.put_attachment("a", "x", iter(PIECES))
    with opened(db) as conn:
        conn.execute("UPDATE att_chunk SET data=zeroblob(length(data)) WHERE n=3")
    db.put_attachment("b", "x", iter(PIECES))
    assert held(db)[0] == 2
    assert db.get_attachment("b", "x").data == DATA


# -- Compaction beside it, and interruptions ------------------------------------------------------


def test_compaction_leaves_an_upload_alone(db):
    def pieces():
        for piece in PIECES:
            yield piece
            with Database(db.path) as other:
                assert other.compact()["attachments"] == 0

    db.put_attachment("a", "x", pieces())
    assert db.get_attachment("a", "x").data == DATA


def test_compaction_leaves_content_alone_that_an_upload_was_found_equal_to(db):
    rev = db.put_attachment("a", "x", iter(PIECES))["rev"]
    db.remove("a", rev)
    with Uploads(db._pool) as taking:
        received = taking.take("x", iter(PIECES))
        db.compact()
        db.put({"_id": "b", "_attachments": {"x": {"data": received}}})
    assert db.get_attachment("b", "x").data == DATA
    assert db.verify() == []


def test_an_upload_that_was_idle_for_long_is_freed_and_fails_when_it_goes_on(db):
    def pieces():
        yield from PIECES
        age_marks(db)
        assert db.compact()["attachments"] == 1
        yield from PIECES

    with pytest.raises(StoreError, match="not there any more"):
        db.put_attachment("a", "x", pieces())
    assert held(db) == (0, 0, 0)
    assert db.verify() == []


def test_a_slow_upload_says_that_it_lives(db, monkeypatch):
    monkeypatch.setattr(uploads, "UPLOAD_TOUCH_S", -1)

    def pieces():
        yield from PIECES
        age_marks(db)
        yield b"."
        with opened(db) as conn:
            assert conn.execute("SELECT touched FROM upload").get > 0

    db.put_attachment("a", "x", pieces())
    assert db.get_attachment("a", "x").data == DATA + b"."


CHILD = """
import sys
from couchette import Database

def pieces():
    for n in range(10):
        yield bytes([n]) * 300_000
    print("under way", flush=True)
    sys.stdin.read()

with Database(sys.argv[1]) as db:
    db.put_attachment("a", "x", pieces())
"""


@pytest.mark.slow
def test_what_a_killed_process_had_uploaded_is_freed(db):
    command = [sys.executable, "-c", CHILD, db.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"under way\n"
        process.kill()
    assert "a" not in db
    assert db.verify() == []
    dumped = io.BytesIO()
    assert db.dump(dumped)["attachments"] == 0
    assert db.compact()["attachments"] == 0
    age_marks(db)
    assert db.compact()["attachments"] == 1
    assert held(db) == (0, 0, 0)


def test_an_upload_belongs_to_one_document_of_one_database(db, tmp_path):
    with Uploads(db._pool) as taking:
        received = taking.take("x", iter(PIECES))
        doc = {"_id": "a", "_attachments": {"x": {"data": received}}}
        with Database(tmp_path / "other.couchette") as other, pytest.raises(StoreError, match="not there any more"):
            other.put(doc)
        db.put(doc)
        with pytest.raises(StoreError, match="adopted by another document"):
            db.put({**doc, "_id": "b"})
    assert list(db) == ["a"]


def test_an_upload_can_be_tried_again_after_a_write_that_failed(db):
    with Uploads(db._pool) as taking:
        members = {"x": {"data": taking.take("x", iter(PIECES))}, "y": {"data": "!"}}
        with pytest.raises(BadRequest):
            db.put({"_id": "a", "_attachments": members})
        del members["y"]
        db.put({"_id": "a", "_attachments": members})
    assert db.get_attachment("a", "x").data == DATA


# -- Asynchronous sources -------------------------------------------------------------------------


@pytest.mark.anyio
async def test_an_asynchronous_source_is_awaited(db, tmp_path):
    (tmp_path / "data").write_bytes(DATA)
    shared = AsyncDatabase(db)
    await shared.put_attachment("a", "x", slowly(PIECES), digest=digest(DATA), length=len(DATA))
    async with await anyio.open_file(tmp_path / "data", "rb") as file:
        await shared.put_attachment("b", "x", file)
    await shared.put_attachment("c", "x", iter(PIECES))
    members = {"x": {"data": slowly(PIECES)}, "y": {"content_type": "text/plain", "data": slowly([b"hel", b"lo"])}}
    await shared.put({"_id": "d", "_attachments": members})
    assert [db.get_attachment(id, "x").data == DATA for id in "abcd"] == [True] * 4
    assert db.get_attachment("d", "y").data == b"hello"
    assert held(db)[::2] == (2, 0)


@pytest.mark.anyio
async def test_an_asynchronous_source_that_is_cancelled_or_wrong_leaves_nothing(db):
    async def pieces():
        for piece in PIECES:
            yield piece
        scope.cancel()
        await anyio.sleep_forever()

    source = pieces()
    with anyio.CancelScope() as scope:
        await AsyncDatabase(db).put_attachment("a", "x", source)
    await source.aclose()
    assert scope.cancelled_caught
    with pytest.raises(BadRequest, match="it must give bytes"):
        await AsyncDatabase(db).put_attachment("a", "x", slowly([*PIECES, 7]))
    with pytest.raises(DigestMismatch):
        await AsyncDatabase(db).put_attachment("a", "x", slowly(PIECES), digest=digest(b""))
    assert "a" not in db
    assert held(db) == (0, 0, 0)


# -- Memory ---------------------------------------------------------------------------------------


MEASURED = """
import sys, tracemalloc
import apsw
from couchette import Database

piece = bytes(1024 * 1024)

def pieces():
    for n in range(48):
        yield n.to_bytes(8, "big") + piece[8:]

with Database(sys.argv[1]) as db:
    db.put_attachment("small", "x", b"")
    snapshot = apsw.Connection(db.path)
    snapshot.execute("BEGIN")
    assert snapshot.execute("SELECT count(*) FROM docs").get == 1
    apsw.memory_high_water(True)
    before = apsw.memory_used()
    tracemalloc.start()
    db.put_attachment("a", "x", pieces())
    print(apsw.memory_high_water(True) - before)
    assert sum(map(len, db.open_attachment("a", "x").chunks())) == 48 * len(piece)
    print(apsw.memory_high_water(True) - before)
    db.put_attachment("b", "x", pieces())
    print(apsw.memory_high_water() - before)
    snapshot.close()
print(tracemalloc.get_traced_memory()[1])
"""
"""SQLite counts the memory of the whole process, so nothing else may run in it. A snapshot keeps all of it in the log,
which is read by way of the page cache; otherwise the disk would decide how much of it lies there."""


@pytest.mark.slow
def test_memory_stays_small_whatever_the_size(db):
    db.close()
    command = [sys.executable, "-c", MEASURED, db.path]
    printed = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    written, read, compared, in_python = map(int, printed.split())
    assert written < 24 * 1024 * 1024
    assert read < 24 * 1024 * 1024
    assert compared < 24 * 1024 * 1024
    assert in_python < 12 * 1024 * 1024


@pytest.mark.anyio
@pytest.mark.parametrize("error", [anyio.BrokenResourceError, ValueError])
async def test_what_an_asynchronous_source_raises_is_raised_and_leaves_nothing(db, error):
    async def pieces():
        for piece in PIECES:
            yield piece
        raise error("the source broke")

    with pytest.raises(error, match="the source broke"):
        await AsyncDatabase(db).put_attachment("a", "x", pieces())
    assert "a" not in db
    assert held(db)[::2] == (0, 0)
