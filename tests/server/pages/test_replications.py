"""Replications: listed without credentials, begun and ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from couchette import Environment
from couchette.errors import Unreachable
from couchette.jobs import Plan
from couchette.server import create_app
from couchette.server.pages.files import Folder
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio

SECRET = "geh@im"
NOWHERE = "http://127.0.0.1:9/db"


@pytest.fixture
def running(environment: Environment) -> Environment:
    """Replications run here, on a thread of the environment's."""
    environment["db"].bulk_docs([{"_id": name, "kind": kind} for name, kind in (("a", 1), ("b", 2))])
    environment.replications.start()
    return environment


async def test_one_that_is_run_once_is_begun_and_shows_what_it_moved(browser: Browser, running: Environment) -> None:
    page = await browser.open("replications")
    assert "There are no replications." in page.text
    page = await browser.send(page, "Replicate", source="db", target="copy", create_target="true", id="once")
    assert page.said == "Began once."
    assert await running.replications["once"].wait_until_synced_async(10)
    page = await browser.open("replications")
    assert page.texts("td") == ["completed", "db → copy", "2", "2", "0", "0", "Delete"]
    assert "hx-get" not in page.html
    page = await browser.open(page.link("once"))
    assert dict(zip(page.texts("dt"), page.texts("dd"), strict=True))["docs written"] == "2"
    assert page.texts("td")[1] == "started"
    page = await browser.send(page, "Delete")
    assert page.said == "Ended once. What it moved stays."
    assert "once" not in running.replications


async def test_a_continuous_one_of_some_documents_follows_until_it_is_cancelled(
    browser: Browser, running: Environment
) -> None:
    page = await browser.open("replications")
    page = await browser.send(
        page,
        "Replicate",
        source="db",
        target="copy",
        create_target="true",
        continuous="true",
        selector='{"kind": 1}',
        id="live",
    )
    assert 'hx-trigger="every 2s"' in page.html
    assert await running.replications["live"].wait_until_synced_async(10)
    assert list(running["copy"]) == ["a"]
    page = await browser.open(page.link("live"))
    assert dict(zip(page.texts("dt"), page.texts("dd"), strict=True))["selector"] == '{"kind":1}'
    page = await browser.send(await browser.open("replications"), "Cancel")
    assert "There are no replications." in page.text


async def test_documents_are_chosen_by_their_ids(browser: Browser, running: Environment) -> None:
    page = await browser.open("replications")
    await browser.send(
        page, "Replicate", source="db", target="copy", create_target="true", doc_ids=" b \n\n", id="some"
    )
    assert await running.replications["some"].wait_until_synced_async(10)
    assert list(running["copy"]) == ["b"]


async def test_credentials_are_stored_and_never_shown(browser: Browser, running: Environment) -> None:
    page = await browser.open("replications")
    page = await browser.send(
        page,
        "Replicate",
        source=NOWHERE,
        source_user="ada",
        source_password=SECRET,
        target="db",
        id="far",
        continuous="true",
    )
    assert running["_replicator"]["far"]["source"]["auth"]["basic"] == {"username": "ada", "password": SECRET}
    running.replications.add("url", "http://ada:geh%40im@127.0.0.1:9/db", "db", live=False)
    for target in ("replications", page.link("far"), "replications/one?name=url"):
        page = await browser.open(target)
        assert NOWHERE in page.text
        assert "geh" not in page.html
        assert "ada" not in page.html


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"source": ""}, 400, "The source is missing."),
        ({"source_user": "ada"}, 400, "A database of this server needs no password."),
        ({"source": "ftp://ada:geheim@x/y"}, 400, "Invalid database URL."),
        ({"selector": "{x"}, 400, "This is not JSON."),
        ({"selector": "{}", "doc_ids": "a"}, 400, "`doc_ids`, `selector`, `filter` and `view` exclude one another."),
        ({"id": "_odd"}, 400, "Only reserved document ids may start with underscore."),
    ],
)
async def test_what_cannot_be_begun_is_explained_and_stays(
    browser: Browser, fields: dict[str, str], status: int, said: str
) -> None:
    typed = {"source": "db", "target": "copy", "target_password": SECRET, **fields}
    page = await browser.send(await browser.open("replications"), "Replicate", None, **typed)
    assert said in page.said
    assert SECRET not in page.html
    assert page.root.all("input", name="target")[0].attributes["value"] == "copy"
    assert "There are no replications." in page.text


async def test_a_name_that_is_taken_is_not_taken_again(browser: Browser, running: Environment) -> None:
    running.replications.add("mine", "db", "copy", create_target=True)
    page = await browser.send(await browser.open("replications"), "Replicate", source="db", target="other", id="mine")
    assert page.status == 409


async def test_one_without_a_document_is_listed_and_cancelled(browser: Browser, running: Environment) -> None:
    running.replications.begin(Plan.from_json({"source": "db", "target": NOWHERE, "continuous": True}))
    page = await browser.open("replications")
    page = await browser.open(page.link("without a document"))
    assert page.heading == "Without a document"
    page = await browser.send(page, "Cancel")
    assert page.said == "Ended it. What it moved stays."
    assert running.replications.scheduler.all() == []
    page = await browser.open("replications/one", job="gone")
    assert page.status == 404


async def test_where_none_run_the_page_says_so(tmp_path: Path) -> None:
    with Folder(str(tmp_path)) as folder:
        folder.replications.add("resting", folder["db"], "copy")
        page = await Browser(create_app(folder)).open("replications")
    assert page.said == "Nothing runs replications now. They go on when the server is started with them."
    assert "pending" in page.texts("td")
    assert "hx-get" not in page.html


async def test_one_that_crashes_is_tried_again_at_once(browser: Browser, running: Environment) -> None:
    job = running.replications.add("far", NOWHERE, "db", live=False)
    with pytest.raises(Unreachable):
        await job.wait_until_synced_async(60)  # It may have crashed before this asks: then the next try tells.
    page = await browser.open("replications/one", name="far")
    assert "The database cannot be reached." in page.said
    page = await browser.send(page, "Try now")
    assert "It tries again now." in page.said
