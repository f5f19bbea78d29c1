"""Mango: queries with results, and indexes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from couchette import Environment
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


@pytest.fixture
def cats(environment: Environment) -> Any:
    db = environment["db"]
    db.bulk_docs([{"_id": f"cat-{number:03}", "age": number, "kind": "cat"} for number in range(60)])
    return db


def query(**body: Any) -> str:
    return json.dumps(body)


async def test_a_query_shows_what_it_finds_and_how(browser: Browser, cats: Any) -> None:
    page = await browser.open("find", db="db")
    page = await browser.send(page, "Find", query=query(selector={"age": {"$gte": 58}}))
    assert page.texts("th", "id") == ["cat-058", "cat-059"]
    assert '{"age":58,"kind":"cat"}' in page.texts("td")
    assert "_all_docs" in page.text
    page = await browser.send(page, "Create it")
    assert page.heading == "Indexes"
    page = await browser.open("find", db="db", query=query(selector={"age": {"$gte": 58}}))
    assert "on 'age'" in page.text
    assert "Create it" not in page.text


async def test_results_have_pages_by_their_bookmarks(browser: Browser, cats: Any) -> None:
    first = await browser.open("find", db="db", query=query(selector={"kind": "cat"}, limit=40))
    second = await browser.open(first.link("Next →"))
    assert first.texts("th", "id") + second.texts("th", "id") == sorted(cats)
    assert "Next →" not in second.text


async def test_fields_alone_are_shown_without_ids(browser: Browser, cats: Any) -> None:
    page = await browser.open("find", db="db", query=query(selector={"age": 7}, fields=["kind"]))
    assert page.texts("td") == ['{"kind":"cat"}']
    assert page.texts("th", "id") == []
    page = await browser.open("find", db="db", query=query(selector={"age": -7}))
    assert "No document matches." in page.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{x", "This is not JSON."),
        ("[" * 5000, "It nests too deeply to find the place."),
        ("[]", "This is not a JSON object."),
        ('{"selector": {"a": {"$nothing": 1}}}', "Invalid operator: $nothing"),
        ('{"selector": {}, "sort": ["age"]}', "No index exists for this sort, try indexing by the sort fields."),
        ('{"selector": {}, "limit": "x"}', "limit and skip are counts of documents."),
        ("{}", "Missing required key: selector"),
    ],
)
async def test_a_wrong_query_is_explained_and_stays(browser: Browser, cats: Any, text: str, said: str) -> None:
    page = await browser.open("find", db="db", query=text)
    assert page.status == 400
    assert said in page.said
    assert page.root.all("textarea", name="query")[0].raw_text.strip() == text


async def test_a_query_of_a_partition_is_narrowed_to_it(browser: Browser, environment: Environment) -> None:
    db = environment.create("parted", partitioned=True)
    db.bulk_docs([{"_id": "a:1", "x": 1}, {"_id": "b:1", "x": 1}])
    page = await browser.open("find", db="parted", query=query(selector={"x": 1}, partition="a"))
    assert page.texts("th", "id") == ["a:1"]
    page = await browser.open("find", db="parted", query=query(selector={"x": 1}, partition=1))
    assert "Partition must be a string" in page.said


async def test_indexes_are_listed_made_and_deleted(browser: Browser, cats: Any) -> None:
    page = await browser.open("indexes", db="db")
    assert page.texts("th")[-1] == "_all_docs"
    page = await browser.send(page, "Create", definition=query(index={"fields": ["age"]}, name="by-age", ddoc="ages"))
    assert page.said == "Created the index: by-age in _design/ages."
    assert '{"fields":[{"age":"asc"}]}' in page.texts("td")
    page = await browser.send(page, "Create", definition=query(index={"fields": ["age"]}, name="by-age", ddoc="ages"))
    assert page.said == "There is such an index already: by-age in _design/ages."
    page = await browser.send(page, "Delete")
    assert page.said == "Deleted the index by-age."
    assert "_design/ages" not in cats


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "This is not JSON."),
        ('{"index": {"fields": 1}}', "Sort must be an array"),
        ("{}", "Missing required key: index"),
    ],
)
async def test_a_wrong_index_is_explained_and_stays(browser: Browser, cats: Any, text: str, said: str) -> None:
    page = await browser.send(await browser.open("indexes", db="db"), "Create", definition=text)
    assert page.status == 400
    assert said in page.said
    assert page.root.all("textarea", name="definition")[0].raw_text.strip() == text
