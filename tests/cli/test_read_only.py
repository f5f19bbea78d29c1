"""Files and folders that may only be read, by commands that show what is in them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from couchette import Database
from couchette.errors import StoreError

NOBODY = 65534
COMMANDS = [["browse", "--no-open"], ["info"], ["verify"], ["dump"]]


@pytest.fixture
def folder(run) -> Iterator[Path]:
    """A folder of one file, both for reading only, and no rights that would make that void."""
    for command in COMMANDS:
        run(*command, "none.couchette")  # What they import may lie where only root may read.
    with tempfile.TemporaryDirectory() as name:
        path = Path(name)
        with Database(path / "notes.couchette") as db:
            db.put({"_id": "a"})
        (path / "notes.couchette").chmod(0o444)
        path.chmod(0o555)
        is_root = os.geteuid() == 0
        if is_root:
            os.seteuid(NOBODY)
        try:
            yield path
        finally:
            if is_root:
                os.seteuid(0)
            path.chmod(0o755)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_that_may_only_be_read_is_told_with_the_remedy(run, folder, command):
    ran = run(*command, folder / "notes.couchette")
    assert (ran.code, ran.out) == (1, "")
    told = " ".join(ran.err.split())
    assert "notes.couchette may only be read." in told
    assert "copy it to one where you may write, and open the copy." in told


def test_a_folder_that_may_only_be_read_is_told_with_the_remedy(run, folder):
    ran = run("browse", folder, "--no-open")
    assert (ran.code, ran.out) == (1, "")
    assert "give a folder where you may write." in " ".join(ran.err.split())


def test_a_file_in_a_folder_that_may_be_written_is_read(folder):
    path = folder / "notes.couchette"
    before = os.geteuid()
    os.seteuid(folder.stat().st_uid)
    folder.chmod(0o777)
    os.seteuid(before)
    with Database(path) as db:
        assert list(db) == ["a"]
        with pytest.raises(StoreError, match="may only be read"):
            db.put({"_id": "b"})
