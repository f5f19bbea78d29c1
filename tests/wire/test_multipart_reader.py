"""Multipart bodies read in pieces: the inverse of writing them, wherever the pieces are cut."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from couchette.errors import BadRequest
from couchette.wire.multipart import Part
from couchette.wire.multipart_reader import HEAD_BYTES_MAX, Data, End, Head, MultipartParser, boundary_of
from tests.wire.multiparts import Multipart, write

# Content made of what delimiters are made of, so that near misses are common.
contents = st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"--", b"-", b"b", b"--b", b"\x00\xff", b" "])).map(
    b"".join
)
names = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1).filter(lambda name: ":" not in name)
parts = st.builds(
    Part, st.dictionaries(names.map(str.lower).filter(lambda name: name == name.lower()), names, max_size=3), contents
)


def read(content_type, body, sizes=(1 << 20,)):
    """The parts, fed in pieces of these sizes, over and over."""
    parser = MultipartParser(content_type)
    found: list[Any] = []
    position, index = 0, 0
    while position < len(body):
        size = sizes[index % len(sizes)]
        for event in parser.feed(body[position : position + size]):
            if isinstance(event, Head):
                found.append([event.headers, b"", False])
            elif isinstance(event, Data):
                assert event.content
                found[-1][1] += event.content
            else:
                assert isinstance(event, End)
                found[-1][2] = True
        position, index = position + size, index + 1
    parser.finish()
    assert all(ended for _, _, ended in found)
    return [Part(headers, content) for headers, content, _ in found]


@given(st.lists(parts, min_size=1, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=5))
def test_reading_is_the_inverse_of_writing(given_parts, sizes):
    written = write("multipart/mixed", given_parts)
    assert read(written.content_type, written.content, sizes) == given_parts


@given(contents, st.lists(st.integers(1, 9), min_size=1, max_size=3))
@example(b"\r\n--b", [1])
@example(b"\r\n--bx\r\n--b-\r\n", [1])
def test_what_only_looks_like_a_delimiter_is_content(content, sizes):
    body = b"--bb\r\nA: 1\r\n\r\n" + content + b"\r\n--bb--"
    assert read("multipart/related; boundary=bb", body, sizes) == [Part({"a": "1"}, content)]


@given(st.lists(parts, min_size=1, max_size=3), st.lists(st.integers(1, 40), min_size=1, max_size=3))
def test_a_part_may_be_a_multipart_body_itself(given_parts, sizes):
    inner = write("multipart/related", given_parts)
    outer = write("multipart/mixed", [inner.as_part({"x": "1"}), Part({}, b"plain")])
    nested, plain = read(outer.content_type, outer.content, sizes)
    assert plain.content == b"plain"
    assert read(nested.headers["content-type"], nested.content, sizes) == given_parts


@pytest.mark.parametrize("sizes", [(1,), (2, 3), (1000,)])
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"--b\r\nA: 1\r\n\r\nx\r\n--b--", [({"a": "1"}, b"x")]),
        (b"\r\n--b\r\nA: 1\r\n\r\nx\r\n--b--\r\n", [({"a": "1"}, b"x")]),
        (b"hello\r\n--b \t\r\nA: 1\r\n\r\nx\r\n--b--\r\nbye\r\n--b\r\n", [({"a": "1"}, b"x")]),
        (b"--b\r\n\r\nx\r\n--b--", [({}, b"x")]),
        (b"--b\r\nA: 1\r\n\r\n\r\n--b--", [({"a": "1"}, b"")]),
        (b"--b\r\nA: 1\r\n\r\n--b\r\n\r\n--b--", [({"a": "1"}, b""), ({}, b"")]),
        (b"--b\r\nA: long\r\n  line\r\n\r\nx\r\n--b--", [({"a": "long line"}, b"x")]),
        ("--b\r\nN: ü:é\r\n\r\nx\r\n--b--".encode(), [({"n": "ü:é"}, b"x")]),
        (b"--b--", []),
    ],
)
def test_bodies_as_servers_send_them(body, expected, sizes):
    assert [(part.headers, part.content) for part in read("multipart/mixed; boundary=b", body, sizes)] == expected


def test_content_is_given_while_it_arrives():
    parser = MultipartParser('multipart/mixed; boundary="b"')
    given_bytes = 0
    list(parser.feed(b"--b\r\n\r\n"))
    for _ in range(100):
        given_bytes += sum(len(event.content) for event in parser.feed(b"x" * 1000) if isinstance(event, Data))
    assert given_bytes > 99_900


@pytest.mark.parametrize("body", [b"", b"--b\r\nA: 1", b"--b\r\n\r\nx", b"--b\r\n\r\nx\r\n--b", b"nothing"])
def test_a_body_that_is_cut_off_is_refused_at_its_end(body):
    with pytest.raises(BadRequest, match="incomplete"):
        read("multipart/mixed; boundary=b", body)


def test_a_head_without_end_is_refused_early():
    parser = MultipartParser("multipart/mixed; boundary=b")
    with pytest.raises(BadRequest, match="head exceeds"):
        list(parser.feed(b"--b\r\n" + b"x" * (HEAD_BYTES_MAX + 10)))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/mixed; boundary=abc", "abc"),
        ('multipart/mixed; boundary="a b;c"', "a b;c"),
        ('multipart/related; type="application/json"; BOUNDARY="--a\\"b"', '--a"b'),
        ("Multipart/Mixed;boundary=abc; charset=x", "abc"),
    ],
)
def test_the_boundary_is_read_as_headers_write_it(content_type, boundary):
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize("content_type", ["", "application/json", "multipart/mixed", "text/plain; boundary=b"])
def test_a_type_without_a_boundary_is_refused(content_type):
    with pytest.raises(BadRequest, match="boundary"):
        MultipartParser(content_type)


@given(st.text(st.characters(exclude_categories=["C"]), min_size=1).filter(lambda text: text.strip() == text))
def test_any_boundary_that_was_written_is_read(text):
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    assert boundary_of(f'multipart/mixed; boundary="{quoted}"') == text


def test_many_small_parts_in_one_piece_take_time_in_proportion():
    written: Multipart = write("multipart/mixed", [Part({}, b"x")] * 5000)
    assert len(read(written.content_type, written.content)) == 5000
