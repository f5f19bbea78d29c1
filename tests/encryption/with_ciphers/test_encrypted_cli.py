"""The command line on encrypted files; the key comes from the environment or a file."""

from __future__ import annotations

import pytest

from couchette import Database
from couchette.cli import main


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path, key="secret") as db:
        for n in range(3):
            db[f"doc{n}"] = {"n": n}
    return path


@pytest.fixture
def key_file(tmp_path):
    file = tmp_path / "key"
    file.write_text("secret\n")
    return file


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    monkeypatch.delenv("COUCHETTE_KEY", raising=False)


@pytest.fixture(params=["variable", "file"])
def run(request, path, key_file, monkeypatch):
    """Run a command, with the key in one of the two places."""
    if request.param == "variable":
        monkeypatch.setenv("COUCHETTE_KEY", "secret")
        return lambda *arguments: main([str(argument) for argument in arguments])
    return lambda *arguments: main([*map(str, arguments), "--key-file", str(key_file)])


@pytest.mark.slow
def test_info_compact_and_verify(run, path, capsys):
    assert run("info", path) == 0
    assert "documents" in capsys.readouterr().out
    assert run("compact", path) == 0
    assert run("verify", path) == 0
    assert "is sound" in capsys.readouterr().out


def test_dump_and_load(run, path, tmp_path):
    assert run("dump", path, "-o", tmp_path / "dump") == 0
    assert run("load", tmp_path / "dump", tmp_path / "b.couchette") == 0
    with Database(tmp_path / "b.couchette", key="secret") as db:
        assert len(db) == 3


@pytest.mark.parametrize("command", ["info", "compact", "verify", "dump"])
def test_without_the_key_or_with_another_the_error_says_so(command, path, monkeypatch, capsys):
    assert main([command, str(path)]) == 1
    assert "is encrypted" in capsys.readouterr().err
    monkeypatch.setenv("COUCHETTE_KEY", "other")
    assert main([command, str(path)]) == 1
    assert "does not open" in capsys.readouterr().err


def test_replicate_between_files_with_one_key(path, tmp_path, monkeypatch):
    monkeypatch.setenv("COUCHETTE_KEY", "secret")
    target = tmp_path / "b.couchette"
    assert main(["replicate", str(path), str(target)]) == 0
    with Database(target, key="secret") as db:
        assert len(db) == 3


def test_replicate_to_a_file_in_clear_and_back(path, key_file, tmp_path):
    target = tmp_path / "b.couchette"
    assert main(["replicate", str(path), str(target), "--source-key-file", str(key_file)]) == 0
    with Database(target) as db:
        assert len(db) == 3
        db["back"] = {}
    assert main(["replicate", str(target), str(path), "--target-key-file", str(key_file)]) == 0
    with Database(path, key="secret") as db:
        assert "back" in db


def test_a_replication_that_fails_leaves_no_new_file(key_file, tmp_path, capsys):
    target = tmp_path / "b.couchette"
    arguments = ["replicate", str(tmp_path / "none"), str(target), "--target-key-file", str(key_file)]
    assert main(arguments) == 1
    assert "There is no file" in capsys.readouterr().err
    assert not target.exists()
