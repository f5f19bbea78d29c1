"""The revision tree: seen, compared, and its conflict ended."""

from __future__ import annotations

import pytest

from couchette import Database, Environment
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(environment: Environment) -> Database:
    """A document with two live leaves, a deleted one, and a root that nobody stored."""
    db = environment["db"]
    for rev, path, more in (
        ("2-a", ["a", "r"], {"title": "Phone", "same": 1}),
        ("2-b", ["b", "r"], {"title": "Laptop", "same": 1}),
        ("2-c", ["c", "r"], {"_deleted": True}),
    ):
        db.put({"_id": "x", "_rev": rev, "_revisions": {"start": 2, "ids": path}, **more}, new_edits=False)
    return db


async def test_every_revision_is_drawn_as_a_link_that_says_what_it_is(browser: Browser, db: Database) -> None:
    page = await browser.open("revisions", db="db", id="x")
    (tree,) = page.root.all("svg")
    assert {one.attributes["aria-label"] for one in tree.all("a")} == {
        "2-b, winner",
        "2-a, in conflict",
        "2-c, deleted",
        "1-r, not stored",
    }
    for one in tree.all("a"):
        chosen = await browser.open(one.attributes["href"])
        (current,) = (other for other in chosen.root.all("a") if other.attributes.get("aria-current") == "true")
        assert current.attributes["aria-label"] == one.attributes["aria-label"]
    assert "Its content is not stored any more" in (await browser.open("revisions", db="db", id="x", rev="1-r")).text
    assert (await browser.open("revisions", db="db", id="x", rev="7-z")).status == 404


async def test_two_leaves_are_compared_line_by_line(browser: Browser, db: Database) -> None:
    page = await browser.open("revisions", db="db", id="x")
    page = await browser.open(page.link("Compare with the winner"))
    assert page.texts("td", "gone") == ["−", '"title": "Laptop",']
    assert page.texts("td", "added") == ["+", '"title": "Phone",']


async def test_a_revision_is_compared_with_the_one_that_it_follows(browser: Browser, environment: Environment) -> None:
    db = environment["db"]
    first = db.put({"_id": "y", "title": "Old"})["rev"]
    second = db.put({"_id": "y", "_rev": first, "title": "New"})["rev"]
    page = await browser.open("revisions", db="db", id="y", rev=second)
    page = await browser.open(page.link("What it changed"))
    assert (page.texts("td", "gone")[1], page.texts("td", "added")[1]) == ('"title": "Old"', '"title": "New"')
    assert "What it changed" not in (await browser.open("revisions", db="db", id="y", rev=first)).text


async def test_any_two_of_several_leaves_are_compared(browser: Browser, db: Database) -> None:
    db.put(
        {"_id": "x", "_rev": "2-d", "_revisions": {"start": 2, "ids": ["d", "r"]}, "title": "Tablet"}, new_edits=False
    )
    page = await browser.open("revisions", db="db", id="x")
    page = await browser.send(page, "Compare", a="2-a", b="2-b")
    assert page.heading == "2-a and 2-b"


async def test_one_button_ends_the_conflict(browser: Browser, db: Database) -> None:
    page = await browser.open("revisions/compare", db="db", id="x", a="2-b", b="2-a")
    page = await browser.send(page, "Keep 2-a (in conflict)")
    assert page.said.startswith("Kept 2-a, as revision 3-")
    assert "Keep this one" not in page.text
    assert (db["x"]["title"], db.conflicts()) == ("Phone", [])


async def test_a_conflict_that_somebody_else_ended_is_said_to_be_over(browser: Browser, db: Database) -> None:
    page = await browser.open("revisions", db="db", id="x")
    db.resolve("x", keep="2-b")
    page = await browser.send(page, "Keep this one")
    assert page.said == "There was no conflict any more."


async def test_keeping_a_revision_that_is_no_leaf_any_more_is_a_conflict(browser: Browser, db: Database) -> None:
    page = await browser.open("revisions", db="db", id="x")
    db.put({"_id": "x", "_rev": "2-b", "title": "Edited"})
    page = await browser.send(page, "Keep this one")
    assert page.status == 409
