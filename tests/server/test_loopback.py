"""Which hosts a server answers to that nobody administers."""

from __future__ import annotations

import pytest

from couchette.server import Policy, create_app
from couchette.server.loopback import LoopbackApp, is_own
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:5984", "LOCALHOST.", "couch.localhost:1", "127.0.0.1:5984", "[::1]:5984", "[::1]"),
        *("10.0.2.2:5984", "", ":5984"),
    ],
)
def test_addresses_and_localhost_are_its_own(host):
    assert is_own(host)


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:5984", "127.0.0.1.evil.example", "localhost.evil.example", "notlocalhost"),
        *("localhost@evil.example", "[evil.example]", "a/localhost", "::1", "0x7f.1", "127.0.0.1:5984:x", "[::1"),
    ],
)
def test_any_other_name_may_be_another_sites(host):
    assert not is_own(host)


async def test_a_page_whose_name_leads_here_is_told_nothing(app, environment):
    environment["db"]["secret"] = {"v": 1}
    served = LoopbackApp(app)
    for method, target in (("GET", "/db/secret"), ("DELETE", "/db"), ("OPTIONS", "/"), ("GET", "/_utils/")):
        refused = await call(served, method, target, {"host": "evil.example:5984"})
        assert (refused.status, refused.json()["error"]) == (403, "forbidden")
        assert "--admin" in refused.json()["reason"]
    assert (await call(served, "GET", "/db/secret", {"host": "127.0.0.1:5984"})).json()["v"] == 1


async def test_with_an_administrator_any_name_will_do(environment):
    served = LoopbackApp(create_app(environment, Policy(admins={"ada": "pw"}, password_iterations=1)))
    assert (await call(served, "GET", "/", {"host": "couch.example"})).status == 200


async def test_an_administrator_who_is_added_later_opens_it_to_other_names(environment):
    served = LoopbackApp(create_app(environment, Policy(password_iterations=1)))
    local = {"host": "localhost", "content-type": "application/json"}
    added = await call(served, "PUT", "/_node/_local/_config/admins/ada", local, b'"pw"')
    assert added.status == 200
    assert (await call_json(served, "GET", "/")).status == 200
