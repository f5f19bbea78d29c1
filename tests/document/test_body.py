"""Documents taken apart: the body, the members that steer the write, and what is refused."""

from __future__ import annotations

import math
import types
import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from couchette.document.attachment import Stub
from couchette.document.body import decode_body, encode_body, plain_bodies, plain_body, split
from couchette.errors import BadRequest, CouchetteError, DocValidation, IllegalDocId, InvalidRev, TooLarge

HEX = "0123456789abcdef0123456789abcdef"


def test_the_body_is_every_member_without_an_underscore_in_the_order_given():
    draft = split({"z": 1, "_id": "a", "b": {"_x": 1}, "_rev": f"2-{HEX}", "a": []})
    assert draft.id == "a"
    assert draft.body == b'{"z":1,"b":{"_x":1},"a":[]}'
    assert list(draft.fields) == ["z", "b", "a"]


def test_the_document_is_not_changed():
    doc = {"_id": "a", "_rev": "1-a", "_conflicts": [], "x": 1, "_attachments": {"a": {"data": ""}}}
    copy = dict(doc)
    split(doc)
    assert doc == copy


def test_any_mapping_is_a_document():
    assert split(types.MappingProxyType({"_id": "a", "x": 1})).body == b'{"x":1}'


@pytest.mark.parametrize("doc", [None, 1, "{}", b"{}", [], [{}], True])
def test_anything_else_is_not(doc):
    with pytest.raises(BadRequest, match="Document must be a JSON object") as caught:
        split(doc)
    assert type(doc).__name__ in caught.value.hint


def test_members_that_a_read_adds_are_dropped():
    read = {"_revs_info": [], "_local_seq": 1, "_conflicts": [], "_deleted_conflicts": []}
    draft = split({"a": 1, **read})
    assert (draft.body, draft.fields) == (b'{"a":1}', {"a": 1})


def test_access_and_replication_members_are_stored():
    draft = split({"_access": ["x"], "_replication_state": "done"})
    assert draft.body == b'{"_access":["x"],"_replication_state":"done"}'


@pytest.mark.parametrize("name", ["_", "_foo", "_Id", "_rev_", "_replicationx", "_é"])
def test_any_other_underscore_member_is_refused(name):
    with pytest.raises(DocValidation, match=f"Bad special document member: {name}") as caught:
        split({"_id": "a", name: 1})
    assert (caught.value.status, caught.value.error) == (400, "doc_validation")


@pytest.mark.parametrize("given", [None, 0, 1, "true", []])
def test_deleted_is_a_bool(given):
    with pytest.raises(DocValidation, match="_deleted"):
        split({"_deleted": given})


def test_a_deleted_document_keeps_its_body():
    draft = split({"_deleted": True, "why": "gone"})
    assert draft.deleted
    assert draft.body == b'{"why":"gone"}'


@pytest.mark.parametrize(
    ("rev", "start", "ids"),
    [
        ("1-abc", 1, ["abc"]),
        ("01-abc", 1, ["abc"]),
        (f"3-{HEX.upper()}", 3, [HEX]),
        ("1-", 1, [""]),
        ("1-a-b", 1, ["a-b"]),
    ],
)
def test_rev_is_normalised(rev, start, ids):
    draft = split({"_rev": rev})
    assert (draft.start, list(draft.ids)) == (start, ids)


@pytest.mark.parametrize(
    "rev", ["", "abc", "x-abc", "-1-abc", " 1-a", f"1-{'g' * 32}", 5, None, [], "1-\ud800", f"{2**63}-a"]
)
def test_a_malformed_rev_is_refused(rev):
    with pytest.raises(InvalidRev, match="Invalid rev format"):
        split({"_rev": rev})


def test_revisions_name_the_history_and_win_over_rev():
    draft = split({"_rev": "9-z", "_revisions": {"start": 3, "ids": ["c", HEX.upper(), "a"]}})
    assert draft.path() == ["3-c", f"2-{HEX}", "1-a"]


def test_revisions_without_ids_leave_rev_alone():
    assert split({"_rev": "2-b", "_revisions": {"start": 0, "ids": []}}).path() == ["2-b"]


def test_revisions_end_at_the_first():
    assert split({"_revisions": {"start": 2, "ids": ["c", "b", "a"]}}).path() == ["2-c", "1-b"]


@pytest.mark.parametrize(
    ("member", "kind"),
    [
        (None, DocValidation),
        ([], DocValidation),
        ({}, DocValidation),
        ({"start": "1", "ids": ["a"]}, DocValidation),
        ({"start": True, "ids": ["a"]}, DocValidation),
        ({"start": 1, "ids": "a"}, DocValidation),
        ({"start": 1, "ids": [1]}, DocValidation),
        ({"start": 2, "ids": ["a", None]}, DocValidation),
        ({"start": 1, "ids": ["g" * 32]}, InvalidRev),
        ({"start": -1, "ids": ["a"]}, InvalidRev),
        ({"start": -5, "ids": [HEX] * 6}, InvalidRev),
        ({"start": 2**63, "ids": ["a"]}, InvalidRev),
        ({"start": 10**5000, "ids": ["a"]}, InvalidRev),
    ],
)
def test_malformed_revisions_are_refused(member, kind):
    with pytest.raises(kind) as caught:
        split({"_id": "a", "_revisions": member})
    assert caught.value.status == 400


def test_attachments_are_parsed_and_none_where_there_are_none():
    assert split({"_attachments": {"a": {"stub": True}}}).attachments == [Stub("a", None)]
    assert split({"_attachments": {}}).attachments is None
    assert split({}).attachments is None


@pytest.mark.parametrize("given", [None, [], "x", 5])
def test_attachments_are_an_object(given):
    with pytest.raises(DocValidation, match="_attachments"):
        split({"_attachments": given})


@pytest.mark.parametrize(
    "value",
    [float("nan"), float("inf"), "\ud800", {"\ud800": 1}, {1: 2}, {None: 1}, b"x", {1, 2}, object, 1j],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused(value):
    with pytest.raises(BadRequest) as caught:
        split({"_id": "a", "x": {"y": [value]}})
    assert caught.value.hint


@pytest.mark.parametrize("key", [1, None, True, b"x", ("a",), "\ud800"])
def test_names_of_members_are_strings(key):
    with pytest.raises(BadRequest):
        split({"_id": "a", key: 1})


@pytest.mark.parametrize("levels", [2000, 200_000])
def test_too_deep_nesting_is_refused(levels):
    deep: list = []
    for _ in range(levels):
        deep = [deep]
    with pytest.raises(BadRequest):
        split({"_id": "a", "x": deep})


def test_an_oversized_document_is_refused_by_its_bytes(monkeypatch):
    monkeypatch.setattr("couchette.document.body.DOC_BYTES_MAX", 100)
    assert split({"_id": "a", "x": "y" * 92})
    for doc in ({"_id": "a", "x": "y" * 93}, {"_id": "a", "x": "é" * 50}, {"_id": "a", "x": "é" * 40, "n": 2**70}):
        with pytest.raises(TooLarge, match="a") as caught:
            split(doc)
        assert (caught.value.status, caught.value.error) == (413, "document_too_large")


@pytest.mark.parametrize("id", [None, "", "_x", 5, "\ud800"])
def test_a_bad_id_is_refused(id):
    with pytest.raises(IllegalDocId):
        split({"_id": id})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@pytest.mark.slow
@given(st.dictionaries(st.text().filter(lambda name: not name.startswith("_")), json_values))
def test_a_body_is_read_back_exactly(fields):
    body = encode_body(fields)
    again = decode_body(body)
    assert again == fields
    assert list(again) == list(fields)
    assert repr(again) == repr(fields)


@given(json_values)
def test_split_takes_every_json_object_or_refuses_it_as_ours(value):
    try:
        draft = split(value)
    except CouchetteError as error:
        refused = error
    else:
        assert decode_body(draft.body) == draft.fields
        return
    assert 400 <= refused.status < 500


json_values = st.none() | st.booleans() | st.floats() | st.sampled_from(["null", '"_', "_", "a", uuid.UUID(int=5)])
usual_members = st.dictionaries(
    st.sampled_from(["a", "b", "null", "_x", "a_b"]), json_values | st.lists(json_values, max_size=2), max_size=3
)


@given(st.lists(usual_members, min_size=1, max_size=4), st.booleans())
@example([{"a": None, "b": math.nan}, {"a": "null"}], False)
@example([{"a": None}, {"a": 1}], False)
def test_many_plain_bodies_are_those_of_each(documents, hashed):
    each = [plain_body(fields, hashed=hashed) for fields in documents]
    assert plain_bodies(documents, hashed=hashed) in ([None] if None in each else [each])
