"""Views: chosen, asked, paged, tried and kept."""

from __future__ import annotations

from typing import Any

import pytest

from couchette import Environment
from couchette.server.pages import try_view
from tests.server.pages.browsing import Browser, Page

pytestmark = pytest.mark.anyio

BY_KIND = "function (doc) { emit(doc.kind, doc.weight); }"


@pytest.fixture
def zoo(environment: Environment) -> Any:
    db = environment["db"]
    db.bulk_docs([{"_id": f"a-{number:03}", "kind": ["cat", "owl"][number % 2], "weight": 1} for number in range(60)])
    db.put({"_id": "_design/zoo", "views": {"kinds": {"map": BY_KIND, "reduce": "_sum"}, "all": {"map": BY_KIND}}})
    db.create_index(["kind"])
    return db


def rows(page: Page) -> list[list[str]]:
    (body,) = page.root.all("tbody")
    return [[cell.text for cell in row.all("td")] for row in body.all("tr")]


async def chosen(browser: Browser, view: str = "all", **options: str) -> Page:
    return await browser.open("views", db="db", design="zoo", view=view, **options)


async def test_views_are_listed_and_one_is_chosen(browser: Browser, zoo: Any) -> None:
    page = await browser.open("views", db="db")
    assert "kinds map, reduce" in page.text
    page = await browser.open(page.link("kinds"))
    assert page.texts("pre") == [BY_KIND, "_sum"]
    assert rows(page) == [["null", "60"]]


async def test_rows_have_pages_that_lead_forward_and_back(browser: Browser, zoo: Any) -> None:
    first = await chosen(browser, limit="40")
    assert "The view has 60 rows." in first.text
    second = await browser.open(first.link("Next →"))
    ids = [row[1] for page in (first, second) for row in rows(page)]
    assert ids == [f"a-{number:03}" for start in (0, 1) for number in range(start, 60, 2)]
    assert "Next →" not in second.text
    assert rows(await browser.open(second.link("← Previous"))) == rows(first)


async def test_options_narrow_and_group(browser: Browser, zoo: Any) -> None:
    page = await browser.send(await chosen(browser), "Run", key='"owl"', limit="1", descending="true")
    assert rows(page) == [['"owl"', "a-059", "1"]]
    page = await browser.send(await chosen(browser, "kinds"), "Run", group="true")
    assert rows(page) == [['"cat"', "30"], ['"owl"', "30"]]
    page = await browser.send(page, "Run", group="true", limit="1")
    assert rows(await browser.open(page.link("Next →"))) == [['"owl"', "30"]]
    page = await browser.send(await chosen(browser, "kinds"), "Run", reduce="false", include_docs="true", limit="1")
    (row,) = rows(page)
    assert '"weight":1' in row[3]


@pytest.mark.parametrize(
    ("view", "option", "said"),
    [
        ("all", {"startkey": "owl"}, '`startkey` is not JSON. Text stands in quotes, as in "cat".'),
        ("all", {"limit": "x"}, 'Invalid value for integer: "x"'),
        ("all", {"startkey": "2", "endkey": "1"}, "No rows can match your key range"),
        ("kinds", {"include_docs": "true"}, "`include_docs` is invalid for reduce"),
        ("all", {"at": "7"}, "The address names no row."),
    ],
)
async def test_wrong_options_are_explained_and_stay(
    browser: Browser, zoo: Any, view: str, option: dict[str, str], said: str
) -> None:
    page = await chosen(browser, view, **option)
    assert page.status == 400
    assert said in page.said
    for name, text in option.items():
        assert name == "at" or page.root.all("input", name=name)[0].attributes["value"] == text


async def test_a_view_that_is_not_there_is_missing(browser: Browser, zoo: Any) -> None:
    page = await browser.open("views", db="db", design="zoo", view="none")
    assert (page.status, page.said) == (404, "missing_named_view The design document 'zoo' has no view 'none'.")


async def test_a_view_is_tried_and_nothing_is_stored(browser: Browser, zoo: Any) -> None:
    page = await browser.open((await browser.open("views", db="db")).link("Try a view"))
    page = await browser.send(page, "Run", map="function (doc) { emit(doc.kind, 2); }", reduce="_sum", group="true")
    assert rows(page) == [['"cat"', "60"], ['"owl"', "60"]]
    page = await browser.send(page, "Run", map=BY_KIND, reduce="")
    assert "The first 50 of 60 rows." in page.text
    assert len(list(zoo.all_docs(start_key="_design/", end_key="_design0")["rows"])) == 2


@pytest.mark.parametrize(
    ("source", "reduce", "said"),
    [
        ("function (doc) { emit(", "", "SyntaxError"),
        ("", "", "SyntaxError"),
        ("function (doc) { emit(1, 1); }", "_sdum", "`_sdum` is not a supported reduce function."),
    ],
)
async def test_a_function_that_cannot_be_run_is_explained_and_stays(
    browser: Browser, zoo: Any, source: str, reduce: str, said: str
) -> None:
    page = await browser.send(await browser.open("views/try", db="db"), "Run", map=source, reduce=reduce)
    assert page.status == 400
    assert said in page.said
    assert [one.raw_text.strip() for one in page.root.all("textarea")] == [source, reduce]


async def test_what_a_function_raises_is_shown_beside_the_rows(browser: Browser, zoo: Any) -> None:
    source = "function (doc) { if (doc._id === 'a-001') doc.x.y(); emit(doc._id, 1); }"
    page = await browser.send(await browser.open("views/try", db="db"), "Run", map=source)
    (heard,) = (one.text for one in page.root.all("ul", **{"class": "said warned"}))
    assert "TypeError" in heard
    assert "a-001" in heard
    assert "59 rows" in page.text


async def test_a_view_is_kept_changed_and_found_again(browser: Browser, zoo: Any) -> None:
    page = await browser.send(await browser.open("views/try", db="db"), "Keep", map=BY_KIND, design="mine", view="v")
    assert (page.heading, page.said) == ("mine/v", "Kept it.")
    assert zoo["_design/mine"]["views"] == {"v": {"map": BY_KIND}}
    page = await browser.open(page.link("Change it"))
    await browser.send(page, "Keep", reduce="_count")
    assert zoo["_design/mine"]["views"] == {"v": {"map": BY_KIND, "reduce": "_count"}}
    page = await browser.send(page, "Keep", view="")
    assert page.said == "A view is kept under two names. Name the design document and the view."


async def test_a_view_that_takes_too_long_is_stopped(
    browser: Browser, zoo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_view, "TRIAL_S", -1.0)
    page = await browser.send(await browser.open("views/try", db="db"), "Run")
    assert "The view took longer than" in page.said
    assert page.status == 400


async def test_without_the_engine_the_page_says_what_to_install(
    browser: Browser, zoo: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(try_view, "find_spec", {}.get)
    page = await browser.open("views/try", db="db")
    assert "pip install 'couchette[js]'" in page.said
    assert page.root.all("textarea") == []
