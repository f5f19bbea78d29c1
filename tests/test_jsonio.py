"""JSON in and out: what is kept exactly, what is refused and with which words."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import uuid

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import jsonio
from couchette.errors import BadRequest
from couchette.limits import JSON_NESTING_MAX, JSON_NESTING_READ_MAX

atoms = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    atoms, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner), max_leaves=10
)


@dataclasses.dataclass
class Point:
    x: int = 1


class Name(str):
    pass


class Count(int):
    pass


class Ratio(float):
    pass


class Bag(dict):
    pass


class Row(list):
    pass


class Colour(enum.Enum):
    RED = "red"


class NoNumber(enum.Enum):
    NAN = math.nan


def nested(levels, inner=b""):
    return b"[" * levels + inner + b"]" * levels


def deep(levels):
    value: list[object] = []
    for _ in range(levels - 1):
        value = [value]
    return value


@given(json_values)
def test_what_is_written_is_read_back(value):
    again = jsonio.loads(jsonio.dumps(value))
    assert again == value
    assert repr(again) == repr(value)


@given(json_values)
def test_stdlib_json_reads_what_is_written_as_we_do(value):
    assert json.loads(jsonio.dumps(value)) == value


@given(json_values, st.sampled_from([(", ", ": "), (",", ":"), (" ,\n", "\t:  ")]), st.booleans())
def test_what_others_write_is_read_exactly(value, separators, ascii_only):
    text = json.dumps(value, separators=separators, ensure_ascii=ascii_only)
    for data in (text, text.encode(), bytearray(text.encode()), memoryview(text.encode())):
        assert repr(jsonio.loads(data)) == repr(value)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(["", ".0", "0", "e0", "E+0"]))
def test_floats_are_read_to_the_last_bit_as_python_reads_them(number, form):
    text = repr(number) + (form if "e" not in repr(number) and not form.startswith(".") else "")
    assert repr(jsonio.loads(text)) == repr(json.loads(text))


@given(json_values)
def test_exactness_noted_while_writing_is_what_orjson_then_reads(value):
    text, exact = jsonio.dumps_noting_exactness(value)
    assert text == jsonio.dumps(value)
    if exact:
        assert repr(orjson.loads(text)) == repr(value)


@pytest.mark.parametrize(
    ("value", "exact"),
    [(2**64 - 1, True), (-(2**63), True), (2**64, False), (-(2**63) - 1, False), ("1234567890123456789012", True)],
)
def test_only_an_integer_beyond_64_bits_makes_a_text_inexact(value, exact):
    assert jsonio.dumps_noting_exactness({"a": [value]})[1] is exact


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ('{"a":1,"b":2,"a":3}', '{"b":2,"a":3}'),
        ('{"a":1,"b":{"c":1,"d":[],"c":{}},"e":":"}', '{"a":1,"b":{"d":[],"c":{}},"e":":"}'),
        ('[{"x":{"y":1},"z":0,"x":{"y":null}}]', '[{"z":0,"x":{"y":null}}]'),
        (r'{"a":"\u003a","b":1,"a":":"}', '{"b":1,"a":":"}'),
        (r'{"a":0,"b":"\u003A","a":1}', '{"b":":","a":1}'),
        (r'{"a\"b":1,"c":2,"a\u0022b":"}{][,:"}', r'{"c":2,"a\"b":"}{][,:"}'),
        (' { "a" : 1 , "b" : 36893488147419103232 , "a" : -0.0 } ', '{"b":36893488147419103232,"a":-0.0}'),
        ('{"":1,"a":2,"":3,"a":4,"":5}', '{"a":4,"":5}'),
    ],
)
def test_a_repeated_key_keeps_its_last_value_at_the_last_position(text, items):
    assert jsonio.dumps(jsonio.loads(text)).decode() == items


@given(st.lists(st.tuples(st.sampled_from("abc:"), json_values), max_size=6))
def test_repeated_keys_are_found_among_any_values(pairs):
    expected: dict[str, object] = {}
    for key, value in pairs:
        expected.pop(key, None)
        expected[key] = value
    text = "{" + ",".join(f"{json.dumps(key)}:{json.dumps(value)}" for key, value in pairs) + "}"
    assert repr(jsonio.loads(text)) == repr(expected)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("-0", 0),
        ("1e2", 100.0),
        ("18446744073709551616", 1 << 64),
        ("-9223372036854775809", -(1 << 63) - 1),
        ("9" * 4000, int("9" * 4000)),
        (r'"\ud83d\ude00"', "😀"),
        (r'"\u0000"', "\0"),
        (" [ ] ", []),
    ],
)
def test_numbers_and_escapes_have_the_value_that_couchdb_gives_them(text, value):
    assert repr(jsonio.loads(text)) == repr(value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", '{"a":}', '{"a":1}x', "{'a':1}", '{"a":NaN}', '{"a":01}', r'{"a":"\ud800"}', r'{"\udc00":1}'),
        *('{"a":1e400}', '{"a":-1e400}', '{"a":"\t"}', '\ufeff{"a":1}', '"\ud800"', "Infinity", "[1,]", "+1", ".5"),
        *(b'{"a":"\xff\xfe"}', b'{"\xed\xa0\x80":1}', b"\xef\xbb\xbf1", b"\xc2\xa01", "1" * 5000, "[1 2]", '{"a" 1}'),
    ],
)
def test_what_couchdb_refuses_to_read_is_refused_in_its_words(text):
    with pytest.raises(BadRequest) as caught:
        jsonio.loads(text)
    assert caught.value.as_json() == {"error": "bad_request", "reason": "invalid UTF-8 JSON"}
    assert caught.value.hint


@pytest.mark.parametrize("number", [-(10**4299), 10**4300], ids=["negative", "positive"])
def test_an_integer_that_could_not_be_read_back_is_not_written(number):
    with pytest.raises(BadRequest, match="n has too many digits"):
        jsonio.dumps({"n": number})


class TestNesting:
    @pytest.mark.parametrize("levels", [1, 253, 254, 255, 500, JSON_NESTING_MAX])
    def test_is_kept_down_to_the_limit(self, levels):
        text = nested(levels)
        assert jsonio.dumps(jsonio.loads(text)) == text
        assert jsonio.dumps(deep(levels)) == text

    def test_of_objects_is_kept_with_repeated_keys_and_large_integers(self):
        text = b'{"a":1,"b":' * 600 + b"36893488147419103232" + b',"a":0}' * 600
        expected = b'{"b":' * 600 + b"36893488147419103232" + b',"a":0}' * 600
        assert jsonio.dumps(jsonio.loads(text)) == expected

    @pytest.mark.parametrize(
        "number", [10**309, 10**4299, -(10**4298), 2**64], ids=["float", "longest", "negative", "short"]
    )
    def test_goes_together_with_integers_of_any_size(self, number):
        text = b"[" * JSON_NESTING_MAX + b"%d" % number + b"]" * JSON_NESTING_MAX
        assert jsonio.dumps(jsonio.loads(text)) == text

    @pytest.mark.parametrize(
        "odd", [b"1e400", b"1" * 5000, b"0" + b"1" * 400, b'"\\ud83d"'], ids=["float", "long", "zero", "half"]
    )
    def test_does_not_let_through_what_is_refused_elsewhere(self, odd):
        with pytest.raises(BadRequest):
            jsonio.loads(b"[" * JSON_NESTING_MAX + odd + b"]" * JSON_NESTING_MAX)

    def test_has_room_for_an_envelope_around_the_deepest_document(self):
        text = nested(JSON_NESTING_READ_MAX)
        assert jsonio.dumps(jsonio.loads(text)) == text

    @pytest.mark.parametrize("inner", [b"", b"36893488147419103232"])
    def test_beyond_the_limit_is_refused(self, inner):
        with pytest.raises(BadRequest, match="nests deeper than 1000 levels"):
            jsonio.dumps_noting_exactness(deep(JSON_NESTING_MAX + 1))
        with pytest.raises(BadRequest, match="invalid UTF-8 JSON"):
            jsonio.loads(nested(JSON_NESTING_READ_MAX + 1, inner))

    def test_without_end_is_refused(self):
        value: dict[str, object] = {}
        value["self"] = [value]
        with pytest.raises(BadRequest, match="or holds itself"):
            jsonio.dumps(value)

    def test_that_ends_too_early_is_refused_however_deep(self):
        with pytest.raises(BadRequest, match="invalid UTF-8 JSON"):
            jsonio.loads(b"[" * 1010)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"a": {"b": [1, 2, 3, math.nan]}}, "a.b[3] is nan, which JSON cannot hold. Store None or a string"),
        ([None, {"two words": -math.inf}], "[1]['two words'] is -inf"),
        (math.inf, "The value is inf"),
        ({"a": None, "b": (math.nan,)}, "b[0] is nan"),
        ({"a": None, "b": NoNumber.NAN}, "b is of type NoNumber, which JSON cannot hold. Store its value."),
        ({"a": "\ud800"}, "a has a lone surrogate"),
        ({"a": {"\udfff": 1}}, "a has a lone surrogate"),
        ({"a": [{1: 2}]}, "a[0] has the key 1, of type int. Convert it with str()."),
        ({None: 2}, "The value has the key None, of type NoneType. Only str names a member."),
        ({Name("k"): 1}, "The value has the key 'k', of type Name. Convert it with str()."),
        ({"at": datetime.datetime(2024, 5, 17)}, "at is of type datetime, which JSON cannot hold. Store its isoform"),
        ({"at": datetime.date(2024, 5, 17)}, "Store its isoformat()."),
        ({"at": datetime.timedelta(1)}, "Store its total_seconds()."),
        ({"a": decimal.Decimal("0.1")}, "a is of type Decimal, which JSON cannot hold. Convert it with str()."),
        ({"a": {1, 2}}, "a is of type set, which JSON cannot hold. Convert it with list()."),
        ({"a": b"x"}, "a is of type bytes, which JSON cannot hold. Store it as an attachment, or as base64 text."),
        ({"a": Point()}, "a is of type Point, which JSON cannot hold. Store dataclasses.asdict() of it."),
        ({"a": Name("x")}, "a is of type Name, which JSON cannot hold. Convert it with str()."),
        ({"a": Count(1)}, "Convert it with int()."),
        ({"a": Ratio(1)}, "Convert it with float()."),
        ({"a": Bag()}, "Convert it with dict()."),
        ({"a": Row()}, "Convert it with list()."),
        ({"a": [object()]}, "a[0] is of type object, which JSON cannot hold. Store str, int, float, bool, None, list"),
        ({"a": 10**5000}, "a has too many digits to be written."),
    ],
)
def test_what_json_cannot_hold_is_refused_by_its_path_and_a_remedy(value, hint):
    with pytest.raises(BadRequest) as caught:
        jsonio.dumps(value)
    assert hint in caught.value.hint
    assert jsonio.refusal(value).hint == caught.value.hint


@pytest.mark.parametrize("value", [Colour.RED, uuid.UUID(int=7)])
def test_the_error_for_a_value_that_orjson_would_write_has_its_remedy_too(value):
    assert jsonio.refusal({"a": [value]}).hint.startswith(f"a[0] is of type {type(value).__name__}")


def test_nulls_and_the_word_null_are_no_reason_to_refuse():
    value: object = {"a": None, "b": [None, {"null": None}], "c": "null", "d": (1.5, -0.0, True), "e": {}}
    assert jsonio.dumps(value) == b'{"a":null,"b":[null,{"null":null}],"c":"null","d":[1.5,-0.0,true],"e":{}}'


@pytest.mark.parametrize("odd", [b'"\\ud83d"', b"9" * 5000, b"-1e999"])
def test_an_envelope_is_read_leniently_around_what_nobody_can_read(odd):
    text = b'{"rows":[{"id":"a","v":' + odd + b'},{"id":"b","v":18446744073709551616}],"\\ud83d":1,"n":1.5}'
    with pytest.raises(BadRequest):
        jsonio.loads(text)
    rows = [{"id": "a", "v": "\ufffd"}, {"id": "b", "v": 2**64}]
    assert jsonio.loads_leniently(text) == {"rows": rows, "\ufffd": 1, "n": 1.5}


def test_an_envelope_may_hold_any_number_of_levels():
    value = jsonio.loads_leniently(b'{"a":' + b"[" * 5000 + b"]" * 5000 + b',"b":1}')
    assert (list(value), value["b"]) == (["a", "b"], 1)


@pytest.mark.parametrize("text", [b"", b"]", b'{"a":1}}', b"[1]]", b'{"a"}]'])
def test_an_envelope_whose_brackets_do_not_match_is_refused(text):
    with pytest.raises(BadRequest):
        jsonio.loads_leniently(text)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.text('",\\[]'), min_size=1))
def test_texts_that_are_written_together_are_written_as_each_alone(texts):
    assert [b'"%b"' % text for text in jsonio.escaped(texts)] == [orjson.dumps(text) for text in texts]
