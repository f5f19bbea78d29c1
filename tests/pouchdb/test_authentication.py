"""Users of local databases and of servers: sign up, log in, log out, and who is there."""

from __future__ import annotations

import httpx
import pytest

from couchette import Environment, RemoteServer
from couchette.errors import BadRequest, Conflict, Forbidden, NotFound, Unauthorized
from couchette.limits import LOCKOUT_FAILURES
from couchette.pouchdb.authentication import LocalSession, get_session, get_user, login, logout, signup
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.folders import Folder
from couchette.server import create_app
from couchette.server.policy import Policy
from couchette.users import passwords
from couchette.users.admins import Admins

ADMIN_PARTY = {"name": None, "roles": ["_admin"]}


@pytest.fixture
def environment(tmp_path):
    environment = EnvironmentCore(Folder(str(tmp_path)), lambda event, name: None)
    environment.__dict__["session"] = LocalSession(environment.environment, iterations=1)
    yield environment
    environment.environment.close()


@pytest.fixture
def core(environment):
    return environment.database("notes")


def test_a_user_signs_up_logs_in_and_logs_out(core):
    answer = signup(core, "ada", "secret", metadata={"email": "ada@example.org"}, roles=["editor"])
    assert answer == {"ok": True, "id": "org.couchdb.user:ada", "rev": answer["rev"]}
    assert get_session(core)["userCtx"] == ADMIN_PARTY
    assert login(core, "ada", "secret") == {"ok": True, "name": "ada", "roles": ["editor"]}
    assert get_session(core) == {
        "ok": True,
        "userCtx": {"name": "ada", "roles": ["editor"]},
        "info": {"authentication_db": "_users", "authentication_handlers": ["api"], "authenticated": "api"},
    }
    assert get_user(core, "ada")["email"] == "ada@example.org"
    assert logout(core) == {"ok": True}
    assert get_session(core)["userCtx"] == ADMIN_PARTY
    assert logout(core) == {"ok": True}


def test_a_password_is_kept_as_couchdb_keeps_it(core, environment):
    signup(core, "ada", "secret")
    doc = environment.users["org.couchdb.user:ada"]
    assert "password" not in doc
    assert (doc["password_scheme"], doc["pbkdf2_prf"], doc["roles"], doc["type"]) == ("pbkdf2", "sha256", [], "user")
    assert passwords.verify("secret", doc)


def test_a_session_is_the_environments(core, environment):
    signup(core, "ada", "secret")
    login(core, "ada", "secret")
    assert get_session(environment.database("other"))["userCtx"]["name"] == "ada"


def test_who_fails_to_log_in_stays_who_it_was(core):
    signup(core, "ada", "secret")
    with pytest.raises(Unauthorized, match="Name or password is incorrect"):
        login(core, "eve", "x")
    login(core, "ada", "secret")
    with pytest.raises(Unauthorized):
        login(core, "ada", "wrong")
    assert get_session(core)["userCtx"]["name"] == "ada"


def test_too_many_wrong_passwords_lock_a_user_out(core):
    signup(core, "ada", "secret")
    for _ in range(LOCKOUT_FAILURES):
        with pytest.raises(Unauthorized):
            login(core, "ada", "wrong")
    with pytest.raises(Forbidden, match="temporarily locked"):
        login(core, "ada", "secret")


def test_a_name_is_used_once(core):
    signup(core, "ada", "secret")
    with pytest.raises(Conflict):
        signup(core, "ada", "other")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("a:b", "Character `:` is not allowed in usernames."),
        ("_ada", "Username may not start with underscore."),
    ],
)
def test_some_names_cannot_be(core, name, reason):
    with pytest.raises(Forbidden) as caught:
        signup(core, name, "secret")
    assert (caught.value.status, caught.value.error, caught.value.reason) == (403, "forbidden", reason)


def test_names_passwords_and_metadata_are_looked_at(core):
    for call, reason in (
        (lambda: signup(core, "", "secret"), "you must provide a username"),
        (lambda: signup(core, "ada", ""), "you must provide a password"),
        (lambda: login(core, "", "secret"), "you must provide a username"),
        (lambda: login(core, "ada", ""), "you must provide a password"),
        (lambda: get_user(core, ""), "you must provide a username"),
        (lambda: signup(core, "ada", "x", metadata={"roles": []}), 'cannot use reserved word in metadata: "roles"'),
        (lambda: signup(core, "ada", "x", metadata={"_id": "x"}), 'cannot use reserved word in metadata: "_id"'),
    ):
        with pytest.raises(BadRequest) as caught:
            call()
        assert (caught.value.status, caught.value.error, caught.value.reason) == (400, "authentication_error", reason)


def test_a_user_sees_and_gives_no_more_than_couchdb_allows(core):
    with pytest.raises(NotFound):
        get_user(core, "ada")
    signup(core, "ada", "secret")
    signup(core, "eve", "secret")
    login(core, "ada", "secret")
    assert get_user(core, "ada")["name"] == "ada"
    with pytest.raises(NotFound, match="missing"):
        get_user(core, "eve")
    with pytest.raises(Forbidden, match="Only _admin may set roles"):
        signup(core, "bob", "secret", roles=["editor"])


def test_a_session_ends_with_the_password_or_the_user(core, environment):
    signup(core, "ada", "secret")
    login(core, "ada", "secret")
    doc = environment.users["org.couchdb.user:ada"]
    environment.users.put({**doc, **passwords.derive("new", iterations=1)})
    assert get_session(core)["userCtx"]["name"] is None
    login(core, "ada", "new")
    del environment.users["org.couchdb.user:ada"]
    assert get_session(core)["userCtx"]["name"] is None


def test_where_the_folder_has_administrators_nobody_is_one_unasked(core, environment):
    Admins(environment.environment, {}, iterations=1).set("root", "pw")
    environment.__dict__["session"] = LocalSession(environment.environment, iterations=1)
    assert get_session(core)["userCtx"] == {"name": None, "roles": []}
    assert login(core, "root", "pw")["roles"] == ["_admin"]


# -- On a server --------------------------------------------------------------------------------------


@pytest.fixture
def remote(environment):
    """A database on a server that has an administrator and open databases."""
    with Environment(":memory:") as there:
        there.create("notes").set_security({})
        there["_users"].set_security({})  # Everybody may sign up.
        app = create_app(there, Policy(admins={"root": "pw"}, password_iterations=1))
        transport = httpx.ASGITransport(app)
        with RemoteServer("http://server.example", transport=transport) as server:
            environment._servers["http://server.example", None] = server
            yield environment.database("http://server.example/notes")


def test_a_servers_users_are_the_servers(remote, core):
    stored = signup(remote, "ada", "secret", metadata={"age": 36})
    assert stored["id"] == "org.couchdb.user:ada"
    assert get_session(remote)["userCtx"] == {"name": None, "roles": []}
    with pytest.raises(NotFound):
        get_user(remote, "ada")
    assert login(remote, "ada", "secret") == {"ok": True, "name": "ada", "roles": []}
    assert get_session(remote)["userCtx"]["name"] == "ada"
    assert get_session(remote)["info"]["authenticated"] == "cookie"
    assert get_user(remote, "ada")["age"] == 36
    assert get_session(core)["userCtx"] == ADMIN_PARTY
    assert logout(remote)["ok"] is True
    assert get_session(remote)["userCtx"]["name"] is None
    assert logout(remote)["ok"] is True


def test_a_servers_refusals_come_through(remote):
    signup(remote, "ada", "secret")
    with pytest.raises(Conflict):
        signup(remote, "ada", "secret")
    with pytest.raises(Forbidden, match="`:`"):
        signup(remote, "a:b", "secret")
    with pytest.raises(Unauthorized):
        login(remote, "ada", "wrong")
    with pytest.raises(BadRequest, match="password"):
        login(remote, "ada", "")
