"""Databases in the child of a fork: nothing is lost, nothing hangs. Each test forks a process of its own."""

from __future__ import annotations

import subprocess
import sys

import pytest

from couchette import Database

BEGIN = """
import os, sys, threading
from couchette import Database
from couchette.errors import CouchetteError, DatabaseClosed, StoreError

path = sys.argv[1]
db = Database(path)
db.put({"_id": "a"})
db.get("a", revs=True)

def child(work):
    # The child says what it met; a child that hangs is ended by its alarm, and says nothing.
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        import signal
        signal.alarm(20)
        try:
            print(work())
        except CouchetteError as exc:
            print(type(exc).__name__, exc)
        finally:
            sys.stdout.flush()
            os._exit(0)
    return pid
"""


def run(path, program):
    """The lines that a program prints, and its children."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", BEGIN + program, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode == 0
    return done.stdout.splitlines()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.couchette"


def test_a_database_is_closed_in_the_child_and_stays_open_in_the_parent(path):
    lines = run(
        path,
        """
os.waitpid(child(lambda: db.put({"_id": "b"})), 0)
os.waitpid(child(lambda: db.get("a")), 0)
os.waitpid(child(lambda: db.close()), 0)
print(db.put({"_id": "c"})["id"])
""",
    )
    assert [line.split()[0] for line in lines] == ["DatabaseClosed", "DatabaseClosed", "None", "c"]
    assert "open it again here" in lines[0]


def test_what_a_child_writes_after_opening_again_is_not_lost_when_the_parent_closes(path):
    lines = run(
        path,
        """
ready, go = os.pipe()
def write():
    os.read(ready, 1)
    with Database(path) as again:
        return [again.put({"_id": f"child{n}"})["ok"] for n in range(20)].count(True)
pid = child(write)
db.close()
db = Database(path)
os.write(go, b"x")
for n in range(10):
    db.put({"_id": f"parent{n}"})
db.close()
os.waitpid(pid, 0)
""",
    )
    assert lines == ["20"]
    with Database(path) as db:
        assert len(db) == 31
        assert db.verify() == []


def test_a_child_of_a_process_whose_other_thread_was_writing_is_told_and_does_not_hang(path):
    lines = run(
        path,
        """
inside, leave = threading.Event(), threading.Event()
def hold():
    with db.transaction():
        db.put({"_id": "b"})
        inside.set()
        leave.wait()
other = Database(path + "2")
thread = threading.Thread(target=hold)
thread.start()
inside.wait()
for work in (lambda: db.put({"_id": "c"}), lambda: db.get("a"), lambda: Database(path), lambda: other.put({}),
             lambda: Database(path + "2"), lambda: Database(path + "3").put({"_id": "new"})["id"]):
    os.waitpid(child(work), 0)
leave.set()
thread.join()
print(sorted(db))
""",
    )
    assert [line.split()[0] for line in lines[:-2]] == ["DatabaseClosed"] * 2 + [
        "StoreError",
        "DatabaseClosed",
        "StoreError",
    ]
    assert "spawn" in lines[2]
    assert lines[-2:] == ["new", "['a', 'b']"]


def test_a_child_forked_within_a_transaction_cannot_commit_it(path):
    lines = run(
        path,
        """
try:
    with db.transaction():
        db.put({"_id": "b"})
        sys.stdout.flush()
        pid = os.fork()
except DatabaseClosed as exc:
    print("child", exc)
    sys.stdout.flush()
    os._exit(0)
os.waitpid(pid, 0)
print(sorted(db), db.verify())
""",
    )
    assert lines[0].startswith("child The database")
    assert lines[1:] == ["['a', 'b'] []"]


def test_a_database_in_memory_goes_on_in_both(path):
    lines = run(
        path,
        """
memory = Database(":memory:")
memory.put({"_id": "x"})
os.waitpid(child(lambda: (memory.put({"_id": "y"})["id"], len(memory))), 0)
print(len(memory))
""",
    )
    assert lines == ["('y', 2)", "1"]
