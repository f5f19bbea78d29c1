"""Documents whose attachments are too large to be held: the same answers as with small ones, read as they are sent."""

from __future__ import annotations

import json
from base64 import b64decode
from random import Random

import pytest

from couchette.limits import BODY_HELD_BYTES
from couchette.server import bulk, contents, documents
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


def test_no_more_than_a_piece_is_held(stored):
    """The text is three times what is held at once."""
    found = stored.bulk_get([{"id": "d/1"}])
    pieces = list(contents.bulk_get_chunks(stored, found))
    assert max(map(len, pieces)) < 3 * BODY_HELD_BYTES
    assert len(pieces) > 1
    assert json.loads(b"".join(pieces))["results"][0]["id"] == "d/1"
