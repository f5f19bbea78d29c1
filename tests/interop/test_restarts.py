"""A server that is killed in the middle of a transfer, and started again: everything arrives all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from couchette import Database, Progress, ReplicationResult, errors
from couchette.replication import Event
from tests.interop.conftest import HttpDatabase, leaves_of
from tests.interop.servers import CouchetteServer, PouchServer, Server

pytestmark = pytest.mark.interop

DOCS = 400
BATCH = 40
TRIES = 20
"""One-time replications until one ends: how long a server takes to start again is not known."""


@pytest.fixture(params=[CouchetteServer, PouchServer])
def server(request: pytest.FixtureRequest, node_modules: Path, tmp_path: Path) -> Iterator[Server]:
    with request.param(tmp_path / "server") as server:
        yield server


@pytest.fixture
def far(server: Server) -> Iterator[HttpDatabase]:
    database = HttpDatabase(f"{server.url}/db")
    with database.http:
        database.ask("PUT")
        yield database


class Killer:
    """A callback that kills the server once, as soon as so much is written, and starts it again."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def progress(self, progress: Progress) -> None:
        self._look(progress.docs_written)

    def event(self, event: Event) -> None:
        self._look(event.status.docs_written)

    def _look(self, docs_written: int) -> None:
        if docs_written >= 2 * BATCH and self.server.starts == 1:
            self.server.kill()
            self.server.start()


def some_docs(side: str) -> list[dict[str, Any]]:
    return [{"_id": f"{side} {number:04}", "n": number, "text": "text " * 20} for number in range(DOCS)]


def until_it_ends(database: Database, way: str, url: str, killer: Killer) -> ReplicationResult:
    """Replicate once, and again after each failure that passes."""
    for _ in range(TRIES):
        try:
            replicate = getattr(database, way)
            result: ReplicationResult = replicate(url, batch_docs=BATCH, progress=killer.progress)
            return result
        except (errors.Unreachable, errors.ReplicationFailed):  # pouchdb-server looks like another one then
            killer.server.wait_listening()
    raise AssertionError("the server did not come back")


def test_a_pull_survives_its_server(db: Database, server: Server, far: HttpDatabase):
    far.bulk_docs(some_docs("far"))
    result = until_it_ends(db, "replicate_from", far.url, Killer(server))
    assert (result.ok, server.starts) == (True, 2)
    assert leaves_of(db) == far.leaves()
    assert len(db) == DOCS


def test_a_push_survives_its_server(db: Database, server: Server, far: HttpDatabase):
    db.bulk_docs(some_docs("near"))
    result = until_it_ends(db, "replicate_to", far.url, Killer(server))
    assert (result.ok, server.starts) == (True, 2)
    assert far.leaves() == leaves_of(db)
    assert far.ask("GET")["doc_count"] == DOCS


def test_a_live_sync_survives_its_server(db: Database, server: Server, far: HttpDatabase):
    db.bulk_docs(some_docs("near"))
    far.bulk_docs(some_docs("far"))
    with db.sync(far.url, live=True, batch_docs=BATCH, on_event=Killer(server).event) as both:
        assert both.wait_until_synced(60)
        assert server.starts == 2
        server.kill()
        server.start()
        db["near later"] = {}
        server.wait_listening()
        far.bulk_docs([{"_id": "far later"}])
        both.retry()
        assert both.wait_until_synced(60)
        assert far.leaves() == leaves_of(db)
    assert len(db) == 2 * DOCS + 2
