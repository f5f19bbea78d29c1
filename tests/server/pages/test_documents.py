"""The list of documents: pages of it, ranges, and filters."""

from __future__ import annotations

from typing import Any

import pytest

from couchette import Environment
from tests.server.pages.browsing import Browser, Page

pytestmark = pytest.mark.anyio

HOSTILE = [
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "a/b c?d&e=f#g%2F+h",
    "..",
    "\N{COUCH AND LAMP}\ufe0f emoji",
    "\u202ertl override",
    "שלום",
    "{{ 7*7 }}{% raw %}",
    "line\r\nbreak\ttab",
]


def ids(page: Page) -> list[str]:
    return page.texts("th", "id")


@pytest.fixture
def many(environment: Environment) -> Any:
    db = environment["db"]
    db.bulk_docs([{"_id": f"doc-{number:03}", "number": number, "even": number % 2 == 0} for number in range(120)])
    db.put({"_id": "_design/app", "views": {}})
    return db


async def test_pages_lead_forward_and_back_over_all_documents(browser: Browser, many: Any) -> None:
    first = await browser.open("documents", db="db")
    second = await browser.open(first.link("Next →"))
    third = await browser.open(second.link("Next →"))
    assert ids(first) + ids(second) + ids(third) == sorted(many)
    assert "Next →" not in third.text
    assert ids(await browser.open(third.link("← Previous"))) == ids(second)
    assert ids(again := await browser.open(second.link("← Previous"))) == ids(first)
    assert "← Previous" not in again.text


async def test_a_page_goes_on_though_its_neighbour_was_deleted_meanwhile(browser: Browser, many: Any) -> None:
    first = await browser.open("documents", db="db")
    many.remove(ids(first)[-1], many[ids(first)[-1]]["_rev"])
    second = await browser.open(first.link("Next →"))
    assert ids(second) == sorted(many)[49:99]


async def test_ids_are_narrowed_by_prefix_and_range(browser: Browser, many: Any) -> None:
    page = await browser.open("documents", db="db")
    page = await browser.send(page, "Search", prefix="doc-01")
    assert ids(page) == [f"doc-{number:03}" for number in range(10, 20)]
    page = await browser.open("documents", db="db", **{"from": "doc-117", "to": "doc-118"})
    assert ids(page) == ["doc-117", "doc-118"]
    page = await browser.open("documents", db="db", prefix="nothing")
    assert "No document is like this." in page.text


async def test_a_prefix_of_many_documents_has_pages_too(browser: Browser, many: Any) -> None:
    first = await browser.open("documents", db="db", prefix="doc-")
    second = await browser.open(first.link("Next →"))
    assert ids(first) + ids(second) == [f"doc-{number:03}" for number in range(100)]
    assert ids(await browser.open(second.link("← Previous"))) == ids(first)


async def test_design_documents_are_listed_alone(browser: Browser, many: Any) -> None:
    page = await browser.send(await browser.open("documents", db="db"), "Search", kind="design")
    assert ids(page) == ["_design/app"]


async def test_a_selector_filters_within_the_range(browser: Browser, many: Any) -> None:
    page = await browser.open("documents", db="db")
    page = await browser.send(page, "Search", filter='{"number": {"$gte": 115}}', prefix="doc-11")
    assert ids(page) == ["doc-115", "doc-116", "doc-117", "doc-118", "doc-119"]
    page = await browser.send(page, "Search", filter='{"even": true}', prefix="")
    assert len(ids(page)) == 50
    following = await browser.open(page.link("Next →"))
    assert ids(following) == [f"doc-{number:03}" for number in range(100, 120, 2)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{x", "This is not JSON. Expecting property name enclosed in double quotes: line 1 column 2 (char 1)."),
        ('{"a": {"$nothing": 1}}', "Invalid operator: $nothing"),
        ("some words", "no full-text index"),
    ],
)
async def test_a_wrong_filter_is_explained_and_stays_to_be_mended(
    browser: Browser, many: Any, text: str, said: str
) -> None:
    page = await browser.open("documents", db="db", filter=text)
    assert page.status == 400
    assert said in page.said
    assert page.root.all("input", name="filter")[0].attributes["value"] == text


async def test_words_are_looked_up_where_there_is_a_text_index(browser: Browser, environment: Environment) -> None:
    db = environment["db"]
    db.put({"_id": "a", "text": "a quick fox"})
    db.put({"_id": "b", "text": "a lazy dog"})
    db.create_index([{"name": "text", "type": "string"}], type="text")
    page = await browser.open("documents", db="db", filter="fox")
    assert ids(page) == ["a"]


async def test_hostile_ids_and_values_are_only_text_and_their_links_lead_to_them(
    browser: Browser, environment: Environment
) -> None:
    db = environment["db"]
    for doc_id in HOSTILE:
        db.put({"_id": doc_id, "value": doc_id, doc_id: "</textarea><script>alert(2)</script>"})
    page = await browser.open("documents", db="db")
    assert sorted(ids(page)) == sorted(" ".join(doc_id.split()) for doc_id in HOSTILE)
    assert [one.attributes.get("src", "")[:16] for one in page.root.all("script")] == ["/_utils/static/h"]
    for target in [
        one.attributes["href"] for one in page.root.all("a") if "/_utils/document?" in one.attributes["href"]
    ]:
        shown = await browser.open(target)
        assert shown.status == 200
        assert not shown.root.all("img")
        assert len(shown.root.all("script")) == 1
        editor = await browser.open(shown.link("Edit"))
        saved = await browser.send(editor, "Save")
        assert saved.said.startswith("Saved as revision 2-"), saved.text
    assert all(db[doc_id]["value"] == doc_id for doc_id in HOSTILE)


async def test_a_page_shows_what_turns_lines_around_as_escapes(browser: Browser, environment: Environment) -> None:
    environment["db"].put({"_id": "a", "value": "\u202egnp.exe"})
    page = await browser.open("document", db="db", id="a")
    assert '"\\u202egnp.exe"' in page.text


async def test_conflicts_are_listed_and_lead_to_their_comparison(browser: Browser, environment: Environment) -> None:
    db = environment["db"]
    assert "No document has a conflict." in (await browser.open("conflicts", db="db")).text
    for rev in ("1-a", "1-b"):
        db.put({"_id": "x", "_rev": rev, "from": rev}, new_edits=False)
    page = await browser.open("conflicts", db="db")
    assert page.texts("span", "winner") == ["1-b"]
    assert (await browser.open(page.link("1-a"))).heading == "1-b and 1-a"
    assert (await browser.open(page.link("x"))).heading == "Revisions of x"
