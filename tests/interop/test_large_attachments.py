"""Attachments that are larger than the memory which may be used for them, between processes."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.replication_children import noise, peak_mib
from couchette import Database, Environment
from tests.interop.conftest import HttpDatabase
from tests.interop.servers import CouchetteServer

pytestmark = pytest.mark.interop


@dataclass
class Amount:
    attachments: int
    size: int
    growth_max_mib: float
    """What all but the first may add to the memory that the first took: fewer bytes than they have."""
    served_max_mib: float
    """What all of them may add to the memory of a server that took or gave none before: fewer bytes than they have."""


@pytest.fixture
def amount(request: pytest.FixtureRequest) -> Amount:
    return Amount(10, 20_000_000, 48, 64) if request.config.getoption("--long") else Amount(2, 18_000_000, 12, 32)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[CouchetteServer]:
    server = CouchetteServer(tmp_path / "server")
    with server:
        yield server


def fill_large(db: Database, amount: Amount) -> None:
    for number in range(amount.attachments):
        db.put_attachment(f"{number}", "a b", noise(amount.size + number))


def growth_mib(source: str, target: str) -> float:
    """By how much a process's memory grows that replicates them."""
    command = [sys.executable, "-m", "benchmarks.replication_children", "growth", source, target]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)


def assert_there(db: Database, amount: Amount) -> None:
    assert len(db) == amount.attachments
    for number in range(amount.attachments):
        there, meant = hashlib.md5(), hashlib.md5()
        for chunk in db.open_attachment(f"{number}", "a b").chunks():
            there.update(chunk)
        for piece in noise(amount.size + number):
            meant.update(piece)
        assert there.digest() == meant.digest()


def test_a_pull_from_our_server_takes_little_memory_on_either_side(tmp_path: Path, amount: Amount):
    server = CouchetteServer(tmp_path / "server")
    with Environment(server.folder / "databases") as environment:
        fill_large(environment["db"], amount)
    with server:
        before = peak_mib(server.pid)
        assert growth_mib(f"{server.url}/db", str(tmp_path / "pulled")) < amount.growth_max_mib
        assert peak_mib(server.pid) - before < amount.served_max_mib
    with Database(tmp_path / "pulled") as db:
        assert_there(db, amount)


def test_a_push_to_our_server_takes_little_memory_on_either_side(
    tmp_path: Path, db: Database, server: CouchetteServer, amount: Amount
):
    fill_large(db, amount)
    with HttpDatabase(f"{server.url}/db").http as http:
        http.put(f"{server.url}/db").raise_for_status()
    before = peak_mib(server.pid)
    assert growth_mib(str(db.path), f"{server.url}/db") < amount.growth_max_mib
    assert peak_mib(server.pid) - before < amount.served_max_mib
    server.kill()
    with Environment(server.folder / "databases") as environment:
        assert_there(environment["db"], amount)


def test_a_pull_from_pouchdb_server_takes_little_memory(tmp_path: Path, remote: HttpDatabase, amount: Amount):
    for number in range(amount.attachments):
        content = b"".join(noise(amount.size + number))
        headers = {"Content-Type": "application/octet-stream"}
        remote.http.put(f"{remote.url}/{number}/a%20b", content=content, headers=headers).raise_for_status()
    assert growth_mib(remote.url, str(tmp_path / "pulled")) < amount.growth_max_mib
    with Database(tmp_path / "pulled") as db:
        assert_there(db, amount)
