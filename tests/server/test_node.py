"""The server as a node: settings, counters, health."""

from __future__ import annotations

import pytest

from couchette.errors import BadRequest
from couchette.server import Cors, Policy, create_app
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

CONFIG = "/_node/_local/_config"


async def test_the_server_is_the_only_node_of_its_cluster(app):
    expected = {"all_nodes": ["nonode@nohost"], "cluster_nodes": ["nonode@nohost"]}
    assert (await call(app, "GET", "/_membership")).json() == expected
    assert (await call(app, "GET", "/_node/_local")).json() == {"name": "nonode@nohost"}
    assert (await call(app, "POST", "/_membership")).status == 405


async def test_another_node_does_not_exist(app):
    answer = await call(app, "GET", "/_node/other@host/_system")
    assert (answer.status, answer.json()["reason"]) == (404, "no such node: other@host")
    answer = await call(app, "GET", "/_node")
    assert (answer.status, answer.json()["reason"]) == (400, "Incomplete path to _node request")
    assert (await call(app, "GET", "/_node/_local/_nope")).status == 404
    assert (await call(app, "GET", f"{CONFIG}/a/b/c")).status == 404


async def test_settings_are_read_whole_by_section_and_alone(app, environment):
    settings = (await call(app, "GET", CONFIG)).json()
    sizes = {"max_attachment_size": "infinity", "max_document_size": "8000000"}
    assert settings["couchdb"] == {**sizes, "uuid": environment.uuid}
    assert settings["uuids"] == {"algorithm": "sequential", "max_count": "1000"}
    assert settings["chttpd"]["enable_cors"] == "false"
    assert all(isinstance(value, str) for section in settings.values() for value in section.values())
    assert (await call(app, "GET", f"{CONFIG}/uuids")).json() == settings["uuids"]
    assert (await call(app, "GET", f"{CONFIG}/uuids/algorithm")).json() == "sequential"
    assert (await call(app, "GET", f"{CONFIG}/nope")).json() == {}
    answer = await call(app, "GET", f"{CONFIG}/nope/nope")
    assert (answer.status, answer.json()) == (404, {"error": "not_found", "reason": "unknown_config_value"})


async def test_no_secret_is_among_the_settings(environment):
    policy = Policy(admins={"lovelace": "topsecret"}, password_iterations=1, proxy_secret="psst", cors=Cors())
    app = create_app(environment, policy)
    answer = await call(app, "GET", CONFIG, {"authorization": "Basic bG92ZWxhY2U6dG9wc2VjcmV0"})
    assert answer.status == 200
    assert answer.json()["cors"]["origins"] == "*"
    assert list(answer.json()["admins"]) == ["lovelace"]
    for secret in (b"topsecret", b"psst"):
        assert secret not in answer.body
    assert (await call(app, "GET", CONFIG)).status == 401


async def test_a_setting_is_changed_and_deleted(app):
    key = f"{CONFIG}/cors/origins"
    assert (await call_json(app, "PUT", key, " https://a.example ")).json() == ""
    assert (await call_json(app, "PUT", key, "https://b.example")).json() == "https://a.example"
    assert (await call(app, "GET", key)).json() == "https://b.example"
    assert (await call(app, "DELETE", key)).json() == "https://b.example"
    assert (await call(app, "GET", key)).status == 404
    assert (await call(app, "DELETE", key)).status == 404
    assert "cors" not in (await call(app, "GET", CONFIG)).json()


async def test_reloading_goes_back_to_the_beginning(environment):
    app = create_app(environment, Policy(cors=Cors(("https://a.example",))))
    await call_json(app, "PUT", f"{CONFIG}/cors/origins", "*")
    assert (await call_json(app, "POST", f"{CONFIG}/_reload", {})).json() == {"ok": True}
    assert (await call(app, "GET", f"{CONFIG}/cors/origins")).json() == "https://a.example"
    assert app.node.settings.cors == Cors(("https://a.example",))


async def test_a_page_of_another_site_cannot_reload(app):
    await call_json(app, "PUT", f"{CONFIG}/cors/origins", "*")
    for headers in ({}, {"content-type": "text/plain"}):
        assert (await call(app, "POST", f"{CONFIG}/_reload", headers, b"{}")).status == 415
    assert (await call(app, "GET", f"{CONFIG}/cors/origins")).json() == "*"


@pytest.mark.parametrize(
    "path", ["chttpd/require_valid_user", "couchdb/uuid", "vendor/name", "couch_httpd_auth/secret"]
)
async def test_what_cannot_change_is_read_only(app, path):
    answer = await call_json(app, "PUT", f"{CONFIG}/{path}", "true")
    expected = {"error": "modification_not_allowed", "reason": "This config variable is read-only"}
    assert (answer.status, answer.json()) == (400, expected)
    assert (await call(app, "DELETE", f"{CONFIG}/{path}")).status in (400, 404)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("chttpd/enable_cors", "maybe"),
        ("chttpd/enable_cors", True),
        ("cors/credentials", ""),
        ("cors/origins", "https://a\r\nx: y"),
        ("cors/headers", "ü"),
        ("cors/max_age", "-1"),
        ("cors/max_age", "9" * 30),
        ("cors/max_age", None),
    ],
)
async def test_a_value_that_a_setting_cannot_have_is_refused(app, path, value):
    before = app.node.settings.all()
    answer = await call(app, "PUT", f"{CONFIG}/{path}", {"content-type": "application/json"}, _json(value))
    assert (answer.status, answer.json()["error"]) == (400, "bad_request")
    assert app.node.settings.all() == before


def _json(value):
    return {None: b"null", True: b"true"}.get(value) or b'"%b"' % str(value).encode("unicode_escape")


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "", "GET"),
        ("DELETE", "/cors", "GET"),
        ("GET", "/_reload", "POST"),
        ("POST", "/cors/origins", "GET,PUT,DELETE"),
    ],
)
async def test_methods_of_settings(app, method, path, allow):
    answer = await call(app, method, CONFIG + path)
    assert (answer.status, answer.headers["allow"]) == (405, allow)
    assert (await call(app, "HEAD", CONFIG)).status == 200


async def test_requests_and_answers_are_counted(app):
    for method, target in [("GET", "/db"), ("GET", "/none"), ("HEAD", "/db"), ("BREW", "/db"), ("BOIL", "/db")]:
        await call(app, method, target)
    stats = (await call(app, "GET", "/_node/_local/_stats")).json()["couchdb"]
    assert {name: one["value"] for name, one in stats["httpd_request_methods"].items()} == {
        "GET": 3,
        "HEAD": 1,
        "other": 2,
    }
    assert {name: one["value"] for name, one in stats["httpd_status_codes"].items()} == {"200": 2, "404": 1, "405": 2}
    requests = (await call(app, "GET", "/_node/_local/_stats/couchdb/httpd/requests")).json()
    assert requests == {"value": 7, "type": "counter", "desc": "number of HTTP requests"}
    assert (await call(app, "GET", "/_node/_local/_stats/couchdb/nope")).status == 404
    assert (await call(app, "GET", "/_node/_local/_stats/couchdb/httpd/requests/value/x")).status == 404


async def test_the_system_tells_how_long_it_runs(app):
    system = (await call(app, "GET", "/_node/_local/_system")).json()
    assert system["uptime"] >= 0
    assert system["process_count"] >= 1
    assert (await call(app, "PUT", "/_node/_local/_system")).headers["allow"] == "GET"


async def test_the_node_tells_what_it_is_made_of(app):
    told = (await call(app, "GET", "/_node/_local/_versions")).json()
    assert told["python"]["version"].startswith("3.")
    assert told["collation_driver"]["name"]
    assert (await call(app, "POST", "/_node/_local/_versions")).status == 405


async def test_prometheus_reads_what_the_node_counts(app, environment):
    await call(app, "GET", "/db")
    await call(app, "GET", "/none")
    with environment["db"]._pool.tasks.running("indexer", "_design/x"):
        answer = await call(app, "GET", "/_node/_local/_prometheus")
    lines = answer.body.decode().splitlines()
    assert answer.headers["content-type"].startswith("text/plain; version=2.0")
    assert "couchdb_httpd_requests_total 3" in lines
    assert 'couchdb_httpd_request_methods{method="GET"} 3' in lines
    assert 'couchdb_httpd_status_codes{code="404"} 1' in lines
    assert 'couchette_tasks{type="indexer"} 1' in lines
    assert "couchdb_couch_replicator_jobs_running 0" in lines
    names = {line.split("{")[0].split()[0] for line in lines if not line.startswith("#")}
    assert names == {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert (await call(app, "POST", "/_node/_local/_prometheus")).status == 405


async def test_a_single_node_is_set_up_already(app):
    assert (await call(app, "GET", "/_cluster_setup")).json() == {"state": "single_node_enabled"}
    answer = await call_json(app, "POST", "/_cluster_setup", {"action": "enable_single_node"})
    assert (answer.status, answer.json()) == (201, {"ok": True})
    assert (await call_json(app, "POST", "/_cluster_setup", {"action": "add_node"})).status == 400


async def test_all_documents_are_in_one_shard(app):
    assert (await call(app, "GET", "/db/_shards")).json() == {"shards": {"00000000-ffffffff": ["nonode@nohost"]}}
    expected = {"range": "00000000-ffffffff", "nodes": ["nonode@nohost"]}
    assert (await call(app, "GET", "/db/_shards/a")).json() == expected
    answer = await call(app, "POST", "/db/_sync_shards")
    assert (answer.status, answer.json()) == (202, {"ok": True})
    assert (await call(app, "GET", "/none/_shards")).status == 404


async def test_what_couchdb_gave_up_is_gone(app):
    answer = await call_json(app, "POST", "/db/_temp_view", {"map": "function (doc) {}"})
    expected = {"error": "gone", "reason": "Temporary views are not supported in CouchDB"}
    assert (answer.status, answer.json()) == (410, expected)


async def test_search_indexes_are_cleaned_up_with_the_others(app):
    answer = await call_json(app, "POST", "/db/_search_cleanup")
    assert (answer.status, answer.json()) == (202, {"ok": True})


def test_settings_to_begin_with_are_the_programs(environment):
    app = create_app(environment, Policy(settings={"cors/origins": "https://a.example", "chttpd/enable_cors": "true"}))
    assert app.node.settings.cors == Cors(("https://a.example",))
    app = create_app(environment, Policy(settings={"couchdb/max_attachment_size": "1000", "replicator/max_jobs": "7"}))
    assert app.node.settings.attachment_bytes_max == 1000
    assert environment.replications.scheduler.turns.max_jobs == 7
    for wrong in ({"couchdb/uuid": "x"}, {"cors": "x"}, {"replicator/max_jobs": "none"}):
        with pytest.raises(BadRequest):
            create_app(environment, Policy(settings=wrong))
