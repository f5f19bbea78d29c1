"""Databases on a server: the same methods and shapes, by URL."""

from __future__ import annotations

from itertools import count

import pytest

from couchette import Environment
from couchette.errors import Unauthorized
from couchette.pouchdb import PouchDBError
from couchette.server import background

NUMBERS = count()


@pytest.fixture(scope="module")
def far():
    """The databases of a server."""
    with Environment(":memory:") as environment:
        yield environment


@pytest.fixture(scope="module")
def server(far):
    """The server's address."""
    with background(far) as url:
        yield url


@pytest.fixture
def env(env):
    yield env
    env._core.close_servers()


@pytest.fixture
def name():
    """A name that no other test uses."""
    return f"notes{next(NUMBERS)}"


@pytest.fixture
def remote(env, server, name):
    return env.PouchDB(f"{server}/{name}")


def test_a_database_on_a_server_is_made_when_it_is_first_used(env, server, far, name, remote):
    assert name not in far
    assert remote.info().db_name == name
    assert name in far
    skipped = env.PouchDB(f"{server}/others", skip_setup=True)
    with pytest.raises(PouchDBError) as caught:
        skipped.info()
    assert (caught.value["status"], caught.value["name"]) == (404, "not_found")


def test_documents_attachments_and_rows_have_the_same_shapes(remote):
    rev = remote.put({"_id": "a", "n": 1}).rev
    assert remote.get("a") == {"_id": "a", "_rev": rev, "n": 1}
    assert remote.putAttachment("b", "t.txt", b"Hello", "text/plain").ok
    assert remote.getAttachment("b", "t.txt") == {"data": b"Hello", "type": "text/plain"}
    rows = remote.bulkDocs([{"_id": "a"}, {"_id": "c"}])
    assert (rows[0].status, rows[0].name, rows[1].ok) == (409, "conflict", True)
    assert [row.id for row in remote.allDocs(startkey="b").rows] == ["b", "c"]
    assert remote.bulkGet({"docs": [{"id": "a"}]}).results[0].docs[0].ok.n == 1
    changes = remote.changes()
    assert [row.id for row in changes.results] == ["a", "b", "c"]
    assert isinstance(changes.last_seq, str)
    assert remote.find({"selector": {"n": 1}}).docs[0]._id == "a"


def test_it_is_a_mapping_too(remote):
    doc: dict = {"n": 1}
    remote["a"] = doc
    assert doc["_rev"].startswith("1-")
    remote["a"] = {"n": 2}
    assert (len(remote), list(remote), "a" in remote) == (1, ["a"], True)
    del remote["a"]
    with pytest.raises(KeyError, match="not_found"):
        remote["a"]


def test_stored_views_and_filters_run_on_the_server(remote):
    remote["_design/d"] = {
        "views": {"n": {"map": "function (doc) { emit(doc.n); }"}},
        "filters": {"n": "function (doc, req) { return doc.n === Number(req.query.n); }"},
    }
    remote.update({"a": {"n": 1}, "b": {"n": 2}})
    assert [row.id for row in remote.query("d/n", startkey=2).rows] == ["b"]
    assert [row.id for row in remote.changes(filter="d/n", query_params={"n": 2}).results] == ["b"]
    assert [row.id for row in remote.changes(filter="_design").results] == ["_design/d"]


def test_functions_of_one_query_run_here(remote):
    remote["_design/d"] = {"views": {}}
    rev = remote.putAttachment("b", "t.txt", b"Hello", "text/plain").rev
    remote.update({"a": {"n": 1}, "b": {"n": 2, "_rev": rev}, "c": {"n": 3}})
    source = "function (doc) { emit(doc.n); }"
    assert [row.key for row in remote.query(source, descending=True).rows] == [3, 2, 1]
    assert [row.doc._id for row in remote.query({"map": source}, key=2, include_docs=True).rows] == ["b"]
    assert remote.query({"map": lambda doc, emit: emit(doc["_id"], doc["n"]), "reduce": "_sum"}).rows[0].value == 6
    answer = remote.query(lambda doc: [(doc["_id"], None)], skip=2, update_seq=True)
    assert answer == {"total_rows": 3, "offset": 2, "rows": [{"id": "c", "key": "c", "value": None}]}


def test_it_replicates_by_name_and_as_an_object(env, far, name, remote):
    env["local"].update({"a": {}, "b": {}})
    far[name]["c"] = {}
    assert remote.replicateTo("local").docs_written == 1
    assert env["local"].replicateTo(remote).docs_written == 2
    assert sorted(far[name]) == ["a", "b", "c"]


def test_live_changes_come_from_the_server(env, far, name, remote):
    seen = []

    def change(row):
        seen.append(row.id)

    changes = remote.changes(live=True, onChange=change)
    far[name]["x"] = {}
    env.context.waitUntilCalled(change)
    ended = []
    changes.then(ended.append)
    changes.cancel()
    env.context.waitUntilCalled(ended.append)
    assert (seen, ended) == (["x"], [{"status": "cancelled"}])


def test_destroying_it_deletes_it_there(env, server, far, name, remote):
    remote["a"] = {}
    names = []
    env.on("destroyed", names.append)
    assert remote.destroy() == {"ok": True}
    assert name not in far
    assert names == [f"{server}/{name}"]
    with pytest.raises(PouchDBError, match="database is destroyed"):
        remote.info()


def test_credentials_are_an_option_or_in_the_url(env):
    given = env.PouchDB("http://host/db", auth={"username": "ada", "password": "secret"})
    shown = env.PouchDB("http://ada:secret@host/other")
    assert given._core.server is shown._core.server
    assert given._core.server is not env.PouchDB("http://host/db")._core.server


def test_credentials_that_lack_a_part_are_refused(env):
    with pytest.raises(PouchDBError, match="username and a password"):
        env.PouchDB("http://host/db", auth={"username": "ada"}).info()


def test_after_cookies_are_cleared_a_database_is_used_on(env, remote):
    remote["a"] = {}
    before = remote._core.server
    env.context.clearCookies()
    assert remote._core.server is not before
    assert "a" in remote


def test_an_error_of_credentials_is_no_key_error(remote, monkeypatch):
    remote["a"] = {}

    def refuse(*args, **options):
        raise Unauthorized("You are not authorized to access this db.")

    monkeypatch.setattr(remote._core.database, "get", refuse)
    with pytest.raises(PouchDBError) as caught:
        remote["a"]
    assert caught.value["status"] == 401


def test_a_server_that_is_not_there_is_told_by_the_first_operation(env):
    remote = env.PouchDB("http://127.0.0.1:1/db")
    with pytest.raises(PouchDBError) as caught:
        remote.get("a")
    assert caught.value["name"] == "unreachable"
