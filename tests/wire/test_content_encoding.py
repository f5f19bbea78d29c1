"""Bodies that came compressed are unpacked, within bounds."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadContentType, BadRequest, TooLarge
from couchette.wire import content_encoding

PACKED = gzip.compress(b"{}", mtime=0)


def decoded(body, encoding, limit=1000):
    return content_encoding.decoded(body, encoding, limit)


@given(st.lists(st.binary(), min_size=1, max_size=3))
def test_what_was_packed_comes_back_whatever_its_members(pieces):
    assert decoded(b"".join(map(gzip.compress, pieces)), "gzip") == b"".join(pieces)


def test_what_is_not_packed_is_left_alone():
    assert decoded(b"{}", "identity") == b"{}"


@pytest.mark.parametrize("body", [b"", b"{}", PACKED[:-1], PACKED[:12], b"\x1f\x8b"])
def test_what_is_no_gzip_is_refused(body):
    with pytest.raises(BadRequest, match="Request body is not properly gzipped."):
        decoded(body, "gzip")


@given(st.binary(max_size=30))
def test_any_bytes_are_unpacked_or_refused(body):
    with pytest.raises(BadRequest):
        decoded(b"\x1f\x8b\x08\x00" + body, "gzip")


def test_another_encoding_is_refused():
    with pytest.raises(BadContentType, match="br is not a supported content encoding."):
        decoded(b"", "br")


def test_what_becomes_too_large_is_refused_before_it_is_there():
    assert decoded(gzip.compress(bytes(1000)), "gzip") == bytes(1000)
    for body in (gzip.compress(bytes(1001)), gzip.compress(bytes(600)) * 2):
        with pytest.raises(TooLarge):
            decoded(body, "gzip")
