"""Replications beyond the limit wait in line and get their turn; and what a replication must be, and whose it is."""

from __future__ import annotations

import anyio
import pytest

from couchette import Environment
from couchette.jobs import Job
from couchette.jobs.turns import Turns
from couchette.server import Policy, create_app
from tests.server.asgi import call, call_json
from tests.server.test_access import ADMIN, add_user, ask, basic, policy
from tests.server.test_replications import get, until, virtually

CONFIG = "/_node/_local/_config/replicator"


async def states(app):
    return {doc["doc_id"]: doc["state"] for doc in (await get(app, "/_scheduler/docs"))["docs"]}


async def put_jobs(app, names):
    await call(app, "PUT", "/_replicator")
    for name in names:
        document = {"source": "near", "target": f"far-{name}", "continuous": True, "create_target": True}
        assert (await call_json(app, "PUT", f"/_replicator/{name}", document)).status == 201


@virtually
async def test_no_more_jobs_run_than_max_jobs_and_the_others_get_their_turn(net, env, app):
    assert (await call_json(app, "PUT", f"{CONFIG}/max_jobs", "2")).json() == "500"
    await put_jobs(app, "abc")
    await until(lambda: "a" in env["far-a"] and "a" in env["far-b"])
    assert await states(app) == {"a": "running", "b": "running", "c": "pending"}
    jobs = {job["doc_id"]: job for job in (await get(app, "/_scheduler/jobs"))["jobs"]}
    assert sorted(jobs) == ["a", "b", "c"]
    assert (jobs["c"]["info"], jobs["c"]["history"][0]["type"]) == (None, "added")
    assert [task["doc_id"] for task in await get(app, "/_active_tasks")] == ["a", "b"]
    await anyio.sleep(61)
    await until(lambda: "a" in env["far-c"])
    assert await states(app) == {"a": "pending", "b": "running", "c": "running"}
    jobs = {job["doc_id"]: job for job in (await get(app, "/_scheduler/jobs"))["jobs"]}
    assert [event["type"] for event in jobs["a"]["history"]] == ["stopped", "started", "added"]
    await anyio.sleep(60)
    assert await states(app) == {"a": "running", "b": "pending", "c": "running"}
    env["near"]["b"] = {}
    await until(lambda: all("b" in env[f"far-{name}"] for name in "abc"))


@virtually
async def test_a_job_that_ends_or_is_deleted_makes_room_at_once(net, env, app):
    await call_json(app, "PUT", f"{CONFIG}/max_jobs", "1")
    await put_jobs(app, "abc")
    await until(lambda: "a" in env["far-a"])
    rev = (await get(app, "/_replicator/b"))["_rev"]
    await call(app, "DELETE", f"/_replicator/b?rev={rev}")
    rev = (await get(app, "/_replicator/a"))["_rev"]
    await call(app, "DELETE", f"/_replicator/a?rev={rev}")
    await anyio.sleep(5)
    assert await states(app) == {"c": "running"}
    assert "far-b" not in env


@virtually
async def test_one_that_is_through_gives_its_turn_to_the_next(net, env, app):
    await call_json(app, "PUT", f"{CONFIG}/max_jobs", "1")
    await call(app, "PUT", "/_replicator")
    for name in "ab":
        await call_json(app, "PUT", f"/_replicator/{name}", {"source": "near", "target": name, "create_target": True})
    await until(lambda: "b" in env and "a" in env["b"])
    await anyio.sleep(5)
    assert await states(app) == {"a": "completed", "b": "completed"}


@virtually
async def test_more_room_is_used_without_anybody_leaving(net, env, app):
    await call_json(app, "PUT", f"{CONFIG}/max_jobs", "1")
    await call_json(app, "PUT", f"{CONFIG}/interval", "10000")
    await call_json(app, "PUT", f"{CONFIG}/max_churn", "1")
    await put_jobs(app, "ab")
    await until(lambda: "a" in env["far-a"])
    await call(app, "DELETE", f"{CONFIG}/max_jobs")
    await anyio.sleep(11)
    assert await states(app) == {"a": "running", "b": "running"}
    assert env.replications.scheduler.turns.interval_s == 10


def test_numbers_that_are_none_are_refused():
    async def refused(key, value):
        with Environment(":memory:") as environment:
            return (await call_json(create_app(environment, Policy()), "PUT", f"{CONFIG}/{key}", value)).status

    for key, value in (("max_jobs", "0"), ("interval", "-1"), ("max_churn", "many")):
        assert anyio.run(refused, key, value) == 400


@pytest.mark.anyio
async def test_who_leaves_the_line_leaves_no_gap():
    turns = Turns(max_jobs=1)
    done = []

    class Idle(Job):
        """A job that is only waited for."""

        def __init__(self):
            pass

        def wait_in_line(self):
            pass

    async def work(seconds, name):
        await anyio.sleep(seconds)
        done.append(name)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(turns.run, Idle(), lambda: work(0.01, "first"))
        await anyio.lowlevel.checkpoint()
        with anyio.move_on_after(0):
            await turns.run(Idle(), lambda: work(0, "never"))
        tasks.start_soon(turns.run, Idle(), lambda: work(0, "last"))
    assert done == ["first", "last"]


# -- Documents ----------------------------------------------------------------------------------------

GOOD = {"source": "http://a/b", "target": {"url": "http://c/d"}}
MALFORMED = [
    ({"target": "x"}, "The `source' property must exist and be either a string or an object."),
    ({"source": "x", "target": None}, "The `target' property must exist and be either a string or an object."),
    (GOOD | {"source": {}}, "The url property must exist in the `source' field and must be a non-empty string."),
    (GOOD | {"source": {"url": "http://a", "auth": 1}}, "`source.auth' must be a non-null object."),
    (GOOD | {"source": {"url": "http://a", "headers": 1}}, "`source.headers' must be a non-null object."),
    (GOOD | {"create_target": 1}, "The `create_target' field must be a boolean."),
    (GOOD | {"continuous": "yes"}, "The `continuous' field must be a boolean."),
    (GOOD | {"doc_ids": "a"}, "The `doc_ids' field must be an array of strings."),
    (GOOD | {"selector": []}, "The `selector' field must be an object."),
    (GOOD | {"filter": ""}, "The `filter' field must be a non-empty string."),
    (GOOD | {"doc_ids": [], "selector": {}}, "`doc_ids' field is incompatible with `selector'."),
    (GOOD | {"doc_ids": [], "filter": "a/b"}, "`filter' field is incompatible with `selector' and `doc_ids'."),
    (GOOD | {"query_params": []}, "The `query_params' field must be an object."),
    (GOOD | {"user_ctx": "me"}, "The `user_ctx' property must be a non-null object."),
    (GOOD | {"user_ctx": {"name": 1}}, "The `user_ctx.name' property must be a non-empty string or null."),
    (GOOD | {"user_ctx": {"roles": "r"}}, "The `user_ctx.roles' property must be an array of strings."),
]


@pytest.mark.anyio
@pytest.mark.parametrize(("document", "reason"), MALFORMED)
async def test_a_malformed_document_is_refused(environment, document, reason):
    environment.create("_replicator")
    environment.replications.stop()
    app = create_app(environment)
    environment.replications.stop()
    answer = await call_json(app, "PUT", "/_replicator/x", document)
    assert (answer.status, answer.json()) == (403, {"error": "forbidden", "reason": reason})
    answer = await call_json(app, "POST", "/_replicator/_bulk_docs", {"docs": [{"_id": "x", **document}]})
    assert answer.json() == [{"id": "x", "error": "forbidden", "reason": reason}]
    failed = {**document, "_replication_state": "failed"}
    rev = (await call_json(app, "PUT", "/_replicator/x", failed)).json()["rev"]
    assert (await call(app, "DELETE", f"/_replicator/x?rev={rev}")).status == 200


# -- Users --------------------------------------------------------------------------------------------

ADA, EVE = basic("ada", "pw"), basic("eve", "pw")
REMOTE = {"source": "http://127.0.0.1:1/a", "target": "http://127.0.0.1:1/b"}


@pytest.mark.anyio
async def test_a_user_replicates_between_urls_and_cancels_its_own(environment):
    app = create_app(environment, policy())
    for name in ("ada", "eve"):
        await add_user(app, name)
    anonymous = await ask(app, "POST", "/_replicate", REMOTE, {})
    assert (anonymous.status, anonymous.json()["reason"]) == (401, "You are not an authenticated user")
    local = await ask(app, "POST", "/_replicate", {**REMOTE, "source": "db"}, ADA)
    assert (local.status, local.json()["reason"]) == (401, "You are not a server admin.")
    continuous = {**REMOTE, "continuous": True}
    begun = await ask(app, "POST", "/_replicate", continuous, ADA)
    assert begun.status == 202
    (job,) = (await ask(app, "GET", "/_scheduler/jobs")).json()["jobs"]
    assert job["user"] == "ada"
    cancel = {"cancel": True, "id": begun.json()["_local_id"]}
    assert (await ask(app, "POST", "/_replicate", cancel, EVE)).status == 401
    assert (await ask(app, "POST", "/_replicate", cancel, ADA)).status == 200
    await ask(app, "POST", "/_replicate", continuous, EVE)
    assert (await ask(app, "POST", "/_replicate", cancel, ADMIN)).status == 200
