"""Paths are taken apart as CouchDB takes them apart."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest, IllegalDatabaseName, IllegalDocId
from couchette.wire import names


@given(st.text())
def test_quoting_is_undone_by_unquoting(text):
    assert names.unquote(names.quote(text).encode()).decode() == text


@given(st.text())
def test_a_quoted_name_is_one_segment(text):
    assert names.split_path(b"/db/" + names.quote(text).encode()) == [
        b"db",
        *([names.quote(text).encode()] if text else []),
    ]


@given(st.binary())
def test_any_bytes_can_be_unquoted(data):
    assert len(names.unquote(data)) == len(data) - 2 * len(re.findall(rb"%[0-9a-fA-F]{2}", data))


def test_a_plus_in_a_path_is_a_space_and_an_escaped_one_a_plus():
    assert names.unquote(b"a+b%2Bc") == b"a b+c"


def test_a_percent_sign_that_begins_no_escape_stays():
    assert names.unquote(b"100%&%zz%4") == b"100%&%zz%4"


def test_an_escaped_slash_does_not_split_and_empty_segments_are_dropped():
    assert names.split_path(b"//db/a%2Fb//c%2fd/") == [b"db", b"a%2Fb", b"c%2fd"]


def test_almost_all_punctuation_is_escaped():
    assert names.quote("a~b!*'()-_. é") == "a%7Eb%21%2A%27%28%29-_.%20%C3%A9"


@pytest.mark.parametrize("name", ["a", "a_$()+-/1", "x" * 237])
def test_database_names_that_couchdb_takes(name):
    assert names.check_database_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "1a", "_a", "a b", "a.b", "é", "a\n", "a\0b", "-a", "/a"])
def test_database_names_that_couchdb_refuses(name):
    with pytest.raises(IllegalDatabaseName, match="Only lowercase characters"):
        names.check_database_name(name)


def test_a_database_name_that_is_too_long_has_an_error_of_its_own():
    with pytest.raises(IllegalDatabaseName, match="238 characters, 237 are allowed") as caught:
        names.check_database_name("x" * 238)
    assert caught.value.error == "database_name_too_long"


def test_ids_and_attachment_names_must_be_utf8():
    assert names.decode_id("é".encode()) == "é"
    assert names.decode_attachment_name([b"a", "é".encode()]) == "a/é"
    with pytest.raises(IllegalDocId, match="must be valid UTF-8"):
        names.decode_id(b"\xff")
    with pytest.raises(BadRequest, match="Attachment name is not UTF-8 encoded"):
        names.decode_attachment_name([b"a", b"\xff"])
