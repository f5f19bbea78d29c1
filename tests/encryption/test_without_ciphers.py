"""With apsw as everyone has it, a key is refused at once; and with the other build the tests beside this file hold."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from couchette import AsyncDatabase, Database, Environment, load
from couchette.cli import main
from couchette.errors import MissingExtra, StoreError, WrongKey

CIPHERS = Path(sys.prefix, "ciphers")
HEADER = bytes(range(16)) + b"\x20\x00\x02\x02\x20\x40\x20\x20"


@pytest.mark.parametrize("opening", [Database, AsyncDatabase, Environment, lambda path, key: load([], path, key=key)])
@pytest.mark.parametrize("key", ["secret", b"secret"])
def test_a_key_is_refused_and_nothing_is_written(opening, key, tmp_path):
    path = tmp_path / "a"
    with pytest.raises(MissingExtra, match="cannot encrypt") as caught:
        opening(path, key=key)
    assert "pip uninstall apsw; pip install apsw-sqlite3mc" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_clear_is_left_alone_by_a_key(tmp_path):
    path = tmp_path / "a.couchette"
    with Database(path) as db:
        db["a"] = {}
    before = path.read_bytes()
    with pytest.raises(MissingExtra):
        Database(path, key="secret")
    assert path.read_bytes() == before


@pytest.mark.parametrize("key", ["", b"", 7, ["k"]])
def test_what_is_no_key_is_refused(key, tmp_path):
    with pytest.raises(StoreError, match="must be a text or bytes"):
        Database(tmp_path / "a", key=key)
    assert list(tmp_path.iterdir()) == []


def test_an_encrypted_file_is_recognised_and_the_error_says_what_it_needs(tmp_path):
    path = tmp_path / "a.couchette"
    path.write_bytes(HEADER + b"\xa5" * 8168)
    with pytest.raises(WrongKey, match="is encrypted") as caught:
        Database(path)
    assert "key=" in caught.value.hint
    assert "apsw-sqlite3mc" in caught.value.hint
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("command", ["info", "compact", "verify", "dump", "serve"])
def test_the_command_line_takes_no_key_either(command, tmp_path, monkeypatch, capsys):
    path = tmp_path / "a.couchette"
    Database(path).close()
    monkeypatch.setenv("COUCHETTE_KEY", "secret")
    assert main([command, str(path)]) == 1
    assert "apsw-sqlite3mc" in capsys.readouterr().err


@pytest.mark.parametrize(("content", "problem"), [(None, "cannot be read"), ("\n", "is empty")])
def test_a_key_file_without_a_key_is_wrong_usage(content, problem, tmp_path, capsys):
    path, key_file = tmp_path / "a.couchette", tmp_path / "key"
    Database(path).close()
    if content is not None:
        key_file.write_text(content)
    assert main(["info", str(path), "--key-file", str(key_file)]) == 2
    assert problem in capsys.readouterr().err


@pytest.mark.slow
def test_everything_holds_with_the_build_that_has_ciphers():
    """Runs the folder ``with_ciphers`` in a process whose ``apsw`` is that build."""
    if not CIPHERS.is_dir():
        pytest.fail(f"{CIPHERS} is missing; run ./tools/test, which installs it.")
    tests = Path(__file__).with_name("with_ciphers")
    # Not a worker of the run around it, and its options do not reach it.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(tests)],
        cwd=Path(__file__).parents[2],
        env=inherited | {"PYTHONPATH": str(CIPHERS)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
