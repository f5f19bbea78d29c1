"""Attachments too large to be held: received and sent in pieces, with the answers that small ones get."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from hashlib import md5
from random import Random

import anyio
import pytest

from couchette.document.attachment import gzip as stored_gzip
from couchette.limits import ATTACHMENT_CHUNK_BYTES, ATTACHMENT_HOP_BYTES, ATTACHMENT_PORTION_CHUNKS, BODY_HELD_BYTES
from couchette.wire import multipart
from tests.server.asgi import Exchange, call, scope
from tests.wire import multiparts

pytestmark = pytest.mark.anyio

PIECE_BYTES = 200_000
DATA = Random(1).randbytes(ATTACHMENT_PORTION_CHUNKS * ATTACHMENT_CHUNK_BYTES + 1_012_345)
TEXT = {"content-type": "text/plain"}

assert len(DATA) > BODY_HELD_BYTES + PIECE_BYTES


class Sending(Exchange):
    """A client that sends its body in pieces; the app asks for each when it wants it."""

    def __init__(self, body, *, leaves_after=None):
        super().__init__()
        pieces = [body[start : start + PIECE_BYTES] for start in range(0, len(body), PIECE_BYTES)]
        self._requests = [
            {"type": "http.request", "body": piece, "more_body": n < len(pieces) - 1} for n, piece in enumerate(pieces)
        ]
        self._requests.reverse()
        if leaves_after is not None:
            del self._requests[: len(pieces) - leaves_after]
            self.leave()

    @property
    def unsent(self):
        return len(self._requests)


async def send(app, method, target, body, headers=None, **how):
    """Send a large body; return the status, the headers and the body of the answer, or None if there is none."""
    exchange = Sending(body, **how)
    try:
        await app(scope(method, target, headers), exchange.receive, exchange.send)
        if exchange._messages.statistics().current_buffer_used == 0:
            return None
        status, shown = await exchange.start()
        answer = await exchange.rest()
        assert exchange.unsent == 0
        return status, shown, answer
    finally:
        exchange.close()


def related(doc, end=True):
    written = multiparts.related(doc)
    return {"content-type": written.content_type}, written.content if end else written.content[:-10]


def image(data, **given):
    return {"content_type": "image/png", "data": data, **given}


@pytest.fixture
def stored(environment):
    """The same bytes as an image and as a text."""
    db = environment.open("db")
    db.put_attachment("image", "x", DATA, "image/png")
    db.put_attachment("text", "x", DATA, "text/plain")
    return db


# -- Received -------------------------------------------------------------------------------------


async def test_a_large_attachment_is_answered_as_a_small_one(app, environment):
    status, headers, body = await send(app, "PUT", "/db/a/b%2Fc", DATA, {"content-type": "image/png"})
    small = await call(app, "PUT", "/db/b/b%2Fc", {"content-type": "image/png"}, b"small")
    assert (status, json.loads(body)["id"]) == (small.status, "a") == (201, "a")
    assert headers["location"] == small.headers["location"].replace("/db/b/", "/db/a/")
    attachment = environment.open("db").get_attachment("a", "b/c")
    assert (attachment.data, attachment.content_type) == (DATA, "image/png")


async def test_a_large_text_is_compressed_and_a_large_gzip_stored_as_it_is(app, environment):
    db, packed = environment.open("db"), stored_gzip(DATA)
    assert (await send(app, "PUT", "/db/a/x", DATA, TEXT))[0] == 201
    assert (await send(app, "PUT", "/db/b/x", packed, {**TEXT, "content-encoding": "gzip"}))[0] == 201
    for id in "ab":
        assert db.get_attachment(id, "x", encoded=True).data == packed
    assert (await send(app, "PUT", "/db/c/x", packed, {"content-encoding": "br"}))[0] == 415


async def test_a_refusal_comes_after_the_body_was_read(app, environment):
    environment.open("db")["a"] = {}
    status, _, body = await send(app, "PUT", "/db/a/x", DATA)
    assert (status, json.loads(body)["error"]) == (409, "conflict")
    status, _, body = await send(app, "PUT", "/nosuch/a/x", DATA)
    assert (status, json.loads(body)["reason"]) == (404, "Database does not exist.")


async def test_a_large_document_is_no_stream(app, environment):
    text = "x" * len(DATA)
    status, *_ = await send(app, "PUT", "/db/a", json.dumps({"text": text}).encode())
    assert status == 201
    assert environment.open("db")["a"]["text"] == text


async def test_a_client_that_leaves_has_written_nothing(app, environment):
    assert await send(app, "PUT", "/db/a/x", DATA, leaves_after=13) is None
    headers, body = related({"_attachments": {"x": image(DATA)}})
    assert await send(app, "PUT", "/db/a", body, headers, leaves_after=13) is None
    db = environment.open("db")
    assert "a" not in db
    assert db.verify() == []
    assert db.compact()["attachments"] == 0


async def test_a_fault_of_ours_is_a_500(app, monkeypatch, caplog):
    def fail(*args):
        raise ZeroDivisionError

    monkeypatch.setattr("couchette.store.append_upload", fail)
    status, _, body = await send(app, "PUT", "/db/a/x", DATA)
    assert (status, json.loads(body)["error"]) == (500, "unknown_error")
    assert "PUT /db/a/x failed" in caplog.text


# -- Multipart ------------------------------------------------------------------------------------


async def test_a_document_with_large_parts_is_stored(app, environment):
    packed = stored_gzip(DATA)
    doc = {
        "v": 1,
        "_attachments": {
            "one": image(DATA, digest="md5-" + b64encode(md5(DATA).digest()).decode()),
            "small": image(b"small"),
            "gz": {"content_type": "text/plain", "data": packed, "encoding": "gzip", "length": len(DATA),
                   "encoded_length": len(packed), "digest": "md5-of the sender's own gzip"},
            "empty": image(b""),
        },
    }  # fmt: skip
    headers, body = related(doc)
    status, _, written = await send(app, "PUT", "/db/a", body, headers)
    assert (status, json.loads(written)["id"]) == (201, "a")
    db = environment.open("db")
    found = {name: db.get_attachment("a", name).data for name in db["a"]["_attachments"]}
    assert found == {"one": DATA, "small": b"small", "gz": DATA, "empty": b""}
    assert db["a"]["v"] == 1


async def test_a_replicated_revision_with_large_parts_may_come_twice(app, environment):
    doc = {"_id": "a", "_rev": "3-a", "_attachments": {"x": image(DATA, revpos=2)}}
    headers, body = related(doc)
    for _ in range(2):
        assert (await send(app, "PUT", "/db/a?new_edits=false", body, headers))[0] == 201
    assert environment.open("db").get("a")["_attachments"]["x"]["revpos"] == 2


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"length": 5}, "attachment longer than expected"),
        ({"length": len(DATA) + 1}, "attachment shorter than expected"),
        ({"digest": "md5-AAAAAAAAAAAAAAAAAAAAAA=="}, "Possible message corruption."),
    ],
)
async def test_a_part_that_is_not_what_it_says_leaves_nothing(app, environment, given, reason):
    headers, body = related({"_attachments": {"x": image(DATA, **given), "y": image(b"y")}})
    status, _, answer = await send(app, "PUT", "/db/a", body, headers)
    assert (status, json.loads(answer)["reason"]) == (400, reason)
    assert "a" not in environment.open("db")


async def test_a_multipart_body_that_is_incomplete_leaves_nothing(app, environment):
    doc = {"_attachments": {"x": image(DATA)}}
    headers, body = related(doc, end=False)
    status, _, answer = await send(app, "PUT", "/db/a", body, headers)
    assert (status, json.loads(answer)["reason"]) == (400, "The multipart body is incomplete.")
    headers, body = related(doc)
    more = body.replace(b'"follows":true}', b'"follows":true},"y":{"follows":true}', 1)
    status, _, answer = await send(app, "PUT", "/db/a", more, headers)
    assert (status, json.loads(answer)["reason"]) == (400, "attachment shorter than expected")
    assert "a" not in environment.open("db")


async def test_the_first_part_must_be_a_document(app):
    written = multiparts.write("multipart/related", [multipart.Part({"Content-Type": "text/plain"}, DATA)])
    assert (await send(app, "PUT", "/db/a", written.content, {"content-type": written.content_type}))[0] == 415
    written = multiparts.write("multipart/related", [multipart.json_part([1]), multipart.Part({}, DATA)])
    status, _, answer = await send(app, "PUT", "/db/a", written.content, {"content-type": written.content_type})
    assert (status, json.loads(answer)["reason"]) == (400, "Document must be a JSON object")


# -- Sent -----------------------------------------------------------------------------------------


async def test_a_large_attachment_is_sent_in_pieces(app, stored):
    exchange = Exchange()
    try:
        await app(scope("GET", "/db/image/x"), exchange.receive, exchange.send)
        status, headers = await exchange.start()
        first = await exchange.chunk()
        assert (status, headers["content-length"]) == (200, str(len(DATA)))
        assert len(first) <= ATTACHMENT_HOP_BYTES
        assert first + await exchange.rest() == DATA
    finally:
        exchange.close()


@pytest.mark.parametrize("accepted", [{}, {"accept-encoding": "gzip"}])
async def test_a_large_text_is_sent_as_the_client_takes_it(app, stored, accepted):
    answer = await call(app, "GET", "/db/text/x", accepted)
    if accepted:
        assert answer.headers["content-encoding"] == "gzip"
        assert gzip.decompress(answer.body) == DATA
        assert answer.headers["content-length"] == str(len(answer.body))
    else:
        assert answer.body == DATA
        assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(("first", "last"), [(0, 9), (300_000, 2_000_000), (5, len(DATA) - 1)])
async def test_a_range_of_any_size_is_sent(app, stored, first, last):
    answer = await call(app, "GET", "/db/image/x", {"range": f"bytes={first}-{last}"})
    assert answer.status == 206
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.body == DATA[first : last + 1]


async def test_several_large_ranges_are_sent(app, stored):
    ranges = [(0, 1_200_000), (7, 8), (5, 1_300_000)]
    listed = ",".join(f"{first}-{last}" for first, last in ranges)
    answer = await call(app, "GET", "/db/image/x", {"range": f"bytes={listed}"})
    boundary = answer.headers["content-type"].partition('boundary="')[2].rstrip('"').encode()
    assert answer.status == 206
    assert answer.headers["content-length"] == str(len(answer.body))
    parts = answer.body.split(b"--" + boundary)
    assert [part.partition(b"\r\n\r\n")[2][:-2] for part in parts[1:-1]] == [DATA[a : b + 1] for a, b in ranges]
    assert (parts[0], parts[-1]) == (b"", b"--")


async def test_a_range_beyond_the_content_is_416(app, stored):
    assert (await call(app, "GET", "/db/image/x", {"range": f"bytes={len(DATA)}-"})).status == 416


@pytest.mark.parametrize("target", ["/db/image/x", "/db/text/x"])
async def test_head_reads_nothing_that_is_large(app, stored, target, monkeypatch):
    monkeypatch.setattr("couchette.server.streams.AsyncAttachmentFile.chunks", None)
    answer = await call(app, "HEAD", target)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers.get("content-length") == (str(len(DATA)) if target == "/db/image/x" else None)


async def test_a_client_that_leaves_ends_the_sending(app, stored):
    exchange, sent = Exchange(), []

    async def send_one(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            exchange.leave()
            await anyio.sleep_forever()

    with anyio.fail_after(5):
        await app(scope("GET", "/db/image/x"), exchange.receive, send_one)
    exchange.close()
    assert len(sent) == 2


async def test_a_body_over_the_limit_is_answered_without_waiting_for_its_end(app, environment, monkeypatch):
    monkeypatch.setattr(app.node.settings, "request_bytes_max", 2_500_000)
    exchange = Sending(DATA)
    await app(scope("PUT", "/db/a/x"), exchange.receive, exchange.send)
    status, _ = await exchange.start()
    exchange.close()
    assert status == 413
    assert exchange.unsent > 0
    assert "a" not in environment.open("db")
