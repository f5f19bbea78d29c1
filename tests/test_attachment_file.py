"""Attachments read as files: the same bytes from any place, plain or as stored, while the database goes on."""

from __future__ import annotations

import io
import shutil
from contextlib import closing
from pathlib import Path
from random import Random

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import AsyncDatabase, Database, attachment_file
from couchette.document.attachment import gzip
from couchette.errors import BadRequest, DatabaseClosed, NotFound
from couchette.limits import ATTACHMENT_CHUNK_BYTES, ATTACHMENT_HOP_BYTES
from couchette.store import content

DATA = Random(1).randbytes(2 * ATTACHMENT_CHUNK_BYTES + 1000)
KINDS = {"stored": "image/png", "packed": "text/plain"}


@pytest.fixture(scope="module")
def shared():
    """A database with the same bytes stored as they are and as gzip."""
    with Database() as db:
        for name, content_type in KINDS.items():
            db.put_attachment(name, "x", DATA, content_type)
        yield db


@pytest.fixture(params=KINDS)
def file(request, shared):
    return shared.open_attachment(request.param, "x")


def test_it_is_a_binary_file(file):
    assert file.readable()
    assert file.seekable()
    assert not file.writable()
    out = io.BytesIO()
    shutil.copyfileobj(file, out)
    assert out.getvalue() == DATA
    assert file.read() == b""
    file.seek(0)
    assert b"".join(file) == DATA


def test_it_says_what_the_document_says(shared):
    for name in KINDS:
        attachment = shared.open_attachment(name, "x").attachment
        assert attachment.stub() == shared.get(name)["_attachments"]["x"]
        assert attachment.data is None


PLACES = st.integers(0, len(DATA) + 10) | st.sampled_from([ATTACHMENT_CHUNK_BYTES, ATTACHMENT_CHUNK_BYTES - 1])


@given(st.sampled_from(sorted(KINDS)), st.lists(st.tuples(PLACES, st.integers(0, 3000)), max_size=5))
def test_any_part_can_be_read_in_any_order(shared, name, parts):
    file = shared.open_attachment(name, "x")
    for start, size in parts:
        assert b"".join(file.chunks(start, start + size)) == DATA[start : start + size]
        assert file.tell() == start + len(DATA[start : start + size])


def test_it_can_be_read_from_its_end(file):
    assert file.seek(-10, io.SEEK_END) == len(DATA) - 10
    assert file.read() == DATA[-10:]
    file.seek(-20, io.SEEK_CUR)
    assert file.read(5) == DATA[-20:-15]
    with pytest.raises((ValueError, OSError)):
        file.seek(-1)


def test_chunks_are_of_bounded_size(file):
    chunks = list(file.chunks())
    assert b"".join(chunks) == DATA
    assert max(map(len, chunks)) <= ATTACHMENT_HOP_BYTES
    assert list(file.chunks(5, 5)) == list(file.chunks(7, 5)) == []


def test_the_stored_bytes_can_be_read(shared):
    assert shared.open_attachment("packed", "x", encoded=True).read() == gzip(DATA)
    assert shared.open_attachment("stored", "x", encoded=True).read() == DATA


def test_an_empty_content_is_empty(db):
    db.put({"_id": "a", "_attachments": {"t": {"content_type": "text/plain", "data": b""}, "b": {"data": b""}}})
    assert db.open_attachment("a", "t").read() == db.open_attachment("a", "b").read() == b""


@pytest.mark.parametrize("data", [b"not gzip", b"", gzip(DATA)[:-20], gzip(DATA)[:5000]])
def test_what_was_wrongly_called_gzip_can_be_read_as_it_is_only(db, data):
    db.put_attachment("a", "x", data, encoding="gzip")
    assert db.open_attachment("a", "x", encoded=True).read() == data
    if data:
        with pytest.raises(BadRequest, match="marked as gzip but is not"):
            db.open_attachment("a", "x").read()


def test_there_must_be_such_an_attachment(db):
    db["a"] = {}
    for id, name in [("a", "x"), ("b", "x")]:
        with pytest.raises(NotFound):
            db.open_attachment(id, name)
    with pytest.raises(BadRequest):
        db.open_attachment("_local/a", "x")


def test_an_old_revision_can_be_opened(db):
    rev = db.put_attachment("a", "x", b"old")["rev"]
    db.put_attachment("a", "x", b"new", rev=rev)
    assert db.open_attachment("a", "x", rev=rev).read() == b"old"


def test_what_was_opened_stays_while_the_document_goes_on(db):
    rev = db.put_attachment("a", "x", DATA)["rev"]
    file = db.open_attachment("a", "x")
    assert file.read(10) == DATA[:10]
    db.put_attachment("a", "x", b"new", rev=rev)
    assert file.read() == DATA[10:]


def test_content_that_was_freed_is_an_error_and_never_another_content(db):
    rev = db.put_attachment("a", "x", DATA)["rev"]
    file = db.open_attachment("a", "x")
    assert file.read(10) == DATA[:10]
    db.remove("a", rev)
    db.compact()
    db.put_attachment("b", "x", DATA[::-1])  # It gets the key that is free again.
    file.seek(ATTACHMENT_CHUNK_BYTES)
    with pytest.raises(NotFound, match="Compaction freed it"):
        file.read(10)


def test_a_reader_holds_up_no_one(db):
    db.put_attachment("a", "x", DATA)
    file = db.open_attachment("a", "x")
    file.read(10)
    with Database(db.path) as other:
        other["b"] = {}
        assert other.compact()["attachments"] == 0
    db.close()
    with pytest.raises(DatabaseClosed):
        file.read()


def test_it_can_be_read_inside_a_transaction(db):
    with db.transaction():
        db.put_attachment("a", "x", DATA)
        assert db.open_attachment("a", "x").read() == DATA


@pytest.mark.anyio
async def test_it_can_be_awaited(shared):
    db = AsyncDatabase(shared)
    for name in KINDS:
        async with await db.open_attachment(name, "x") as file:
            assert file.attachment.name == "x"
            assert b"".join([chunk async for chunk in file]) == DATA
            assert b"".join([chunk async for chunk in file.chunks(10, 20)]) == DATA[10:20]
            assert await file.seek(5) == file.tell() == 5
            assert await file.read(5) == DATA[5:10]
            assert await file.read() == DATA[10:]
            async for chunk in file:
                assert chunk
                break


# -- Memory ---------------------------------------------------------------------------------------


@pytest.fixture
def logged(tmp_path, monkeypatch):
    """A database whose log cannot be moved, and holds an attachment of several times what may be cached."""
    monkeypatch.setattr(content, "ATTACHMENT_CACHED_BYTES", 2 * ATTACHMENT_CHUNK_BYTES)
    monkeypatch.setattr(attachment_file, "ATTACHMENT_CACHED_BYTES", 2 * ATTACHMENT_CHUNK_BYTES)
    with Database(tmp_path / "db.couchette") as db, closing(apsw.Connection(db.path)) as snapshot:
        snapshot.execute("BEGIN")
        assert snapshot.execute("SELECT count(*) FROM docs").get == 0
        db.put_attachment("large", "x", LARGE)
        yield db
        assert Path(f"{db.path}-wal").stat().st_size > len(LARGE)


LARGE = Random(2).randbytes(20 * ATTACHMENT_CHUNK_BYTES)


def cached_bytes(db):
    return sum(conn.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0] for conn in db._pool._idle)


def test_what_is_read_from_the_log_does_not_fill_the_page_cache(logged):
    with logged.open_attachment("large", "x") as file:
        read, cached = [], []
        while piece := file.read(ATTACHMENT_CHUNK_BYTES):
            read.append(piece)
            cached.append(cached_bytes(logged))
    assert b"".join(read) == LARGE
    assert max(cached) < 4 * ATTACHMENT_CHUNK_BYTES


def test_a_small_attachment_leaves_the_page_cache_alone(logged):
    logged.put_attachment("small", "x", DATA[:100])
    logged.get_attachment("large", "x")
    before = cached_bytes(logged)
    assert before > len(LARGE)
    assert logged.open_attachment("small", "x").read() == DATA[:100]
    assert cached_bytes(logged) >= before


def test_a_large_one_that_is_cached_is_read_from_there(logged):
    logged.get_attachment("large", "x")
    before = cached_bytes(logged)
    assert b"".join(logged.open_attachment("large", "x").chunks()) == LARGE
    assert cached_bytes(logged) >= before


def test_a_large_one_in_memory_stays_there(monkeypatch):
    monkeypatch.setattr(attachment_file, "ATTACHMENT_CACHED_BYTES", 0)
    monkeypatch.setattr(content, "ATTACHMENT_CACHED_BYTES", 0)
    with Database() as db:
        db.put_attachment("a", "x", DATA)
        assert db.open_attachment("a", "x").read() == DATA
        assert db.open_attachment("a", "x").read() == DATA
