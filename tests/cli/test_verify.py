"""``couchette verify``, and what it has in common with ``couchette info``: they change nothing."""

from __future__ import annotations

import sqlite3

import pytest

from couchette.store import schema


def test_a_sound_file_is_said_to_be_sound(run, notes):
    ran = run("verify", notes)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{notes} is sound: 3 documents, deleted ones included, and all attachments were checked.\n"


def test_each_problem_is_a_line_and_the_exit_code_tells(run, notes):
    conn = sqlite3.connect(notes)
    conn.execute("UPDATE docs SET body='[]' WHERE id='a'")
    conn.execute("UPDATE meta SET doc_count=7")
    conn.commit()
    conn.close()
    ran = run("verify", notes)
    count, body, end = ran.out.splitlines()
    assert (ran.code, ran.err) == (1, "")
    assert count == "The count of documents is 7, but there are 2."
    assert body.startswith("a 1-")
    assert body.endswith(": The body is not an object.")
    assert end == f"{notes} is damaged: 2 problems in 8 documents. Nothing was changed."


def test_a_missing_file_is_not_made(run, tmp_path):
    ran = run("verify", tmp_path / "none")
    assert (ran.code, ran.out) == (1, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["verify", "info"])
def test_a_file_of_an_older_couchette_stays_as_it_is(run, notes, monkeypatch, command):
    later = [lambda conn: conn.execute("CREATE TABLE later(x)"), lambda conn: conn.execute("SELECT x FROM later")]
    monkeypatch.setattr(schema, "MIGRATIONS", [*schema.MIGRATIONS, *later])
    before = notes.read_bytes()
    ran = run(command, notes)
    assert (ran.code, ran.err) == (0, "")
    assert notes.read_bytes() == before
    assert [path.name for path in notes.parent.iterdir() if path.name.startswith(notes.name)] == [notes.name]


@pytest.mark.parametrize("command", ["verify", "info"])
def test_a_file_that_is_no_database_is_named(run, tmp_path, command):
    (tmp_path / "text").write_text("text " * 1000)
    ran = run(command, tmp_path / "text")
    assert (ran.code, ran.out) == (1, "")
    assert "is not a couchette database" in ran.err
    assert (tmp_path / "text").read_text() == "text " * 1000
