"""The pages in a real browser: by keyboard, without scripts, without a network, with hostile data."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import expect

from couchette import Environment
from tests.server.pages.chromium import FAULTS, Tab

pytestmark = pytest.mark.slow

HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a/b c?d&e=f#g%2F+h",
    "..",
    "\N{COUCH AND LAMP}\ufe0f\u202e שלום",
)
PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")
SCRIPTED = b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'><script>alert(3)</script></svg>"


@pytest.fixture
def environment() -> Iterator[Environment]:
    """The database ``notes``: a document in conflict, one with attachments, and enough others for two pages."""
    with Environment(":memory:") as environment:
        db = environment["notes"]
        db.bulk_docs([{"_id": f"note-{number:02}", "title": f"Number {number}"} for number in range(60)])
        for rev, title in (("2-a", "Phone"), ("2-b", "Laptop")):
            ids = [rev[2:], "r"]
            db.put({"_id": "x", "_rev": rev, "title": title, "_revisions": {"start": 2, "ids": ids}}, new_edits=False)
        for name, content, content_type in (
            ("pixel.gif", PIXEL, "image/gif"),
            ("drawing.svg", SCRIPTED, "image/svg+xml"),
            ("page.html", b"<script>alert(4)</script>", "text/html"),
        ):
            db.put_attachment("note-01", name, content, content_type, rev=db["note-01"]["_rev"])
        yield environment


def test_work_is_done_by_keyboard_alone(opened: Callable[..., Tab], environment: Environment) -> None:
    tab = opened()
    page = tab.open()
    order = []
    for _ in range(9):
        page.keyboard.press("Tab")
        order.append(tab.focused())
    assert order == [
        "Skip to the content",
        "couchette",
        "Databases",
        "Replications",
        "Users",
        "Server",
        "notes",
        "1 with conflicts in notes",
        "New database",
    ]
    page.keyboard.type("kept")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text("Created the database kept.")
    page.get_by_role("link", name="New document").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Id").focus()
    page.keyboard.type("a/b")
    page.keyboard.press("Tab")
    page.keyboard.press("Control+A")
    page.keyboard.type('{"title": "Typed"}')
    page.keyboard.press("Tab")
    assert tab.focused() == "Create"
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("a/b")
    assert environment["kept"]["a/b"]["title"] == "Typed"


def test_the_focus_is_seen_on_every_stop_of_a_page(opened: Callable[..., Tab]) -> None:
    tab = opened()
    page = tab.open("revisions?db=notes&id=x")
    stops = set()
    while True:
        page.keyboard.press("Tab")
        seen = page.evaluate(
            """() => {
                const one = document.activeElement, shape = one.querySelector('rect') || one;
                const style = getComputedStyle(shape);
                const place = [...document.querySelectorAll('*')].indexOf(one);
                return [place + one.outerHTML, style.outlineStyle !== 'none' || parseFloat(style.strokeWidth) >= 3];
            }"""
        )
        if seen[0] in stops or "<body" in seen[0]:
            break
        stops.add(seen[0])
        assert seen[1], seen[0]
    assert len(stops) > 10


def test_the_search_narrows_the_list_while_one_types_and_the_address_follows(opened: Callable[..., Tab]) -> None:
    tab = opened()
    page = tab.open("documents?db=notes")
    rows = page.locator("#listed tbody tr")
    expect(rows).to_have_count(50)
    page.get_by_label("Ids beginning with").press_sequentially("note-1")
    expect(rows).to_have_count(10)
    assert "prefix=note-1" in page.url
    page.reload()
    expect(rows).to_have_count(10)
    page.get_by_label("Filter").fill("{")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not JSON.")
    (complaint,) = tab.complaints
    assert "status of 400" in complaint
    tab.complaints.clear()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_conflict_is_seen_compared_and_ended(
    opened: Callable[..., Tab], environment: Environment, scripts: bool
) -> None:
    page = opened(java_script_enabled=scripts).open("documents?db=notes")
    page.get_by_role("link", name="1 with conflicts").click()
    page.get_by_role("link", name="x", exact=True).click()
    page.get_by_role("link", name="2-a, in conflict").click()
    expect(page.get_by_role("region", name="Chosen revision")).to_contain_text('"title": "Phone"')
    page.get_by_role("link", name="Compare with the winner").first.click()
    expect(page.locator("td.added").last).to_have_text('"title": "Phone"')
    page.get_by_role("button", name="Keep 2-a (in conflict)").click()
    expect(page.get_by_role("status")).to_contain_text("Kept 2-a, as revision 3-")
    assert environment["notes"]["x"]["title"] == "Phone"


def test_without_scripts_documents_are_searched_edited_and_given_files(
    opened: Callable[..., Tab], environment: Environment
) -> None:
    page = opened(java_script_enabled=False).open("documents?db=notes")
    page.get_by_label("Ids beginning with").fill("note-05")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="note-05").click()
    page.get_by_role("link", name="Edit").click()
    page.get_by_label("Content, a JSON object").fill('{"title": "Changed"}')
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status")).to_contain_text("Saved as revision 2-")
    page.get_by_label("File").set_input_files({"name": "ü «a».gif", "mimeType": "image/gif", "buffer": PIXEL})
    page.get_by_role("button", name="Attach").click()
    expect(page.get_by_role("img", name="ü «a».gif")).to_be_visible()
    doc = environment["notes"]["note-05"]
    assert (doc["title"], list(doc["_attachments"])) == ("Changed", ["ü «a».gif"])


def test_hostile_documents_are_text_and_run_nothing(opened: Callable[..., Tab], environment: Environment) -> None:
    db = environment["notes"]
    for doc_id in HOSTILE:
        db.put({"_id": doc_id, doc_id: "</pre></textarea><script>alert(2)</script>"})
        db.put_attachment(doc_id, f"{doc_id}.svg", SCRIPTED, "image/svg+xml", rev=db[doc_id]["_rev"])
    tab = opened()
    for doc_id in HOSTILE:
        about = f"db=notes&id={quote(doc_id, safe='')}"
        for target in ("document", "document/edit", "revisions", "document/delete"):
            page = tab.open(f"{target}?{about}")
            assert doc_id in (page.locator("h1").text_content() or "")
        page = tab.open(f"attachment?{about}&name={quote(doc_id, safe='')}.svg")
        assert page.evaluate("document.documentElement.tagName") == "svg"
    page = tab.open("documents?db=notes")
    page.get_by_role("link", name=HOSTILE[0]).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(HOSTILE[0])
    # All that the console says is that Chromium refused the scripts.
    assert [one for one in tab.complaints if "Blocked script execution" not in one] == []
    tab.complaints.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_read_and_operated_by_all(
    opened: Callable[..., Tab], environment: Environment, scheme: str
) -> None:
    db = environment["notes"]
    db.put({"_id": "gone"})
    db.remove("gone", db["gone"]["_rev"])
    tab = opened(color_scheme=scheme)
    for target in (
        *("", "documents?db=notes", "conflicts?db=notes", "document?db=notes&id=note-01", "document/new?db=notes"),
        *("document/edit?db=notes&id=x", "document/delete?db=notes&id=x", "revisions?db=notes&id=x&rev=2-a"),
        *("revisions?db=notes&id=gone", "revisions/compare?db=notes&id=x&a=2-b&b=2-a", "databases/delete?db=notes"),
        *("sign-in",),
    ):
        page = tab.open(target)
        assert page.evaluate(FAULTS) == [], target


def test_pages_fit_a_phone(opened: Callable[..., Tab]) -> None:
    tab = opened()
    tab.page.set_viewport_size({"width": 360, "height": 640})
    for target in ("", "documents?db=notes", "document?db=notes&id=note-01", "revisions?db=notes&id=x"):
        assert tab.open(target).evaluate(FAULTS) == [], target
