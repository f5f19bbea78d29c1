"""The pages of a file, for the browser that brings the key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from couchette import Database
from couchette.server.pages.files import Folder, OneFile, legal_name
from couchette.server.pages.local import LocalApp
from couchette.users.admins import Admins
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


@pytest.fixture
def app(tmp_path: Path) -> Iterator[LocalApp]:
    database = Database(tmp_path / "My Notes.couchette")
    database["a"] = {"text": "A"}
    with OneFile(database) as environment:
        yield LocalApp(environment)


@pytest.fixture
def browser(app: LocalApp) -> Browser:
    return Browser(app)


async def test_the_key_leads_to_the_documents_and_works_once(app: LocalApp, browser: Browser) -> None:
    address = app.link("")
    page = await browser.open(address)
    assert (page.heading, page.texts("th", "id")) == ("my_notes", ["a"])
    stranger = Browser(app)
    assert (await stranger.ask("GET", address)).status == 403
    assert (await browser.open(address)).heading == "my_notes", "its own browser may come back"


@pytest.mark.parametrize("target", ["/_utils/", "/_utils/?key=", "/_utils/?key=guess", "/my_notes/a", "/", "/_all_dbs"])
async def test_nobody_gets_in_without_the_key(browser: Browser, target: str) -> None:
    answer = await browser.ask("GET", target)
    assert (answer.status, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")


async def test_documents_are_edited_but_the_file_is_neither_deleted_nor_joined_by_others(
    app: LocalApp, browser: Browser
) -> None:
    await browser.open(app.link(""))
    page = await browser.open("document/edit", db="my_notes", id="a")
    assert (await browser.send(page, "Save", text='{"text": "B"}')).said.startswith("Saved")
    page = await browser.open()
    assert "Create" not in page.texts("button")
    page = await browser.send(
        await browser.open("databases/delete", db="my_notes"), "Delete the database", confirmation="my_notes"
    )
    assert page.status == 403
    assert (await browser.open("documents", db="new")).status == 404


async def test_the_api_can_be_read_beside_the_pages_and_not_written(app: LocalApp, browser: Browser) -> None:
    await browser.open(app.link(""))
    assert (await browser.ask("GET", "/my_notes/a")).json()["text"] == "A"
    headers = {"content-type": "application/json"}
    assert (await browser.ask("POST", "/my_notes/_bulk_docs", headers, b'{"docs": [{}]}')).status == 403
    assert (await browser.ask("PUT", "/my_notes/b", headers, b"{}")).status == 403


async def test_a_folder_is_its_owners_though_its_server_has_administrators(tmp_path: Path) -> None:
    with Folder(str(tmp_path)) as environment:
        environment.create("db")
        Admins(environment, {}, iterations=1).set("anna", "secret")
        environment["_replicator"].put({"_id": "r", "source": "http://127.0.0.1:1/x", "target": "db"})
        app = LocalApp(environment)
        page = await Browser(app).open(app.link(""))
        assert page.heading == "Databases"
        assert "Sign in" not in page.text
        assert not environment.replications.scheduler.running


@pytest.mark.parametrize(
    ("file", "name"), [("a.couchette", "a"), ("My Notes 2.couchette", "my_notes_2"), ("7.db", "db_7"), ("Ä.x", "db__")]
)
def test_a_file_is_named_as_databases_may_be(file: str, name: str) -> None:
    assert legal_name(f"/somewhere/{file}") == name
