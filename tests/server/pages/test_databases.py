"""The list of databases."""

from __future__ import annotations

import sys

import pytest
from starlette.types import Receive, Scope, Send

from couchette import Environment
from couchette.server.app import App
from couchette.server.pages import databases
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


async def test_the_address_without_its_slash_is_the_page_too(browser: Browser) -> None:
    assert (await browser.open("/_utils")).heading == "Databases"


async def test_databases_are_listed_with_their_numbers(browser: Browser, environment: Environment) -> None:
    environment["db"].put({"_id": "a"})
    page = await browser.open()
    assert page.heading == "Databases"
    assert page.texts("th")[-1] == "db"
    assert page.texts("td")[:3] == ["1", "0", "0"]


async def test_a_database_is_created_and_named_in_the_result(browser: Browser, environment: Environment) -> None:
    page = await browser.send(await browser.open(), "Create", name="a/b+c")
    assert page.said == "Created the database a/b+c."
    assert "a/b+c" in environment
    assert (await browser.open()).said == "", "a result is shown once"


async def test_a_name_that_couchdb_refuses_is_explained(browser: Browser) -> None:
    page = await browser.send(await browser.open(), "Create", name="Notes")
    assert page.status == 400
    assert "Only lowercase characters" in page.said


async def test_a_database_is_deleted_only_when_its_name_was_typed(browser: Browser, environment: Environment) -> None:
    page = await browser.open("databases/delete", db="db")
    page = await browser.send(page, "Delete the database", confirmation="bd")
    assert (page.status, page.said) == (400, "You typed 'bd'. Type db to delete it.")
    page = await browser.send(page, "Delete the database", confirmation="db")
    assert page.said == "Deleted the database db."
    assert "db" not in environment


async def test_many_databases_are_listed_a_page_at_a_time(
    browser: Browser, environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(databases, "PAGE_ROWS", 2)
    for name in ("a", "b", "c"):
        environment.create(name)
    page = await browser.open()
    assert page.texts("th")[6:] == ["a", "b"]
    page = await browser.open(page.link("Next →"))
    assert page.texts("th")[6:] == ["c", "db"]
    assert "Next →" not in page.text


async def test_all_links_stay_below_the_prefix_where_the_app_is_mounted(app: App, environment: Environment) -> None:
    async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["path"].startswith("/couch/")
        await app({**scope, "root_path": "/couch"}, receive, send)

    browser = Browser(mounted, "/couch/_utils/")
    page = await browser.send(await browser.open(), "Create", name="new")
    assert (page.said, "new" in environment) == ("Created the database new.", True)
    for one in page.root.all("a") + page.root.all("link"):
        assert one.attributes["href"].startswith(("/couch/", "#")), one.attributes
    assert (await browser.ask("GET", page.root.all("script")[0].attributes["src"])).status == 200


async def test_a_failure_of_ours_is_logged_and_its_cause_not_shown(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(databases, "_listed", lambda visit, name: 1 / 0)
    page = await browser.open()
    assert page.status == 500
    assert "its log has the cause" in page.said
    assert "ZeroDivisionError" in caplog.text
    assert "ZeroDivisionError" not in page.html


async def test_a_server_without_jinja2_says_what_to_install(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("routes", "rendering"):
        monkeypatch.delitem(sys.modules, f"couchette.server.pages.{name}")
        monkeypatch.delattr(f"couchette.server.pages.{name}")
    monkeypatch.setitem(sys.modules, "jinja2", None)
    answer = await browser.ask("GET", "/_utils/")
    assert answer.status == 501
    assert "pip install 'couchette[server]'" in answer.json()["reason"]


async def test_a_page_is_asked_for_without_its_content(browser: Browser) -> None:
    answer = await browser.ask("HEAD", "/_utils/")
    assert (answer.status, answer.body) == (200, b"")


async def test_an_unknown_page_and_a_missing_parameter_are_pages_too(browser: Browser) -> None:
    page = await browser.open("nothing")
    assert (page.status, page.said) == (404, "missing There is no such page.")
    assert (await browser.open("documents")).status == 400
    answer = await browser.ask("PUT", "/_utils/databases/delete")
    assert answer.status == 405
