"""The write-ahead log is moved beside a long write: seldom enough, one move at a time, and the log stays bounded."""

from __future__ import annotations

import threading
from pathlib import Path
from random import Random

import pytest

from couchette import Database
from couchette.errors import StoreError
from couchette.limits import LOG_MOVED_BYTES, PAGE_BYTES, WAL_PAGES
from couchette.log_mover import LogMover


class Moves:
    """Counts moves, each of which lasts until it is let go."""

    def __init__(self):
        self.begun = 0
        self.started = threading.Semaphore(0)
        self.may_end = threading.Semaphore(0)

    def __call__(self):
        self.begun += 1
        self.started.release()
        assert self.may_end.acquire(timeout=10)

    def await_begin(self):
        assert self.started.acquire(timeout=10)


def test_little_is_not_moved():
    moves = Moves()
    mover = LogMover(moves)
    mover.wrote(LOG_MOVED_BYTES - 1)
    mover.close()
    assert moves.begun == 0


def test_moves_have_a_commit_between_them_that_has_the_log_for_itself():
    moves = Moves()
    mover = LogMover(moves)
    mover.wrote(LOG_MOVED_BYTES)
    moves.await_begin()
    mover.wrote(LOG_MOVED_BYTES)  # It waits for the one that is under way.
    assert moves.begun == 1
    moves.may_end.release(2)
    assert mover._moving is not None
    mover._moving.result(10)
    mover.wrote(1)  # This commit may have met the move.
    assert moves.begun == 1
    mover.wrote(1)
    moves.await_begin()
    mover.close()
    assert moves.begun == 2


def test_close_waits_for_the_move_and_then_none_begins():
    moves = Moves()
    mover = LogMover(moves)
    mover.wrote(LOG_MOVED_BYTES)
    moves.await_begin()
    closing = threading.Thread(target=mover.close)
    closing.start()
    assert closing.is_alive()
    moves.may_end.release()
    closing.join(10)
    assert not closing.is_alive()
    mover.wrote(LOG_MOVED_BYTES)
    assert moves.begun == 1


def test_a_mistake_in_moving_is_raised():
    def move():
        raise ZeroDivisionError

    mover = LogMover(move)
    mover.wrote(LOG_MOVED_BYTES)
    assert mover._thread is not None
    mover._thread.shutdown()
    with pytest.raises(ZeroDivisionError):
        mover.wrote(1)


def pieces(megabytes):
    random = Random(megabytes)
    return [random.randbytes(1024 * 1024) for _ in range(megabytes)]


@pytest.mark.slow
def test_the_log_of_a_long_upload_is_moved_and_stays_bounded(tmp_path):
    content = pieces(96)
    with Database(tmp_path / "a.couchette") as db:
        db.put_attachment("d", "x", iter(content))
        log = Path(f"{db.path}-wal").stat().st_size
        with db.open_attachment("d", "x") as file:
            assert file.read() == b"".join(content)
        assert db.verify() == []
    # A move under way keeps the commits of a few portions from ending the log.
    assert log < 2 * WAL_PAGES * PAGE_BYTES
    assert [path.name for path in tmp_path.iterdir()] == ["a.couchette"]


def test_content_is_stored_though_the_log_cannot_be_moved(tmp_path, monkeypatch):
    """As where the disk fails a move: the commits are in the log, and stay there."""
    monkeypatch.setattr("couchette.log_mover.LOG_MOVED_BYTES", 1)
    content = pieces(10)
    with Database(tmp_path / "a.couchette") as db:
        opened = []
        db.info()  # There is a connection to read with.

        def fail(flags):
            opened.append(flags)
            raise StoreError("The disk fails.", "Here it is meant to.")

        monkeypatch.setattr(db._pool, "_open", fail)
        db.put_attachment("d", "x", iter(content))
        monkeypatch.undo()
        assert opened
        with db.open_attachment("d", "x") as file:
            assert file.read() == b"".join(content)
