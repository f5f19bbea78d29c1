"""Passwords in documents of ``_replicator`` are in the editor only."""

from __future__ import annotations

from typing import Any

import pytest

from couchette import Environment
from couchette.server.pages.hidden import HIDDEN, without_passwords
from tests.server.pages.browsing import Browser

BASIC = {"basic": {"username": "ann", "password": "s3cret"}}


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("http://host/db", "http://host/db"),
        ("notes", "notes"),
        ("https://ann:s3cret@host/db", f"https://{HIDDEN}@host/db"),
        ("https://ann:s3cr@t@host/db", f"https://{HIDDEN}@host/db"),
        ("ann:s3cret@host", f"{HIDDEN}@host"),
        ({"url": "http://a:s3cret@host/db"}, {"url": f"http://{HIDDEN}@host/db"}),
        ({"url": "x", "auth": BASIC}, {"url": "x", "auth": {"basic": {"username": "ann", "password": HIDDEN}}}),
        ({"url": "x", "headers": {"Cookie": "s3cret"}}, {"url": "x", "headers": {"Cookie": HIDDEN}}),
        ({"url": ["s3cret"]}, {"url": HIDDEN}),
        (None, None),
    ],
)
def test_a_side_is_shown_without_its_secrets(stored: Any, shown: Any) -> None:
    doc = {"_id": "x", "source": stored, "selector": {"a": "b@c"}, "target_proxy": "http://u:p@proxy"}
    expected = {**doc, "source": shown, "target_proxy": f"http://{HIDDEN}@proxy"}
    assert without_passwords("_replicator", doc) == expected
    assert without_passwords("db", doc) == doc


@pytest.mark.anyio
async def test_all_pages_hide_passwords_but_the_editor(browser: Browser, environment: Environment) -> None:
    db = environment["_replicator"]
    side = {"url": "http://ann:s3cret@host/db", "auth": BASIC, "headers": {"X": "s3cret"}}
    wrong = {"_id": "x", "doc_ids": 1}  # So nothing is replicated.
    old = db.put({**wrong, "source": side, "target": "far"})["rev"]
    rev = db.put({**wrong, "_rev": old, "source": "db", "target": side})["rev"]
    about: dict[str, Any] = {"db": "_replicator", "id": "x"}
    pages = [
        await browser.open("document", **about),
        await browser.open("document", **about, rev=old),
        await browser.open("revisions", **about, rev=rev),
        await browser.open("revisions/compare", **about, a=old, b=rev),
        await browser.open("documents", db="_replicator"),
        await browser.open("find", db="_replicator", query='{"selector": {"_id": "x"}}'),
    ]
    for page in pages:
        assert page.status == 200
        assert HIDDEN in page.root.raw_text
        assert "s3cret" not in page.root.raw_text
    editor = await browser.open("document/edit", **about)
    assert editor.root.all("textarea")[0].raw_text.count("s3cret") == 3
    assert "as they are stored" in editor.root.raw_text
