"""Mango indexes in design documents, their names and their rows."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from couchette.index.mango import ALL_DOCS, FieldMapper, MangoIndex, index_view, mango_group, mango_indexes
from couchette.index.mango_name import index_name


def ddoc(**views):
    return {"_id": "_design/x", "language": "query", "views": views}


def view(fields, partial=None):
    return {"map": {"fields": fields, "partial_filter_selector": partial or {}}, "options": {"def": {}}}


def test_an_index_is_read_back_from_its_view():
    index = MangoIndex("_design/x", "i", (("a", "asc"), ("b.c", "asc")), {"t": {"$eq": 1}})
    assert mango_indexes(ddoc(i=index_view(index, {"fields": ["a", "b.c"]}))) == [index]
    assert index.columns == ("a", "b.c")
    assert index.as_json()["def"] == {
        "fields": [{"a": "asc"}, {"b.c": "asc"}],
        "partial_filter_selector": {"t": {"$eq": 1}},
    }
    assert ALL_DOCS.as_json()["def"] == {"fields": [{"_id": "asc"}]}


@pytest.mark.parametrize(
    "doc",
    [
        {"_id": "_design/x"},
        {"_id": "_design/x", "language": "query"},
        {"_id": "_design/x", "language": "javascript", "views": {"i": view({"a": "asc"})}},
        ddoc(i=5),
        ddoc(i={"map": "function(doc) {}", "options": {}}),
        ddoc(i={"map": {"fields": {"a": "asc"}}}),
        ddoc(i=view({})),
        ddoc(i=view({"a..b": "asc"})),
        ddoc(i=view({"a": 1})),
        ddoc(i=view({"a": "asc"}, {"a": {"$nope": 1}})),
    ],
)
def test_what_is_no_index_is_passed_over(doc):
    assert mango_indexes(doc) == []


def test_a_document_is_in_an_index_when_it_has_all_fields():
    indexes = mango_indexes(ddoc(one=view({"a": "asc", "b.c": "asc"}), two=view({"a": "asc"}, {"a": {"$gt": 1}})))
    docs: list[dict[str, Any]] = [
        {"_id": "1", "a": 1, "b": {"c": None}},
        {"_id": "2", "a": 2},
        {"_id": "3", "b": {"c": 1}},
        {"_id": "4", "a": 3, "b": 5},
        {"_id": "_design/y", "a": 5, "b": {"c": 1}},
    ]
    mapper = FieldMapper(indexes)
    assert mapper.map(docs) == [
        [[([1, None], None)], []],
        [[], [([2], None)]],
        [[], []],
        [[], [([3], None)]],
        [[], []],
    ]
    mapper.close()
    assert len(mango_group(indexes).views) == 2


def test_a_generated_name_is_couchdbs():
    """CouchDB's documentation shows one that was made by an older Erlang, which wrote atoms in another way."""
    term = b"\x83" + index_term()
    older = term.replace(b"w\x04ddoc", b"d\x00\x04ddoc").replace(b"w\x09auto_name", b"d\x00\x09auto_name")
    for atom in (b"def", b"name", b"type", b"w"):
        older = older.replace(b"w" + bytes([len(atom)]) + atom, b"d\x00" + bytes([len(atom)]) + atom)
    partitioned = b"h\x02w\x0bpartitionedw\x0adb_default"
    older = older.replace(partitioned, b"").replace(b"l\x00\x00\x00\x06", b"l\x00\x00\x00\x05")
    assert hashlib.sha1(older, usedforsecurity=False).hexdigest() == "a5f4711fc9448864a13c81dc71e660b524d7410c"
    assert hashlib.sha1(term, usedforsecurity=False).hexdigest() == index_name(
        {"fields": ["foo"]}, ddoc=None, name="foo-index", type="json", w=2, partitioned=None
    )


def index_term():
    """The term of that index, written out."""
    definition = b"h\x01l\x00\x00\x00\x01h\x02m\x00\x00\x00\x06fieldsl\x00\x00\x00\x01m\x00\x00\x00\x03foojj"
    options = [
        b"h\x02w\x04ddocw\x09auto_name",
        b"h\x02w\x03def" + definition,
        b"h\x02w\x04namem\x00\x00\x00\x09foo-index",
        b"h\x02w\x0bpartitionedw\x0adb_default",
        b"h\x02w\x04typem\x00\x00\x00\x04json",
        b"h\x02w\x01wa\x02",
    ]
    return b"h\x02" + definition + b"l\x00\x00\x00\x06" + b"".join(options) + b"j"


def test_every_json_value_has_a_term():
    names = {
        index_name({"fields": ["a"], "x": value}, ddoc="d", name="n", type="json", w=2, partitioned=False)
        for value in (
            None,
            True,
            False,
            0,
            255,
            256,
            -1,
            2**31,
            -(2**40),
            2**63,
            1.5,
            "é",
            [],
            [1, 2],
            [1, 300],
            {},
            {"a": [{}]},
        )
    }
    assert len(names) == 17
