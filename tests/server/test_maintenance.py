"""The upkeep of a database over HTTP, as far as the recorded exchanges do not show it."""

from __future__ import annotations

import pytest

from couchette.server import maintenance
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio


async def test_compact_is_answered_and_done(app):
    rev = (await call_json(app, "PUT", "/db/a", {"v": 1})).json()["rev"]
    await call_json(app, "PUT", f"/db/a?rev={rev}", {"v": 2})
    answer = await call_json(app, "POST", "/db/_compact", {})
    assert (answer.status, answer.json()) == (202, {"ok": True})
    assert (await call(app, "GET", f"/db/a?rev={rev}")).status == 404
    assert (await call(app, "GET", "/db/a")).json()["v"] == 2


async def test_a_database_that_is_deleted_before_it_is_compacted_is_no_fault(app, caplog):
    db = app.environment["db"]
    db.destroy()
    await maintenance._compact(db)
    assert caplog.records == []


async def test_compaction_that_fails_is_logged(app, caplog):
    db = app.environment["db"]
    db._pool.write(lambda conn: conn.execute("DROP TABLE att"))
    assert (await call_json(app, "POST", "/db/_compact", {})).status == 202
    (record,) = caplog.records
    assert record.getMessage() == "compaction of db failed"


async def test_revs_limit_is_read_and_set(app):
    assert (await call(app, "GET", "/db/_revs_limit")).json() == 1000
    assert (await call_json(app, "PUT", "/db/_revs_limit", 5)).json() == {"ok": True}
    assert (await call(app, "GET", "/db/_revs_limit")).json() == 5
    for wrong in (0, "5", None):
        assert (await call_json(app, "PUT", "/db/_revs_limit", wrong)).status == 400
    assert (await call(app, "GET", "/db/_revs_limit")).json() == 5


async def test_purged_infos_limit_is_read_and_set(app):
    target = "/db/_purged_infos_limit"
    assert (await call(app, "GET", target)).json() == 1000
    assert (await call_json(app, "PUT", target, 5)).json() == {"ok": True}
    assert (await call(app, "GET", target)).json() == 5
    for wrong in (0, "5", True):
        answer = await call_json(app, "PUT", target, wrong)
        assert (answer.status, answer.json()["reason"]) == (400, "`purge_infos_limit` must be positive integer")
    assert (await call(app, "POST", target)).headers["allow"] == "GET,PUT"


async def test_a_malformed_purge_is_refused(app):
    for wrong in ([], {"a": "1-a"}, {"a": ["x"]}):
        answer = await call_json(app, "POST", "/db/_purge", wrong)
        assert (answer.status, answer.json()["error"]) == (400, "bad_request")
    assert (await call(app, "GET", "/db/_purged_infos")).json() == {"purged_infos": []}


async def ids_of(app, target, body=None):
    answer = await (call(app, "GET", target) if body is None else call_json(app, "POST", target, body))
    assert answer.status == 200, answer.body
    return [row.get("id", row["key"]) for row in answer.json()["rows"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "abc"),
        ("?descending=true", "cba"),
        ('?startkey="_local/b"', "bc"),
        ('?endkey="_local/b"', "ab"),
        ('?endkey="_local/b"&inclusive_end=false', "a"),
        ('?startkey="_local/b"&descending=true', "ba"),
        ('?endkey="_local/b"&descending=true&inclusive_end=false', "c"),
        ('?key="_local/b"', "b"),
        ("?startkey=1", "abc"),
        ("?endkey=1", ""),
        ("?skip=1&limit=1", "b"),
        ("?limit=0", ""),
        ('?keys=["_local/c","_local/a",1]', "ca"),
    ],
)
async def test_local_docs_are_listed_as_all_docs_are(app, query, expected):
    for name in "bca":
        await call_json(app, "PUT", f"/db/_local/{name}", {"v": name})
    await call_json(app, "PUT", "/db/a", {})
    target = "/db/_local_docs" + query.replace('"', "%22")
    assert await ids_of(app, target) == [f"_local/{name}" for name in expected]


async def test_local_docs_are_not_counted(app):
    await call_json(app, "PUT", "/db/_local/a", {"v": 1})
    answer = (await call(app, "GET", "/db/_local_docs?include_docs=true&update_seq=true")).json()
    seq = answer.pop("update_seq")
    assert seq.startswith("0-")
    doc = {"_id": "_local/a", "_rev": "0-1", "v": 1}
    row = {"id": "_local/a", "key": "_local/a", "value": {"rev": "0-1"}, "doc": doc}
    assert answer == {"total_rows": None, "offset": None, "rows": [row]}
    body = {"keys": ["_local/none", "_local/a"]}
    assert await ids_of(app, "/db/_local_docs", body) == ["_local/none", "_local/a"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('?startkey="a"', ""),
        ('?endkey="a"', "xy"),
        ("?startkey=1", "xy"),
        ("?endkey=1", ""),
        ('?endkey="_design/y"&descending=true', "y"),
        ('?startkey="z"&descending=true', "yx"),
    ],
)
async def test_a_range_of_design_docs_never_leaves_them(app, query, expected):
    for id in ("_design/x", "_design/y", "a", "Z"):
        await call_json(app, "PUT", f"/db/{id}", {})
    target = "/db/_design_docs" + query.replace('"', "%22")
    assert await ids_of(app, target) == [f"_design/{name}" for name in expected]
