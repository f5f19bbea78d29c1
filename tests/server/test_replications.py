"""``_replicate``, the database ``_replicator``, ``_scheduler`` and ``_active_tasks``, as a client sees them."""

from __future__ import annotations

import anyio
import pytest

from couchette import AsyncDatabase, Environment
from couchette.server import Policy, create_app
from couchette.testing import network
from tests.server.asgi import call, call_json

NEW = {"source": "db", "target": "new", "create_target": True}


def virtually(test):
    """Run a test in virtual time, with an app whose replications run in the test's own loop."""

    def run():
        with network() as net, Environment(":memory:") as env:
            env["near"]["a"] = {"v": 1}
            env.create("far")

            async def main():
                async with anyio.create_task_group() as tasks:
                    await tasks.start(env.replications.run)
                    await test(net, env, create_app(env))
                    tasks.cancel_scope.cancel()

            net.run(main)

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def until(condition):
    with anyio.fail_after(1000):
        while not condition():
            await anyio.sleep(0.5)


async def get(app, target):
    answer = await call(app, "GET", target)
    assert answer.status == 200, answer.body
    return answer.json()


@virtually
async def test_a_one_time_replication_answers_when_it_is_through(net, env, app):
    answer = await call_json(app, "POST", "/_replicate", {"source": "near", "target": "far"})
    told = answer.json()
    assert (answer.status, told["ok"]) == (200, True)
    assert (told["history"][0]["docs_written"], list(env["far"])) == (1, ["a"])
    again = (await call_json(app, "POST", "/_replicate", {"source": "near", "target": "far"})).json()
    assert (again["no_changes"], again["history"]) == (True, told["history"])
    assert (await get(app, "/_scheduler/jobs"))["jobs"] == []


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
@pytest.mark.anyio
async def test_a_page_of_another_site_cannot_replicate(app, environment, content_type):
    headers = {"origin": "https://evil.example"} | ({"content-type": content_type} if content_type else {})
    body = b'{"source":"db","target":"stolen","create_target":true}'
    answer = await call(app, "POST", "/_replicate", headers, body)
    assert (answer.status, answer.json()["reason"]) == (415, "Content-Type must be application/json")
    assert "stolen" not in environment


@virtually
async def test_a_continuous_one_is_begun_listed_and_cancelled(net, env, app):
    body = {"source": "near", "target": "far", "continuous": True}
    begun = await call_json(app, "POST", "/_replicate", body)
    assert begun.status == 202
    local_id = begun.json()["_local_id"]
    assert (await call_json(app, "POST", "/_replicate", body)).json()["_local_id"] == local_id
    await until(lambda: "a" in env["far"])
    [job] = (await get(app, "/_scheduler/jobs"))["jobs"]
    assert (job["id"], job["doc_id"], job["database"]) == (local_id, None, None)
    assert (await get(app, f"/_scheduler/jobs/{local_id}"))["info"]["docs_written"] == 1
    assert (await get(app, "/_scheduler/docs"))["docs"] == []
    [task] = await get(app, "/_active_tasks")
    assert (task["type"], task["replication_id"], task["continuous"]) == ("replication", local_id, True)
    assert (task["source"], task["target"], task["docs_written"]) == ("near", "far", 1)
    cancelled = await call_json(app, "POST", "/_replicate", {**body, "cancel": True})
    assert (cancelled.status, cancelled.json()) == (200, {"ok": True, "_local_id": local_id})
    assert (await call_json(app, "POST", "/_replicate", {"_local_id": local_id, "cancel": True})).status == 404
    await anyio.sleep(1)
    env["near"]["b"] = {}
    await anyio.sleep(100)
    assert list(env["far"]) == ["a"]


@virtually
async def test_a_one_time_replication_can_be_cancelled_meanwhile(net, env, app):
    net.server("hub").refuse(503, times=99)
    body = {"source": "http://hub/db", "target": "far"}
    answers = []

    async def replicate():
        answers.append(await call_json(app, "POST", "/_replicate", body))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replicate)
        await anyio.sleep(0.2)
        [job] = (await get(app, "/_scheduler/jobs"))["jobs"]
        assert (await call_json(app, "POST", "/_replicate", {"id": job["id"], "cancel": True})).status == 200
    assert (answers[0].status, answers[0].json()["error"]) == (500, "cancelled")


@virtually
async def test_what_the_other_side_answers_is_told_without_credentials(net, env, app):
    net.server("hub").refuse(401, times=99)
    body = {"source": "http://ann:s3cret@hub/db", "target": "far"}
    answer = await call_json(app, "POST", "/_replicate", body)
    assert answer.status == 500
    assert "credentials were refused" in answer.json()["reason"]
    assert b"s3cret" not in answer.body


@virtually
async def test_documents_of_the_replicator_database_start_and_stop_jobs(net, env, app):
    assert (await call(app, "PUT", "/_replicator")).status == 201
    url = {"url": "http://hub/db", "auth": {"basic": {"username": "ann", "password": "s3cret"}}}
    net.server("hub").environment.create("db")
    document = {"source": "near", "target": url, "continuous": True}
    rev = (await call_json(app, "PUT", "/_replicator/push", document)).json()["rev"]
    await until(lambda: "a" in net.servers["hub"].environment["db"])
    listed = await call(app, "GET", "/_scheduler/docs")
    assert b"s3cret" not in listed.body
    [doc] = listed.json()["docs"]
    assert (doc["database"], doc["doc_id"], doc["state"]) == ("_replicator", "push", "running")
    assert (doc["source"], doc["target"], doc["error_count"]) == ("near", "http://hub/db", 0)
    assert doc["info"]["docs_written"] == 1
    assert doc["start_time"].endswith("Z")
    assert await get(app, "/_scheduler/docs/_replicator/push") == doc
    assert (await get(app, "/_scheduler/docs/_replicator"))["total_rows"] == 1
    assert (await get(app, "/_scheduler/docs?states=completed,failed"))["docs"] == []
    assert (await get(app, "/_scheduler/docs?states=running&limit=0"))["docs"] == []
    assert (await call(app, "DELETE", f"/_replicator/push?rev={rev}")).status == 200
    await anyio.sleep(1)
    assert (await get(app, "/_scheduler/jobs"))["jobs"] == []
    assert (await get(app, "/_scheduler/docs"))["docs"] == []


@virtually
async def test_a_job_that_fails_tells_why_in_both_listings(net, env, app):
    await call_json(app, "PUT", "/_replicator", None)
    await call_json(app, "PUT", "/_replicator/it", {"source": "none", "target": "far", "continuous": True})
    await until(lambda: env.replications["it"].status.state == "crashing")
    doc = await get(app, "/_scheduler/docs/_replicator/it")
    assert "no database 'none'" in doc["info"]["error"]
    [job] = (await get(app, "/_scheduler/jobs"))["jobs"]
    assert [entry["type"] for entry in job["history"]] == ["crashed", "started", "added"]


@pytest.mark.anyio
@pytest.mark.parametrize("partitioned", [True, "true", False])
async def test_a_target_is_made_as_it_is_asked_for(app, environment, partitioned):
    environment["db"]["a:1"] = {}
    body = NEW | {"create_target_params": {"q": 8, "n": "1", "partitioned": partitioned}}
    for _ in range(2):
        assert (await call_json(app, "POST", "/_replicate", body)).status == 200
    assert environment["new"]._partitioned is bool(partitioned)
    assert list(environment["new"]) == ["a:1"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"source": "none", "target": "db"}, 500, "could not open http://couch.example:5984/none/"),
        ({"source": "db", "target": "none"}, 500, "could not open http://couch.example:5984/none/"),
        ({"source": "none", "target": "new", "create_target": True}, 500, "could not open"),
        ({"source": "db", "target": "Not Legal", "create_target": True}, 400, "Name: 'Not Legal'"),
        (NEW | {"create_target_params": []}, 400, "parameter `create_target_params` must be a JSON object"),
        (NEW | {"create_target_params": {"partitioned": 1}}, 400, "Invalid `partitioned` parameter"),
        ({"source": "db"}, 400, "`target` must be a URL"),
        ({"source": "db", "target": "db", "doc_ids": "a"}, 400, "parameter `doc_ids` must be an array"),
        ({"source": "db", "target": "db", "cancel": "x"}, 400, "parameter `cancel` must be a boolean"),
    ],
)
async def test_what_cannot_be_done_is_refused_with_the_reason(app, environment, body, status, reason):
    answer = await call_json(app, "POST", "/_replicate", body)
    assert answer.status == status
    assert reason in answer.json()["reason"]
    assert list(environment) == ["db"]


@pytest.mark.anyio
@pytest.mark.parametrize("target", ["/_scheduler", "/_scheduler/none", "/_scheduler/jobs/x", "/_scheduler/docs/db"])
async def test_what_the_scheduler_does_not_list_is_not_found(app, target):
    assert (await call(app, "GET", target)).status == 404


@pytest.mark.anyio
@pytest.mark.parametrize("query", ["limit=x", "skip=-1", "limit=1e3"])
async def test_a_page_is_named_by_whole_numbers(app, query):
    assert (await call(app, "GET", f"/_scheduler/jobs?{query}")).status == 400


@pytest.mark.anyio
async def test_all_of_it_is_for_administrators():
    with Environment(":memory:") as env:
        app = create_app(env, Policy(admins={"admin": "secret"}, password_iterations=10))
        for method, target in (
            ("GET", "/_active_tasks"),
            ("GET", "/_scheduler/jobs"),
            ("GET", "/_scheduler/docs"),
            ("PUT", "/_replicator"),
            ("GET", "/_replicator/x"),
        ):
            assert (await call(app, method, target)).status == 401
        refused = await call_json(app, "POST", "/_replicate", {"source": "a", "target": "b"})
        assert (refused.status, refused.json()["reason"]) == (401, "You are not an authenticated user")


def test_an_app_runs_the_replications_of_its_environment(tmp_path):
    with Environment(tmp_path) as env:
        env["near"]["a"] = {}
        env.create("far")
        env.replications.add("it", "near", "far")
        create_app(env)
        assert env.replications["it"].wait_until_synced(60)
        assert list(env["far"]) == ["a"]


@pytest.mark.anyio
async def test_a_continuous_one_begins_the_thread_that_runs_it(app, environment):
    environment["db"]["a"] = {}
    far = AsyncDatabase(environment.create("far"))
    begun = await call_json(app, "POST", "/_replicate", {"source": "db", "target": "far", "continuous": True})
    assert begun.status == 202
    assert await far.wait_changes(0, timeout=60)
    assert list(environment["far"]) == ["a"]
