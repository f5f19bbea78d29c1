"""What the server tells of its databases, as far as the recorded exchanges do not show it."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path

import pytest

from couchette import Database, Environment
from couchette.errors import NotADatabase
from couchette.limits import DATABASE_NAME_BYTES_MAX
from couchette.server import create_app, databases
from couchette.server.answers import without_folder
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


async def test_there_is_one_engine_to_store_a_database_with(app):
    answer = await call(app, "PUT", "/new?engine=cowabunga")
    assert (answer.status, answer.json()["reason"]) == (400, "invalid_engine_extension")
    assert (await call(app, "PUT", "/new?engine=couch")).status == 201


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


async def test_a_file_that_cannot_be_opened_hides_no_other_database(tmp_path):
    (tmp_path / "damaged.couchette").write_bytes(b"no database" * 1000)
    with Environment(tmp_path) as environment:
        environment.create("notes")
        app = create_app(environment)
        listed = (await call(app, "GET", "/_dbs_info")).json()
        asked = (await call_json(app, "POST", "/_dbs_info", {"keys": ["damaged", "notes"]})).json()
        for first, second in (listed, asked):
            assert first == {"key": "damaged", "error": "not_a_database"}
            assert second["info"]["db_name"] == "notes"
        assert (await call(app, "DELETE", "/damaged")).status == 200
        assert (await call(app, "GET", "/_all_dbs")).json() == ["notes"]


async def test_the_longest_name_makes_a_database(tmp_path):
    with Environment(tmp_path) as environment:
        app = create_app(environment)
        longest = "c" * DATABASE_NAME_BYTES_MAX
        for method, status in (("PUT", 201), ("GET", 200), ("DELETE", 200)):
            assert (await call(app, method, f"/{longest}")).status == status
        refused = await call(app, "PUT", f"/{longest}c")
        assert (refused.status, refused.json()["error"]) == (400, "database_name_too_long")


@pytest.mark.parametrize("parameter", ["q", "n"])
@pytest.mark.parametrize("value", ["0", "x", "-1", "", "1.5"])
async def test_how_many_shards_a_database_has_must_be_a_number(app, environment, parameter, value):
    answer = await call(app, "PUT", f"/new?{parameter}={value}")
    expected = f"The `{parameter}` value should be a positive integer."
    assert (answer.status, answer.json()["reason"]) == (400, expected)
    assert "new" not in environment
    assert (await call(app, "PUT", f"/new?partitioned=x&{parameter}={value}")).json()["reason"] == expected
    assert (await call(app, "PUT", f"/new?{parameter}=08")).status == 201
    assert (await call(app, "PUT", f"/newer?{parameter}=%2B10")).status == 201


@pytest.mark.parametrize("folder", ["a folder", "{here}/a folder/", "."])
async def test_an_error_does_not_tell_where_the_files_are(tmp_path, monkeypatch, caplog, folder):
    here = tmp_path / "here"
    (here / "a folder").mkdir(parents=True)
    monkeypatch.chdir(here)
    with Environment(folder.format(here=here)) as environment:
        damaged = Path(environment.folder, "damaged.couchette")
        damaged.write_bytes(b"no database" * 1000)
        app = create_app(environment)
        reason = "damaged.couchette is not a couchette database."
        answer = await call(app, "GET", "/damaged")
        assert answer.json() == {"error": "not_a_database", "reason": reason}
        assert f"{os.path.join(environment.folder, reason)}" in caplog.text
        with pytest.raises(NotADatabase, match=re.escape(os.path.join(environment.folder, reason))):
            environment.open("damaged")
        replicated = await call_json(
            app, "POST", "/_replicate", {"source": "damaged", "target": "http://127.0.0.1:9/x"}
        )
        pages = [await call(app, "GET", path) for path in ("/_utils/", "/_utils/documents?db=damaged")]
        for shown in (replicated, *pages):
            assert reason in shown.body.decode()
            assert os.path.join(environment.folder, reason) not in shown.body.decode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "The disk did not confirm /srv/dbs/a.couchette: '/srv/dbs/a.couchette-wal'.",
            "a.couchette: 'a.couchette-wal'.",
        ),
        ("The folder /srv/dbs does not exist; make it first.", "The folder dbs does not exist; make it first."),
        ("The administrators cannot be written to /srv/dbs.", "The administrators cannot be written to dbs."),
        ("Elsewhere: /srv/dbs2/a.couchette, x/srv/dbs/a.", "Elsewhere: /srv/dbs2/a.couchette, x/srv/dbs/a."),
    ],
)
def test_a_text_names_files_without_their_folder(environment, monkeypatch, text, shown):
    monkeypatch.setattr(environment, "folder", "/srv/dbs")
    assert without_folder(text, environment).endswith(shown)


@pytest.mark.parametrize("target", ["http://couch.example:5984/db", "HTTPS://x/db"])
async def test_a_request_may_name_the_whole_url(app, target):
    assert (await call(app, "GET", target)).json()["db_name"] == "db"
    assert (await call(app, "GET", "http://couch.example")).json()["couchdb"] == "Welcome"


async def test_the_files_of_databases_are_for_their_owner_alone(tmp_path):
    with Environment(tmp_path) as environment:
        app = create_app(environment)
        for name in ("notes", "_users", "_replicator"):
            assert (await call(app, "PUT", f"/{name}")).status == 201
        modes = {path.stat().st_mode & 0o777 for path in tmp_path.glob("*.couchette*")}
        assert modes == {0o600}


async def test_a_database_that_is_deleted_under_a_request_is_not_there(app, environment, monkeypatch):
    info = Database.info

    def deleted_before(db):
        environment.destroy(db.name)
        return info(db)

    monkeypatch.setattr(Database, "info", deleted_before)
    answer = await call(app, "GET", "/db")
    assert (answer.status, answer.json()) == (404, {"error": "not_found", "reason": "Database does not exist."})
