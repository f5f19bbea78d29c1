"""Views, queries, replications, users and access in a real browser: live, by keyboard, without scripts, by all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from couchette import Environment
from tests.server.pages.chromium import FAULTS, Tab

pytestmark = pytest.mark.slow

HOSTILE = "<script>alert(1)</script>"
FOLLOWS_MS = 20_000
"""A page looks every 2 s, and the machine may be busy."""
MAP = "function (doc) { emit(doc.kind, doc.text); }"
QUERY = quote('{"selector": {"kind": {"$gt": "a"}}, "limit": 5}')


@pytest.fixture
def environment() -> Iterator[Environment]:
    """The database ``notes`` with two views and an index, a replication that is through, and one that crashes."""
    with Environment(":memory:") as environment:
        db = environment["notes"]
        db.bulk_docs([{"_id": f"note-{number:02}", "kind": "cat", "text": "x" * 300} for number in range(60)])
        db.put({"_id": HOSTILE, "kind": HOSTILE, "text": HOSTILE})
        views = {HOSTILE: {"map": MAP}, "by-kind": {"map": MAP, "reduce": "_count"}}
        db.put({"_id": "_design/app", "views": views})
        db.create_index(["kind"], name=HOSTILE)
        environment["_users"].put({"_id": "org.couchdb.user:ada", "name": "ada", "type": "user", "roles": [HOSTILE]})
        environment.replications.add("through", "notes", "copy", live=False, create_target=True)
        environment.replications.add("broken", "http://127.0.0.1:9/notes", "copy")
        yield environment


def test_a_replication_is_begun_and_its_progress_follows_by_itself(
    opened: Callable[..., Tab], environment: Environment
) -> None:
    page = opened().open("replications")
    page.get_by_role("group", name="From").get_by_label("Database, or URL").fill("notes")
    page.get_by_role("group", name="To").get_by_label("Database, or URL").fill("live")
    page.get_by_label("Go on with every change").check()
    page.get_by_label("Make the target").check()
    page.get_by_label("Name, or empty").fill("follows")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Began follows.")
    row = page.get_by_role("row", name="follows")
    expect(row).to_contain_text("running", timeout=FOLLOWS_MS)
    expect(row.get_by_role("cell").nth(3)).to_have_text("63", timeout=FOLLOWS_MS)
    cancel = row.get_by_role("button", name="Cancel follows")
    cancel.focus()
    environment["notes"].put({"_id": "late"})
    expect(row.get_by_role("cell").nth(3)).to_have_text("64", timeout=FOLLOWS_MS)
    expect(cancel).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Ended follows. What it moved stays.")
    expect(row).to_have_count(0)
    assert len(environment["live"]) == len(environment["notes"])


def test_without_scripts_views_are_tried_queries_run_and_access_is_given(
    opened: Callable[..., Tab], environment: Environment
) -> None:
    page = opened(java_script_enabled=False).open("views?db=notes")
    page.get_by_role("link", name="by-kind").click()
    page.get_by_label("a value per key").check()
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("cell", name='"cat"')).to_be_visible()
    page.get_by_role("link", name="Try a view").click()
    page.get_by_role("textbox", name="Map").fill("function (doc) { emit(doc._id.length, 1); }")
    page.get_by_label("Reduce, or empty").fill("_sum")
    page.get_by_role("button", name="Run").click()
    expect(page.get_by_role("row", name="7 60")).to_be_visible()
    page.get_by_role("link", name="Find").click()
    page.get_by_label("Query").fill('{"selector": {"_id": "note-07"}}')
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("link", name="note-07")).to_be_visible()
    page.get_by_role("link", name="Access").click()
    page.get_by_label("Members: names").fill("ada")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_have_text("Saved.")
    expect(page.locator("dd").first).to_have_text("ada, and administrators")


PAGES = (
    *("views?db=notes", "views?db=notes&design=app&view=by-kind&reduce=false", "views/try?db=notes"),
    *(f"views?db=notes&design=app&view={quote(HOSTILE)}&include_docs=true&limit=3&descending=true", "find?db=notes"),
    *(f"find?db=notes&query={QUERY}", "indexes?db=notes", "access?db=notes", "replications", "users", "server"),
    *("replications/one?name=broken", "users/edit?name=ada"),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_section_can_be_read_and_operated_by_all(opened: Callable[..., Tab], scheme: str) -> None:
    tab = opened(color_scheme=scheme)
    for target in PAGES:
        assert tab.open(target).evaluate(FAULTS) == [], target


def test_sections_fit_a_phone(opened: Callable[..., Tab]) -> None:
    tab = opened()
    tab.page.set_viewport_size({"width": 360, "height": 640})
    for target in PAGES:
        assert tab.open(target).evaluate(FAULTS) == [], target
