"""Administrators and users: listed, made, changed and deleted."""

from __future__ import annotations

import pytest

from couchette import Environment
from couchette.server import Policy, create_app
from couchette.server.app import App
from couchette.users import passwords
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(environment: Environment) -> App:
    return create_app(environment, Policy(password_iterations=1))


async def signed_in(app: App, name: str, password: str = "pw") -> Browser:
    browser = Browser(app)
    page = await browser.send(await browser.open("sign-in"), "Sign in", name=name, password=password)
    assert page.said == f"Signed in as {name}."
    return browser


async def test_without_an_administrator_the_page_says_so_until_one_is_made(app: App, browser: Browser) -> None:
    page = await browser.open("users")
    assert "This server has no administrator" in page.said
    page = await browser.send(page, "Make an administrator", name="anna", password="pw")
    assert (page.heading, page.said) == ("Sign in", "Sign in as anna, who decides from now on.")
    page = await browser.send(page, "Sign in", name="anna", password="pw")
    assert page.heading == "Users"
    assert "no administrator" not in page.text
    assert (await Browser(app).open("users")).heading == "Sign in"


async def test_administrators_come_and_go_but_for_the_last(app: App, browser: Browser) -> None:
    await browser.send(await browser.open("users"), "Make an administrator", name="anna", password="pw")
    anna = await signed_in(app, "anna")
    page = await anna.send(await anna.open("users"), "Make an administrator", name="ben", password="pw")
    assert page.said == "ben is an administrator now."
    page = await anna.send(page, "Make an administrator", name="ben", password="other")
    assert "'ben' is an administrator already." in page.said
    page = await anna.send(page, "Make an administrator", name="a:b", password="pw")
    assert "cannot be the name of an administrator" in page.said
    ben = await signed_in(app, "ben")
    page = await ben.send(await ben.open("users"), "Remove")
    assert page.said == "anna is no administrator any more."
    page = await ben.send(page, "Remove")
    assert "'ben' is the last administrator" in page.said


async def test_a_user_is_made_and_can_sign_in(app: App, browser: Browser, environment: Environment) -> None:
    await browser.send(await browser.open("users"), "Make an administrator", name="anna", password="pw")
    anna = await signed_in(app, "anna")
    page = await anna.send(
        await anna.open("users"), "Create user", name="jan", password="secret", roles="cook\n editor \ncook\n"
    )
    assert page.said == "Created the user jan."
    assert page.texts("td")[-1] == "cook editor"
    doc = environment["_users"]["org.couchdb.user:jan"]
    assert doc["roles"] == ["cook", "editor"]
    assert "password" not in doc
    assert doc["derived_key"] not in page.html
    await signed_in(app, "jan", "secret")
    page = await anna.send(page, "Create user", name="jan", password="x")
    assert page.said == "There is a user 'jan' already."


@pytest.mark.parametrize(
    ("name", "roles", "said"),
    [
        ("", "", "A user has a name and a password."),
        ("_x", "", "Username may not start with underscore."),
        ("jan", "_admin", "No system roles (starting with underscore) in users db."),
    ],
)
async def test_a_wrong_user_is_explained_and_the_form_kept(browser: Browser, name: str, roles: str, said: str) -> None:
    page = await browser.send(await browser.open("users"), "Create user", name=name, password="geheim", roles=roles)
    assert page.status >= 400
    assert said in page.said
    assert page.root.all("input", name="name")[1].attributes["value"] == name
    assert page.root.all("textarea", name="roles")[0].raw_text.strip() == roles
    assert "geheim" not in page.html


async def test_roles_and_password_are_changed(browser: Browser, environment: Environment) -> None:
    page = await browser.send(await browser.open("users"), "Create user", name="jan", password="one", roles="cook")
    before = environment["_users"]["org.couchdb.user:jan"]
    page = await browser.send(await browser.open(page.link("jan")), "Save", roles="guest")
    assert "Saved jan." in page.said
    kept = environment["_users"]["org.couchdb.user:jan"]
    assert (kept["roles"], kept["derived_key"]) == (["guest"], before["derived_key"])
    page = await browser.send(await browser.open(page.link("jan")), "Save", password="two")
    assert "Saved jan, with a new password." in page.said
    assert passwords.verify("two", environment["_users"]["org.couchdb.user:jan"])


async def test_what_somebody_else_changed_meanwhile_is_not_overwritten(
    browser: Browser, environment: Environment
) -> None:
    page = await browser.send(await browser.open("users"), "Create user", name="jan", password="one")
    page = await browser.open(page.link("jan"))
    doc = environment["_users"]["org.couchdb.user:jan"]
    environment["_users"].put({**doc, "roles": ["cook"]})
    page = await browser.send(page, "Save", roles="guest")
    assert (page.status, page.said) == (409, "Somebody has changed the user meanwhile. Load it again.")
    assert environment["_users"]["org.couchdb.user:jan"]["roles"] == ["cook"]


async def test_a_user_is_deleted(browser: Browser, environment: Environment) -> None:
    page = await browser.send(await browser.open("users"), "Create user", name="jan", password="one")
    page = await browser.send(await browser.open(page.link("jan")), "Delete user")
    assert "Deleted the user jan." in page.said
    assert "There are no users." in page.text
    assert (await browser.open("users/edit", name="jan")).status == 404


async def test_many_users_have_pages(browser: Browser, environment: Environment) -> None:
    names = [f"u{number:03}" for number in range(130)]
    environment["_users"].bulk_docs(
        [{"_id": f"org.couchdb.user:{name}", "name": name, "type": "user", "roles": []} for name in names]
    )
    first = await browser.open("users")
    second = await browser.open(first.link("Next →"))
    links = [
        [one.text for one in page.root.all("a") if "users/edit" in one.attributes["href"]] for page in (first, second)
    ]
    assert links[0] + links[1] == names
