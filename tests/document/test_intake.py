"""Content taken in by pieces is what it would be as a whole, and what was announced is held to it."""

from __future__ import annotations

from base64 import b64encode
from hashlib import md5

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.document import intake
from couchette.document.attachment import content
from couchette.document.intake import Intake
from couchette.errors import BadContentType, BadRequest, DigestMismatch
from couchette.limits import ATTACHMENT_CHUNK_BYTES


def digest(data):
    return "md5-" + b64encode(md5(data).digest()).decode()


def take_in(pieces, content_type="image/png", *, at_once=1, **announced):
    taking = Intake("x", content_type, **announced)
    given = [pieces[start : start + at_once] for start in range(0, len(pieces), at_once)]
    chunks = [chunk for some in given for chunk in taking.feed(*some)] + taking.finish()
    return taking, chunks


@given(
    st.lists(st.binary(max_size=40), max_size=12),
    st.integers(1, 5),
    st.sampled_from(["text/plain", "image/png"]),
    st.integers(1, 30),
)
def test_the_pieces_make_no_difference(pieces, at_once, content_type, chunk_bytes):
    data = b"".join(pieces)
    whole = content("x", data, content_type)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intake, "ATTACHMENT_CHUNK_BYTES", chunk_bytes)
        taken, chunks = take_in(pieces, content_type, at_once=at_once, digest=digest(data), length=len(data))
    assert b"".join(chunks) == whole.stored
    assert all(len(chunk) == chunk_bytes for chunk in chunks[:-1])
    assert (taken.digest, taken.size, taken.length) == (whole.digest, whole.size, whole.length)
    assert taken.encoding == whole.encoding


def test_a_piece_that_is_a_chunk_goes_through_as_it_is():
    taking = Intake("x", "image/png")
    assert taking.feed(memoryview(bytes(ATTACHMENT_CHUNK_BYTES))) == [bytes(ATTACHMENT_CHUNK_BYTES)]
    assert taking.finish() == []


def test_pieces_may_be_views_of_other_things():
    view = memoryview(bytearray(range(8))).cast("H")
    assert take_in([view, memoryview(b"abcdef")[::2]])[1] == [bytes(range(8)) + b"ace"]


@pytest.mark.parametrize("content_type", ["text/plain", "image/png"])
def test_another_digest_is_refused(content_type):
    with pytest.raises(DigestMismatch, match=re_quoted(digest(b"hi"))) as caught:
        take_in([b"h", b"i"], content_type, digest=digest(b"ho"))
    assert (caught.value.status, caught.value.error) == (400, "content_md5_mismatch")
    assert caught.value.reason == "Possible message corruption."


def re_quoted(text):
    return text.replace("+", "[+]")


def test_the_digest_of_gzip_is_that_of_the_gzip():
    taken, chunks = take_in([b"as it is"], "text/plain", encoding="gzip", digest=digest(b"as it is"), length=8)
    assert (chunks, taken.encoding) == ([b"as it is"], "gzip")


def test_another_length_is_refused_as_soon_as_it_shows():
    taking = Intake("x", "image/png", length=3)
    taking.feed(b"ab")
    with pytest.raises(BadRequest, match="attachment shorter than expected"):
        taking.finish()
    with pytest.raises(BadRequest, match="attachment longer than expected"):
        taking.feed(b"cd")


@pytest.mark.parametrize("text", ["md5-", "md5-AAAA", "md5-" + "!" * 24, "sha1-AAAAAAAAAAAAAAAAAAAAAA==", 7])
def test_what_is_no_digest_is_refused(text):
    with pytest.raises(BadRequest, match="base64 of an md5"):
        Intake("x", "image/png", digest=text)


@pytest.mark.parametrize("piece", ["text", 7, None, [1, 2]])
def test_what_is_not_bytes_is_refused(piece):
    with pytest.raises(BadRequest, match="Invalid attachment data for x"):
        Intake("x", "image/png").feed(piece)


def test_what_no_attachment_can_have_is_refused_before_anything_is_read():
    with pytest.raises(BadContentType):
        Intake("x", "image/png", encoding="br")
    with pytest.raises(BadRequest, match="prohibited character"):
        Intake("_x", "image/png")
