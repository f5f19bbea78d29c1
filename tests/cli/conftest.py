"""Commands of the command line, run here or as a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from couchette import Database, Environment
from couchette.cli import main
from couchette.server import background

Process = subprocess.Popen


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Run a command in this process."""

    def run_here(*arguments: object) -> Ran:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Ran(code, out, err)

    return run_here


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Process[str]]]:
    """Start ``python -m couchette`` with its output in pipes; it is killed if the test leaves it running."""
    started: list[Process[str]] = []

    def start_process(*arguments: object, temporary: Path = tmp_path) -> Process[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "couchette", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            env=os.environ | {"TMPDIR": str(temporary), "PYTHONIOENCODING": "utf-8"},
        )
        started.append(process)
        return process

    yield start_process
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """The file of a database with three documents, one of them deleted."""
    path = tmp_path / "notes.couchette"
    with Database(path) as database:
        for doc_id in ("a", "b/ü", "c"):
            database[doc_id] = {"text": doc_id}
        del database["c"]
    return path


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    """A folder of databases that is served at ``served``."""
    with Environment(tmp_path / "served") as served:
        yield served


@pytest.fixture
def served(environment: Environment) -> Iterator[str]:
    """The URL where ``environment`` is served."""
    with background(environment) as url:
        yield url
