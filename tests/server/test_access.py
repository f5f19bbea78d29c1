"""Who may do what, over HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from datetime import timedelta

import jwt
import pytest

from couchette import Environment, surroundings
from couchette.errors import BadRequest, Forbidden
from couchette.limits import BODY_HELD_BYTES, LOCKOUT_FAILURES, SESSION_S
from couchette.server import Policy, cookies, create_app, dispatch, permissions
from couchette.surroundings import Surroundings
from couchette.users import User, totp
from tests.server.asgi import call

pytestmark = pytest.mark.anyio

ADMINS = {"admin": "topsecret"}
KEY = "k" * 32


def policy(**options):
    return Policy(admins=ADMINS, password_iterations=1, **options)


@pytest.fixture
def secured(environment):
    return create_app(environment, policy())


def basic(name, password):
    return {"authorization": f"Basic {base64.b64encode(f'{name}:{password}'.encode()).decode()}"}


ADMIN = basic("admin", "topsecret")
ADA = basic("ada", "pw")


async def ask(app, method, target, value=None, headers=ADMIN):
    body = b"" if value is None else json.dumps(value).encode()
    return await call(app, method, target, {"content-type": "application/json", **headers}, body)


async def add_user(app, name="ada", password="pw", roles=()):
    doc = {"name": name, "type": "user", "roles": list(roles), "password": password}
    assert (await ask(app, "PUT", f"/_users/org.couchdb.user:{name}", doc)).status == 201


async def log_in(app, name="ada", password="pw", target="/_session"):
    return await ask(app, "POST", target, {"name": name, "password": password}, {})


def reason(answer):
    return answer.status, answer.json()["reason"]


# -- Without administrators ---------------------------------------------------------------------------


async def test_without_an_administrator_everybody_is_one(app):
    answer = await ask(app, "GET", "/_session", headers=basic("x", "y"))
    assert answer.json()["userCtx"] == {"name": None, "roles": ["_admin"]}
    assert (await ask(app, "GET", "/_all_dbs", headers={})).json() == ["db"]


# -- Databases ----------------------------------------------------------------------------------------


async def test_a_new_database_is_the_administrators_until_its_security_says_otherwise(secured):
    await add_user(secured, roles=["r"])
    assert reason(await ask(secured, "GET", "/db", headers={})) == (401, "You are not authorized to access this db.")
    assert reason(await ask(secured, "GET", "/db", headers=ADA)) == (403, "You are not allowed to access this db.")
    await ask(secured, "PUT", "/db/_security", {"members": {"roles": ["r"]}})
    assert (await ask(secured, "PUT", "/db/a", {}, ADA)).status == 201
    assert (await ask(secured, "GET", "/db/a", headers={})).status == 401
    await ask(secured, "PUT", "/db/_security", {})
    assert (await ask(secured, "GET", "/db/a", headers={})).status == 200


async def test_security_is_kept_in_the_file(tmp_path):
    with Environment(tmp_path) as environment:
        await ask(create_app(environment, policy()), "PUT", "/db")
        await ask(create_app(environment, policy()), "PUT", "/db/_security", {"members": {"names": ["ada"]}, "x": 1})
    with Environment(tmp_path) as environment:
        answer = await ask(create_app(environment, policy()), "GET", "/db/_security")
        assert answer.json() == {"members": {"names": ["ada"]}, "x": 1}


@pytest.mark.parametrize("value", [[], {"members": []}, {"admins": {"names": "ada"}}, {"members": {"roles": [1]}}])
async def test_security_that_makes_no_sense_is_refused(secured, value):
    assert (await ask(secured, "PUT", "/db/_security", value)).status == 400


async def test_the_readers_of_old_databases_are_members(secured):
    await add_user(secured)
    await ask(secured, "PUT", "/db/_security", {"readers": {"names": ["eve"]}})
    assert (await ask(secured, "GET", "/db", headers=ADA)).status == 403


async def test_design_documents_are_for_the_administrators_of_a_database(secured):
    await add_user(secured)
    await add_user(secured, "boss")
    await ask(secured, "PUT", "/db/_security", {"members": {"names": ["ada"]}, "admins": {"names": ["boss"]}})
    refused = (403, "You are not a db or server admin.")
    assert reason(await ask(secured, "PUT", "/db/_design/x", {}, ADA)) == refused
    assert reason(await ask(secured, "PUT", "/db/_design%2Fx", {}, ADA)) == refused
    assert reason(await ask(secured, "POST", "/db", {"_id": "_design/x"}, ADA)) == refused
    assert reason(await ask(secured, "PUT", "/db/_design/x/att", {}, ADA)) == refused
    assert reason(await ask(secured, "POST", "/db/_index", {"index": {"fields": ["a"]}}, ADA)) == refused
    await ask(secured, "PUT", "/db/a", {}, ADA)
    assert reason(await ask(secured, "COPY", "/db/a", headers={**ADA, "destination": "_design/x"})) == refused
    made = await ask(secured, "PUT", "/db/_design/x", {}, basic("boss", "pw"))
    assert made.status == 201
    rev = made.json()["rev"]
    assert reason(await ask(secured, "DELETE", f"/db/_design/x?rev={rev}", headers=ADA)) == refused
    rows = (await ask(secured, "POST", "/db/_bulk_docs", {"docs": [{"_id": "_design/y"}, {"_id": "b"}]}, ADA)).json()
    assert rows[0] == {"id": "_design/y", "error": "forbidden", "reason": refused[1]}
    assert rows[1]["ok"]
    docs = [{"_id": "_design/y", "_rev": "1-a"}, {"_id": "_design/z", "_revisions": {"start": 2, "ids": ["b", "a"]}}]
    rows = (await ask(secured, "POST", "/db/_bulk_docs", {"docs": docs, "new_edits": False}, ADA)).json()
    assert [(row["id"], row["rev"], row["error"]) for row in rows] == [
        ("_design/y", "1-a", "forbidden"),
        ("_design/z", "2-b", "forbidden"),
    ]
    assert (await ask(secured, "GET", "/db/_design/y")).status == 404


async def test_every_part_of_a_database_that_is_not_guarded_is_known_to_write_no_documents():
    assert {*dispatch.DATABASE_PARTS, *dispatch.FIND} - permissions.WITHOUT_DOCUMENTS == {b"_bulk_docs"}
    assert permissions.writes_documents("PUT", [b"_design/x"])
    assert permissions.writes_documents("POST", [b"_design", b"x", b"_update", b"f"])
    assert not permissions.writes_documents("POST", [b"_design", b"x", b"_view", b"v"])
    assert not permissions.writes_documents("POST", [b"_design/x", b"_view", b"v"])
    assert not permissions.writes_documents("POST", [b"_design", b"x", b"_spatial", b"i"])


async def test_every_resource_of_the_server_is_open_or_an_administrators(secured):
    for name in {*dispatch.SERVER, b"_anything", b"_replicator"}:
        answer = await ask(secured, "GET", f"/{name.decode()}", headers={})
        if name not in permissions.OPEN:
            assert reason(answer) == (401, "You are not a server admin."), name


@pytest.mark.parametrize("part", sorted(part.decode() for part in (*dispatch.DATABASE_PARTS, *dispatch.FIND)))
async def test_every_part_of_a_database_is_closed_to_others(secured, part):
    await add_user(secured)
    for method in ("GET", "POST", "PUT"):
        assert (await ask(secured, method, f"/db/{part}", {}, {})).status == 401
        assert (await ask(secured, method, f"/db/{part}", {}, ADA)).status in (401, 403)


async def test_a_program_may_keep_users_out_of_databases(environment):
    def may_read(user_ctx, database):
        return user_ctx["name"] != "ada" or database == "hers"

    app = create_app(environment, policy(may_read=may_read))
    await add_user(app)
    for name in ("db", "hers"):
        environment[name].set_security({})
    assert (await ask(app, "GET", "/hers", headers=ADA)).status == 200
    assert (await ask(app, "GET", "/db", headers=ADA)).status == 403
    assert (await ask(app, "GET", "/db", headers={})).status == 200


async def test_a_known_user_may_be_required(environment):
    app = create_app(environment, policy(require_valid_user=True))
    environment["db"].set_security({})
    assert reason(await ask(app, "GET", "/db", headers={})) == (401, "Authentication required.")
    for target in ("/", "/_up", "/_session"):
        assert (await ask(app, "GET", target, headers={})).status == 200
    assert (await ask(app, "GET", "/db")).status == 200


@pytest.mark.parametrize(
    "name",
    [
        "..%2Fother",
        "a%2F..%2F..%2Fother",
        "%2Fetc%2Fpasswd",
        "a%00",
        "A",
        "c:x",
        "_users%2F",
        "a=b",
        "a%5Cb",
        "..",
        "a.",
    ],
)
async def test_no_name_leads_out_of_the_folder(tmp_path, name):
    with Environment(tmp_path / "served") as environment, Environment(tmp_path) as outside:
        outside.create("other")
        app = create_app(environment, policy())
        before = sorted(tmp_path.rglob("*"))
        assert (await ask(app, "PUT", f"/{name}")).status in (400, 404, 405)
        assert (await ask(app, "GET", f"/{name}")).status == 404
        assert (await ask(app, "DELETE", f"/{name}")).status == 404
        assert sorted(tmp_path.rglob("*")) == before


# -- Users --------------------------------------------------------------------------------------------


async def test_users_see_and_change_their_own_document_where_security_lets_them(environment, secured):
    await add_user(secured)
    await add_user(secured, "eve")
    own, other = "/_users/org.couchdb.user:ada", "/_users/org.couchdb.user:eve"
    assert (await ask(secured, "GET", own, headers=ADA)).status == 403
    environment["_users"].set_security({})
    doc = (await ask(secured, "GET", own, headers=ADA)).json()
    assert "derived_key" in doc
    assert "password" not in doc
    assert (await ask(secured, "GET", other, headers=ADA)).status == 404
    assert (await ask(secured, "GET", own, headers={})).status == 404
    assert (await ask(secured, "GET", "/_users/_design/_auth", headers=ADA)).status == 403
    for part in ("_all_docs", "_changes", "_local_docs", "_design_docs", "_revs_limit", "_design%2F_auth"):
        assert (await ask(secured, "GET", f"/_users/{part}", headers=ADA)).status == 401, part
    for part in ("_all_docs", "_find", "_bulk_get", "_revs_diff", "_explain", "_all_docs/queries", "_missing_revs"):
        assert (await ask(secured, "POST", f"/_users/{part}", {}, headers=ADA)).status == 401, part
    assert (await ask(secured, "PUT", own, {**doc, "password": "new"}, ADA)).status == 201
    assert (await ask(secured, "GET", own, headers=ADA)).status == 401
    doc = (await ask(secured, "GET", own, headers=basic("ada", "new"))).json()
    assert reason(await ask(secured, "PUT", own, {**doc, "roles": ["x"]}, basic("ada", "new")))[0] == 403
    assert (
        await ask(secured, "PUT", f"{own}/photo", "x", {**basic("ada", "new"), "if-match": doc["_rev"]})
    ).status == 201


async def test_anybody_signs_up_where_security_lets_them(environment, secured):
    await add_user(secured, "eve")
    environment["_users"].set_security({})
    doc = {"name": "ada", "type": "user", "roles": [], "password": "pw"}
    own = "/_users/org.couchdb.user:ada"
    assert (await ask(secured, "PUT", own, {**doc, "roles": ["x"]}, {})).status == 403
    assert (await ask(secured, "PUT", own, doc, {})).status == 201
    assert (await ask(secured, "PUT", own, doc, {})).status == 409
    rev = environment["_users"]["org.couchdb.user:ada"]["_rev"]
    assert (await ask(secured, "PUT", own, {**doc, "_rev": rev}, {})).status == 403
    assert (await ask(secured, "GET", own, headers=ADA)).status == 200
    for target in ("_local%2Fx", "_local/x", "_design%2Fx", "other", "org.couchdb.user:eve/photo"):
        assert (await ask(secured, "PUT", f"/_users/{target}", {}, {})).status in (401, 403, 404), target


async def test_nobody_takes_over_an_account_by_replicating_into_it(environment, secured):
    await add_user(secured)
    await add_user(secured, "eve")
    environment["_users"].set_security({})
    target = "/_users/org.couchdb.user:ada"
    doc = {"name": "ada", "type": "user", "roles": [], "password": "evil", "_rev": f"99-{'a' * 32}"}
    batch = {"new_edits": False, "docs": [{**doc, "_id": "org.couchdb.user:ada"}]}
    refusal = "You may only update your own user document."
    for headers in ({}, basic("eve", "pw")):
        (row,) = (await ask(secured, "POST", "/_users/_bulk_docs", batch, headers)).json()
        assert (row["error"], row["reason"]) == ("forbidden", refusal)
        assert (await ask(secured, "PUT", f"{target}?new_edits=false", doc, headers)).status in (403, 404)
    assert (await ask(secured, "GET", "/_session", headers=ADA)).status == 200
    assert (await ask(secured, "POST", "/_users/_bulk_docs", batch, ADA)).json() == []
    assert (await ask(secured, "GET", "/_session", headers=basic("ada", "evil"))).status == 200


async def test_local_documents_of_users_are_the_administrators_whoever_writes_them(environment, secured):
    environment["_users"].set_security({})
    batch = {"docs": [{"_id": "_local/x"}]}
    assert (await ask(secured, "POST", "/_users/_bulk_docs", batch, {})).json()[0]["error"] == "forbidden"
    assert (await ask(secured, "POST", "/_users", batch["docs"][0], {})).status == 403
    assert (await ask(secured, "POST", "/_users/_bulk_docs", batch)).json()[0]["ok"]
    stranger = secured.gate.admit(User(), environment["_users"], "POST", [b"_bulk_docs"], secured.node.settings)
    with pytest.raises(Forbidden):
        stranger.remove("_local/x", "0-1")
    assert "_local/x" in [row["id"] for row in environment["_users"].local_docs()]


async def test_passwords_are_derived_however_a_user_is_written(environment, secured):
    docs = [
        {"_id": f"org.couchdb.user:u{number}", "name": f"u{number}", "type": "user", "roles": [], "password": "hidden"}
        for number in range(3)
    ]
    assert (await ask(secured, "POST", "/_users", docs[0])).status == 201
    bad = {**docs[1], "_id": "org.couchdb.user:bad", "password": 5}
    rows = (await ask(secured, "POST", "/_users/_bulk_docs", {"docs": [docs[1], bad]})).json()
    assert [row.get("error") for row in rows] == [None, "forbidden"]
    replicated = {**docs[2], "_rev": "1-abc"}
    assert (await ask(secured, "POST", "/_users/_bulk_docs", {"docs": [replicated], "new_edits": False})).json() == []
    stored = environment["_users"].all_docs(include_docs=True)["rows"]
    assert len(stored) == 3
    assert all("password" not in row["doc"] and "derived_key" in row["doc"] for row in stored)


async def test_an_older_password_is_upgraded_when_its_user_logs_in(environment, secured):
    key = hashlib.sha1(b"pwsalt").hexdigest()
    environment["_users"].put(
        {
            **{"_id": "org.couchdb.user:ada", "name": "ada", "type": "user", "roles": []},
            **{"password_scheme": "simple", "salt": "salt", "password_sha": key},
        }
    )
    assert (await log_in(secured)).status == 200
    doc = environment["_users"]["org.couchdb.user:ada"]
    assert (doc["password_scheme"], doc["pbkdf2_prf"]) == ("pbkdf2", "sha256")
    assert "password_sha" not in doc
    assert (await ask(secured, "GET", "/_session", headers=ADA)).json()["userCtx"]["name"] == "ada"


async def test_a_deleted_user_is_nobody(environment, secured):
    await add_user(secured)
    cookie = (await log_in(secured)).headers["set-cookie"].partition(";")[0]
    environment["_users"].remove(environment["_users"]["org.couchdb.user:ada"])
    assert (await ask(secured, "GET", "/db", headers=ADA)).status == 401
    answer = await ask(secured, "GET", "/_session", headers={"cookie": cookie})
    assert answer.json()["userCtx"]["name"] is None


async def test_too_many_wrong_passwords_lock_a_user_out(secured):
    await add_user(secured)
    for _ in range(LOCKOUT_FAILURES):
        assert (await log_in(secured, password="wrong")).status == 401
    locked = (403, "Account is temporarily locked due to multiple authentication failures")
    assert reason(await log_in(secured)) == locked
    assert reason(await ask(secured, "GET", "/", headers=ADA)) == locked
    assert (await ask(secured, "GET", "/")).status == 200


# -- Ways to log in -----------------------------------------------------------------------------------


def later(seconds):
    now = surroundings.now()
    return surroundings.replaced(Surroundings(now=lambda: now + timedelta(seconds=seconds)))


async def test_a_cookie_is_renewed_when_it_ages_and_ends_with_its_time(secured):
    await add_user(secured)
    cookie = {"cookie": (await log_in(secured)).headers["set-cookie"].partition(";")[0]}
    assert "set-cookie" not in (await ask(secured, "GET", "/_session", headers=cookie)).headers
    with later(SESSION_S * 0.2):
        answer = await ask(secured, "GET", "/_session", headers=cookie)
        assert answer.json()["info"]["authenticated"] == "cookie"
        renewed = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
        ended = await ask(secured, "DELETE", "/_session", headers=cookie)
        assert ended.headers["set-cookie"].startswith("AuthSession=;")
    with later(SESSION_S * 1.1):
        for given, name in ((cookie, None), (renewed, "ada")):
            answer = await ask(secured, "GET", "/_session", headers=given)
            assert answer.json()["userCtx"]["name"] == name


async def test_a_new_password_ends_the_sessions_of_its_user(environment, secured):
    await add_user(secured)
    cookie = {"cookie": (await log_in(secured)).headers["set-cookie"].partition(";")[0]}
    doc = environment["_users"]["org.couchdb.user:ada"]
    assert (await ask(secured, "PUT", f"/_users/{doc['_id']}", {**doc, "password": "new"})).status == 201
    answer = await ask(secured, "GET", "/_session", headers=cookie)
    assert answer.json()["userCtx"]["name"] is None


async def test_sessions_outlive_a_restart(tmp_path):
    with Environment(tmp_path) as environment:
        app = create_app(environment, policy())
        await add_user(app)
        cookie = {"cookie": (await log_in(app)).headers["set-cookie"].partition(";")[0]}
    assert (tmp_path / "secret").stat().st_mode & 0o077 == 0
    with Environment(tmp_path) as environment:
        answer = await ask(create_app(environment, policy()), "GET", "/_session", headers=cookie)
        assert answer.json()["userCtx"]["name"] == "ada"


@pytest.mark.parametrize("following", ["https://example.org/", "//example.org/", "/\\example.org", "x"])
async def test_logging_in_leads_nowhere_else(secured, following):
    await add_user(secured)
    answer = await log_in(secured, target=f"/_session?next={following}")
    assert (answer.status, "location" in answer.headers) == (400, False)


async def test_a_wrong_password_may_lead_elsewhere_on_this_server(secured):
    await add_user(secured)
    answer = await log_in(secured, password="wrong", target="/_session?next=/_up&fail=/_utils/")
    assert (answer.status, answer.headers["location"]) == (302, "http://couch.example:5984/_utils/")
    assert answer.json() == {"error": "unauthorized", "reason": "Name or password is incorrect."}
    assert answer.headers["set-cookie"].startswith("AuthSession=;")
    answer = await log_in(secured, password="wrong", target="/_session?fail=//example.org/")
    assert (answer.status, "location" in answer.headers) == (400, False)


async def test_one_of_the_members_that_name_a_user_is_enough(secured):
    await add_user(secured)
    told = {"name": "ada", "username": "ada", "password": "pw"}
    assert (await ask(secured, "POST", "/_session", told, {})).status == 200
    answer = await ask(secured, "POST", "/_session", {**told, "username": "bob"}, {})
    assert reason(answer) == (400, "request body contains different usernames")


async def test_a_proxy_may_vouch_for_users(environment):
    app = create_app(environment, policy(proxy_secret="shared"))
    for algorithm in ("sha256", "sha1"):
        token = hmac.new(b"shared", b"ada", algorithm).hexdigest()
        headers = {"x-auth-couchdb-username": "ada", "x-auth-couchdb-roles": "r, s", "x-auth-couchdb-token": token}
        answer = (await ask(app, "GET", "/_session", headers=headers)).json()
        assert answer["userCtx"] == {"name": "ada", "roles": ["r", "s"]}
        assert answer["info"]["authenticated"] == "proxy"
        forged = {**headers, "x-auth-couchdb-username": "admin"}
        assert (await ask(app, "GET", "/_session", headers=forged)).status == 401
    unasked = create_app(environment, policy())
    answer = await ask(unasked, "GET", "/_session", headers={"x-auth-couchdb-username": "admin"})
    assert answer.json()["userCtx"]["name"] is None


async def test_a_token_names_its_user(environment):
    app = create_app(environment, policy(jwt_keys={"hmac:_default": KEY}))
    token = jwt.encode({"sub": "ada", "_couchdb.roles": ["r"]}, KEY)
    answer = (await ask(app, "GET", "/_session", headers={"authorization": f"Bearer {token}"})).json()
    assert answer["userCtx"] == {"name": "ada", "roles": ["r"]}
    assert answer["info"] == {"authentication_handlers": ["jwt", "cookie", "default"], "authenticated": "jwt"}
    assert (await ask(app, "GET", "/", headers={"authorization": f"Bearer {token[:-3]}AAA"})).status == 401


@pytest.mark.parametrize("admins", [{"": "x"}, {"a:b": "x"}, {"_a": "x"}, {"a": ""}, {"a": "-pbkdf2-x"}])
def test_an_administrator_that_cannot_be_one_is_refused(environment, admins):
    with pytest.raises(BadRequest):
        create_app(environment, Policy(admins=admins))


async def test_no_secret_is_shown_or_logged(environment, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    told = Policy(admins=ADMINS, jwt_keys={"hmac:_default": KEY}, proxy_secret="shared", password_iterations=1)
    assert not any(secret in repr(told) for secret in ("topsecret", KEY, "shared"))
    app = create_app(environment, told)
    await add_user(app, password="hunter2")
    await log_in(app, password="hunter2")
    await ask(app, "GET", "/db", headers=basic("ada", "wr0ngpassword"))
    monkeypatch.setattr(cookies, "issue", lambda *given: 1 / 0)
    assert (await log_in(app, password="hunter2")).status == 500
    assert "failed" in caplog.text
    for secret in ("hunter2", "wr0ngpassword", "topsecret", ADMIN["authorization"].split()[1]):
        assert secret not in caplog.text


# -- Validation ---------------------------------------------------------------------------------------

FUNCTION = """function (edited, old, userCtx, secObj) {
    if (edited.bad) throw {forbidden: "bad"};
    if (old && old.fixed !== edited.fixed) throw {forbidden: "fixed"};
    if (edited._attachments && edited._attachments.evil) throw {forbidden: "evil"};
    if (edited.by && edited.by !== userCtx.name) throw {unauthorized: userCtx.db + secObj.who};
}"""


@pytest.fixture
def validated(environment, app):
    environment["db"].put({"_id": "_design/v", "validate_doc_update": FUNCTION})
    environment["db"].set_security({"who": "!"})
    return app


async def test_every_way_to_write_a_document_is_judged(environment, validated):
    db = environment["db"]
    db.put({"_id": "source", "bad": 1})
    rev = db.put({"_id": "a", "fixed": 1})["rev"]
    forbidden = [
        ("PUT", "/db/x", {"bad": 1}, {}),
        ("PUT", "/db/x?new_edits=false", {"_rev": "1-a", "bad": 1}, {}),
        ("POST", "/db", {"bad": 1}, {}),
        ("PUT", f"/db/a?rev={rev}", {"fixed": 2}, {}),
        ("DELETE", f"/db/a?rev={rev}", None, {}),
        ("COPY", "/db/source", None, {"destination": "x"}),
        ("PUT", "/db/x/evil", {}, {}),
        ("PUT", f"/db/a/evil?rev={rev}", {}, {}),
        ("PUT", "/db/a?new_edits=false", {"_revisions": {"start": 3, "ids": ["c", "b", rev[2:]]}, "fixed": 2}, {}),
    ]
    for method, target, value, headers in forbidden:
        answer = await ask(validated, method, target, value, headers)
        assert answer.status == 403, (method, target)
    large = b"x" * (BODY_HELD_BYTES + 1)
    assert (await call(validated, "PUT", "/db/x/evil", {}, large)).status == 403
    assert (await call(validated, "PUT", "/db/x/good", {}, large)).status == 201
    assert reason(await ask(validated, "PUT", "/db/y", {"by": "ada"}, {})) == (401, "db!")
    assert db["a"]["fixed"] == 1
    assert "y" not in db


async def test_of_a_batch_only_the_good_are_written(environment, validated):
    rev = environment["db"].put({"_id": "a", "fixed": 1})["rev"]
    docs = [{"_id": "b", "bad": 1}, {"_id": "c"}, {"_id": "a", "_rev": rev, "fixed": 2}, {"_id": "a", "fixed": 1}, {}]
    rows = (await ask(validated, "POST", "/db/_bulk_docs", {"docs": docs}, {})).json()
    assert [row.get("error") for row in rows] == ["forbidden", None, "forbidden", "conflict", None]
    docs = [{"_id": "d", "_rev": "1-a", "bad": 1}, {"_id": "e", "_rev": "1-a"}]
    rows = (await ask(validated, "POST", "/db/_bulk_docs", {"docs": docs, "new_edits": False}, {})).json()
    assert rows == [{"id": "d", "rev": "1-a", "error": "forbidden", "reason": "bad"}]
    assert "e" in environment["db"]


async def test_a_batch_cannot_build_on_what_nobody_has_judged(environment, validated):
    with Environment(":memory:") as other:
        rev = other["db"].put({"_id": "n", "fixed": 1})["rev"]
    docs = [{"_id": "n", "fixed": 1}, {"_id": "n", "_rev": rev, "fixed": 2}]
    rows = (await ask(validated, "POST", "/db/_bulk_docs", {"docs": docs}, {})).json()
    assert [row.get("error") for row in rows] == [None, "conflict"]


async def test_a_revision_that_is_there_already_is_not_judged_again(environment, validated):
    environment["db"].put({"_id": "old", "_rev": "1-a", "bad": 1}, new_edits=False)
    doc = {"_id": "old", "_rev": "1-a", "bad": 1}
    rows = await ask(validated, "POST", "/db/_bulk_docs", {"docs": [doc], "new_edits": False}, {})
    assert rows.json() == []


async def test_a_changed_function_holds_from_then_on(environment, validated):
    db = environment["db"]
    assert (await ask(validated, "PUT", "/db/a", {"bad": 1}, {})).status == 403
    db.put({**db["_design/v"], "validate_doc_update": "function (d) { if (d.worse) throw {forbidden: 'worse'} }"})
    assert (await ask(validated, "PUT", "/db/a", {"bad": 1}, {})).status == 201
    assert (await ask(validated, "PUT", "/db/b", {"worse": 1}, {})).status == 403
    db.remove(db["_design/v"])
    assert (await ask(validated, "PUT", "/db/b", {"worse": 1}, {})).status == 201


async def test_a_function_that_fails_lets_nothing_pass(environment, validated):
    db = environment["db"]
    db.put({"_id": "_design/w", "validate_doc_update": "function () { throw 'x' }"})
    assert (await ask(validated, "PUT", "/db/a", {}, {})).status == 500
    assert (await ask(validated, "POST", "/db/_bulk_docs", {"docs": [{"_id": "a"}]}, {})).status in (201, 500)
    assert "a" not in db


async def test_attachments_are_removed_after_judgement(environment, validated):
    db = environment["db"]
    rev = db.put({"_id": "a", "bad": 1, "_attachments": {"f": {"data": "eA=="}}})["rev"]
    assert (await ask(validated, "DELETE", f"/db/a/f?rev={rev}", headers={})).status == 403
    assert (await ask(validated, "DELETE", f"/db/a/g?rev={rev}", headers={})).status in (403, 404)
    assert "f" in db["a"]["_attachments"]


async def test_a_function_of_the_program_judges_first_and_local_documents_are_not_judged(environment):
    seen = []

    def validate(edited, old, user_ctx, sec_obj):
        seen.append((edited["_id"], old and old["_rev"], user_ctx, sec_obj))
        if edited.get("bad"):
            raise BadRequest("no")

    app = create_app(environment, policy(validate_doc_update=validate))
    rev = (await ask(app, "PUT", "/db/a", {"v": 1})).json()["rev"]
    assert (await ask(app, "PUT", f"/db/a?rev={rev}", {"bad": 1})).status == 400
    assert (await ask(app, "PUT", "/db/_local/x", {"bad": 1})).status == 201
    assert (await ask(app, "PUT", "/db/_design/x", {"bad": 1})).status == 201
    context = {"db": "db", "name": "admin", "roles": ["_admin"]}
    admins_only = {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}}
    assert seen == [("a", None, context, admins_only), ("a", rev, context, admins_only)]


async def test_what_update_functions_and_multipart_requests_write_is_judged_too(environment, validated):
    update = "function (doc, req) { return [{_id: 'made', bad: req.query.bad}, 'done'] }"
    environment["db"].put({"_id": "_design/u", "updates": {"f": update}})
    assert (await ask(validated, "POST", "/db/_design/u/_update/f?bad=1", {}, {})).status == 403
    assert (await ask(validated, "POST", "/db/_design%2Fu/_update/f?bad=1", {}, {})).status == 403
    assert "made" not in environment["db"]
    assert (await ask(validated, "POST", "/db/_design/u/_update/f", {}, {})).status == 201
    doc = {"_attachments": {"evil": {"follows": True, "length": 1, "content_type": "text/plain"}}}
    body = f"--b\r\nContent-Type: application/json\r\n\r\n{json.dumps(doc)}\r\n--b\r\n\r\nx\r\n--b--".encode()
    headers = {"content-type": "multipart/related; boundary=b"}
    assert (await call(validated, "PUT", "/db/m", headers, body)).status == 403
    good = body.replace(b"evil", b"good")
    assert (await call(validated, "PUT", "/db/m", headers, good)).status == 201


async def test_documents_of_the_own_user_are_read_only_through_their_own_path(environment, secured):
    await add_user(secured)
    environment["_users"].put({"_id": "_design/d", "views": {"v": {"map": "function (d) { emit(d._id, d) }"}}})
    environment["_users"].set_security({})
    for target in ("_design/d", "_design/d/_view/v", "_design%2Fd/_view/v", "_design/d/_info", "_design/d/_rewrite/x"):
        for method in ("GET", "POST"):
            assert (await ask(secured, method, f"/_users/{target}", {}, ADA)).status in (401, 403), target
    copied = await ask(secured, "COPY", "/_users/org.couchdb.user:eve", headers={**ADA, "destination": "x"})
    assert copied.status == 404


@pytest.mark.parametrize("part", sorted(part.decode() for part in permissions.DESIGN_READERS))
@pytest.mark.parametrize("id_", ["_design%2Fx%2F{}", "_design%2Fx%2F{}%2Fy", "_design/x%2F{}", "_design/x%2F{}%2Fy"])
async def test_an_escaped_slash_hides_no_design_document(secured, id_, part):
    await ask(secured, "PUT", "/db/_security", {"members": {}})
    target = f"/db/{id_.format(part)}"
    answer = await ask(secured, "PUT", target, {"views": {}}, {})
    assert (answer.status, answer.json()["reason"]) == (403, "You are not a db or server admin.")
    answer = await ask(secured, "PUT", f"{target}/attachment", {}, {})
    assert answer.status == 403
    assert (await ask(secured, "GET", "/db/_design_docs")).json()["rows"] == []


async def test_a_replicated_design_document_is_the_administrators_too(secured):
    await ask(secured, "PUT", "/db/_security", {"members": {}})
    pushed = {"_rev": "1-a", "views": {}}
    assert (await ask(secured, "PUT", "/db/_design/x?new_edits=false", pushed, {})).status == 403
    body = {"docs": [{"_id": "_design/x", **pushed}, {"_id": "a", "_rev": "1-a"}], "new_edits": False}
    (row,) = (await ask(secured, "POST", "/db/_bulk_docs", body, {})).json()
    assert (row["id"], row["error"]) == ("_design/x", "forbidden")
    assert (await ask(secured, "GET", "/db/_all_docs")).json()["rows"][0]["id"] == "a"


async def test_a_user_with_a_one_time_password_logs_in_with_it_only(secured):
    key = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    doc = {"name": "ada", "type": "user", "roles": [], "password": "pw", "totp": {"key": key}}
    assert (await ask(secured, "PUT", "/_users/org.couchdb.user:ada", doc)).status == 201
    now = surroundings.now().timestamp()
    token = totp._token(b"12345678901234567890", "sha1", 6, int(now) // 30)
    credentials = {"name": "ada", "password": "pw"}
    for wrong in (
        {},
        {"token": "000000" if token != "000000" else "1"},
        {"token": 1},
        {"token": token, "password": "x"},
    ):
        answer = await ask(secured, "POST", "/_session", {**credentials, **wrong}, {})
        assert reason(answer) == (401, "Name or password is incorrect.")
    assert reason(await ask(secured, "GET", "/db", headers=ADA)) == (401, "Name or password is incorrect.")
    answer = await ask(secured, "POST", "/_session", {**credentials, "token": token}, {})
    assert answer.status == 200
    cookie = {"cookie": answer.headers["set-cookie"].partition(";")[0]}
    assert (await ask(secured, "GET", "/_session", headers=cookie)).json()["userCtx"]["name"] == "ada"


async def test_public_fields_of_users_are_everybodys(secured):
    for name in ("ada", "eve"):
        await add_user(secured, name)
    await ask(secured, "PUT", "/_users/_security", {})
    target = "/_users/org.couchdb.user:eve"
    assert (await ask(secured, "GET", target, headers=ADA)).status == 404
    setting = "/_node/_local/_config/chttpd_auth/public_fields"
    assert (await ask(secured, "PUT", setting, "name, roles")).status == 200
    for query in ("", "?open_revs=all", "?revs=true&attachments=true&conflicts=true"):
        answer = await ask(secured, "GET", target + query, headers={**ADA, "accept": "application/json"})
        shown = answer.json()[0]["ok"] if "open_revs" in query else answer.json()
        assert sorted(shown) == ["_id", "_rev", "name", "roles"]
        mixed = await ask(secured, "GET", target + query, headers={**ADA, "accept": "*/*"})
        assert b"derived_key" not in mixed.body
        assert b'"name":"eve"' in mixed.body
    assert (await ask(secured, "GET", target, headers={})).status == 200
    assert "derived_key" in (await ask(secured, "GET", "/_users/org.couchdb.user:ada", headers=ADA)).json()
    assert "derived_key" in (await ask(secured, "GET", target)).json()
    for method, other in (("PUT", target), ("DELETE", target), ("GET", f"{target}/a"), ("GET", "/_users/_all_docs")):
        assert (await ask(secured, method, other, {}, headers=ADA)).status in (401, 403, 404), (method, other)
