"""Design functions where there are users: they are told who asks, and open nothing that the user could not reach."""

from __future__ import annotations

import hmac

import pytest

from couchette.server import create_app
from couchette.server.policy import Policy
from tests.server.asgi import call

pytestmark = pytest.mark.anyio

DESIGN = {
    "_id": "_design/d",
    "shows": {"who": "function(d, req) { return {json: [req.userCtx, req.secObj]} }"},
    "updates": {"make": "function(d, req) { return [{_id: req.body, made: true}, req.userCtx.name] }"},
    "filters": {"own": "function(d, req) { return d.owner === req.userCtx.name }"},
    "rewrites": "function(req) { return {path: req.query.path, method: req.query.method, body: '{}'} }",
    "validate_doc_update": "function(d, old, userCtx) { if (d._id === 'secret') throw {forbidden: userCtx.name} }",
}
SECURITY = {"members": {"names": ["ann", "bob"]}}


@pytest.fixture
def app(environment):
    """An app in which a proxy vouches for users; ``ann`` and ``bob`` are members of ``db``."""
    db = environment["db"]
    db.bulk_docs([DESIGN, {"_id": "a", "owner": "ann"}, {"_id": "b", "owner": "bob"}])
    db.set_security(SECURITY)
    return create_app(environment, Policy(admins={"root": "root"}, proxy_secret="shared", password_iterations=1))


def as_user(name):
    token = hmac.new(b"shared", name.encode(), "sha256").hexdigest()
    return {"x-auth-couchdb-username": name, "x-auth-couchdb-roles": "r", "x-auth-couchdb-token": token}


async def test_a_function_is_told_who_asks(app):
    context, security = (await call(app, "GET", "/db/_design/d/_show/who", as_user("ann"))).json()
    assert context == {"db": "db", "name": "ann", "roles": ["r"]}
    assert security == SECURITY


async def test_what_one_user_was_shown_is_not_anothers(app):
    ann = await call(app, "GET", "/db/_design/d/_show/who", as_user("ann"))
    held = {"if-none-match": ann.headers["etag"]}
    assert (await call(app, "GET", "/db/_design/d/_show/who", {**held, **as_user("ann")})).status == 304
    assert (await call(app, "GET", "/db/_design/d/_show/who", {**held, **as_user("bob")})).status == 200


async def test_a_filter_knows_who_asks(app):
    for name, expected in (("ann", ["a"]), ("bob", ["b"])):
        answer = await call(app, "GET", "/db/_changes?filter=d/own", as_user(name))
        assert [row["id"] for row in answer.json()["results"]] == expected


async def test_what_an_update_function_writes_is_judged_as_its_users(app):
    made = await call(app, "POST", "/db/_design/d/_update/make", as_user("ann"), b"x")
    assert (made.status, made.body) == (201, b"ann")
    refused = await call(app, "POST", "/db/_design/d/_update/make", as_user("ann"), b"secret")
    assert (refused.status, refused.json()) == (403, {"error": "forbidden", "reason": "ann"})
    design = await call(app, "POST", "/db/_design/d/_update/make", as_user("ann"), b"_design/mine")
    assert design.status == 403


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("PUT", "../../x", 201),
        ("PUT", "../../secret", 403),
        ("PUT", "../../_design/e", 403),
        ("POST", "../../_compact", 401),
    ],
)
async def test_a_rewritten_request_is_checked_as_any(app, method, path, status):
    answer = await call(app, "GET", f"/db/_design/d/_rewrite/?path={path}&method={method}", as_user("ann"))
    assert answer.status == status, answer.body


async def test_strangers_reach_no_function(app):
    for path in ("_show/who", "_update/make", "_rewrite/x", "_list/l/v"):
        assert (await call(app, "POST", f"/db/_design/d/{path}")).status == 401
