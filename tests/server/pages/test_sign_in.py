"""Signing in, and what is then allowed: what the API allows, and no more."""

from __future__ import annotations

import json
from base64 import b32decode
from collections.abc import Iterator
from typing import Any

import pytest

from couchette import Environment, surroundings
from couchette.server import Policy, create_app
from couchette.users import totp
from tests.server.asgi import call
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio

ADMIN = {"authorization": "Basic YW5uYTpzZWNyZXQ=", "content-type": "application/json"}
VALIDATE = "function (doc, old, user) { if (doc.locked && user.name !== 'anna') throw {forbidden: 'It is locked.'}; }"


@pytest.fixture
def guarded() -> Iterator[Environment]:
    """A server with an administrator; ``db`` is for the users jan and eva, ``other`` for nobody else."""
    with Environment(":memory:") as environment:
        environment.create("db").set_security({"members": {"names": ["jan", "eva"]}})
        environment["db"].put({"_id": "a", "text": "A"})
        environment.create("other")
        yield environment


@pytest.fixture
async def app(guarded: Environment) -> Any:
    app = create_app(guarded, Policy(admins={"anna": "secret"}, password_iterations=1))
    for name in ("jan", "eva"):
        user = {"name": name, "type": "user", "roles": [], "password": "secret"}
        answer = await call(app, "PUT", f"/_users/org.couchdb.user:{name}", ADMIN, json.dumps(user).encode())
        assert answer.status == 201
    return app


@pytest.fixture
async def browser(app: Any) -> Browser:
    return Browser(app)


@pytest.fixture
async def jan(app: Any) -> Browser:
    """The browser of an ordinary user."""
    browser = Browser(app)
    await browser.send(await browser.open("sign-in"), "Sign in", name="jan", password="secret")
    return browser


async def test_who_is_not_signed_in_is_asked_and_then_led_on(browser: Browser) -> None:
    page = await browser.open("databases/delete", db="db")
    assert page.heading == "Sign in"
    page = await browser.send(page, "Sign in", name="anna", password="secret")
    assert page.heading == "Delete db"
    assert page.said == "Signed in as anna."
    page = await browser.send(page, "Sign out")
    assert (page.heading, page.said) == ("Sign in", "Signed out.")
    assert (await browser.open()).heading == "Sign in"


async def test_a_wrong_password_is_said_and_the_name_stays(browser: Browser) -> None:
    page = await browser.send(await browser.open("sign-in"), "Sign in", name="anna", password="guess")
    assert page.status == 401
    assert "Name or password is incorrect." in page.said
    assert page.form("Sign in").all("input", name="name")[0].attributes["value"] == "anna"


async def test_who_has_a_one_time_code_signs_in_with_it(app: Any, browser: Browser) -> None:
    key = "GEZDGNBVGY3TQOJQ"
    user = {"name": "tom", "type": "user", "roles": [], "password": "secret", "totp": {"key": key}}
    answer = await call(app, "PUT", "/_users/org.couchdb.user:tom", ADMIN, json.dumps(user).encode())
    assert answer.status == 201
    page = await browser.send(await browser.open("sign-in"), "Sign in", name="tom", password="secret")
    assert "Name or password is incorrect." in page.said
    step = int(surroundings.now().timestamp()) // totp.STEP_S
    code = totp._token(b32decode(key), "sha1", totp.DIGITS, step)
    shown = f"{code[:3]} {code[3:]}"
    page = await browser.send(page, "Sign in", name="tom", password="secret", code=shown)
    assert page.said == "Signed in as tom."


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example/", "/_utilsx", "/db"])
async def test_no_link_leads_from_signing_in_to_another_place(browser: Browser, elsewhere: str) -> None:
    page = await browser.open("sign-in", next=elsewhere)
    page = await browser.send(page, "Sign in", name="anna", password="secret")
    assert page.target == "/_utils/"


async def test_an_ordinary_user_names_a_database_instead_of_seeing_the_list(jan: Browser) -> None:
    page = await jan.open()
    assert "Only administrators see the list of databases." in page.text
    assert "other" not in page.texts("a")
    page = await jan.send(page, "Open", db="db")
    assert page.texts("th", "id") == ["a"]
    assert "Delete database…" not in page.text


async def test_a_database_of_others_stays_closed(jan: Browser, guarded: Environment) -> None:
    for target in ("documents", "conflicts", "document/new", "document", "revisions", "attachment", "databases/delete"):
        page = await jan.open(target, db="other", id="x", name="y")
        assert page.status == 403, target
        assert page.said == "You are not allowed to access this db. It is 'jan' who asks."
    page = await jan.open("document/new", db="db")
    page.form("Create").attributes["action"] = "/_utils/document/create?db=other"
    page = await jan.send(page, "Create", id="x", text="{}")
    assert page.status == 403
    assert guarded["other"].info()["doc_count"] == 0


async def test_an_ordinary_user_cannot_make_or_delete_databases(jan: Browser, guarded: Environment) -> None:
    token = f"token={jan.cookies['couchette-page']}".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for action, fields in (("create", b"&name=new"), ("delete?db=db", b"&confirmation=db")):
        answer = await jan.ask("POST", f"/_utils/databases/{action}", headers, token + fields)
        assert answer.status == 401
    assert set(guarded) == {"_users", "db", "other"}


async def test_design_documents_are_for_administrators(jan: Browser, guarded: Environment) -> None:
    page = await jan.send(await jan.open("document/new", db="db"), "Create", id="_design/x", text="{}")
    assert page.status == 403
    assert "_design/x" not in guarded["db"]


async def test_every_write_is_judged_by_the_validation_functions(jan: Browser, guarded: Environment) -> None:
    db = guarded["db"]
    db.put({"_id": "_design/rules", "validate_doc_update": VALIDATE})
    page = await jan.send(await jan.open("document/new", db="db"), "Create", id="x", text='{"locked": true}')
    assert (page.status, page.said) == (403, "It is locked.")
    page = await jan.send(await jan.open("document/edit", db="db", id="a"), "Save", text='{"locked": true}')
    assert page.status == 403
    for rev, locked in (("1-a", True), ("1-b", False)):
        db.put({"_id": "y", "_rev": rev, "locked": locked}, new_edits=False)
    page = await jan.open("revisions/compare", db="db", id="y", a="1-b", b="1-a")
    page = await jan.send(page, "Keep 1-a (in conflict)")
    assert (page.status, page.said.startswith("It is locked.")) == (403, True)
    assert db.get("y", conflicts=True)["_conflicts"] == ["1-a"]


async def test_users_see_their_own_document_and_no_other(jan: Browser, guarded: Environment) -> None:
    guarded["_users"].set_security({})
    assert (await jan.open("document", db="_users", id="org.couchdb.user:jan")).status == 200
    for target, id in (("document", "org.couchdb.user:eva"), ("revisions", "org.couchdb.user:eva"), ("documents", "")):
        page = await jan.open(target, db="_users", id=id)
        assert page.status in (401, 404), target
        assert "derived_key" not in page.text


async def test_a_server_that_demands_users_shows_the_sign_in_and_nothing_else(guarded: Environment) -> None:
    guarded["db"].set_security({})
    app = create_app(guarded, Policy(admins={"anna": "secret"}, password_iterations=1, require_valid_user=True))
    browser = Browser(app)
    assert (await browser.open("documents", db="db")).heading == "Sign in"
