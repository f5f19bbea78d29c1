"""A server under two hundred clients: no error, no lost write, bounded memory, and gone when it is told to go."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from couchette import Database
from tests.server.load import COUNTERS, KeepGoing, Load

pytestmark = pytest.mark.slow

STEPS = 5
"""Of each client; with --long they work for a minute."""
GROWTH_MIB_MAX = 250
"""How much a server may grow under this load, however long it lasts."""
FEEDS = 40


@dataclass
class Served:
    """A ``couchette serve`` of its own."""

    process: subprocess.Popen[str]
    url: str
    folder: Path

    def memory_mib(self, what: str) -> float:
        """``VmRSS``, the memory that it has now, or ``VmHWM``, the most that it ever had."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        status = dict(line.split(":", 1) for line in lines)
        return int(status[what].split()[0]) / 1024

    def stop(self) -> float:
        """Send SIGTERM, and see that it ends well; the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        assert (self.process.returncode, err) == (0, "")
        assert "Stopped" in out
        return time.monotonic() - began


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Serve a folder for as long as the block lasts, or until it is stopped."""
    command = [sys.executable, "-m", "couchette", "serve", str(folder), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Served(process, process.stdout.readline().split()[0], folder)
        finally:
            process.kill()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path / "served") as one:
        yield one


@pytest.fixture
def keep_going(request: pytest.FixtureRequest) -> KeepGoing:
    """Whether a client makes one more step."""
    if not request.config.getoption("--long"):
        return lambda step: step < STEPS
    end = time.monotonic() + 60
    return lambda step: time.monotonic() < end


def test_two_hundred_clients_lose_nothing(served: Served, keep_going: KeepGoing, record_property):
    async def run() -> tuple[Load, float, float, float]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(
            connector=connector, timeout=aiohttp.ClientTimeout(None, sock_read=60)
        ) as session:
            load = Load(served.url, session, keep_going)
            await load.prepare()
            before = served.memory_mib("VmRSS")
            began = time.monotonic()
            await load.run()
            took = time.monotonic() - began
            peak = served.memory_mib("VmHWM")
            await check(load)
            return load, before, peak, load.requests / took

    load, before, peak, rate = asyncio.run(run())
    for name, value in {"requests": load.requests, "requests_per_s": rate, "rss_mib": before, "peak_mib": peak}.items():
        record_property(name, round(value))
    assert peak - before < GROWTH_MIB_MAX
    assert served.stop() < 5
    with Database(served.folder / "load.couchette") as db:
        assert db.verify() == []


async def check(load: Load) -> None:
    """All that was acknowledged is there, and who followed has seen it."""
    _, listing = await load.ask("GET", "/_all_docs")
    assert {row["id"]: row["value"]["rev"] for row in listing["rows"]} == load.revs
    for number in range(COUNTERS):
        _, doc = await load.ask("GET", f"/counter{number}")
        assert doc["n"] == load.increments[number]
    for doc_id, digest in load.uploads.items():
        assert await load.digest(doc_id) == digest
    for seen in load.seen:
        assert seen == load.revs


def test_it_stops_within_5_seconds_with_feeds_open(served: Served):
    async def run() -> None:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            async with session.put(f"{served.url}/db") as answer:
                assert answer.status == 201
            kinds = ["continuous", "longpoll", "eventsource"] * (FEEDS // 3)
            feeds = [
                await session.get(f"{served.url}/db/_changes?feed={kind}&heartbeat=1000&since=now") for kind in kinds
            ]
            took = await asyncio.to_thread(served.stop)
            # Each of them has a complete answer.
            endings = [await feed.read() for feed in feeds]
        assert took < 5
        for kind, ending in zip(kinds, endings, strict=True):
            assert b'"last_seq"' in ending or kind == "eventsource"

    asyncio.run(run())
