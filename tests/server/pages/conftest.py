"""A browser in process, beside the app of the server's tests; and a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from couchette import Environment
from couchette.server import background
from couchette.server.app import App
from tests.server.pages.browsing import Browser

if TYPE_CHECKING:
    from tests.server.pages.chromium import Tab


@pytest.fixture
def browser(app: App) -> Browser:
    """A browser at a server without administrators, where everybody may do everything."""
    return Browser(app)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A running Chromium. It lives no longer than a module: while it does, no test of the thread can use asyncio."""
    from tests.server.pages.chromium import launched

    with launched() as running:
        yield running


@pytest.fixture
def opened(environment: Environment, chromium: Any) -> Iterator[Callable[..., Tab]]:
    """Opens a tab at ``environment``; afterwards no page may have complained, or asked another server."""
    from tests.server.pages.chromium import Tab

    tabs: list[Tab] = []
    with background(environment) as url:

        def open_tab(**options: Any) -> Tab:
            context = chromium.new_context(viewport={"width": 1100, "height": 800}, **options)
            tabs.append(Tab(context, url))
            return tabs[-1]

        yield open_tab
        for tab in tabs:
            tab.page.context.close()
            assert all(request.startswith(f"{url}/") for request in tab.requests)
            assert tab.complaints == []
