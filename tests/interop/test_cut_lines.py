"""A line that breaks again and again, anywhere: each replication gets a little further, and the last one ends."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

import pytest

from couchette import Database, ReplicationResult, errors, limits
from tests.interop.conftest import HttpDatabase, leaves_of
from tests.interop.cutting_proxy import CuttingProxy, cutting
from tests.interop.documents import data, fill

pytestmark = pytest.mark.interop

DOCS = 250
BATCH = 10
CUT_BYTES = 25_000
"""A connection is cut after so many bytes at most: less than all documents take, more than the largest request."""
TRIES = 20
"""Replications that may fail; then the line holds."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(20 if metafunc.config.getoption("--long") else 1))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line is cut so often that the pauses would take all the time."""
    monkeypatch.setattr(limits, "HTTP_RETRY_PAUSE_S", 0.005)
    monkeypatch.setattr(limits, "RETRY_FIRST_S", 0.05)
    monkeypatch.setattr(limits, "RETRY_MAX_S", 0.2)


def through(database: HttpDatabase, proxy: CuttingProxy) -> str:
    parts = urlsplit(database.url)
    return parts._replace(netloc=f"127.0.0.1:{proxy.port}").geturl()


def port_of(database: HttpDatabase) -> int:
    port = urlsplit(database.url).port
    assert port is not None
    return port


@pytest.fixture(params=["served", "remote"])
def far(request: pytest.FixtureRequest) -> HttpDatabase:
    """A database of our server, or of pouchdb-server."""
    database: HttpDatabase = request.getfixturevalue(request.param)
    return database


def fill_much(peer: Database | HttpDatabase, side: str) -> None:
    fill(peer, side)
    peer.bulk_docs([{"_id": f"{side} {number:04}", "text": f"text {number} " * 30} for number in range(DOCS)])
    attachments = {
        f"{number}": {"content_type": "application/x-data", "data": data(f"{side}{number}" * 500)}
        for number in range(3)
    }
    peer.bulk_docs([{"_id": f"{side} with attachments", "_attachments": attachments}])


def until_it_ends(proxy: CuttingProxy, replicate: Callable[[], ReplicationResult]) -> ReplicationResult:
    """Replicate again after each failure; what fails is the line and nothing else."""
    for number in range(1, 2 * TRIES):
        proxy.calm = number >= TRIES
        try:
            return replicate()
        except errors.Unreachable:
            continue
    raise AssertionError("it never ended")


def test_a_pull_over_a_line_that_breaks_anywhere_brings_everything(db: Database, far: HttpDatabase, seed: int):
    fill_much(far, "far")
    with cutting(port_of(far), seed, CUT_BYTES) as proxy:
        assert until_it_ends(proxy, lambda: db.replicate_from(through(far, proxy), batch_docs=BATCH)).ok
        assert proxy.cuts > 2
    assert leaves_of(db) == far.leaves()


def test_a_push_over_a_line_that_breaks_anywhere_brings_everything(db: Database, far: HttpDatabase, seed: int):
    fill_much(db, "near")
    with cutting(port_of(far), seed, CUT_BYTES) as proxy:
        assert until_it_ends(proxy, lambda: db.replicate_to(through(far, proxy), batch_docs=BATCH)).ok
        assert proxy.cuts > 2
    assert far.leaves() == leaves_of(db)


def test_a_live_sync_over_a_line_that_breaks_anywhere_joins_both(db: Database, far: HttpDatabase, seed: int):
    fill_much(db, "near")
    fill_much(far, "far")
    with cutting(port_of(far), seed, CUT_BYTES) as proxy:
        with db.sync(through(far, proxy), live=True, batch_docs=BATCH) as both:
            assert both.wait_until_synced(60)
        assert proxy.cuts > 2
    assert leaves_of(db) == far.leaves()
