"""ETags, Accept, Accept-Encoding and ranges are judged as CouchDB judges them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import RangeNotSatisfiable
from couchette.wire.conditions import accepted_types, accepts_gzip, matches_etag, read_ranges


@pytest.mark.parametrize("header", ['"1-a"', 'W/"1-a"', '"x", "1-a"', '"x",W/"1-a"'])
def test_an_etag_matches_in_lists_and_weakly(header):
    assert matches_etag(header, '"1-a"')


@pytest.mark.parametrize("header", [None, "", "*", "1-a", '"1-b"', '"1-a'])
def test_an_etag_does_not_match_bare_or_by_a_star(header):
    assert not matches_etag(header, '"1-a"')


def test_qualities_of_accept_are_not_looked_at():
    assert accepted_types("multipart/related;q=0.5, Application/JSON ,") == ["multipart/related", "application/json"]
    assert accepted_types(None) == ["*/*"]
    assert accepted_types("") == []


@pytest.mark.parametrize(
    ("header", "accepted"),
    [
        (None, False),
        ("identity", False),
        ("gzip", True),
        ("deflate, gzip;q=1.0", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("*", True),
    ],
)
def test_gzip_is_sent_only_where_it_is_asked_for(header, accepted):
    assert accepts_gzip(header) is accepted


@pytest.mark.parametrize(
    ("header", "ranges"),
    [
        (None, None),
        ("bytes=0-4", [(0, 4)]),
        ("bytes=5-", [(5, 19)]),
        ("bytes=-3", [(17, 19)]),
        ("bytes=0-100", [(0, 19)]),
        ("bytes=-100", [(1, 19)]),
        ("bytes=-20", [(0, 19)]),
        ("bytes=0-20", [(0, 19)]),
        ("bytes=0-1, 4-5,-2", [(0, 1), (4, 5), (18, 19)]),
        ("bytes=", []),
        ("bytes=0-", None),
        ("bytes=-", None),
        ("bytes=x-y", None),
        ("chars=0-4", None),
        ("bytes", None),
        ("bytes=" + "9" * 50 + "-", None),
        ("bytes=" + ",".join(["0-0"] * 9), [(0, 0)] * 9),
        ("bytes=" + ",".join(["0-0"] * 10), None),
    ],
)
def test_ranges_of_twenty_bytes(header, ranges):
    assert read_ranges(header, 20) == ranges


@pytest.mark.parametrize("header", ["bytes=20-", "bytes=5-2", "bytes=-0", "bytes=--1", "bytes=0-1,50-60", "bytes=1--5"])
def test_ranges_outside_the_content_are_refused(header):
    with pytest.raises(RangeNotSatisfiable):
        read_ranges(header, 20)


def test_no_range_of_nothing_can_be_had():
    with pytest.raises(RangeNotSatisfiable):
        read_ranges("bytes=0-3", 0)


@given(st.text(alphabet="0123456789-, "), st.integers(0, 30))
def test_ranges_lie_within_the_content(listed, length):
    try:
        ranges = read_ranges("bytes=" + listed, length)
    except RangeNotSatisfiable:
        return
    assert all(0 <= first <= last < length for first, last in ranges or [])
