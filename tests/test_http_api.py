"""docs/http-api.md says of every route what it is, and what it calls done is answered."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

from couchette import Environment
from couchette.server import create_app, dispatch
from couchette.server.dispatch import Resource
from tests.conformance.covered import NOT_YET_COVERED
from tests.server.asgi import call, call_json

PAGE = Path(__file__).parent.parent / "docs" / "http-api.md"
ROW = re.compile(r"\| ([A-Z, ]+) \| `(/[^`]*)` \| (done|different|left out) \|(.*)\|")
STATUSES = {"done", "different", "left out"}

D = "/{db}/_design/{ddoc}"
PATHS = {
    "ROOT": "/",
    "SCHEDULER": "/_scheduler/jobs",
    "DATABASE": "/{db}",
    "INDEXES_DELETION": "/{db}/_index/_bulk_delete",
    "INDEX_DELETION": "/{db}/_index/{ddoc}/json/{name}",
    "SHARD": "/{db}/_shards/{docid}",
    "PARTITION": "/{db}/_partition/{partition}",
    "PARTITION_LISTING": "/{db}/_partition/{partition}/_all_docs",
    "DESIGN_COMPACTION": "/{db}/_compact/{ddoc}",
    "DOCUMENT": "/{db}/{docid}",
    "VIEW": f"{D}/_view/{{view}}",
    "SPATIAL": f"{D}/_spatial/{{index}}",
    "VIEW_QUERIES": f"{D}/_view/{{view}}/queries",
    "DESIGN_INFO": f"{D}/_info",
    "ATTACHMENT": "/{db}/{docid}/{attachment}",
}
"""Where each single resource of the dispatcher is."""
FAMILIES = {
    "SERVER": "/{}",
    "DATABASE_PARTS": "/{{db}}/{}",
    "FIND": "/{{db}}/{}",
    "LISTING_QUERIES": "/{{db}}/{}/queries",
    "SEARCHES": "/{{db}}/_design/{{ddoc}}/{}/{{index}}",
}
"""Where each of several resources is, by the segment that names it."""
ELSEWHERE = {
    ("PUT", "/{db}"),
    ("DELETE", "/{db}"),
    *(("GET", f"/_scheduler/docs{rest}") for rest in ("", "/_replicator", "/_replicator/{docid}")),
    *(("GET", f"/_node/_local{rest}") for rest in ("", "/_config", "/_stats", "/_system", "/_versions")),
    ("GET", "/_node/_local/_prometheus"),
    *((method, "/_node/_local/_config/{section}/{key}") for method in ("GET", "PUT", "DELETE")),
    ("POST", "/_node/_local/_config/_reload"),
    ("GET", "/_utils"),
    ("GET", f"{D}/_show/{{show}}/{{docid}}"),
    ("GET", f"{D}/_list/{{list}}/{{view}}"),
    ("PUT", f"{D}/_update/{{update}}/{{docid}}"),
    ("GET", f"{D}/_rewrite/{{path}}"),
}
"""What functions of the dispatcher decide."""
VALUES = {
    "db": "db",
    "docid": "doc",
    "attachment": "a.txt",
    "ddoc": "d",
    "view": "v",
    "show": "s",
    "list": "l",
    "update": "u",
    "path": "here",
    "index": "i",
    "name": "n",
    "section": "chttpd",
    "key": "enable_cors",
    "stat": "couchdb",
    "partition": "p",
    "id": "id",
}
DESIGN = {
    "views": {"v": {"map": "function (doc) { emit(doc._id); }"}},
    "shows": {"s": "function (doc, req) { return 'shown'; }"},
    "lists": {"l": "function (head, req) { return 'listed'; }"},
    "updates": {"u": "function (doc, req) { return [null, 'updated']; }"},
    "rewrites": [{"from": "here", "to": "../../doc"}],
    "indexes": {"i": {"index": "function (doc) { index('a', doc._id); }"}},
    "spatial": {"i": "function (doc) { emit({type: 'Point', coordinates: [1, 2]}, null); }"},
}


def rows():
    """The lines of the tables: (method, path, status)."""
    found = [match.groups() for match in map(ROW.fullmatch, PAGE.read_text(encoding="utf-8").splitlines()) if match]
    return [(method, path, status) for methods, path, status, _ in found for method in methods.split(", ")]


def routes():
    """What the dispatcher answers: (method, path)."""
    for name, value in vars(dispatch).items():
        if isinstance(value, Resource):
            yield from ((method, PATHS[name]) for method in methods_of(value))
        elif isinstance(value, dict) and value and all(isinstance(one, Resource) for one in value.values()):
            for segment, resource in value.items():
                yield from ((method, FAMILIES[name].format(segment.decode())) for method in methods_of(resource))
    yield from ELSEWHERE


def methods_of(resource):
    return [method for method in resource.allow.split(",") if method != "HEAD"]


def test_every_line_of_the_tables_is_read():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ") and "`/" in line]
    assert all(ROW.fullmatch(line) for line in lines), [line for line in lines if not ROW.fullmatch(line)]
    listed = [(method, path) for method, path, _ in rows()]
    assert len(listed) == len(set(listed))


def test_every_route_is_in_a_table():
    answered = {(method, path) for method, path, status in rows() if status != "left out"}
    assert set(routes()) - answered == set()


def test_every_recorded_exchange_that_differs_is_in_a_table():
    listed = set(re.findall(r"^\| `([a-z_-]+/[a-z_-]+#\d+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert listed == NOT_YET_COVERED


@pytest.fixture(scope="module")
def app():
    """An app that has what the paths name."""

    async def fill(app):
        for target in ("/db", "/parts?partitioned=true"):
            assert (await call(app, "PUT", target)).status == 201
        for doc, value in (
            ("db/doc", {"_attachments": {"a.txt": {"data": "aGk="}}}),
            ("db/_local/doc", {}),
            ("db/_design/d", {**DESIGN, "_attachments": {"a.txt": {"data": "aGk="}}}),
            ("parts/_design/d", DESIGN),
        ):
            answer = await call_json(app, "PUT", f"/{doc}", value)
            assert answer.status == 201, answer.body
        body = {"index": {"fields": ["n"]}, "ddoc": "m", "name": "n"}
        assert (await call_json(app, "POST", "/db/_index", body)).status == 200
        assert (await call_json(app, "PUT", "/_replicator/doc", {"source": "db", "target": "x"})).status == 201

    with Environment(":memory:") as environment:
        environment.create("_replicator")
        environment.replications.stop()
        app = create_app(environment)
        anyio.run(fill, app)
        yield app


def filled(path):
    """A path with what the app has in its places."""
    if "{partition}" in path:
        path = path.replace("{db}", "parts")
    if "/json/" in path:
        path = path.replace("{ddoc}", "m")
    return re.sub(r"\{(\w+)\}", lambda found: VALUES[found[1]], path)


HARMLESS = {("DELETE", "/{db}"): "?rev=1-x", ("DELETE", "/{db}/_local/{docid}"): "-other"}
"""What keeps a request from taking away what the next one needs."""
NOT_THERE = {("DELETE", "/{db}/_local/{docid}"), ("GET", "/_scheduler/jobs/{id}")}
"""What is asked for there is missing here, so that 404 is the answer (test_replications.py has a job that runs)."""


@pytest.mark.parametrize(("method", "path"), [(m, p) for m, p, status in rows() if status != "left out"])
def test_what_is_done_is_answered(app, method, path):
    """Without a body, and without a revision: nothing is changed, so that the next one finds the same."""
    target = filled(path) + HARMLESS.get((method, path), "")
    answer = anyio.run(call, app, method, target, {"content-type": "application/json"})
    assert answer.status not in (405, 500, 501), answer.body
    assert (answer.status == 404) == ((method, path) in NOT_THERE), answer.body
