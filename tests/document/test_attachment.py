"""Attachments as values: CouchDB's compression and digests, and what a document may say of them."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.document.attachment import (
    Attachment,
    Content,
    Stub,
    check_name,
    content,
    digest_bytes,
    digest_text,
    gzip,
    is_compressible,
    parse_attachments,
    plain,
)
from couchette.errors import BadContentType, BadRequest, TooLarge


def test_text_is_stored_as_the_very_gzip_bytes_of_couchdb():
    held = content("a.txt", b"hello", "text/plain")
    assert isinstance(held.stored, bytes)
    assert len(held.stored) == 25
    assert digest_text(held.digest) == "md5-iMaiC8wqiFlD2NjLTemvCQ=="
    assert (held.length, held.encoding) == (5, "gzip")


def test_an_empty_text_is_compressed_too():
    stored = content("e", b"", "application/json").stored
    assert isinstance(stored, bytes)
    assert len(stored) == 20


def test_other_types_are_stored_as_they_are():
    held = content("b.png", b"hi", "image/png")
    assert (held.stored, held.length, held.encoding) == (b"hi", 2, None)


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "TEXT/HTML",
        "text/x; charset=utf-8",
        "application/json",
        "application/javascript",
        "application/xml",
    ],
)
def test_texts_are_compressible_whatever_the_case_and_parameters(kind):
    assert is_compressible(kind)


@pytest.mark.parametrize("kind", ["image/svg+xml", "application/ld+json", "application/x-ndjson", "", "context/x"])
def test_other_types_are_not_compressible(kind):
    assert not is_compressible(kind)


def test_gzip_content_is_stored_unchecked_and_its_length_is_the_stored_one():
    held = content("a", b"not gzip", "image/png", encoding="gzip")
    assert (held.stored, held.length, held.encoding) == (b"not gzip", 8, "gzip")


def test_another_encoding_is_refused():
    with pytest.raises(BadContentType, match="Only gzip") as caught:
        content("a", b"", encoding="deflate")
    assert caught.value.status == 415


@given(st.binary())
def test_plain_undoes_gzip(data):
    assert plain(gzip(data), "gzip", "a", len(data)) == data == plain(data, None, "a", 0)


@given(st.lists(st.binary(), min_size=1, max_size=3))
def test_gzip_may_have_several_members(members):
    data = b"".join(members)
    assert plain(b"".join(map(gzip, members)) + bytes(3), "gzip", "a", len(data)) == data


@pytest.mark.parametrize("data", [b"not gzip", b"", gzip(b"whole")[:-1], gzip(b"whole") + b"more"])
def test_content_that_only_claims_to_be_gzip_cannot_be_unpacked(data):
    with pytest.raises(BadRequest, match="marked as gzip"):
        plain(data, "gzip", "a", 1000)


@pytest.mark.parametrize("data", [gzip(bytes(1001)), gzip(bytes(500)) + gzip(bytes(501)), gzip(bytes(50_000_000))])
def test_gzip_is_unpacked_no_further_than_it_may_be(data):
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="'a.txt' is too large to be unpacked in memory") as caught:
            plain(data, "gzip", "a.txt", 1000)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()
    assert caught.value.as_json()["error"] == "too_large"
    assert "as a stream" in caught.value.hint


def test_a_length_may_be_whatever_somebody_says():
    assert plain(gzip(b"x"), "gzip", "a", 2**80) == b"x"


@given(st.binary(min_size=16, max_size=16))
def test_a_digest_text_is_read_back(digest):
    assert digest_bytes(digest_text(digest)) == digest


def test_a_stub_tells_type_revpos_digest_and_length():
    one = Attachment("a", "text/plain", 2, "md5-x", 5, "gzip", 25)
    told = {"content_type": "text/plain", "revpos": 2, "digest": "md5-x", "length": 5}
    assert one.stub() == {**told, "stub": True}
    assert one.stub(encoding_info=True) == {**told, "encoding": "gzip", "encoded_length": 25, "stub": True}


def test_attachments_keep_the_order_in_which_they_were_given():
    parsed = parse_attachments({"z": {"data": ""}, "a": {"stub": True, "revpos": 3}, "m": {"data": b"x"}}, "doc")
    assert [one.name for one in parsed] == ["z", "a", "m"]
    assert parsed[1] == Stub("a", 3)


def test_data_may_be_base64_text_or_bytes_and_the_type_may_be_left_out():
    text, raw = parse_attachments({"t": {"data": "aGk="}, "r": {"data": b"hi"}}, "doc")
    assert isinstance(text, Content)
    assert isinstance(raw, Content)
    assert text.stored == raw.stored == b"hi"
    assert text.content_type == "application/octet-stream"


@pytest.mark.parametrize("text", ["YWJj\r\nZGVm\r\n", " YWJjZGVm", "YWJj\tZGVm", "YWJj\nZGV\nm"])
def test_base64_text_may_be_broken_into_lines(text):
    (one,) = parse_attachments({"a": {"data": text}}, "doc")
    assert isinstance(one, Content)
    assert one.stored == b"abcdef"


def test_encoding_counts_for_bytes_only():
    """A JSON client cannot send stored bytes: CouchDB ignores ``encoding`` there and compresses."""
    text, raw = parse_attachments(
        {
            "t": {"data": "aGk=", "content_type": "text/plain", "encoding": "gzip"},
            "r": {"data": b"hi", "content_type": "text/plain", "encoding": "gzip"},
        },
        "doc",
    )
    assert isinstance(text, Content)
    assert isinstance(raw, Content)
    assert text.stored == gzip(b"hi")
    assert raw.stored == b"hi"


def test_a_stub_is_a_stub_even_with_data():
    """CouchDB looks at ``stub`` first."""
    assert parse_attachments({"a": {"stub": True, "data": "aGk="}}, "doc") == [Stub("a", None)]


def test_a_member_that_is_no_object_is_ignored():
    assert parse_attachments({"a": 1, "b": None}, "doc") == []


@pytest.mark.parametrize(
    "member",
    [
        {},
        {"stub": False},
        {"data": None},
        {"data": 5},
        {"data": "no base64!"},
        {"data": "aGk"},
        {"data": "aGkh="},
        {"data": "notBase64Encoded="},
        {"data": "é"},
        {"data": "", "content_type": 5},
        {"data": "", "revpos": "1"},
        {"data": "", "revpos": -1},
        {"data": "", "revpos": True},
        {"data": "", "revpos": 2**63},
    ],
)
def test_a_malformed_member_is_refused_by_name(member):
    with pytest.raises(BadRequest, match="Invalid attachment data for pic") as caught:
        parse_attachments({"pic": member}, "doc")
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a", "é/ü", "a b", "\U0001f600", ".", "%2F"])
def test_any_text_is_a_name(name):
    assert check_name(name) == name


@pytest.mark.parametrize(("name", "reason"), [("_a", "prohibited character '_'"), (5, "UTF-8"), ("\ud800", "UTF-8")])
def test_other_names_are_refused(name, reason):
    with pytest.raises(BadRequest, match=reason):
        check_name(name)
