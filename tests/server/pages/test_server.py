"""What the server is busy with, and its settings."""

from __future__ import annotations

import pytest

from couchette import Environment
from couchette.server.app import App
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


async def test_tasks_under_way_are_shown_with_their_progress(browser: Browser, environment: Environment) -> None:
    assert "No database is compacted, and no index is built." in (await browser.open("server")).text
    with environment["db"]._pool.tasks.running("indexer", "_design/zoo", 8) as task:
        task.advance(3)
        page = await browser.open("server")
    assert page.texts("td")[:4] == ["db", "_design/zoo", "", "3 of 8"]
    assert page.root.all("progress")[0].attributes["value"] == "3"


async def test_settings_are_shown_as_config_has_them(browser: Browser, app: App) -> None:
    page = await browser.open("server")
    settings = app.node.settings.all()
    section = next(iter(settings))
    key, value = next(iter(settings[section].items()))
    assert f"{section}/{key}" in page.texts("th")
    assert value in page.texts("td")
