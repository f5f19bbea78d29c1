"""Document ids: which are taken, and how new ones are made."""

from __future__ import annotations

import pytest

from couchette.document.docid import check_id, new_id
from couchette.errors import BadRequest, IllegalDocId


@pytest.mark.parametrize(
    "id",
    ["a", " ", "a/b", "a b", "é", "\U0001f600", "a\0b", "_design/x", "_design/é/y", "_local/x", "x_", "a" * 10_000],
)
def test_any_text_that_begins_with_no_underscore_is_an_id(id):
    assert check_id(id) == id


@pytest.mark.parametrize("id", ["_", "_x", "_Design/x", "_design", "_design/", "_localx"])
def test_only_design_and_local_ids_begin_with_an_underscore(id):
    with pytest.raises(IllegalDocId, match="Only reserved document ids may start with underscore.") as caught:
        check_id(id)
    assert (caught.value.status, caught.value.error) == (400, "illegal_docid")
    assert repr(id) in caught.value.hint


@pytest.mark.parametrize("id", ["_local", "_local/"])
def test_a_local_id_needs_a_name(id):
    with pytest.raises(BadRequest, match="Invalid _local document id.") as caught:
        check_id(id)
    assert caught.value.error == "bad_request"


@pytest.mark.parametrize("id", [None, 1, 1.0, True, b"a", ["a"], {}])
def test_an_id_is_a_string(id):
    with pytest.raises(IllegalDocId, match="Document id must be a string") as caught:
        check_id(id)
    assert repr(id) in caught.value.hint


def test_an_empty_id_and_one_with_a_lone_surrogate_are_refused():
    with pytest.raises(IllegalDocId, match="must not be empty"):
        check_id("")
    with pytest.raises(IllegalDocId, match="valid UTF-8"):
        check_id("a\ud800")


def test_new_ids_sort_in_the_order_in_which_they_were_made():
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert len(set(ids)) == len(ids)


def test_a_new_id_is_a_uuid_of_version_7_as_32_hex_digits():
    id = new_id()
    assert len(id) == 32
    assert set(id) <= set("0123456789abcdef")
    assert id[12] == "7"
    assert id[16] in "89ab"
