"""Revisions: their text and order, and that new ones are those of CouchDB."""

from __future__ import annotations

import base64
import enum
import hashlib
import json
import math
import struct
import uuid
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import jsonio
from couchette.document import terms
from couchette.document.revision import (
    new_rev,
    new_revs,
    normal_rev,
    pack_path,
    pack_paths,
    parse_rev,
    rev_key,
    unpack_path,
)
from couchette.errors import BadRequest, InvalidRev
from couchette.limits import ALIKE_DOCS_MIN, ALIKE_NESTING_MAX, JSON_NESTING_MAX, REV_KEY_CHARS_CACHED, REV_KEYS_CACHED

A, B = "0123456789abcdef" * 2, "f" * 32
COMPRESSED = ("application/javascript", "application/json", "application/xml")

texts = st.text(max_size=8)
integers = st.integers(-300, 300) | st.integers(-(1 << 33), 1 << 33) | st.integers(-(1 << 90), 1 << 90)
arrays = st.lists(st.integers(-1, 256)) | st.lists(st.integers(0, 255)) | st.lists(st.integers(0, 1) | st.booleans())
any_values = st.recursive(
    st.none() | st.booleans() | integers | st.floats(allow_nan=False, allow_infinity=False) | texts | arrays,
    lambda inner: st.lists(inner) | st.lists(inner).map(tuple) | st.dictionaries(texts, inner),
    max_leaves=8,
)
ids = st.text("0123456789abcdef", min_size=32, max_size=32)


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    SMALL = 1


def ordered(pairs):
    """A dict as CouchDB keeps it: a repeated key has its last value at its last position."""
    fields: dict[str, Any] = {}
    for key, value in pairs:
        fields.pop(key, None)
        fields[key] = value
    return fields


VECTORS = json.loads(Path(__file__).with_name("revisions.json").read_text(), object_pairs_hook=ordered)
"""[parent or null, document as sent, revision] as a CouchDB 3.5.0 answered them."""


def stored(content_type, data):
    """What CouchDB stores of an attachment: gzip of level 8 when the type compresses well."""
    if not content_type.startswith("text/") and content_type not in COMPRESSED:
        return data
    gzip = zlib.compressobj(8, zlib.DEFLATED, 31)
    return gzip.compress(data) + gzip.flush()


def attachment(name, sent):
    content_type = sent.get("content_type", "application/octet-stream")
    return name, content_type, hashlib.md5(stored(content_type, base64.b64decode(sent["data"]))).digest()


class TestNewRev:
    @pytest.mark.parametrize(("parent", "doc", "rev"), VECTORS, ids=lambda value: json.dumps(value)[:40])
    def test_is_couchdbs(self, parent, doc, rev):
        fields = {key: value for key, value in doc.items() if not key.startswith("_")}
        sent = doc.get("_attachments", {})
        before: dict[str, Any] = next((one for _, one, known in VECTORS if known == parent), {})
        kept = before.get("_attachments", {})
        listed = [attachment(name, kept[name] if "stub" in one else one) for name, one in sent.items()]
        assert rev == new_rev(fields, parent=parent, deleted=doc.get("_deleted", False), attachments=listed[::-1])

    @pytest.mark.parametrize(
        ("fields", "parent", "rev"),
        [
            ({"n": 1}, "1-a", "2-33c3d021b5fc307fcd78072c164d2d98"),
            ({"n": 1}, "1-", "2-ac83f19a66cbf10cfb5a7b1cf3b3a817"),
            ({"_access": [], "n": 1}, None, "1-4aa09bb22ce6095f023050b35dc52502"),
            ({"a": {"_foo": 1, "_id": "x"}}, None, "1-6a87cda0e75e583443aacd6e8c818041"),
        ],
    )
    def test_is_couchdbs_for_odd_parents_and_names(self, fields, parent, rev):
        assert new_rev(fields, parent=parent) == rev

    def test_depends_on_the_order_of_attachments(self):
        one, two = ("a.txt", "text/plain", b"1" * 16), ("b.png", "image/png", b"2" * 16)
        assert new_rev({}, attachments=[one, two]) != new_rev({}, attachments=[two, one])

    def test_does_not_take_true_for_one_nor_false_for_zero(self):
        revs = {new_rev({"a": value}) for value in (True, 1, 1.0, [True], [1], False, 0, 0.0, -0.0, [0], [False], None)}
        assert len(revs) == 12

    @pytest.mark.parametrize(("size", "tag"), [(0xFFFF, b"k\xff\xff"), (0x10000, b"l\x00\x01\x00\x00a\x07a\x07")])
    def test_takes_an_array_of_bytes_for_a_string_while_its_length_fits(self, size, tag):
        value = [7] * size
        assert tag in term(value)[:16]
        assert new_rev({"a": value}) == slow_rev({"a": value})

    @given(
        st.dictionaries(texts, any_values, max_size=5),
        st.none() | st.builds("{}-{}".format, st.integers(0, 1 << 40), ids | st.text("abc-é", max_size=12)),
        st.booleans(),
        st.lists(st.tuples(texts, texts, st.binary(min_size=16, max_size=16)), max_size=3),
    )
    def test_is_the_md5_of_the_term_written_plainly(self, fields, parent, deleted, attachments):
        given = {"parent": parent, "deleted": deleted, "attachments": attachments}
        assert new_rev(fields, **given) == slow_rev(fields, **given)

    @pytest.mark.parametrize("size", [254, 255, 256, 257, 65535, 65536])
    def test_is_right_on_both_sides_of_each_table(self, size):
        fields = {"text": "x" * size, "accents": "é" * (size // 2), "array": ["x"] * size, "n": size, "minus": -size}
        wide = {str(number): number for number in range(size)} if size < 300 else {}
        assert new_rev(fields | {"wide": wide}) == slow_rev(fields | {"wide": wide})
        assert new_rev(wide) == slow_rev(wide)

    @pytest.mark.parametrize("bits", [7, 8, 31, 32, 63, 64, 2039, 2040, 2041, 4000])
    def test_is_right_on_both_sides_of_each_size_of_integer(self, bits):
        fields = {"n": [number * sign for number in ((1 << bits) - 1, 1 << bits, (1 << bits) + 1) for sign in (1, -1)]}
        assert new_rev(fields) == slow_rev(fields)

    def test_knows_more_names_than_it_keeps(self):
        names = {f"name {number}": number for number in range(REV_KEYS_CACHED + 10)}
        fields = {"long" * REV_KEY_CHARS_CACHED: 1, **names, "again": [names]}
        assert new_rev(fields) == slow_rev(fields) == new_rev(fields)
        assert len(terms._keys) <= REV_KEYS_CACHED + 2

    def test_reaches_the_deepest_document_and_refuses_a_deeper_one(self):
        fields = {"a": deep(JSON_NESTING_MAX - 1)}
        jsonio.dumps(fields)
        new_rev(fields)
        with pytest.raises(BadRequest, match="nests deeper than 1000 levels"):
            new_rev({"a": deep(JSON_NESTING_MAX)})

    @pytest.mark.parametrize(
        ("fields", "hint"),
        [
            ({"a": {"b": [1, math.nan]}}, "a.b[1] is nan"),
            ({"a": math.inf}, "a is inf"),
            ({"a": "\ud800"}, "a has a lone surrogate"),
            ({"\ud800": 1}, "has a lone surrogate"),
            ({"a": {1: 2}}, "a has the key 1, of type int"),
            ({"a": [uuid.UUID(int=1)]}, "a[0] is of type UUID"),
            ({"a": Colour.RED}, "a is of type Colour, which JSON cannot hold. Store its value."),
            ({"a": [1, Size.SMALL]}, "a[1] is of type Size"),
            ({"a": {1, 2}}, "a is of type set"),
        ],
    )
    def test_refuses_what_json_cannot_hold_by_its_path(self, fields, hint):
        with pytest.raises(BadRequest) as caught:
            new_rev(fields)
        assert hint in caught.value.hint

    def test_refuses_an_attachment_name_that_is_not_utf8(self):
        with pytest.raises(BadRequest, match="has a lone surrogate"):
            new_rev({}, attachments=[("\ud800", "text/plain", b"")])


def deep(levels):
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def alike(values):
    """Values of one kind and shape, as the members of documents of one type are."""
    return st.lists(values, min_size=1, max_size=5)


def shaped(inner):
    """Columns of arrays and objects of one shape, of columns of values."""
    arrays = st.lists(inner, max_size=3).map(lambda columns: [list(row) for row in turned(columns)])
    objects = st.dictionaries(texts, inner, max_size=3).map(
        lambda members: [dict(zip(members, row, strict=True)) for row in turned(members.values())]
    )
    return arrays | objects


def turned(columns):
    """As many rows as the longest column has values; shorter ones begin again."""
    return [[column[row % len(column)] for column in columns] for row in range(max(map(len, columns), default=1))]


columns = (
    st.recursive(
        *(
            alike(texts) | alike(st.text(min_size=250, max_size=260)) | alike(integers) | alike(st.integers(0, 300)),
            lambda inner: shaped(inner) | alike(any_values),
        ),
        max_leaves=6,
    )
    | alike(st.floats(allow_nan=False, allow_infinity=False))
    | alike(st.booleans())
    | alike(st.none() | texts)
)


class TestNewRevs:
    @given(
        st.dictionaries(texts, columns, max_size=4), st.booleans(), st.none() | ids | st.just("x"), st.integers(1, 3)
    )
    def test_are_those_of_each_body(self, members, mixed, parent, every):
        bodies = [dict(zip(members, row, strict=True)) for row in turned(members.values())]
        if mixed:
            bodies = [body for body in bodies for body in (body, {**body, "another": 1})]
        bodies = (bodies * ALIKE_DOCS_MIN)[: max(len(bodies), 2 * ALIKE_DOCS_MIN)]
        parents = [
            None if parent is None or index % every else f"{index % 20 + 1}-{parent}" for index in range(len(bodies))
        ]
        assert new_revs(bodies, parents) == [
            new_rev(body, parent=parent) for body, parent in zip(bodies, parents, strict=True)
        ]

    @pytest.mark.parametrize("levels", [1, ALIKE_NESTING_MAX, ALIKE_NESTING_MAX + 2, JSON_NESTING_MAX - 1])
    def test_of_nested_bodies_are_those_of_each(self, levels):
        bodies = [{"a": {"b": deep(levels - 1) if levels > 1 else number}} for number in range(ALIKE_DOCS_MIN)]
        assert new_revs(bodies, [None] * len(bodies)) == list(map(new_rev, bodies))

    @pytest.mark.parametrize(
        ("value", "hint"),
        [
            (math.nan, "a is nan"),
            ("\ud800", "a has a lone surrogate"),
            ({1: 2}, "a has the key 1, of type int"),
            ([[1, Size.SMALL]], "a[0][1] is of type Size"),
            (deep(JSON_NESTING_MAX), ""),
        ],
    )
    @pytest.mark.parametrize("others", [0.5, "text", None, {"b": 1}, [[1, 2]], [[2.5, 1]]])
    def test_refuse_one_bad_value_among_good_ones(self, value, hint, others):
        bodies: list[dict[str, Any]] = [{"a": others} for _ in range(ALIKE_DOCS_MIN)]
        bodies[7] = {"a": value}
        with pytest.raises(BadRequest) as caught:
            new_revs(bodies, [None] * len(bodies))
        assert hint in caught.value.hint

    def test_of_nothing_are_none(self):
        assert new_revs([], []) == []


class TestText:
    @pytest.mark.parametrize(
        ("text", "parsed"),
        [
            (f"1-{A}", (1, A)),
            (f"12-{A.upper()}", (12, A)),
            ("01-abc", (1, "abc")),
            ("+1-abc", (1, "abc")),
            ("0-abc", (0, "abc")),
            ("1-", (1, "")),
            ("1-a-b", (1, "a-b")),
            ("1-Käfer", (1, "Käfer")),
            ("1-ABC", (1, "ABC")),
            ("1-abcdefghijklmnop", (1, b"abcdefghijklmnop".hex())),
            ("1-" + "é" * 8, (1, ("é" * 8).encode().hex())),
            ("1-" + "g" * 31, (1, "g" * 31)),
            ("1-" + "é" * 32, (1, "é" * 32)),
        ],
    )
    def test_is_normalised_as_couchdb_does(self, text, parsed):
        assert parse_rev(text) == parsed
        assert normal_rev(text) == "{}-{}".format(*parsed)
        assert normal_rev(normal_rev(text)) == normal_rev(text)

    @pytest.mark.parametrize(
        "text",
        [
            *("", "abc", "x-abc", "-1-abc", " 1-abc", "1 -abc", "-", "a-b", "1_0-abc", "١-abc", "1.0-abc", "\n1-abc"),
            *("1-" + "g" * 32, "1-" + "é" * 16, f"1-{A[:31]}\n", f"1- {A[1:]}", "1-\ud800", "9" * 5000 + "-abc"),
            *(None, 1, ["1-abc"], b"1-abc"),
        ],
    )
    def test_that_couchdb_refuses_is_refused_in_its_words(self, text):
        for read in (parse_rev, normal_rev):
            with pytest.raises(InvalidRev) as caught:
                read(text)
            assert caught.value.as_json() == {"error": "bad_request", "reason": "Invalid rev format"}

    @given(st.integers(0, 10**20), ids | texts.filter(lambda id: len(id.encode()) not in (16, 32)))
    def test_is_what_was_parsed(self, number, id):
        text = f"{number}-{id}"
        assert parse_rev(text) == (number, id)
        assert normal_rev(text) == text

    @given(st.integers(0, 3), st.text("abcABC09é-", max_size=40))
    def test_has_one_normal_form(self, number, id):
        try:
            pos, parsed = parse_rev(f"{number}-{id}")
        except InvalidRev:
            assert len(id.encode()) == 32
        else:
            assert normal_rev(f"0{number}-{id}") == normal_rev(f"{number}-{id}") == f"{pos}-{parsed}"
            assert parse_rev(f"{pos}-{parsed}") == (pos, parsed)


class TestOrder:
    def test_is_that_of_the_ids_bytes_as_couchdb_showed_it(self):
        best_first = [f"1-{B}", "1-zzz", "1-" + "7" * 32, "1-abc", "1-" + "61" * 16, "1-" + "0" * 32]
        assert sorted(best_first, key=rev_key, reverse=True) == best_first

    def test_counts_numbers_before_ids(self):
        assert sorted([f"10-{A}", f"9-{B}", "2-z", "1-"], key=rev_key) == ["1-", "2-z", f"9-{B}", f"10-{A}"]

    @given(ids, ids)
    def test_of_hex_ids_is_that_of_their_text(self, one, two):
        assert (rev_key(f"1-{one}") < rev_key(f"1-{two}")) == (one < two)


class TestPackedPath:
    @given(st.lists(ids))
    def test_is_unpacked_to_the_same_ids(self, path):
        blob = pack_path(path)
        assert blob is not None
        assert len(blob) == 16 * len(path)
        assert unpack_path(blob) == path

    @given(st.lists(st.lists(ids | st.sampled_from(["abc", A.upper(), A + "0", A[1:]]), max_size=3), max_size=3))
    def test_of_many_is_that_of_each(self, paths):
        packed = [pack_path(path) for path in paths]
        assert pack_paths(paths) == (None if None in packed else packed)

    @pytest.mark.parametrize(
        "path",
        [
            *(["abc"], [A, "abc"], [A.upper()], [A, ""], ["é" * 32], ["\ud800" * 32], [" " + A[1:]], ["g" * 32]),
            *([A[:31], A + "0"], [A[:30] + "  "], [A + "  ", A[:30]], [A + A]),
        ],
    )
    def test_holds_nothing_but_lowercase_hex_ids(self, path):
        assert pack_path(path) is None


def slow_rev(fields, *, parent=None, deleted=False, attachments=()):
    """`new_rev` once more: one recursive function that follows Erlang's description of the format."""
    number: str = "0"
    id: int | bytes = 0
    if parent:
        number, _, text = parent.partition("-")
        id = bytes.fromhex(text) if len(text.encode()) == 32 else text.encode()
    files = [(name.encode(), content_type.encode(), digest) for name, content_type, digest in attachments]
    whole = b"\x83l\0\0\0\x05" + b"".join(map(term, (deleted, int(number), id, fields, files))) + b"j"
    return f"{int(number) + 1}-{hashlib.md5(whole).hexdigest()}"


def test_nothing_follows_the_greatest_number():
    assert new_rev({}, parent=f"{2**63 - 2}-{'a' * 32}").startswith(f"{2**63 - 1}-")
    with pytest.raises(InvalidRev, match="Invalid rev format"):
        new_rev({}, parent=f"{2**63 - 1}-{'a' * 32}")


def term(value):
    """The Erlang term of a JSON value; a tuple of bytes is a tuple, and bytes are themselves."""
    match value:
        case True | False | None:
            atom = {True: b"true", False: b"false", None: b"null"}[value]
            return b"d" + len(atom).to_bytes(2, "big") + atom
        case float():
            return b"F" + struct.pack(">d", value)
        case int() if 0 <= value <= 255:
            return b"a" + value.to_bytes(1, "big")
        case int() if -(1 << 31) <= value < 1 << 31:
            return b"b" + value.to_bytes(4, "big", signed=True)
        case int():
            digits = bytearray()
            rest = abs(value)
            while rest:
                digits.append(rest & 255)
                rest >>= 8
            size = b"n" + bytes([len(digits)]) if len(digits) < 256 else b"o" + len(digits).to_bytes(4, "big")
            return size + (b"\1" if value < 0 else b"\0") + bytes(digits)
        case str():
            return term(value.encode())
        case bytes():
            return b"m" + len(value).to_bytes(4, "big") + value
        case dict():
            return b"h\1" + listed([b"h\2" + term(key) + term(member) for key, member in value.items()])
        case (bytes(), bytes(), bytes()):
            return b"h\3" + b"".join(map(term, value))
        case [*members] if 0 < len(members) < 65536 and all(type(one) is int and 0 <= one < 256 for one in members):
            return b"k" + len(members).to_bytes(2, "big") + bytes(members)
        case [*members]:
            return listed([term(member) for member in members])
    raise AssertionError(value)


def listed(terms):
    return b"l" + len(terms).to_bytes(4, "big") + b"".join(terms) + b"j" if terms else b"j"
