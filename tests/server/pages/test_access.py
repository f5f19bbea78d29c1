"""Who may use a database, in words and as a form; and that pages ask what the API asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from couchette import Environment
from couchette.design.request import security_of
from couchette.server import Policy, create_app
from couchette.server.app import App
from couchette.server.pages.access import keepers, readers
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio

DESIGN = {"_id": "_design/zoo", "views": {"all": {"map": "function (doc) { emit(doc._id, doc.secret); }"}}}


@pytest.fixture
def environment() -> Iterator[Environment]:
    """``db`` has the member jan and the administrator eva; ``other`` is the server's administrators' alone."""
    with Environment(":memory:") as environment:
        db = environment.create("db")
        db.set_security({"admins": {"names": ["eva"]}, "members": {"names": ["jan"], "roles": []}, "kept": 1})
        db.put(DESIGN)
        db.put({"_id": "a", "secret": 1})
        environment.create("other")
        yield environment


@pytest.fixture
def app(environment: Environment) -> App:
    return create_app(environment, Policy(admins={"anna": "pw"}, password_iterations=1))


@pytest.fixture
async def signed_in(app: App) -> Any:
    """Browsers of anna, the server's administrator, and of the users jan and eva."""
    browsers = {}
    for name in ("anna", "eva", "jan"):
        browser = Browser(app)
        if name != "anna":
            anna = browsers["anna"]
            await anna.send(await anna.open("users"), "Create user", name=name, password="pw")
        await browser.send(await browser.open("sign-in"), "Sign in", name=name, password="pw")
        browsers[name] = browser
    return browsers


@pytest.mark.parametrize(
    ("secured", "asks", "said"),
    [
        ({}, False, "everybody, without signing in"),
        ({"members": {"names": [], "roles": []}}, True, "everybody who is signed in"),
        ({"members": {"roles": ["_admin"]}}, False, "administrators only"),
        ({"members": {"names": ["a", "b"], "roles": ["_admin", "cook"]}}, False, "a, b and whoever has the role cook"),
        ({"readers": {"names": ["old"]}}, False, "old, and administrators"),
    ],
)
def test_who_reads_and_writes_is_said_in_words(secured: dict[str, Any], asks: bool, said: str) -> None:
    assert readers(secured, asks=asks).startswith(said)


def test_who_keeps_the_database_is_said_in_words() -> None:
    assert keepers({"admins": {"roles": ["_admin"]}}) == "the server’s administrators only"
    assert keepers({"admins": {"names": ["eva"]}}) == "the server’s administrators, and eva"


async def test_the_security_of_a_database_is_changed(signed_in: Any, environment: Environment) -> None:
    eva = signed_in["eva"]
    page = await eva.open("access", db="db")
    assert page.texts("dd") == [
        "jan, and administrators",
        "the server’s administrators, and eva",
        "the server’s administrators only",
    ]
    page = await eva.send(page, "Save", **{"members-names": "jan\n\n ben ", "members-roles": "cook"})
    assert page.said == "Saved."
    assert security_of(environment["db"]) == {
        "admins": {"names": ["eva"], "roles": []},
        "members": {"names": ["jan", "ben"], "roles": ["cook"]},
        "kept": 1,
    }
    page = await eva.send(page, "Save", **{"admins-names": "", "members-names": "eva"})
    assert page.said == "Saved. You do not administer the database any more."
    assert "Save" not in page.texts("button")


async def test_without_an_administrator_the_page_says_what_holds(environment: Environment) -> None:
    page = await Browser(create_app(environment)).open("access", db="db")
    assert "This server has no administrator" in page.said
    assert page.link("Make an administrator") == "/_utils/users"


async def test_a_member_looks_and_is_offered_no_more(signed_in: Any) -> None:
    jan = signed_in["jan"]
    page = await jan.open("views", db="db", design="zoo", view="all")
    assert page.texts("td") == ['"a"', "a", "1"]
    assert not {"Try a view", "Change it", "Users", "Replications", "Server"} & set(page.texts("a"))
    page = await jan.open("find", db="db", query='{"selector": {"secret": 1}}')
    assert page.texts("th", "id") == ["a"]
    assert "Create it" not in page.texts("button")
    assert "Create" not in (await jan.open("indexes", db="db")).texts("button")
    assert "Save" not in (await jan.open("access", db="db")).texts("button")


@pytest.mark.parametrize(
    "target", ["views/try?db=db", "users", "users/edit?name=eva", "replications", "replications/one?name=x", "server"]
)
async def test_what_is_the_administrators_is_refused_to_a_member(signed_in: Any, target: str) -> None:
    page = await signed_in["jan"].open(target)
    assert page.status in (401, 403)
    assert page.heading == "This did not work"


@pytest.mark.parametrize(
    ("target", "button"),
    [
        ("views/try?db=db", "Run"),
        ("views/try?db=db", "Keep"),
        ("indexes?db=db", "Create"),
        ("access?db=db", "Save"),
        ("users", "Make an administrator"),
        ("users", "Create user"),
        ("users/edit?name=eva", "Save"),
        ("users/edit?name=eva", "Delete user"),
        ("replications", "Replicate"),
    ],
)
async def test_forms_of_others_do_nothing_for_a_member(
    signed_in: Any, environment: Environment, target: str, button: str
) -> None:
    anna, jan = signed_in["anna"], signed_in["jan"]
    names = [environment[name].info()["update_seq"] for name in ("db", "_users")]
    form = await anna.open(target)
    jan.cookies["couchette-page"] = anna.cookies["couchette-page"]
    typed = {"source": "db", "target": "other"} if button == "Replicate" else {}
    page = await jan.send(form, button, **typed)
    assert page.status in (401, 403), page.text
    assert names == [environment[name].info()["update_seq"] for name in ("db", "_users")]
    assert security_of(environment["db"])["kept"] == 1
    assert "_replicator" not in environment or list(environment["_replicator"]) == []


@pytest.mark.parametrize("page", ["views", "find", "indexes", "access"])
async def test_a_database_that_one_may_not_use_is_not_shown(signed_in: Any, app: App, page: str) -> None:
    assert (await signed_in["jan"].open(page, db="other")).status == 403
    assert (await Browser(app).open(page, db="other")).heading == "Sign in"


async def test_documents_that_the_program_withholds_are_in_no_view_and_no_find(environment: Environment) -> None:
    environment["db"].put({"_id": "b", "secret": 2})
    policy = Policy(may_read_document=lambda user, name, doc: doc.get("secret") != 2)
    browser = Browser(create_app(environment, policy))
    page = await browser.open("views", db="db", design="zoo", view="all", limit="1")
    assert page.texts("td", "id") == ["a"]
    page = await browser.send(await browser.open("views/try", db="db"), "Run")
    assert page.texts("td", "id") == ["a"]
    page = await browser.open("find", db="db", query='{"selector": {"secret": {"$gt": 0}}}')
    assert page.texts("th", "id") == ["a"]


async def test_a_part_that_follows_by_itself_leads_to_signing_in_when_the_session_is_over(app: App) -> None:
    answer = await Browser(app).ask("GET", "/_utils/replications", {"hx-request": "true"})
    assert answer.status == 200
    assert answer.headers["hx-redirect"] == "/_utils/sign-in?next=%2F_utils%2Freplications"
