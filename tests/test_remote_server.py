"""A server as a mapping of databases, and who we are to it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pytest

import couchette
from couchette import AsyncRemoteServer, Environment, RemoteServer, errors
from couchette.server import Policy, background

PASSWORD = "open sesame"


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        yield environment


@pytest.fixture
def url(environment):
    with background(environment) as url:
        yield url


@pytest.fixture
def server(url):
    with RemoteServer(url) as server:
        yield server


@pytest.fixture(scope="module")
def guarded():
    """A server with an administrator, on which anyone may sign up."""
    policy = Policy(admins={"root": PASSWORD}, password_iterations=1)
    with Environment(":memory:") as environment, background(environment, policy=policy) as url:
        yield url


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_both_classes_have_the_same_methods_but_for_those_of_a_mapping():
    assert public(RemoteServer) - public(AsyncRemoteServer) == public(Mapping)
    assert public(AsyncRemoteServer) <= public(RemoteServer)
    for name in public(AsyncRemoteServer) - {"closed", "url"}:
        theirs = inspect.signature(getattr(AsyncRemoteServer, name)).parameters
        assert list(inspect.signature(getattr(RemoteServer, name)).parameters) == list(theirs), name


def test_it_is_a_mapping_of_names_to_databases(server, environment):
    notes = server["notes"]
    notes["a"] = {}
    assert list(environment["notes"]) == ["a"]
    assert server["notes"] is notes
    assert server.open("notes") is notes
    assert "notes" in server
    assert "none" not in server
    assert "Bad name" not in server
    assert 5 not in server
    assert server.create("a/b+c", partitioned=True).info()["props"] == {"partitioned": True}
    assert list(server) == server.all_dbs() == ["a/b+c", "notes"]
    assert len(server) == 2
    del server["notes"]
    assert notes.closed
    assert set(server.keys()) == {"a/b+c"}


def test_errors_are_those_of_an_environment(server):
    server.create("notes")
    with pytest.raises(errors.DatabaseExists):
        server.create("notes")
    for call in (server.open, server.destroy):
        with pytest.raises(errors.DatabaseNotFound):
            call("none")
    for call in (server.open, server.create, server.database, server.__getitem__):
        with pytest.raises(errors.IllegalDatabaseName):
            call("Bad name")


def test_a_closed_database_is_opened_anew(server):
    first = server["notes"]
    first.close()
    assert server["notes"] is not first
    assert server["notes"].info()["db_name"] == "notes"


def test_closing_it_closes_the_databases_that_it_gave(url):
    with RemoteServer(url) as server:
        notes = server["notes"]
    assert notes.closed
    assert repr(server) == f"<couchette.RemoteServer '{url}' closed>"
    with pytest.raises(errors.DatabaseClosed):
        server.info()


def test_it_is_asked_about_itself(server, environment):
    assert server.info()["couchdb"] == "Welcome"
    assert len(set(server.uuids(3))) == 3
    assert server.active_tasks() == []
    assert server.search_analyze("simple", "Quick fox") == {"tokens": ["quick", "fox"]}
    assert server.request("GET", "_up")[0] == 200


def test_it_replicates_between_its_databases(server, environment):
    environment["near"].put({"_id": "a"})
    assert server.replicate(f"{server.url}/near", f"{server.url}/far", create_target=True)["ok"]
    assert list(server["far"]) == ["a"]


def test_a_session_is_kept_for_the_server_and_its_databases(guarded):
    with RemoteServer(guarded, ("root", PASSWORD)) as server:
        server["_users"].set_security({})  # CouchDB, too, has only administrators make users, unless it is told.
        server["shared"].set_security({"members": {"names": ["ada"], "roles": []}})
    with RemoteServer(guarded) as server:
        shared = server.database("shared")
        assert server.session()["userCtx"]["name"] is None
        with pytest.raises(errors.Unauthorized):
            shared.info()
        server.sign_up("ada", "lovelace", age=36)
        with pytest.raises(errors.Unauthorized):
            server.log_in("ada", "wrong")
        assert server.log_in("ada", "lovelace")["name"] == "ada"
        assert server.session()["userCtx"]["name"] == "ada"
        shared["a"] = {}
        assert server.get_user("ada")["age"] == 36
        with couchette.Database() as near:  # Over connections of its own, with the same credentials.
            assert near.replicate_from(shared).docs_written == 1
        assert server.log_out() == {"ok": True}
        assert server.session()["userCtx"]["name"] is None
        with pytest.raises(errors.Unauthorized):
            shared.info()


def test_a_user_of_a_name_that_is_taken_is_a_conflict(guarded):
    with RemoteServer(guarded, ("root", PASSWORD)) as server:
        server["_users"].set_security({})
        server.sign_up("grace", "hopper", ["captain"])
        assert server.get_user("grace")["roles"] == ["captain"]
        with pytest.raises(errors.Conflict):
            server.sign_up("grace", "other")
        with pytest.raises(errors.NotFound):
            server.get_user("nobody")
        with RemoteServer(guarded) as anyone, pytest.raises(errors.Forbidden):
            anyone.sign_up("mallory", "x", ["captain"])


@pytest.mark.anyio
async def test_the_asynchronous_one_does_the_same(url, environment):
    async with AsyncRemoteServer(url) as server:
        notes = await server.create("notes")
        await notes.put({"_id": "a"})
        assert await server.all_dbs() == ["notes"]
        assert await server.open("notes") is notes
        assert server.database("notes") is notes
        with pytest.raises(errors.DatabaseNotFound):
            await server.open("none")
        await server.destroy("notes")
        assert notes.closed
        assert repr(server) == f"<couchette.AsyncRemoteServer '{url}'>"
    assert server.closed


@pytest.mark.parametrize("bad", ["ftp://host", "http://", "http://host?x=1", "http://host:x"])
def test_what_is_no_address_of_a_server_is_refused(bad):
    with pytest.raises(errors.BadRequest):
        RemoteServer(bad)


def test_a_server_may_be_below_a_path_and_its_url_hold_credentials():
    assert RemoteServer("https://ada:pw@host:443/couch/").url == "https://host/couch"
    assert RemoteServer("http://[::1]:5984").database("a/b").url == "http://[::1]:5984/a%2Fb"
