"""Our server beside npm's pouchdb-server, which keeps its databases in memory, and beside a route that does nothing.

One client asks both, with one connection that stays open: ``http.client``, as the cheapest there is. Bodies are made
before they are sent, and answers are read to their end but not parsed, so that the servers decide.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import orjson

from benchmarks import raw
from benchmarks.clock import rate_of
from benchmarks.documents import USUAL
from benchmarks.replication_children import peak_mib
from benchmarks.results import Figure, Measured
from couchette import Environment
from tests.interop.servers import NODE, CouchetteServer, PouchServer, Server, free_port

POUCH, TRIVIAL = "pouchdb-server, in memory", "a Starlette route, same uvicorn"
PART = 10
"""Rates are of so much less than what memory is looked at with: pouchdb-server takes a millisecond a document."""
GETS, LISTINGS, RANGES, RANGE_ROWS = 2000, 5, 200, 100
DESIGN = {"_id": "_design/d", "views": {"age": {"map": "function (doc) { emit(doc.age, doc.name) }"}}}


class InMemoryPouchServer(PouchServer):
    """pouchdb-server without a disk."""

    def command(self) -> list[str]:
        """As its own, but for where the databases are."""
        script = next(part for part in super().command() if part.endswith("pouchdb-server"))
        return [*NODE, script, "--in-memory", "--host", "127.0.0.1", "--port", str(self.port)]


class Client:
    """Requests over one connection."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(self, method: str, target: str, body: bytes | None = None) -> int:
        """Send a request and read the whole answer; how long it is."""
        self._connection.request(method, target, body, {"Content-Type": "application/json"})
        answer = self._connection.getresponse()
        size = 0
        while part := answer.read(1 << 20):
            size += len(part)
        if answer.status >= 300:
            raise SystemExit(f"{method} {target} is answered with {answer.status}.")
        return size

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def measure(folder: Path, count: int) -> Iterator[Measured | Figure]:
    """All of it; ``count`` documents."""
    databases = folder / "ours" / "databases"
    with Environment(databases) as environment:
        for docs in USUAL.batches(count, raw.BATCH):
            environment["many"].bulk_docs(docs)
    with CouchetteServer(folder / "ours") as server:
        with InMemoryPouchServer(folder / "theirs") as theirs:
            # In turn for each operation, so that what else the machine does meets both.
            both = zip(_rates(server, count // PART), _rates(theirs, count // PART), strict=True)
            for (name, least), (ours, other) in zip(WANTED.items(), both, strict=True):
                yield Measured(name, POUCH, least, other, ours)
        with _trivial() as port:
            trivial = _gets(port, lambda number: "/")
        ours = _gets(server.port, lambda number: f"/bench/{USUAL.doc_id(number)}")
        yield Measured("GET of a document, and a trivial route", TRIVIAL, 0.5, trivial, ours)
        yield from _memory(server, count)


WANTED = {
    "_bulk_docs, batches of 500": 5.0,
    "GET of a document, keep-alive": 1.5,
    "_all_docs?include_docs=true": 10.0,
    "_changes": 10.0,
    f"range of {RANGE_ROWS} rows of a view": 5.0,
}


def _rates(server: Server, count: int) -> Iterator[float]:
    """What one server does in a second, in the order of ``WANTED``: documents, requests or rows."""
    client = Client(server.port)
    client.ask("PUT", "/bench")
    bodies = [orjson.dumps({"docs": docs}) for docs in USUAL.batches(count, raw.BATCH)]

    def write() -> None:
        for body in bodies:
            client.ask("POST", "/bench/_bulk_docs", body)

    yield rate_of(count, write)
    client.close()  # It is opened anew when it is the turn of this server again, which may have closed it.
    yield _gets(server.port, lambda number: f"/bench/{USUAL.doc_id(number * 7919 % count)}")
    for target in ("/bench/_all_docs?include_docs=true", "/bench/_changes"):
        yield rate_of(LISTINGS * count, partial(_listings, client, target))
        client.close()
    client.ask("PUT", "/bench/_design/d", json.dumps(DESIGN).encode())
    client.ask("GET", "/bench/_design/d/_view/age?limit=1")
    yield rate_of(RANGES, lambda: _ranges(client))
    client.close()


def _gets(port: int, target: Callable[[int], str]) -> float:
    client = Client(port)
    targets = [target(number) for number in range(GETS)]
    client.ask("GET", targets[0])

    def read() -> None:
        for one in targets:
            client.ask("GET", one)

    rate = rate_of(GETS, read)
    client.close()
    return rate


def _listings(client: Client, target: str) -> None:
    for _ in range(LISTINGS):
        client.ask("GET", target)


def _ranges(client: Client) -> None:
    for number in range(RANGES):
        client.ask("GET", f"/bench/_design/d/_view/age?startkey={number % 90}&limit={RANGE_ROWS}")


@contextmanager
def _trivial() -> Iterator[int]:
    """The port of a server of one route."""
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.replication_children", "trivial", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        yield port
        child.kill()


def _memory(server: Server, count: int) -> Iterator[Figure]:
    """By how much the server's peak grows when it sends all of a large database, that it has sent in parts before."""
    client = Client(server.port)
    for start in range(0, count, count // 100):
        client.ask("GET", f'/many/_all_docs?include_docs=true&limit={count // 100}&startkey="{USUAL.doc_id(start)}"')
    for name, target in (("_all_docs", "/many/_all_docs?include_docs=true"), ("_changes", "/many/_changes")):
        before = peak_mib(server.pid)
        client.ask("GET", target)
        yield Figure(f"growth of the server's memory, all of {name}", "MiB", 8, peak_mib(server.pid) - before)
    client.close()
