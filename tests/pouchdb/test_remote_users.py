"""A server that has users, through both APIs: who signs up and logs in there, and whom it does not let in."""

from __future__ import annotations

from itertools import count

import httpx
import pytest

from couchette import Environment
from couchette.pouchdb import PouchDBError
from couchette.server import Policy, background

ADMIN = {"username": "root", "password": "pw"}
NUMBERS = count()


@pytest.fixture(scope="module")
def far():
    """The databases of a server on which everybody may sign up."""
    with Environment(":memory:") as environment:
        environment["_users"].set_security({})
        yield environment


@pytest.fixture(scope="module")
def server(far):
    """The server's address."""
    with background(far, policy=Policy(admins={"root": "pw"}, password_iterations=1)) as url:
        yield url


@pytest.fixture
def env(env):
    yield env
    env._core.close_servers()


@pytest.fixture
def user():
    """A name that no other test uses."""
    return f"user{next(NUMBERS)}"


@pytest.fixture
def remote(env, far, server, user):
    """A database to which only administrators are let in."""
    db = env.PouchDB(f"{server}/of-{user}", auth=ADMIN)
    db["abc"] = {}
    return db


def refusal(act):
    with pytest.raises(PouchDBError) as caught:
        act()
    return caught.value["status"], caught.value["name"], caught.value["message"]


def test_a_user_of_the_server_signs_up_logs_in_and_out(remote, env, server, user):
    signed_up = remote.sign_up(user, "thePassword", metadata={"updated": "02-02-2002"})
    assert (signed_up.ok, signed_up.id) == (True, f"org.couchdb.user:{user}")
    assert remote.getSession().userCtx.name == "root"
    assert remote.logIn(user, "thePassword")["name"] == user
    assert remote.getSession()["userCtx"]["name"] == user
    assert remote.getUser(user)["updated"] == "02-02-2002"
    assert remote.logOut()["ok"]
    env.context.clearCookies()
    users = env.PouchDB(f"{server}/_users", auth=ADMIN)
    assert users.remove({"_id": signed_up.id, "_rev": signed_up.rev}).ok
    assert refusal(lambda: remote.logIn(user, "thePassword"))[0] == 401


def test_whom_the_server_does_not_let_in_gets_no_key_error(remote, env, far, server, user):
    remote.signup(user, "thePassword")
    far[f"of-{user}"].set_security({"members": {"names": ["somebody else"]}})
    remote.login(user, "thePassword")
    denied = (403, "forbidden", "You are not allowed to access this db.")
    assert refusal(lambda: remote["abc"]) == denied
    assert refusal(lambda: "abc" in remote) == denied
    nobody = env.PouchDB(f"{server}/of-{user}")
    assert refusal(lambda: nobody["abc"]) == (401, "unauthorized", "You are not authorized to access this db.")
    env.context.clear_cookies()
    assert env.PouchDB(f"{server}/of-{user}", auth=ADMIN)["abc"]["_rev"].startswith("1-")


def test_callbacks_lead_from_sign_up_to_log_out(async_env, far, server, user):
    db = async_env.PouchDB(f"{server}/of-{user}", auth=ADMIN)
    seen = []

    def signed_up(err, resp):
        seen.append(resp.ok)
        db.login(user, "thePassword", logged_in)

    def logged_in(err, resp):
        seen.append(resp["name"])
        db.getSession(told)

    def told(err, resp):
        seen.append(resp.userCtx.name)
        db.getUser(user, got)

    def got(err, resp):
        seen.append(resp["updated"])
        db.logout(logged_out)

    def logged_out(err, resp):
        seen.append(resp["ok"])

    db.signup(user, "thePassword", metadata={"updated": "02-02-2002"}, callback=signed_up)
    async_env.context.waitUntilCalled(logged_out)
    async_env._core.close_servers()
    assert seen == [True, user, user, "02-02-2002", True]


def test_what_is_attached_is_served_and_what_is_put_replicates(remote, env, far):
    rev = remote.putAttachment("page", "index", b"<h1>Hello World!</h1>", "text/html")["rev"]
    served = httpx.get(f"{remote._core.name}/page/index", auth=("root", "pw"))
    assert (served.content, served.headers["Content-Type"]) == (b"<h1>Hello World!</h1>", "text/html")
    assert remote.getAttachment("page", "index") == {"data": b"<h1>Hello World!</h1>", "type": "text/html"}
    assert remote.replicate_to("local").docs_written == 2
    assert env["local"].get("page")["_rev"] == rev
    assert remote.removeAttachment("page", "index", rev).rev.startswith("2-")
    id = remote.post({"test": True})["id"]
    assert remote.get(id)["test"]
    assert id in str(remote.allDocs())
