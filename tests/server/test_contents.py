"""Documents whose attachments are too large to be held: the same answers as with small ones, read as they are sent."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from base64 import b64decode
from random import Random

import pytest

from couchette.limits import ATTACHMENT_HOP_BYTES, BODY_HELD_BYTES
from couchette.server import answers, bulk, contents, documents
from couchette.wire.multipart_docs import read_rows
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

NOISE = Random(1).randbytes(BODY_HELD_BYTES + 100_001)
TEXT = b"line of a text\n" * 100_000
BOTH = "application/json, multipart/related"


@pytest.fixture
def stored(environment):
    """A document with a large image, a large text that is stored compressed, and a small one."""
    db = environment["db"]
    attachments = {
        "image/a b": {"content_type": "image/png", "data": NOISE},
        "text": {"content_type": "text/plain", "data": TEXT},
        "small": {"content_type": "text/plain", "data": b"x"},
    }
    db.put({"_id": "d/1", "n": 1, "_attachments": attachments})
    db.put({"_id": "plain"})
    return db


@pytest.fixture
def whole(monkeypatch):
    """Calls something as if nothing were too large to be held."""

    async def ask(call, *args):
        with monkeypatch.context() as patch:
            for module in (bulk, documents):
                patch.setattr(module, "are_large", lambda docs: False)
                patch.setattr(module, "BODY_HELD_BYTES", 2**40)
            return await call(*args)

    return ask


@pytest.mark.parametrize(
    "query", ["attachments=true", "attachments=true&att_encoding_info=true&revs=true&conflicts=true"]
)
async def test_in_json_it_is_the_same_document(app, stored, whole, query):
    args = (app, "GET", f"/db/d%2F1?{query}", {"accept": "application/json"})
    answer = await call(*args)
    assert answer.json() == (await whole(call, *args)).json()
    attachments = answer.json()["_attachments"]
    assert b64decode(attachments["image/a b"]["data"]) == NOISE
    assert b64decode(attachments["text"]["data"]) == TEXT
    assert "content-length" not in answer.headers
    again = await call(app, "GET", "/db/d%2F1?attachments=true", {"if-none-match": answer.headers["etag"]})
    assert again.status == 304


async def test_beside_the_document_it_is_the_same_document(app, stored, whole):
    args = (app, "GET", "/db/d%2F1?attachments=true&revs=true", {"accept": BOTH})
    answer, expected = await call(*args), await whole(call, *args)
    assert int(answer.headers["content-length"]) == len(answer.body)

    def read(one):
        kind = one.headers["content-type"]
        outer = b"--x\r\nContent-Type: %b\r\n\r\n%b\r\n--x--" % (kind.encode(), one.body)
        return read_rows("multipart/mixed; boundary=x", outer)

    assert read(answer) == read(expected)
    assert answer.headers["etag"] == expected.headers["etag"]


@pytest.mark.parametrize("accept", ["application/json", "multipart/related"])
async def test_the_head_alone_is_sent_for_head(app, stored, accept):
    answer = await call(app, "HEAD", "/db/d%2F1?attachments=true", {"accept": accept})
    assert (answer.status, answer.body) == (200, b"")


async def test_many_documents_come_so_too(app, stored, whole):
    docs = [{"id": "d/1"}, {"id": "nowhere"}, {"id": "plain"}, {"id": "d/1", "rev": stored["d/1"]["_rev"]}]
    args = (app, "POST", "/db/_bulk_get?attachments=true&revs=true", {"docs": docs})
    answer = await call_json(*args)
    assert answer.json() == (await whole(call_json, *args)).json()
    assert len(answer.json()["results"]) == 4


async def test_what_the_client_has_already_is_left_out_as_ever(app, stored):
    rev = stored["d/1"]["_rev"]
    docs = [{"id": "d/1", "rev": rev, "atts_since": [rev]}]
    answer = await call_json(app, "POST", "/db/_bulk_get?attachments=true", {"docs": docs})
    assert all(entry["stub"] for entry in answer.json()["results"][0]["docs"][0]["ok"]["_attachments"].values())


@pytest.mark.parametrize("query", ["open_revs=all&attachments=true", "open_revs=all&attachments=true&revs=true"])
async def test_several_revisions_come_so_too(app, stored, whole, query):
    stored.bulk_docs([{"_id": "d/1", "_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}}], new_edits=False)
    args = (app, "GET", f"/db/d%2F1?{query}", {"accept": "application/json"})
    answer = await call(*args)
    assert "content-length" not in answer.headers
    assert answer.body == (await whole(call, *args)).body
    assert len(answer.json()) == 2


@pytest.fixture
def branched(stored):
    """The document with a second leaf, and a later revision of the first one with one more attachment."""
    stored.put_attachment("d/1", "more", NOISE, rev=stored["d/1"]["_rev"])
    stored.bulk_docs([{"_id": "d/1", "_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}}], new_edits=False)
    return stored


async def bulk_get_multipart(app, docs):
    headers = {"content-type": "application/json", "accept": "multipart/mixed"}
    return await call(app, "POST", "/db/_bulk_get?revs=true", headers, json.dumps({"docs": docs}).encode())


def rows_of(answer):
    assert answer.status == 200
    return read_rows(answer.headers["content-type"], answer.body)


async def test_several_revisions_in_multipart_come_so_too(app, branched, whole):
    since = json.dumps([branched.get("d/1", revs_info=True)["_revs_info"][1]["rev"]])
    for query, sent in [("", [NOISE, NOISE, TEXT, b"x"]), (f"&atts_since={since}", [NOISE])]:
        target = f"/db/d%2F1?open_revs=all&revs=true{query}"
        answer = await call(app, "GET", target, {"accept": "multipart/mixed"})
        assert "content-length" not in answer.headers
        rows = rows_of(answer)
        assert rows == rows_of(await whole(call, app, "GET", target, {"accept": "multipart/mixed"}))
        found = [row["ok"]["_attachments"] for row in rows if "_attachments" in row["ok"]]
        data = [(one["data"], one.get("encoding")) for one in found[0].values() if "data" in one]
        assert sorted(gzip.decompress(one) if encoding else one for one, encoding in data) == sorted(sent)
    head = await call(app, "HEAD", "/db/d%2F1?open_revs=all", {"accept": "multipart/mixed"})
    assert (head.status, head.body) == (200, b"")


async def test_a_revision_with_what_is_newer_comes_so_too(app, branched, whole):
    since = json.dumps([branched.get("d/1", revs_info=True)["_revs_info"][1]["rev"]])
    args = (app, "GET", f"/db/d%2F1?atts_since={since}", {"accept": "multipart/related"})
    answer, expected = await call(*args), await whole(call, *args)
    assert int(answer.headers["content-length"]) == len(answer.body) == len(expected.body) > len(NOISE)
    assert answer.body.count(NOISE) == 1
    assert answer.headers["etag"] == expected.headers["etag"]
    head = await call(app, "HEAD", args[2], args[3])
    assert (head.status, head.body) == (200, b"")


@pytest.mark.parametrize("page", [1, 100])
async def test_many_documents_in_multipart_come_so_too(app, branched, whole, monkeypatch, page):
    monkeypatch.setattr(bulk, "BULK_GET_PAGE", page)
    rev = branched["d/1"]["_rev"]
    docs = [{"id": "d/1"}, {"id": "nowhere"}, {"id": "plain"}, {"id": "d/1", "rev": rev, "atts_since": [rev]}]
    answer = await bulk_get_multipart(app, docs)
    assert "content-length" not in answer.headers
    assert b"X-Doc-Id: d/1\r\n" in answer.body
    rows = rows_of(answer)
    assert rows == rows_of(await whole(bulk_get_multipart, app, docs))
    assert [list(row) for row in rows] == [["ok"], ["ok"], ["error"], ["ok"], ["ok"]]


async def test_no_documents_are_an_empty_multipart(app, stored):
    assert rows_of(await bulk_get_multipart(app, [])) == []


async def test_of_a_multipart_answer_no_more_than_a_piece_is_held(app, environment, monkeypatch):
    db = environment["db"]
    for number in range(3):
        db.put_attachment(str(number), "x", NOISE * 3, "image/png")
    made = []

    def keep(chunks, headers, *, head):
        made.append(chunks)
        return answers.answer(b"", 200, headers)

    monkeypatch.setattr(contents, "made_answer", keep)
    await bulk_get_multipart(app, [{"id": str(number)} for number in range(3)])
    await call(app, "GET", "/db/1?open_revs=all&attachments=true", {"accept": "multipart/mixed"})
    await call(app, "GET", "/db/1?attachments=true&atts_since=[]", {"accept": "multipart/related"})
    assert len(made) == 3
    for chunks in made:
        tracemalloc.start()
        try:
            size = sum(map(len, chunks))
            assert tracemalloc.get_traced_memory()[1] < 2.5 * BODY_HELD_BYTES + ATTACHMENT_HOP_BYTES
        finally:
            tracemalloc.stop()
        assert size > 3 * len(NOISE)


def test_no_more_than_a_piece_is_held(stored):
    """The text is three times what is held at once."""
    found = stored.bulk_get([{"id": "d/1"}])
    pieces = list(contents.gathered(contents.results_parts(stored, found["results"])))
    assert max(map(len, pieces)) < 3 * BODY_HELD_BYTES
    assert len(pieces) > 1
    assert json.loads(b"".join(pieces))["id"] == "d/1"
