"""One document: shown, edited, created and deleted."""

from __future__ import annotations

import json

import pytest

from couchette import Database, Environment
from couchette.errors import NotFound
from couchette.server.pages import forms
from tests.server.pages.browsing import Browser

pytestmark = pytest.mark.anyio


@pytest.fixture
def db(environment: Environment) -> Database:
    db = environment["db"]
    db.put({"_id": "a/b", "title": "Old", "count": 12345678901234567890123})
    return db


async def test_a_document_is_shown_with_its_revision(browser: Browser, db: Database) -> None:
    page = await browser.open("document", db="db", id="a/b")
    assert page.heading == "a/b"
    assert json.loads(page.root.all("pre")[0].raw_text) == db["a/b"]
    assert page.texts("span", "winner") == ["winner"]
    assert page.link("Raw JSON") == f"/db/a%2Fb?rev={db['a/b']['_rev']}"


async def test_an_edit_is_stored_as_the_next_revision(browser: Browser, db: Database) -> None:
    page = await browser.open("document/edit", db="db", id="a/b")
    text = page.root.all("textarea")[0].raw_text
    assert json.loads(text) == {"title": "Old", "count": 12345678901234567890123}
    page = await browser.send(page, "Save", text=text.replace("Old", "New"))
    assert page.said.startswith("Saved as revision 2-")
    assert db["a/b"]["title"] == "New"
    assert db["a/b"]["count"] == 12345678901234567890123


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{\n  "a": 1,\n}', "This is not JSON."),
        ("[1]", "This is not a JSON object. Put it between { and }."),
        ('{"_id": "other"}', "The text has a member '_id'. Leave it out: it stands above the text."),
        ('{"_mine": 1}', "Bad special document member: _mine"),
    ],
)
async def test_what_cannot_be_stored_is_explained_and_not_lost(
    browser: Browser, db: Database, text: str, said: str
) -> None:
    page = await browser.send(await browser.open("document/edit", db="db", id="a/b"), "Save", text=text)
    assert page.status == 400
    assert said in page.said
    (field,) = page.root.all("textarea")
    assert field.raw_text.strip() == text
    assert field.attributes["aria-describedby"] == "problem"
    assert db["a/b"]["title"] == "Old"


async def test_after_a_conflict_both_versions_are_shown_and_saving_again_decides(
    browser: Browser, db: Database
) -> None:
    page = await browser.open("document/edit", db="db", id="a/b")
    db.put({**db["a/b"], "title": "Theirs"})
    page = await browser.send(page, "Save", text='{"title": "Ours"}')
    assert page.status == 409
    assert "Somebody has saved revision 2-" in page.said
    assert '"title": "Theirs",' in page.texts("td", "gone")
    assert '"title": "Ours"' in page.texts("td", "added")
    page = await browser.send(page, "Save")
    assert page.said.startswith("Saved as revision 3-")
    assert db["a/b"]["title"] == "Ours"


async def test_a_document_that_was_deleted_meanwhile_can_be_restored(browser: Browser, db: Database) -> None:
    page = await browser.open("document/edit", db="db", id="a/b")
    db.remove("a/b", db["a/b"]["_rev"])
    page = await browser.send(page, "Save", text='{"title": "Back"}')
    assert "Somebody has deleted the document meanwhile." in page.said
    page = await browser.send(page, "Save")
    assert "Saved" in page.said
    assert db["a/b"]["title"] == "Back"


async def test_another_leaf_than_the_winner_is_edited_on_its_own_branch(browser: Browser, db: Database) -> None:
    for rev in ("1-a", "1-b"):
        db.put({"_id": "x", "_rev": rev, "from": rev}, new_edits=False)
    page = await browser.open("document", db="db", id="x", rev="1-a")
    assert page.texts("span", "conflict") == ["in conflict"]
    page = await browser.send(await browser.open(page.link("Edit")), "Save", text='{"from": "a, edited"}')
    assert page.said.startswith("Saved as revision 2-")
    assert db.get("x", conflicts=True)["_conflicts"] == ["1-b"]


async def test_attachments_stay_when_the_text_is_edited(browser: Browser, db: Database) -> None:
    db.put_attachment("a/b", "note.txt", b"text", "text/plain", rev=db["a/b"]["_rev"])
    page = await browser.open("document/edit", db="db", id="a/b")
    assert "_attachments" not in page.root.all("textarea")[0].raw_text
    await browser.send(page, "Save", text='{"title": "New"}')
    assert db.get_attachment("a/b", "note.txt").data == b"text"


async def test_a_document_is_created_under_its_id_or_one_that_is_made(browser: Browser, db: Database) -> None:
    page = await browser.open("document/new", db="db")
    made = await browser.send(page, "Create", id="new/one", text='{"a": 1}')
    assert (made.heading, made.said) == ("new/one", "Created the document.")
    made = await browser.send(page, "Create", text='{"a": 2}')
    assert db[made.heading]["a"] == 2
    again = await browser.send(page, "Create", id="new/one", text='{"a": 3}')
    assert again.status == 409
    assert "There is a document 'new/one' already." in again.said
    assert again.root.all("textarea")[0].raw_text.strip() == '{"a": 3}'


async def test_a_design_document_that_couchdb_would_refuse_is_refused(browser: Browser, db: Database) -> None:
    page = await browser.open("document/new", db="db")
    page = await browser.send(page, "Create", id="_design/app", text='{"views": 1}')
    assert page.status == 400
    assert "_design/app" not in db


async def test_a_document_is_deleted_after_a_question_and_its_revisions_stay_to_be_seen(
    browser: Browser, db: Database
) -> None:
    page = await browser.open("document", db="db", id="a/b")
    page = await browser.send(await browser.open(page.link("Delete…")), "Delete the document")
    assert page.said.startswith("Deleted a/b, revision 1-")
    with pytest.raises(NotFound):
        db.get("a/b")
    page = await browser.open("document", db="db", id="a/b")
    assert page.heading == "Revisions of a/b"
    assert "This document is deleted." in page.said


async def test_a_long_text_is_stored_and_one_that_is_too_long_refused(
    browser: Browser, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await browser.open("document/new", db="db")
    text = json.dumps({"text": "x" * 2_000_000})
    assert (await browser.send(page, "Create", id="long", text=text)).said == "Created the document."
    assert len(db["long"]["text"]) == 2_000_000
    monkeypatch.setattr(forms, "FORM_BYTES_MAX", 1_500_000)
    page = await browser.send(page, "Create", id="longer", text=text)
    assert (page.status, page.heading) == (413, "This did not work")
    assert "longer" not in db


async def test_a_long_result_still_fits_into_a_cookie(browser: Browser, db: Database) -> None:
    doc_id = "🛋" * 2000
    db.put({"_id": doc_id})
    page = await browser.open("document/delete", db="db", id=doc_id)
    action = page.form("Delete the document").attributes["action"]
    form = f"token={browser.cookies['couchette-page']}".encode()
    answer = await browser.ask("POST", action, {"content-type": "application/x-www-form-urlencoded"}, form)
    assert len(answer.headers["set-cookie"]) < 4096
    assert (await browser.open(answer.headers["location"])).said.startswith("Deleted 🛋")


async def test_a_local_document_is_shown_and_edited(browser: Browser, db: Database) -> None:
    db.put({"_id": "_local/x", "a": 1})
    page = await browser.open("document", db="db", id="_local/x")
    page = await browser.send(await browser.open(page.link("Edit")), "Save", text='{"a": 2}')
    assert "Saved" in page.said
    assert db["_local/x"]["a"] == 2


async def test_a_missing_document_is_a_page_that_says_so(browser: Browser, db: Database) -> None:
    page = await browser.open("document", db="db", id="nothing")
    assert page.status == 404
    assert "There is no document 'nothing'." in page.said
