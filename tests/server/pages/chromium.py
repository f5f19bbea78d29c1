"""A headless Chromium at a served environment, and what every page of it must hold."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
UNPACKED: Final = Path(__file__).parents[3] / ".venv" / "browser" / "chrome"
ARGUMENTS: Final = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)


def executable() -> str:
    """The browser: the one that ``COUCHETTE_CHROMIUM`` names, one on PATH, or the one that tools/test has unpacked."""
    named = os.environ.get("COUCHETTE_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and UNPACKED.exists():
        found = str(UNPACKED)
    if found is None:
        pytest.fail("There is no Chromium: run ./tools/test, which gets one, or put one on PATH.")
    return found


@contextmanager
def launched() -> Iterator[Browser]:
    """A running browser, with an empty profile."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), headless=True, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            browser.close()


class Tab:
    """A tab that watches: what it asked for, what was said in the console, and whether a dialog opened."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(10_000)
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", self._dialog)

    def _console(self, message: Any) -> None:
        if not message.text.startswith("[DOM] Multiple forms"):  # Advice for a form with two passwords.
            self.complaints.append(message.text)

    def _dialog(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def open(self, target: str = "") -> Page:
        """A page below the root of the pages."""
        self.page.goto(f"{self.url}/_utils/{target}")
        return self.page

    def focused(self) -> str:
        """The accessible name of what has the focus."""
        return str(self.page.evaluate(f"() => ({NAME})(document.activeElement)"))


NAME: Final = """element => (
    element.getAttribute('aria-label')
    || [...(element.labels || [])].map(label => label.textContent).join(' ')
    || element.textContent
    || [...element.querySelectorAll('img')].map(image => image.alt).join(' ')
).trim().replace(/\\s+/g, ' ')"""
"""A function of the page: the name by which a control is read out."""

FAULTS: Final = (
    """() => {
    const faults = [];
    const name = """
    + NAME
    + """;
    for (const one of document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, summary')) {
        if (!name(one)) faults.push('no name: ' + one.outerHTML.slice(0, 120));
        if (one.tabIndex > 0) faults.push('out of order: ' + one.outerHTML.slice(0, 120));
    }
    for (const one of document.querySelectorAll('img')) if (!one.alt) faults.push('no alt: ' + one.src);
    if (document.querySelectorAll('h1').length !== 1) faults.push('not one h1');
    const ids = [...document.querySelectorAll('[id]')].map(one => one.id);
    if (new Set(ids).size !== ids.length) faults.push('an id twice: ' + ids);
    const parts = colour => colour.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
        .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = element => {
        for (let one = element; one; one = one.parentElement) {
            const colour = parts(getComputedStyle(one).backgroundColor);
            if (colour.length < 4 || colour[3] > 0) return colour;
        }
        return [255, 255, 255];
    };
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const element = node.parentElement, style = getComputedStyle(element);
        if (!node.textContent.trim() || !element.checkVisibility()) continue;
        const inSvg = element.namespaceURI.endsWith('svg');
        const [a, b] = [light(parts(inSvg ? style.fill : style.color)), light(ground(element))].sort((x, y) => y - x);
        const contrast = (a + 0.05) / (b + 0.05);
        if (contrast < 4.5) faults.push(`contrast ${contrast.toFixed(2)}: ${node.textContent.trim().slice(0, 60)}`);
    }
    if (document.documentElement.scrollWidth > innerWidth) faults.push('wider than the window');
    return faults;
}"""
)
"""A function of the page: what keeps people from using it."""
