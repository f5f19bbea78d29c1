"""Replication beside PouchDB at the same work, beside our own bulk write, beside a bare HTTP copy.

Servers run in processes of their own, as does what is measured for its memory. Documents are in their third revision,
as others' documents are. All take the batches that they take by themselves.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx

from benchmarks import raw, replication_children
from benchmarks.clock import rate_of, rate_of_batches
from benchmarks.documents import USUAL, with_history
from benchmarks.node_peer import MODULES
from benchmarks.results import Figure, Measured
from couchette import Database, Environment
from couchette.remote import RemotePeer
from tests.interop.servers import CouchetteServer, PouchServer, Server, free_port

POUCH_SERVER_PART = 10
"""pouchdb-server gets so much less to do: it takes a millisecond a document, whoever asks."""
BULK, POUCH = "bulk write, new_edits=false", "PouchDB 9, leveldb"
ATTACHMENTS, ATTACHMENT_BYTES = 10, 20_000_000
EDITS = 30
"""Changes, one after the other, whose way to the other side is timed."""


def measure(folder: Path, count: int) -> Iterator[Measured | Figure]:
    """All of it; ``count`` documents."""
    databases = folder / "ours" / "databases"
    bulk = _fill(databases, "docs", count)
    _fill(databases, "few", count // 10)
    _fill_attachments(databases)
    with CouchetteServer(folder / "ours") as server:
        yield from _documents(folder, server, count, bulk)
        yield from _nothing_to_do(folder, server)
        yield from _live(folder, server)
        yield from _attachments(folder, server)
        yield from _memory(folder, server, count)
    yield from _local(folder, databases, count, bulk)
    with PouchServer(folder / "theirs") as theirs:
        yield from _pouchdb_server(folder, theirs, count // POUCH_SERVER_PART)


# -- What is replicated -----------------------------------------------------------------------------------------------


def _fill(databases: Path, name: str, count: int) -> float:
    """A database of ``count`` documents; the rate of writing them."""
    with Environment(databases) as environment:
        db = environment[name]
        batches = ([with_history(doc) for doc in batch] for batch in USUAL.batches(count, raw.BATCH))
        return rate_of_batches(batches, lambda docs: db.bulk_docs(docs, new_edits=False))


def _fill_attachments(databases: Path) -> None:
    with Environment(databases) as environment:
        for number in range(ATTACHMENTS):
            environment["attachments"].put_attachment(f"{number}", "x", replication_children.noise(ATTACHMENT_BYTES))


# -- Many documents ---------------------------------------------------------------------------------------------------


def _documents(folder: Path, server: Server, count: int, bulk: float) -> Iterator[Measured]:
    """First pull and first push, with our server."""
    url = f"{server.url}/docs"
    with Database(folder / "pulled.couchette") as db:
        ours = rate_of(count, lambda: db.replicate_from(url))
        pouch = _pouchdb(folder, "from", url, count)
        yield Measured("first pull", f"{POUCH}, same server", 8, pouch, ours)
        yield Measured("first pull, and the bulk write", BULK, 0.2, bulk, ours)
        ours = rate_of(count, lambda: db.replicate_to(f"{server.url}/pushed", create_target=True))
        pouch = _pouchdb(folder, "to", f"{server.url}/pushed-by-pouchdb", count)
        yield Measured("first push", f"{POUCH}, same server", 8, pouch, ours)
        yield Measured("first push, and the bulk write", BULK, 0.2, bulk, ours)


def _pouchdb_server(folder: Path, server: Server, count: int) -> Iterator[Measured]:
    """The same with pouchdb-server, whose speed decides."""
    with Database(folder / "few.couchette") as db:
        for docs in USUAL.batches(count, raw.BATCH):
            db.bulk_docs([with_history(doc) for doc in docs], new_edits=False)
        ours = rate_of(count, lambda: db.replicate_to(f"{server.url}/pushed", create_target=True))
    url = f"{server.url}/pushed"
    with Database(folder / "from-pouchdb-server.couchette") as db:
        pulled = rate_of(count, lambda: db.replicate_from(url))
    name = f"{count:,} documents, pouchdb-server"
    pouch = _pouchdb(folder, "from", url, count, database="second")
    yield Measured(f"first pull, {name}", f"{POUCH}, same server", 1.5, pouch, pulled)
    pouch = _pouchdb(folder, "to", f"{server.url}/pushed-by-pouchdb", count, database="second")
    yield Measured(f"first push, {name}", f"{POUCH}, same server", 1.5, pouch, ours)


def _local(folder: Path, databases: Path, count: int, bulk: float) -> Iterator[Measured]:
    """From file to file in one process."""
    with Environment(databases) as environment, Database(folder / "local.couchette") as db:
        ours = rate_of(count, lambda: db.replicate_from(environment["docs"]))
    yield Measured("from file to file", BULK, 0.5, bulk, ours)


def _pouchdb(folder: Path, way: str, url: str, count: int, *, database: str = "pouchdb") -> float:
    """The rate of PouchDB's replication in a Node of its own; what it pulled first it pushes later."""
    if way == "to":
        httpx.put(url).raise_for_status()
    script = str(Path(__file__).with_name("pouchdb_replication.js"))
    command = ["node", script, str(MODULES), str(folder / database), way, url]
    return count / float(_output(command))


# -- Few documents ----------------------------------------------------------------------------------------------------


class _Counting(httpx.AsyncHTTPTransport):
    """Counts requests."""

    requests = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        return await super().handle_async_request(request)


def _nothing_to_do(folder: Path, server: Server) -> Iterator[Figure]:
    """A pull of what is there already: of all documents, and of a tenth of them."""
    seconds = {}
    for name, file in (("few", "few-pulled"), ("docs", "pulled")):
        with Database(folder / f"{file}.couchette") as db:
            url = f"{server.url}/{name}"
            db.replicate_from(url)
            counting = _Counting()
            again = db.replicate_from(RemotePeer(url, transport=counting))
            assert again.docs_read == 0, again
            seconds[name] = _median(partial(_pull, db, url), 5)
    yield Figure("requests of a pull with nothing to do", "requests", 6, counting.requests)
    yield Figure("time of a pull with nothing to do", "ms", None, seconds["docs"] * 1000)
    yield Figure("the same, and that of a tenth of the documents", "times", 2, seconds["docs"] / seconds["few"])


def _pull(db: Database, url: str, number: int) -> None:
    db.replicate_from(url)


def _live(folder: Path, server: Server) -> Iterator[Figure]:
    """One document that changes: the time from the first byte of its PUT until it is seen on the other side."""
    with httpx.Client(base_url=server.url) as http, Database(folder / "pulled.couchette") as db:
        round_trip = _median(lambda number: http.get("/"), 100)
        with db.replicate_from(f"{server.url}/docs", live=True) as pull:
            pull.wait_until_synced()
            seconds = _median(lambda number: _there(http, db, number), EDITS)
        yield Figure("a change, live pull", "round trips", 20, seconds / round_trip)
        with db.replicate_to(f"{server.url}/docs", live=True) as push:
            push.wait_until_synced()
            seconds = _median(lambda number: _here(http, db, number), EDITS)
        yield Figure("a change, live push", "round trips", 20, seconds / round_trip)


def _there(http: httpx.Client, db: Database, number: int) -> None:
    """Write on the server, and wait until it is here."""
    since = db.info()["update_seq"]
    http.put(f"/docs/there-{number}", json={"n": number}).raise_for_status()
    while f"there-{number}" not in db:
        db.wait_changes(since)
        since = db.info()["update_seq"]


def _here(http: httpx.Client, db: Database, number: int) -> None:
    """Write here, and wait until it is on the server."""
    since = http.get("/docs").json()["update_seq"]
    db[f"here-{number}"] = {"n": number}
    http.get("/docs/_changes", params={"feed": "longpoll", "since": since}).raise_for_status()


def _median(work: Callable[[int], object], times: int) -> float:
    seconds = []
    for number in range(times):
        start = time.perf_counter()
        work(number)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


# -- Attachments and memory -------------------------------------------------------------------------------------------


def _attachments(folder: Path, server: Server) -> Iterator[Measured | Figure]:
    """Attachments of 200 MB in all, beside a bare server that sends as many bytes to a client that writes a file."""
    total = ATTACHMENTS * ATTACHMENT_BYTES
    with Database(folder / "attachments.couchette") as db:
        ours = rate_of(total // 1_000_000, lambda: db.replicate_from(f"{server.url}/attachments"))
    copy = _raw_copy(folder / "copy", total)
    yield Measured("10 attachments of 20 MB, pull (MB)", "HTTP copy to a file", 0.4, copy, ours)
    grown = _child("growth", f"{server.url}/attachments", folder / "grown.couchette")
    yield Figure("growth of memory, pull of 10 attachments of 20 MB", "MiB", 48, grown)


def _raw_copy(path: Path, total: int) -> float:
    """MB a second."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.replication_children", "raw", str(port), str(total)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        rate = rate_of(total // 1_000_000, lambda: _copy(f"http://127.0.0.1:{port}/", path))
        child.kill()
    return rate


def _copy(url: str, path: Path) -> None:
    with httpx.stream("GET", url) as answer, path.open("wb") as file:
        for chunk in answer.iter_raw():
            file.write(chunk)


def _memory(folder: Path, server: Server, count: int) -> Iterator[Figure]:
    peaks = {name: _child("peak", f"{server.url}/{name}", folder / f"{name}-peak") for name in ("few", "docs")}
    yield Figure(f"peak of memory, pull of {count // 10:,} documents", "MiB", None, peaks["few"])
    yield Figure(f"peak of memory, pull of {count:,} documents", "MiB", 150, peaks["docs"])


def _child(what: str, url: str, path: Path) -> float:
    return float(_output([sys.executable, "-m", "benchmarks.replication_children", what, url, str(path)]))


def _output(command: list[str]) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
