"""Live replication with our own server on a socket of this machine."""

from __future__ import annotations

import pytest

import couchette
from couchette import Database, Environment
from couchette.errors import DatabaseNotFound
from couchette.server import background


@pytest.fixture
def environment(tmp_path):
    with Environment(tmp_path / "served") as environment:
        environment.create("db")
        yield environment


def port_of(url):
    return int(url.rstrip("/").rpartition(":")[2])


@pytest.mark.slow
def test_both_ways_through_a_restart_of_the_server(environment):
    served = environment["db"]
    with Database() as near:
        near["a"] = {}
        served["b"] = {}
        with background(environment, "127.0.0.1", 0) as url:
            both = near.sync(f"{url}/db", live=True)
            assert both.wait_until_synced(60)
            assert set(near) == set(served) == {"a", "b"}
            near["c"] = {}
            served["d"] = {}
            assert both.wait_until_synced(60)
            assert set(near) == set(served) == {"a", "b", "c", "d"}
        near["e"] = {}
        served["f"] = {}
        assert not both.wait_until_synced(0.2)
        with background(environment, "127.0.0.1", port_of(url)):
            both.retry()
            assert both.wait_until_synced(60)
            assert set(near) == set(served)
            assert both.status.state in ("active", "idle")  # What came may just be offered back to where it is from.
        both.cancel()


@pytest.mark.slow
def test_a_selector_is_evaluated_by_the_server_and_a_python_function_by_us(environment):
    served = environment["db"]
    served.bulk_docs([{"_id": str(number), "n": number} for number in range(6)])
    with background(environment, "127.0.0.1", 0) as url, Database() as near:
        with near.replicate_from(f"{url}/db", live=True, selector={"n": {"$gte": 4}}) as pulled:
            assert pulled.wait_until_synced(60)
            assert set(near) == {"4", "5"}
            served["7"] = {"n": 7}
            served["1.5"] = {"n": 1.5}
            assert pulled.wait_until_synced(60)
            assert set(near) == {"4", "5", "7"}
        couchette.replicate(f"{url}/db", near, filter=lambda doc: doc.get("n") == 1.5)
        assert set(near) == {"1.5", "4", "5", "7"}


@pytest.mark.slow
def test_a_sync_creates_the_far_database_and_creates_it_again_where_it_vanishes(environment):
    with Database() as near, background(environment, "127.0.0.1", 0) as url:
        near["a"] = {}
        with near.sync(f"{url}/new", live=True, create_target=True) as both:
            assert both.wait_until_synced(60)
            assert set(environment["new"]) == {"a"}
            environment.destroy("new")
            near["b"] = {}
            both.retry()
            assert both.wait_until_synced(60)
            assert set(environment["new"]) == {"a", "b"}
        with pytest.raises(DatabaseNotFound), near.sync(f"{url}/other", live=True) as both:
            both.wait_until_synced(60)
