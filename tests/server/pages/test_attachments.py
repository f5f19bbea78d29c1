"""Attachments: pictures shown, all others saved, none run."""

from __future__ import annotations

import pytest

from couchette import Database, Environment
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio

PIXEL = bytes.fromhex("47494638396101000100800000000000ffffff2c00000000010001000002024401003b")


@pytest.fixture
def db(environment: Environment) -> Database:
    db = environment["db"]
    db.put({"_id": "a"})
    for name, content, content_type in (
        ("pixel.gif", PIXEL, "image/gif"),
        ("page.html", b"<script>alert(1)</script>", "text/html"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'><script>1</script></svg>", "image/svg+xml"),
    ):
        db.put_attachment("a", name, content, content_type, rev=db["a"]["_rev"])
    return db


async def test_pictures_are_shown_and_others_only_named(browser: Browser, db: Database) -> None:
    page = await browser.open("document", db="db", id="a")
    assert [one.attributes["alt"] for one in page.root.all("img")] == ["drawing.svg", "pixel.gif"]
    answer = await browser.ask("GET", page.root.all("img")[1].attributes["src"])
    assert (answer.headers["content-type"], answer.body) == ("image/gif", PIXEL)


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("page.html", "application/octet-stream", "attachment"),
        ("drawing.svg", "image/svg+xml", "inline"),
        ("pixel.gif", "image/gif", "inline"),
    ],
)
async def test_nothing_in_an_attachment_runs_as_a_page_of_ours(
    browser: Browser, db: Database, name: str, content_type: str, disposition: str
) -> None:
    answer = await browser.ask("GET", f"/_utils/attachment?db=db&id=a&name={name}")
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-disposition"] == f"{disposition}; filename*=UTF-8''{name}"
    assert answer.headers["content-security-policy"].endswith("; sandbox")
    assert answer.headers["x-content-type-options"] == "nosniff"
    saved = await browser.ask("GET", f"/_utils/attachment?db=db&id=a&name={name}&save=1")
    assert saved.headers["content-type"] == "application/octet-stream"


async def test_a_picture_that_a_browser_has_already_stays_one(browser: Browser, db: Database) -> None:
    target = "/_utils/attachment?db=db&id=a&name=pixel.gif"
    first = await browser.ask("GET", target)
    again = await browser.ask("GET", target, {"if-none-match": first.headers["etag"]})
    assert (again.status, again.headers["content-type"]) == (304, "image/gif")


async def test_a_file_is_attached_replaced_and_deleted(browser: Browser, db: Database) -> None:
    page = await browser.open("document", db="db", id="a")
    page = await browser.send(page, "Attach", {"file": ("a %22b%22/ü.txt", "text/plain", b"first")})
    name = 'a "b"/ü.txt'
    assert page.said == f"Attached {name}."
    assert db.get_attachment("a", name).data == b"first"
    page = await browser.send(page, "Attach", {"file": ("other.txt", "text/plain", b"second")}, name=name)
    assert db.get_attachment("a", name).data == b"second"
    (form,) = (one for one in page.root.all("form") if name in str(one.all("button")[0].attributes.get("aria-label")))
    answer = await browser.ask(
        "POST",
        form.attributes["action"],
        {"content-type": "application/x-www-form-urlencoded"},
        f"token={browser.cookies['couchette-page']}".encode(),
    )
    assert answer.status == 303
    assert name not in db["a"]["_attachments"]


async def test_an_upload_without_a_file_is_explained(browser: Browser, db: Database) -> None:
    page = await browser.open("document", db="db", id="a")
    page = await browser.send(page, "Attach", {"file": ("", "application/octet-stream", b"")})
    assert page.status == 400
    assert "No file was chosen." in page.said


async def test_an_upload_to_a_document_that_moved_on_is_a_conflict(browser: Browser, db: Database) -> None:
    page = await browser.open("document", db="db", id="a")
    db.put({**db["a"], "more": 1})
    page = await browser.send(page, "Attach", {"file": ("x.txt", "text/plain", b"x")})
    assert page.status == 409
    assert "x.txt" not in db["a"]["_attachments"]


def form(*parts: tuple[str, str, bytes]) -> tuple[dict[str, str], bytes]:
    """Headers and body of a form: disposition, further headers and content of each part."""
    pieces = [
        f"--XX\r\nContent-Disposition: form-data; {disposition}\r\n{headers}\r\n".encode() + content + b"\r\n"
        for disposition, headers, content in parts
    ]
    return {"content-type": "multipart/form-data; boundary=XX"}, b"".join([*pieces, b"--XX--\r\n"])


async def test_a_large_file_is_stored_as_it_arrives(browser: Browser, db: Database) -> None:
    content = bytes(range(256)) * 12_000
    page = await browser.open("document", db="db", id="a")
    page = await browser.send(page, "Attach", {"file": ("large", "application/x-large", content)})
    assert page.said == "Attached large."
    stored = db.get_attachment("a", "large")
    assert (stored.data, stored.content_type) == (content, "application/x-large")


async def test_an_upload_that_no_page_of_ours_sent_is_refused(browser: Browser, db: Database) -> None:
    await browser.open("document", db="db", id="a")
    token = browser.cookies["couchette-page"].encode()
    file = ('name="file"; filename="x"', "", b"x")
    target = f"/_utils/attachment/upload?db=db&id=a&rev={db['a']['_rev']}"
    for parts in ([file], [('name="token"', "", b"guess"), file], [file, ('name="token"', "", token)]):
        assert (await browser.ask("POST", target, *form(*parts))).status == 403
    assert (await browser.ask("POST", target, *form(('name="token"', "", token)))).status == 400
    assert (await browser.ask("POST", target, *form(('name="token"', "", b"x" * 70_000), file))).status == 413
    assert (await browser.ask("POST", target, {"content-type": "text/plain"}, b"x")).status == 415
    assert (await browser.ask("POST", target, {"content-type": "multipart/form-data; boundary=XX"}, b"x")).status == 400
    assert "x" not in db["a"]["_attachments"]
    assert (await browser.ask("POST", target, *form(('name="token"', "", token), file))).status == 303
