"""``couchette info``."""

from __future__ import annotations

import json
import sqlite3

import pytest

from couchette import Database


def test_a_file_s_facts_are_a_table(run, notes):
    with Database(notes) as database:
        info = database.info()
    ran = run("info", notes)
    rows = dict(line.split(maxsplit=1) for line in ran.out.replace("update sequence", "sequence").splitlines())
    assert (ran.code, ran.err) == (0, "")
    assert rows["name"] == "notes"
    assert (rows["documents"], rows["deleted"]) == ("2", "1")
    assert (rows["sequence"], rows["uuid"]) == (info["update_seq"], info["uuid"])
    assert rows["size"].endswith(" kB")


def test_json_is_what_couchdb_would_answer(run, notes):
    told = json.loads(run("info", notes, "--json").out)
    with Database(notes) as database:
        assert told == database.info()


def test_a_database_behind_a_url_is_asked(run, environment, served):
    environment["far"]["x"] = {}
    ran = run("info", f"{served}/far")
    assert ran.code == 0
    assert "documents        1\n" in ran.out
    assert json.loads(run("info", f"{served}/far", "--json").out)["db_name"] == "far"


def test_a_missing_file_is_not_made(run, tmp_path):
    ran = run("info", tmp_path / "none.couchette")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"couchette: Database does not exist. There is no file {tmp_path / 'none.couchette'}.\n"
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_stays_empty(run, tmp_path):
    path = tmp_path / "empty"
    path.touch()
    ran = run("info", path)
    assert ran.code == 1
    assert "is not a couchette database. It is empty" in ran.err
    assert path.stat().st_size == 0


@pytest.mark.parametrize("kind", ["text", "sqlite", "folder"])
def test_what_is_no_database_is_named(run, tmp_path, kind):
    path = tmp_path / "thing"
    if kind == "text":
        path.write_text("Dear diary,\n" * 1000)
    elif kind == "sqlite":
        conn = sqlite3.connect(path)
        conn.execute("CREATE TABLE t(x)")
        conn.close()
    else:
        path.mkdir()
    ran = run("info", path)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"couchette: {path} ")
    assert len(ran.err.splitlines()) == 1


def test_a_url_without_a_database_says_so(run, served):
    assert "does not exist" in run("info", f"{served}/none").err
    assert "names a server, not a database" in run("info", served).err


def test_a_url_that_is_no_database_says_so(run, served, environment):
    environment["far"]["doc"] = {"_id": "doc"}
    ran = run("info", f"{served}/far/doc")
    assert ran.code == 1
    assert "does not answer as a CouchDB database" in ran.err
