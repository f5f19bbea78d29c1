"""What the server tells of its databases, as far as the recorded exchanges do not show it."""

from __future__ import annotations

import struct

import pytest

from couchette.server import databases
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio


@pytest.fixture
def names(environment):
    for name in ("a", "b", "c"):
        environment.create(name)
    return ["a", "b", "c", "db"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "a b c db"),
        ("?limit=2", "a b"),
        ("?skip=3", "db"),
        ("?descending=true", "db c b a"),
        ('?startkey="b"&endkey="c"', "b c"),
        ('?start_key="b"&end_key="c"&inclusive_end=false', "b"),
        ('?key="b"', "b"),
        ('?keys=["c","none","a"]', "c a"),
    ],
)
async def test_a_range_of_databases_is_listed_with_and_without_their_numbers(app, names, query, expected):
    query = query.replace('"', "%22")
    assert (await call(app, "GET", f"/_all_dbs{query}")).json() == expected.split()
    rows = (await call(app, "GET", f"/_dbs_info{query}")).json()
    assert [(row["key"], row["info"]["db_name"]) for row in rows] == [(name, name) for name in expected.split()]


@pytest.mark.parametrize("resource", ["_all_dbs", "_dbs_info"])
async def test_a_list_is_sent_again_when_it_changed(app, resource):
    etag = (await call(app, "GET", f"/{resource}")).headers["etag"]
    assert (await call(app, "GET", f"/{resource}", {"if-none-match": etag})).status == 304
    await call(app, "PUT", "/new")
    assert (await call(app, "GET", f"/{resource}", {"if-none-match": etag})).status == 200


async def test_what_is_no_name_is_no_database(app):
    keys = ["db", None, 1, {"a": []}, "UPPER", "_nope"]
    rows = (await call_json(app, "POST", "/_dbs_info", {"keys": keys})).json()
    assert [row["key"] for row in rows] == keys
    assert ["info" in row for row in rows] == [True] + [False] * 5
    assert {row["error"] for row in rows[1:]} == {"not_found"}


async def test_a_database_that_is_deleted_meanwhile_is_left_out(app, monkeypatch):
    monkeypatch.setattr(databases, "_names", lambda request: ["db", "gone"])
    assert [row["key"] for row in (await call(app, "GET", "/_dbs_info")).json()] == ["db"]


async def test_up_says_that_the_server_answers(app):
    answer = await call(app, "GET", "/_up")
    assert (answer.status, answer.json()) == (200, {"status": "ok", "seeds": {}})


async def test_the_favicon_is_an_icon_of_two_colours(app):
    answer = await call(app, "GET", "/favicon.ico")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/x-icon")
    assert answer.headers["cache-control"] == "public, max-age=31536000"
    *_, colours, _, planes, bits, size, offset = struct.unpack("<HHHBBBBHHII", answer.body[:22])
    assert (colours, planes, bits, offset + size) == (2, 1, 1, len(answer.body))
    assert struct.unpack("<Iii", answer.body[22:34]) == (40, 16, 32)
