"""Documents in multipart form: what one side writes the other reads, and what no CouchDB sends is named."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest, NotCouchDB
from couchette.wire.content import streamed
from couchette.wire.multipart import json_part, streamed_related
from couchette.wire.multipart_docs import read_related, read_rows
from tests.wire.multiparts import Multipart, related, write

contents = st.binary(max_size=200)
entries = st.one_of(
    st.builds(lambda n: {"stub": True, "length": n, "revpos": 1}, st.integers(0, 9)),
    st.builds(lambda data: {"content_type": "image/png", "revpos": 2, "data": data}, contents),
    st.builds(
        lambda data: {"content_type": "text/plain", "encoding": "gzip", "length": 7, "revpos": 2, "data": data},
        contents,
    ),
)
docs = st.builds(
    lambda attachments, n: {"_id": "a", "_rev": "2-y", "n": n, "_attachments": attachments},
    st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), entries, min_size=1, max_size=4),
    st.integers(),
)


class Given:
    """A Content of bytes that are at hand."""

    def __init__(self, data):
        self.length = len(data)
        self.data = data

    def open(self):
        raise AssertionError("only its sender opens it")


def essence(doc):
    """A document without what is said about lengths."""
    kept = ("stub", "content_type", "revpos", "encoding", "data")
    attachments = {
        name: {key: entry[key] for key in kept if key in entry} for name, entry in doc["_attachments"].items()
    }
    return {**doc, "_attachments": attachments}


def sent(streamed_body):
    return b"".join(piece if isinstance(piece, bytes) else piece.data for piece in streamed_body.pieces)


@given(docs)
def test_a_document_read_is_the_document_written(doc):
    body = related(doc)
    assert essence(read_related(body.content_type, body.content)) == essence(doc)


@given(docs, st.sampled_from(["bytes", "text", "content"]))
def test_a_document_written_as_a_stream_is_read_alike_and_as_long_as_it_said(doc, form):
    forms = {"bytes": lambda data: data, "text": lambda data: base64.b64encode(data).decode(), "content": Given}
    given_doc = {**doc, "_attachments": {}}
    for name, entry in doc["_attachments"].items():
        data = {"data": forms[form](entry["data"])} if "data" in entry else {}
        given_doc["_attachments"][name] = {**entry, **data}
    body = streamed_related(given_doc)
    assert len(sent(body)) == body.length
    assert essence(read_related(body.content_type, sent(body))) == essence(doc)


def test_only_a_content_makes_a_document_streamed():
    assert streamed({"_attachments": {"a": {"data": b"x"}, "b": {"data": Given(b"x")}}})
    assert not streamed({"_attachments": {"a": {"data": b"x"}, "b": {"stub": True}}})
    assert not streamed({})


@given(st.lists(docs, max_size=3))
def test_several_documents_in_one_answer_are_read_in_their_order(several):
    body = write("multipart/mixed", [related(doc).as_part({"X-Doc-Id": "a"}) for doc in several])
    assert [essence(row["ok"]) for row in read_rows(body.content_type, body.content)] == [*map(essence, several)]


def test_a_plain_document_and_what_is_not_there_are_rows_too():
    error = {"id": "b", "rev": "1-x", "error": "not_found", "reason": "missing"}
    parts = [
        json_part({"_id": "a"}),
        json_part({"missing": "1-x"}, error=True),
        json_part(error, error=True),
    ]
    body = write("multipart/mixed", parts)
    assert read_rows(body.content_type, body.content) == [{"ok": {"_id": "a"}}, {"missing": "1-x"}, {"error": error}]


def test_a_compressed_part_is_marked_so_even_if_the_document_does_not_say_it():
    head = b'Content-Type: application/json\r\n\r\n{"_attachments":{"a":{"follows":true}}}'
    part = b"Content-Encoding: gzip\r\n\r\n\x1f\x8b"
    body = b"--b\r\n" + head + b"\r\n--b\r\n" + part + b"\r\n--b--"
    doc = read_related("multipart/related; boundary=b", body)
    assert doc["_attachments"]["a"] == {"data": b"\x1f\x8b", "encoding": "gzip"}


def broken(*parts):
    return write("multipart/mixed", [json_part(part) for part in parts])


@pytest.mark.parametrize(
    "body",
    [
        broken([1]),
        Multipart("multipart/mixed; boundary=b", b"--b\r\n\r\nnot json\r\n--b--"),
        Multipart("multipart/mixed; boundary=b", b"--b\r\n\r\n{}"),
        Multipart("multipart/mixed", b""),
        write("multipart/mixed", [write("multipart/related", []).as_part()]),
        write("multipart/mixed", [broken({"_attachments": {"a": {"follows": True}}}).as_part()]),
    ],
)
def test_an_answer_that_cannot_be_read_is_not_couchdb_s(body):
    with pytest.raises(NotCouchDB, match="multipart"):
        read_rows(body.content_type, body.content)


def test_a_document_whose_attachments_do_not_follow_is_refused():
    body = write("multipart/related", [json_part({"_attachments": {"a": {"follows": True}}})])
    with pytest.raises(BadRequest, match="lacks attachments"):
        read_related(body.content_type, body.content)
