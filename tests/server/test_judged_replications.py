"""Replications whose target is a database of the server: what they write is judged as what clients write."""

from __future__ import annotations

import json

import anyio
import pytest

from couchette import Environment
from couchette.errors import Forbidden
from couchette.server import Policy, create_app
from couchette.testing import network
from tests.server.asgi import call, call_json
from tests.server.test_access import ask, policy

NEVER = {"validate_doc_update": "function(n,o,u,s){if(n.bad)throw({forbidden:'never: '+u.name+' '+u.roles[0]})}"}
MALLORY = "org.couchdb.user:mallory"


@pytest.fixture
def near(environment):
    return environment.create("near")


@pytest.fixture
def far(environment):
    return environment.create("far")


async def replicate(app, target="far", **options):
    """The counts of a one-time replication from ``near``, asked for by the administrator."""
    answer = await ask(app, "POST", "/_replicate", {"source": "near", "target": target, **options})
    assert answer.status == 200, answer.body
    [entry, *_] = answer.json()["history"]
    return entry["docs_written"], entry["doc_write_failures"]


@pytest.mark.anyio
async def test_a_validation_function_of_the_target_is_asked_and_what_it_refuses_is_counted(environment, near, far):
    far["_design/v"] = dict(NEVER)
    near.bulk_docs([{"_id": "good", "v": 1}, {"_id": "bad", "bad": True}])
    assert await replicate(create_app(environment, policy())) == (1, 1)
    assert sorted(far) == ["_design/v", "good"]
    [refused] = far.changes(include_docs=True)["results"][-1:]
    assert refused["id"] == "good"


@pytest.mark.anyio
async def test_the_function_is_told_who_asked(environment, near, far):
    told = []

    def validate(new, old, user_ctx, security):
        told.append((user_ctx["db"], user_ctx["name"], user_ctx["roles"], security))

    near["a"] = {}
    far.set_security({"admins": {"names": ["x"]}})
    assert await replicate(create_app(environment, policy(validate_doc_update=validate))) == (1, 0)
    assert told == [("far", "admin", ["_admin"], {"admins": {"names": ["x"]}})]


@pytest.mark.anyio
async def test_what_was_refused_is_offered_again_when_the_function_is_another(environment, near, far):
    far["_design/v"] = dict(NEVER)
    near["a"] = {"bad": True}
    app = create_app(environment, policy())
    assert await replicate(app) == (0, 1)
    del far["_design/v"]
    await replicate(app)
    assert "a" in far


@pytest.mark.anyio
async def test_a_password_that_is_replicated_to_the_users_is_derived_and_rules_hold(environment, near):
    app = create_app(environment, policy())
    near.bulk_docs(
        [
            {"_id": MALLORY, "name": "mallory", "type": "user", "roles": ["_admin"], "password": "plain"},
            {"_id": "org.couchdb.user:ada", "name": "ada", "type": "user", "roles": [], "password": "plain"},
            {"_id": "nobody"},
        ]
    )
    assert await replicate(app, "_users") == (1, 2)
    assert list(environment["_users"]) == ["org.couchdb.user:ada"]
    stored = environment["_users"]["org.couchdb.user:ada"]
    assert "password" not in stored
    assert (await call_json(app, "POST", "/_session", {"name": "ada", "password": "plain"})).status == 200


@pytest.mark.anyio
@pytest.mark.parametrize("size", [2_000, 9_000_000])
async def test_an_attachment_beyond_the_setting_is_not_replicated(environment, near, far, size):
    near.put_attachment("small", "a", b"x" * 900, "image/png")
    near.put_attachment("large", "a", b"x" * size, "image/png")
    limited = policy(settings={"couchdb/max_attachment_size": "1000"})
    assert await replicate(create_app(environment, limited)) == (1, 1)
    assert list(far) == ["small"]


@pytest.mark.anyio
async def test_ids_of_a_partitioned_target_name_their_partition(environment, near):
    environment.create("parts", partitioned=True)
    near.bulk_docs([{"_id": "a:1"}, {"_id": "none"}, {"_id": "b:1"}])
    assert await replicate(create_app(environment, policy()), "parts") == (2, 1)
    assert list(environment["parts"]) == ["a:1", "b:1"]


@pytest.mark.anyio
async def test_a_function_that_fails_ends_the_replication_and_nothing_is_written(environment, near, far):
    far["_design/v"] = {"validate_doc_update": "function(n){n.a.b.c}"}
    near["a"] = {}
    answer = await ask(create_app(environment, policy()), "POST", "/_replicate", {"source": "near", "target": "far"})
    assert answer.status == 500
    assert list(far) == ["_design/v"]


def refuse(new, old, user_ctx, security):
    if new.get("bad"):
        raise Forbidden(json.dumps([user_ctx["name"], user_ctx["roles"]]))


def check_judged(env):
    assert list(env["far"]) == ["good"]
    stats = env["_replicator"]["it"]["_replication_stats"]
    assert (stats["docs_written"], stats["doc_write_failures"]) == (1, 1)


async def completed(env):
    with anyio.fail_after(1000):
        while env.replications["it"].status.state != "completed":
            await anyio.sleep(0.5)


def test_documents_of_the_replicator_database_are_judged_as_an_administrators():
    with network() as net, Environment(":memory:") as env:
        env["near"].bulk_docs([{"_id": "good"}, {"_id": "bad", "bad": True}])
        env.create("far")
        env["_replicator"]["it"] = {"source": "near", "target": "far"}

        async def main():
            async with anyio.create_task_group() as tasks:
                await tasks.start(env.replications.run)
                create_app(env, Policy(validate_doc_update=refuse))
                await completed(env)
                tasks.cancel_scope.cancel()

        net.run(main)
        check_judged(env)


def test_a_job_that_was_there_before_the_server_is_judged_from_then_on(tmp_path):
    with Environment(tmp_path) as env:
        env["near"].bulk_docs([{"_id": "good"}, {"_id": "bad", "bad": True}])
        env.create("far")
        env.replications.add("it", "near", "far")
        create_app(env, Policy(validate_doc_update=refuse))
        assert not env.replications["it"].wait_until_synced(60)
        assert list(env["far"]) == ["good"]


def test_a_continuous_replication_heeds_what_is_changed_while_it_runs():
    with network() as net, Environment(":memory:") as env:
        env["near"]["a"] = {}
        far = env.create("far")
        app = create_app(env)

        async def main():
            async with anyio.create_task_group() as tasks:
                await tasks.start(env.replications.run)
                body = {"source": "near", "target": "far", "continuous": True}
                assert (await call_json(app, "POST", "/_replicate", body)).status == 202
                with anyio.fail_after(1000):
                    while "a" not in far:
                        await anyio.sleep(0.5)
                    key = "/_node/_local/_config/couchdb/max_attachment_size"
                    assert (await call(app, "PUT", key, {}, b'"1000"')).status == 200
                    env["near"].put({"_id": "b", "_attachments": {"x": {"data": b"x" * 2000}}})
                    env["near"]["c"] = {}
                    while "c" not in far:
                        await anyio.sleep(0.5)
                tasks.cancel_scope.cancel()

        net.run(main)
        assert list(far) == ["a", "c"]


def test_a_program_without_a_server_is_judged_by_nobody():
    with network() as net, Environment(":memory:") as env:
        env["near"]["a"] = {"bad": True}
        env["far"]["_design/v"] = dict(NEVER)
        env.replications.add("it", "near", "far", live=False)

        async def main():
            async with anyio.create_task_group() as tasks:
                await tasks.start(env.replications.run)
                await completed(env)
                tasks.cancel_scope.cancel()

        net.run(main)
        assert "a" in env["far"]
