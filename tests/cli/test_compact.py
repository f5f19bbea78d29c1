"""``couchette compact``."""

from __future__ import annotations

import os
import re

from couchette import Database


def test_it_says_in_a_line_what_it_dropped_and_how_large_the_file_is(run, notes):
    with Database(notes) as db:
        rev = db.put_attachment("big", "x", os.urandom(2_000_000))["rev"]
        db.remove("big", rev)
        docs = db.all_docs(include_docs=True)
    ran = run("compact", notes)
    assert (ran.code, ran.err) == (0, "")
    line = r": dropped 2 superseded revisions and 1 unused attachment; 2\.\d MB are now \d+\.\d kB\.\n"
    assert re.fullmatch(re.escape(str(notes)) + line, ran.out)
    assert notes.stat().st_size < 200_000
    with Database(notes) as db:
        assert db.all_docs(include_docs=True) == docs


def test_a_missing_file_is_not_made(run, tmp_path):
    ran = run("compact", tmp_path / "none.couchette")
    assert (ran.code, ran.out) == (1, "")
    assert "There is no file" in ran.err
    assert list(tmp_path.iterdir()) == []
