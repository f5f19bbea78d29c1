"""``couchette dump`` and ``couchette load``."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

from couchette import Database


def test_a_dump_comes_back_as_the_same_database(run, notes, tmp_path):
    saved, new = tmp_path / "notes.dump", tmp_path / "new.couchette"
    ran = run("dump", notes, "-o", saved)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Dumped {notes} to {saved}, ")
    assert "3 documents in " in ran.out
    ran = run("load", saved, new)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Loaded {saved} to {new}: 3 documents in ")
    with Database(notes) as old, Database(new, name="notes") as restored:
        assert restored.info()["update_seq"] == old.info()["update_seq"]
        assert dict(restored) == dict(old)
    assert {path.name for path in tmp_path.iterdir()} == {notes.name, saved.name, new.name}


def test_standard_output_and_input_hold_nothing_but_the_dump(start, run, notes, tmp_path, monkeypatch):
    process = start("dump", notes)
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert [next(iter(json.loads(line))) for line in out.splitlines()][:2] == ["couchette_dump", "id"]
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(out.encode())))
    assert run("load", "-", tmp_path / "new").code == 0
    with Database(tmp_path / "new") as restored:
        assert list(restored) == ["a", "b/ü"]


def test_a_dump_that_fails_leaves_the_former_one(run, notes, tmp_path):
    saved = tmp_path / "notes.dump"
    run("dump", notes, "-o", saved)
    before = saved.read_bytes()
    assert run("dump", tmp_path / "none", "-o", saved).code == 1
    assert saved.read_bytes() == before


def test_a_dump_is_for_those_who_may_read_the_database(run, notes, tmp_path):
    saved = tmp_path / "notes.dump"
    notes.chmod(0o600)
    assert run("dump", notes, "-o", saved).code == 0
    assert stat.S_IMODE(saved.stat().st_mode) == 0o600


def test_where_it_cannot_be_written_is_named(run, notes, tmp_path):
    ran = run("dump", notes, "-o", tmp_path / "none" / "x")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith(f"couchette: The dump cannot be written to {tmp_path / 'none' / 'x'}. ")


def test_a_dump_that_is_missing_or_cut_makes_no_database(run, notes, tmp_path):
    ran = run("load", tmp_path / "none", tmp_path / "new")
    assert ran.code == 1
    assert ran.err.startswith(f"couchette: The dump {tmp_path / 'none'} cannot be read. ")
    run("dump", notes, "-o", tmp_path / "cut")
    text = (tmp_path / "cut").read_bytes()
    (tmp_path / "cut").write_bytes(text[: text.rindex(b"{")])
    ran = run("load", tmp_path / "cut", tmp_path / "new")
    assert ran.code == 1
    assert ran.err == "couchette: The dump is cut off. It ends after 8 lines, without its trailer.\n"
    assert not (tmp_path / "new").exists()


def test_a_file_that_is_there_is_not_replaced(run, notes, tmp_path):
    run("dump", notes, "-o", tmp_path / "saved")
    before = notes.read_bytes()
    ran = run("load", tmp_path / "saved", notes)
    assert ran.code == 1
    assert ran.err.startswith(f"couchette: {notes} exists already. ")
    assert notes.read_bytes() == before


def test_a_log_that_was_left_behind_is_not_written_over_what_is_loaded(run, notes, tmp_path):
    """A database was killed, and its file was moved away without its log: SQLite takes the log for the new file's."""
    run("dump", notes, "-o", tmp_path / "saved")
    new, log = tmp_path / "new", tmp_path / "new-wal"
    with Database(notes) as database:
        database["later"] = {}
        log.write_bytes(Path(f"{notes}-wal").read_bytes())
    ran = run("load", tmp_path / "saved", new)
    assert (ran.code, new.exists()) == (1, False)
    assert ran.err.startswith(f"couchette: {log} is there, ")
    log.unlink()
    assert run("load", tmp_path / "saved", new).code == 0
