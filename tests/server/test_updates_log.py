"""What is found to have happened to the databases of an environment."""

from __future__ import annotations

from couchette import Environment
from couchette.server import updates_log as logs
from couchette.server.updates_log import UpdatesLog


def shown(rows):
    return [(row["type"], row["db_name"]) for row in rows]


def test_databases_of_another_process_are_seen_as_they_come_and_go(tmp_path):
    with Environment(tmp_path) as here, Environment(tmp_path) as there:
        here["old"].info()
        log = UpdatesLog(here)
        since = log.read()["last_seq"]
        there["new"].info()
        there["old"]["a"] = {}
        assert shown(log.read(since)["results"]) == [("created", "new"), ("updated", "old")]
        since = log.read()["last_seq"]
        there.destroy("new")
        assert shown(log.read(since)["results"]) == [("deleted", "new")]


def test_a_database_that_is_opened_later_may_have_changed(tmp_path):
    with Environment(tmp_path) as environment:
        environment["old"]["a"] = {}
    with Environment(tmp_path) as environment:
        log = UpdatesLog(environment)
        since = log.read()["last_seq"]
        environment["old"]["b"] = {}
        assert shown(log.read(since)["results"]) == [("updated", "old")]


def test_a_database_that_rests_is_looked_at_again_when_it_was_written_to(tmp_path):
    with Environment(tmp_path) as environment:
        pool = environment["db"]._pool
        log = UpdatesLog(environment)
        since = log.read()["last_seq"]
        environment["db"]["a"] = {}
        pool.rest()
        assert shown(log.read(since)["results"]) == [("updated", "db")]
        pool.rest()
        assert shown(log.read(since)["results"]) == [("updated", "db")]
        assert pool.rests


def test_a_database_that_is_being_closed_is_no_event(environment, monkeypatch):
    log = UpdatesLog(environment)
    since = log.read()["last_seq"]
    closing = environment["db"]
    monkeypatch.setattr(environment, "opened", lambda: {"db": closing})
    closing.close()
    assert log.read(since)["results"] == []


def test_the_oldest_events_are_forgotten(environment, monkeypatch):
    monkeypatch.setattr(logs, "UPDATES_KEPT_MAX", 3)
    log = UpdatesLog(environment)
    for number in range(5):
        environment.create(f"n{number}")
    assert shown(log.read()["results"]) == [("created", f"n{number}") for number in (2, 3, 4)]
