"""Pages of other sites, and methods that a client cannot send."""

from __future__ import annotations

import base64

import pytest

from couchette.errors import BadRequest
from couchette.server import Cors, Policy, create_app
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

PAGE = "https://app.example"
ASKING = {"origin": PAGE, "access-control-request-method": "PUT"}


def shared(environment, **options):
    return create_app(environment, Policy(cors=Cors(**options)))


def access(answer):
    return {name for name in answer.headers if name.startswith("access-control-")}


async def test_without_a_policy_no_page_may_use_the_server(app):
    assert access(await call(app, "GET", "/", {"origin": PAGE})) == set()
    answer = await call(app, "OPTIONS", "/db", ASKING)
    assert (answer.status, access(answer)) == (405, set())


async def test_an_answer_names_the_origin_that_may_read_it(environment):
    app = shared(environment)
    answer = await call(app, "GET", "/", {"origin": PAGE})
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["access-control-expose-headers"] == (
        "content-type, cache-control, accept-ranges, etag, server, x-couch-request-id, x-couch-update-newrev, "
        "x-couchdb-body-time"
    )
    assert "access-control-allow-credentials" not in answer.headers
    assert access(await call(app, "GET", "/")) == set()


async def test_errors_can_be_read_too(environment):
    app = shared(environment, credentials=True)
    answer = await call(app, "GET", "/none", {"origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-credentials"]) == (404, "true")


async def test_an_origin_that_is_not_listed_gets_an_ordinary_answer(environment):
    app = shared(environment, origins=("https://APP.example", "http://localhost:8080"))
    assert access(await call(app, "GET", "/", {"origin": PAGE}))
    for other in ("https://evil.example", "http://app.example", "https://app.example:444", "null"):
        answer = await call(app, "GET", "/", {"origin": other})
        assert (answer.status, access(answer)) == (200, set())
        assert (await call(app, "OPTIONS", "/db", {**ASKING, "origin": other})).status == 405


async def test_a_preflight_says_what_the_page_may_send(environment):
    answer = await call(
        shared(environment, credentials=True),
        "OPTIONS",
        "/db/a",
        {**ASKING, "access-control-request-headers": "Content-Type, if-match"},
    )
    assert (answer.status, answer.body) == (204, b"")
    assert {name: answer.headers[name] for name in access(answer)} == {
        "access-control-allow-origin": PAGE,
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "CONNECT, COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT, TRACE",
        "access-control-allow-headers": "Content-Type, if-match",
        "access-control-max-age": "600",
    }


async def test_a_preflight_is_answered_before_anybody_logs_in(environment):
    app = create_app(environment, Policy(admins={"ada": "pw"}, password_iterations=1, cors=Cors()))
    assert (await call(app, "OPTIONS", "/db", ASKING)).status == 204
    answer = await call(app, "PUT", "/new", {"origin": PAGE})
    assert (answer.status, answer.headers["access-control-allow-origin"]) == (401, PAGE)


@pytest.mark.parametrize(
    "change",
    [
        {"access-control-request-method": "PATCH"},
        {"access-control-request-method": "put"},
        {"access-control-request-headers": "content-type, x-mine"},
    ],
)
async def test_a_preflight_for_what_is_not_allowed_is_an_ordinary_request(environment, change):
    answer = await call(shared(environment), "OPTIONS", "/db", {**ASKING, **change})
    assert answer.status == 405
    assert "access-control-allow-methods" not in answer.headers


async def test_options_without_a_question_is_no_preflight(environment):
    app = shared(environment)
    assert (await call(app, "OPTIONS", "/db", {"origin": PAGE})).status == 405
    assert (await call(app, "OPTIONS", "/db", {"access-control-request-method": "PUT"})).status == 405


def test_a_policy_that_would_break_headers_is_refused(environment):
    with pytest.raises(BadRequest, match="cors/origins"):
        shared(environment, origins=("https://a\r\nx: y",))
    with pytest.raises(BadRequest, match="cors/max_age"):
        shared(environment, max_age=-1)


@pytest.mark.parametrize(("method", "status"), [("PUT", 201), ("put", 201), ("HEAD", 404), ("GET", 404)])
async def test_a_post_may_stand_for_another_method(app, method, status):
    answer = await call(app, "POST", "/db/a", {"x-http-method-override": method}, b"{}")
    assert answer.status == status
    assert answer.body, "who sent a POST waits for a body"


async def test_a_method_is_overridden_in_a_post_only_and_by_one_that_exists(app):
    assert (await call(app, "GET", "/db", {"x-http-method-override": "DELETE"})).status == 200
    answer = await call(app, "POST", "/db/_revs_diff", {"x-http-method-override": "NOPE"}, b"{}")
    assert answer.json()["error"] != "method_not_allowed"
    assert (await call(app, "POST", "/db", {"x-http-method-override": "DELETE"})).json() == {"ok": True}


async def test_an_overridden_method_asks_for_its_own_rights(environment):
    app = create_app(environment, Policy(admins={"ada": "pw"}, password_iterations=1))
    environment["db"].set_security({})
    assert (await call(app, "POST", "/db", {"x-http-method-override": "DELETE"})).status == 401
    basic = {"authorization": "Basic " + base64.b64encode(b"ada:pw").decode()}
    assert (await call(app, "POST", "/db", {"x-http-method-override": "DELETE", **basic})).status == 200


async def test_cors_can_be_set_up_as_the_tools_for_couchdb_do(app):
    config = "/_node/nonode@nohost/_config"
    assert (await call_json(app, "PUT", f"{config}/httpd/enable_cors", "true")).json() == ""
    assert access(await call(app, "GET", "/", {"origin": PAGE})) == set(), "no origin is listed yet"
    assert (await call_json(app, "PUT", f"{config}/cors/origins", "*")).json() == ""
    await call_json(app, "PUT", f"{config}/cors/credentials", "true")
    await call_json(app, "PUT", f"{config}/cors/methods", "GET, PUT")
    await call_json(app, "PUT", f"{config}/cors/headers", "accept, Content-Type")
    await call_json(app, "PUT", f"{config}/cors/exposed_headers", "etag")
    await call_json(app, "PUT", f"{config}/cors/max_age", "7")
    answer = await call(app, "OPTIONS", "/db", {**ASKING, "access-control-request-headers": "content-type"})
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "GET, PUT")
    assert answer.headers["access-control-max-age"] == "7"
    answer = await call(app, "GET", "/", {"origin": PAGE})
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["access-control-expose-headers"] == "content-type, cache-control, etag"
    assert (await call(app, "DELETE", f"{config}/httpd/enable_cors")).json() == "true"
    assert access(await call(app, "GET", "/", {"origin": PAGE})) == set()
