"""Documents and their attachments' bytes, written as multipart, are read back as they were."""

from __future__ import annotations

import re
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import jsonio
from couchette.errors import BadContentType, BadRequest, TooLarge
from couchette.server import multipart_in
from couchette.server.multipart_in import MultipartReader, read_related, receive_related
from couchette.wire import multipart
from tests.wire import multiparts

NAMES = st.text(st.characters(codec="utf-8"), max_size=20)
CONTENTS = st.binary(max_size=200) | st.sampled_from([b"\r\n", b"\r\n--", b"--", b"\r\n--abc\r\n"])


def plain(name, data):
    return {"content_type": "image/x", "length": len(data), "data": data}


def body(doc, *contents, boundary="BBB", first_type="application/json", end="--"):
    parts = [b"Content-Type: " + first_type.encode() + b"\r\n\r\n" + jsonio.dumps(doc)]
    parts += [b"\r\n" + content for content in contents]
    delimiter = b"\r\n--" + boundary.encode()
    return b"".join(delimiter + b"\r\n" + part for part in parts)[2:] + delimiter + end.encode()


def follows(*lengths, **given):
    return {
        "_attachments": {
            f"a{n}": {"follows": True, "content_type": "image/x", "length": length, **given}
            for n, length in enumerate(lengths)
        }
    }


RELATED = 'multipart/related; boundary="BBB"'


@given(st.dictionaries(NAMES, CONTENTS, min_size=1, max_size=4))
def test_what_is_written_is_read_back(contents):
    doc = {"_id": "a", "_attachments": {name: plain(name, data) for name, data in contents.items()}}
    written = multiparts.related(doc)
    assert read_related(written.content_type, written.content) == doc


def test_what_precedes_the_first_boundary_is_not_held():
    reader = MultipartReader(RELATED)
    for _ in range(1000):
        reader.feed(b"\r\n--BB" * 100)
        assert len(reader._preamble or b"") < 20
    reader.feed(b"B\r\n\r\nx\r\n--BBB--")
    assert [bytes(part.content) for part in reader.finish()] == [b"x"]


async def arriving(*pieces):
    for piece in pieces:
        yield piece


@pytest.mark.anyio
async def test_a_document_that_is_too_large_to_be_held_is_refused_as_it_arrives(monkeypatch):
    monkeypatch.setattr(multipart_in, "REQUEST_HELD_BYTES_MAX", 100)
    begun = b"--BBB\r\nContent-Type: application/json\r\n\r\n"
    async with aclosing(arriving(begun, *[b" " * 60] * 9)) as pieces:
        with pytest.raises(TooLarge):
            await receive_related(RELATED, pieces)
        assert len([piece async for piece in pieces]) == 7


@given(st.lists(st.binary(max_size=100), max_size=4), st.integers(1, 50))
def test_a_body_may_arrive_in_pieces_of_any_size(contents, size):
    written = multiparts.write("multipart/mixed", [multipart.Part({"X-A": "b"}, data) for data in contents])
    content = b"preamble\r\n" * (size % 2) + written.content + b"\r\nepilogue" * (size % 3)
    reader = MultipartReader(written.content_type)
    for start in range(0, len(content), size):
        reader.feed(content[start : start + size])
    if contents:
        assert [bytes(part.content) for part in reader.finish()] == contents
        assert all(part.headers == {"x-a": "b"} for part in reader.parts)


def test_stubs_stay_stubs_and_gzip_goes_out_as_it_is():
    doc = {
        "_id": "a",
        "_attachments": {
            "s": {"stub": True, "content_type": "text/plain"},
            "z": {"content_type": "text/plain", "encoding": "gzip", "encoded_length": 2, "length": 9, "data": b"zz"},
        },
    }
    written = multiparts.sent(doc)
    assert b'"z":{"content_type":"text/plain","encoding":"gzip","encoded_length":2,"length":9,"follows":true}' in (
        written.content
    )
    assert b"Content-Encoding: gzip\r\n" in written.content
    assert read_related(written.content_type, written.content) == doc


def test_an_attachments_name_cannot_end_its_header():
    doc = {"_id": "a", "_attachments": {'a"\r\nX-Evil: 1\r\n': plain("x", b"data")}}
    written = multiparts.sent(doc)
    assert b"\r\nX-Evil" not in written.content
    assert read_related(written.content_type, written.content) == doc


def test_parts_are_matched_by_their_order_and_further_ones_ignored():
    doc = read_related(RELATED, body(follows(3, 2), b"xxx", b"yy", b"more"))
    assert [member["data"] for member in doc["_attachments"].values()] == [b"xxx", b"yy"]
    assert all("follows" not in member for member in doc["_attachments"].values())


def test_a_document_without_attachments_may_be_multipart():
    assert read_related("multipart/related; boundary=BBB", body({"v": 1})) == {"v": 1}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (body(follows(2), b"xxx"), "attachment longer than expected"),
        (body(follows(4), b"xxx"), "attachment shorter than expected"),
        (body(follows(3)), "attachment shorter than expected"),
        (body(follows(3, digest="md5-AAAA"), b"xxx"), "Possible message corruption."),
        (body({}, end=""), "The multipart body is incomplete."),
        (body({}, boundary="CCC"), "The multipart body is incomplete."),
        (b"", "The multipart body is incomplete."),
        (b"--BBB\r\nContent-Type: application/json\r\n\r\n{\r\n--BBB--", "invalid UTF-8 JSON"),
        (b"--BBB\r\n\xff: x\r\n\r\n{}\r\n--BBB--", "The multipart body cannot be read."),
    ],
)
def test_a_body_that_is_not_what_it_says_is_refused(content, reason):
    with pytest.raises(BadRequest, match=re.escape(reason)):
        read_related(RELATED, content)


def test_a_digest_of_compressed_content_is_not_checked():
    doc = follows(3, encoding="gzip", encoded_length=2, digest="md5-AAAA")
    assert read_related(RELATED, body(doc, b"zz"))["_attachments"]["a0"]["data"] == b"zz"


@pytest.mark.parametrize("content_type", ["multipart/related", "multipart/related; boundary=" + "x" * 300])
def test_a_boundary_is_needed_that_can_be_used(content_type):
    with pytest.raises(BadRequest, match="boundary"):
        read_related(content_type, body({}))


def test_the_first_part_must_be_json():
    with pytest.raises(BadContentType):
        read_related(RELATED, body({}, first_type="text/plain"))


def read_or_refused(data):
    try:
        return read_related(RELATED, data)
    except (BadRequest, BadContentType) as refused:
        return refused


@given(st.binary(max_size=300))
def test_any_body_is_read_or_refused(data):
    assert isinstance(read_or_refused(b"--BBB\r\n" + data), (dict, BadRequest, BadContentType))
