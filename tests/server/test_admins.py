"""Administrators that come and go while the server runs: ``_node/_local/_config/admins``."""

from __future__ import annotations

import json
import stat

import pytest

from couchette import Environment
from couchette.errors import StoreError
from couchette.server import Policy, create_app
from couchette.users.admins import Admins, stored_admins
from tests.server.asgi import call
from tests.server.test_access import ADMIN, ask, basic, policy

pytestmark = pytest.mark.anyio

ADMINS = "/_node/_local/_config/admins"
EVE = basic("eve", "pw")


@pytest.fixture
def secured(environment):
    return create_app(environment, policy())


async def test_an_administrator_is_added_changed_and_removed(secured):
    answer = await ask(secured, "PUT", f"{ADMINS}/eve", "pw")
    assert (answer.status, answer.json()) == (200, "")
    assert (await ask(secured, "GET", "/_all_dbs", headers=EVE)).status == 200
    line = (await ask(secured, "GET", f"{ADMINS}/eve")).json()
    assert line.startswith("-pbkdf2:sha256-")
    assert (await ask(secured, "PUT", f"{ADMINS}/eve", "other")).json() == line
    assert (await ask(secured, "GET", "/_all_dbs", headers=EVE)).status == 401
    assert (await ask(secured, "DELETE", f"{ADMINS}/eve")).status == 200
    assert (await ask(secured, "GET", "/_all_dbs", headers=basic("eve", "other"))).status == 401
    assert (await ask(secured, "DELETE", f"{ADMINS}/eve")).json()["reason"] == "unknown_config_value"


async def test_passwords_are_only_shown_derived(secured):
    await ask(secured, "PUT", f"{ADMINS}/eve", "opensesame")
    for target in (ADMINS, f"{ADMINS}/eve", "/_node/_local/_config"):
        answer = await ask(secured, "GET", target)
        assert answer.status == 200
        assert b"opensesame" not in answer.body
        assert b"topsecret" not in answer.body
    assert sorted((await ask(secured, "GET", ADMINS)).json()) == ["admin", "eve"]
    assert (await call(secured, "GET", ADMINS)).status == 401


async def test_a_derived_password_is_taken_as_it_is(secured):
    await ask(secured, "PUT", f"{ADMINS}/eve", "pw")
    line = (await ask(secured, "GET", f"{ADMINS}/eve")).json()
    await ask(secured, "PUT", f"{ADMINS}/twin", line)
    assert (await ask(secured, "GET", "/_all_dbs", headers=basic("twin", "pw"))).status == 200


@pytest.mark.parametrize(
    ("name", "value"), [("eve", ""), ("eve", 1), ("_eve", "pw"), ("a%3Ab", "pw"), ("e", "-pbkdf2-x")]
)
async def test_what_cannot_be_an_administrator_is_refused(secured, name, value):
    assert (await ask(secured, "PUT", f"{ADMINS}/{name}", value)).status == 400
    assert list((await ask(secured, "GET", ADMINS)).json()) == ["admin"]


async def test_those_that_the_program_names_cannot_be_changed(secured):
    for method, value in (("PUT", "other"), ("DELETE", None)):
        answer = await ask(secured, method, f"{ADMINS}/admin", value)
        assert (answer.status, answer.json()["error"]) == (400, "modification_not_allowed")
    assert (await ask(secured, "GET", "/_all_dbs", headers=ADMIN)).status == 200


async def test_the_first_administrator_closes_an_open_server(environment):
    app = create_app(environment, Policy(password_iterations=1))
    assert (await ask(app, "PUT", f"{ADMINS}/eve", "pw", headers={})).status == 200
    assert (await call(app, "GET", "/_all_dbs")).status == 401
    login = await ask(app, "POST", "/_session", {"name": "eve", "password": "pw"}, {})
    cookie = login.headers["set-cookie"].partition(";")[0]
    assert (await call(app, "GET", "/_all_dbs", {"cookie": cookie})).json() == ["_users", "db"]
    answer = await ask(app, "DELETE", f"{ADMINS}/eve", headers=EVE)
    assert (answer.status, answer.json()["error"]) == (400, "modification_not_allowed")


async def test_another_administrator_signs_nobody_out(secured):
    login = await ask(secured, "POST", "/_session", {"name": "admin", "password": "topsecret"}, {})
    cookie = {"cookie": login.headers["set-cookie"].partition(";")[0]}
    assert (await ask(secured, "PUT", f"{ADMINS}/eve", "pw")).status == 200
    assert (await call(secured, "GET", "/_all_dbs", cookie)).status == 200


async def test_they_are_kept_with_the_folder(tmp_path):
    with Environment(tmp_path) as environment:
        app = create_app(environment, policy())
        await ask(app, "PUT", f"{ADMINS}/eve", "pw")
    file = tmp_path / "admins"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "pw" not in json.loads(file.read_text())["eve"].partition(",")[0]
    with Environment(tmp_path) as environment:
        app = create_app(environment, Policy(password_iterations=1))
        assert (await ask(app, "GET", "/_all_dbs", headers=EVE)).status == 200
        assert (await call(app, "GET", "/_all_dbs")).status == 401


@pytest.mark.parametrize("text", ["{", "[]", '{"eve": 1}'])
def test_a_damaged_file_is_refused(tmp_path, text):
    with Environment(tmp_path) as environment:
        (tmp_path / "admins").write_text(text, encoding="utf-8")
        with pytest.raises(StoreError, match="admins cannot be used"):
            stored_admins(environment)


def test_what_cannot_be_written_is_not_taken(tmp_path):
    with Environment(tmp_path / "folder") as environment:
        admins = Admins(environment, {}, iterations=1)
        environment.folder = str(tmp_path / "gone")
        with pytest.raises(StoreError, match="cannot be written"):
            admins.set("eve", "pw")
        assert not admins
