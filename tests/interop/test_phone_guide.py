"""The guide docs/guide/phone.md, followed to its end: PouchDB in a browser and a program keep the same notes."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import expect

from couchette import BasicAuth, Database, Environment, RemoteServer, server
from tests.server.pages.chromium import launched

ROOT = Path(__file__).parents[2]
POUCHDB = ROOT / "tests/interop/node_modules/pouchdb/dist/pouchdb.min.js"
pytestmark = [pytest.mark.interop, pytest.mark.slow]


@contextmanager
def page_served(folder: Path) -> Iterator[str]:
    """The page of the guide with PouchDB beside it, as ``python -m http.server`` serves it."""
    shutil.copytree(ROOT / "docs/examples/notes", folder)
    shutil.copy(POUCHDB, folder)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as site:
        thread = threading.Thread(target=site.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{site.server_port}"
        finally:
            site.shutdown()
            thread.join()


def test_a_browser_and_a_program_keep_the_same_notes(tmp_path):
    user = {"name": "phone", "type": "user", "roles": ["family"], "password": "phones password"}
    with Environment(tmp_path / "databases") as databases, page_served(tmp_path / "page") as site:
        cors = server.Cors(origins=(site,), credentials=True)
        policy = server.Policy(admins={"ada": "a long password"}, cors=cors)
        databases["notes"].set_security({"members": {"roles": ["family"]}})
        databases["notes"].put({"_id": "2026-11-21T09:00", "text": "written at the laptop"})
        with (
            server.background(databases, policy=policy) as url,
            Database(tmp_path / "mine.couchette") as mine,
            launched() as browser,
        ):
            with RemoteServer(url, auth=BasicAuth("ada", "a long password")) as laptop:
                laptop["_users"].put({"_id": "org.couchdb.user:phone", **user})
            page = browser.new_page()
            page.set_default_timeout(20_000)
            page.goto(f"{site}/?server={url}")
            page.get_by_label("A new note").fill("written on the phone")
            page.get_by_role("button", name="Add").click()
            page.get_by_label("Name").fill("phone")
            page.get_by_label("Password").fill("phones password")
            page.get_by_role("button", name="Sign in").click()
            expect(page.get_by_role("list")).to_contain_text("written at the laptop")
            with mine.sync(f"{url}/notes", auth=BasicAuth("phone", "phones password"), live=True) as sync:
                for change in mine.changes(live=True, include_docs=True):
                    if change["doc"].get("text") == "written on the phone":
                        break
                mine.put({"_id": "2026-11-21T10:00", "text": "written by the program"})
                expect(page.get_by_role("list")).to_contain_text("written by the program")
                page.get_by_role("button", name="Forget written by the program").click()
                for change in mine.changes(live=True, doc_ids=["2026-11-21T10:00"]):
                    if change.get("deleted"):
                        break
                assert sync.status.push.last_error is sync.status.pull.last_error is None
            expect(page.get_by_role("status")).to_have_text("in sync")
            page.close()
