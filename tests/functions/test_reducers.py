"""Reducers: CouchDB's built-in ones against its recorded answers, JavaScript and Python ones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import errors
from couchette.functions import Engine, overflow, reducer
from couchette.functions.distinct import Sketch

VIEWS = json.loads((Path(__file__).parents[1] / "conformance" / "golden" / "views.json").read_text())
SCENARIOS = {scenario["name"]: scenario["exchanges"] for scenario in VIEWS["scenarios"]}


def reduced(source, values, keys=None):
    made = reducer(source)
    keys = keys or [[None, str(number)] for number in range(len(values))]
    try:
        return made.finalize(made.reduce(keys, values))
    finally:
        made.close()


def recorded():
    """(name of the reducer, values in row order, the recorded answer or None for an error) of `builtin-reducers`."""
    exchanges = SCENARIOS["builtin-reducers"]
    docs = exchanges[0]["request"]["json"]["docs"]
    for exchange in exchanges[1:]:
        path, query = exchange["request"]["path"], exchange["request"].get("query")
        design = path.split("/")[3]
        kind, _, group = design.partition("_")
        if query or kind not in ("sum", "sta"):
            continue
        values = [doc["val"] for doc in docs if doc.get("g") == group]
        answer = exchange["response"]
        yield "_sum" if kind == "sum" else "_stats", values, answer["json"]["rows"] if answer["status"] == 200 else None


@pytest.mark.parametrize(("name", "values", "rows"), list(recorded()))
def test_sums_and_stats_are_as_recorded(name, values, rows):
    # JavaScript emitted these values, as doubles.
    values = [float(value) if isinstance(value, int) and abs(value) > 2**53 else value for value in values]
    if rows is None:
        with pytest.raises(errors.FunctionFailed) as raised:
            reduced(name, values)
        assert (raised.value.status, raised.value.error) == (500, "invalid_value")
    else:
        assert reduced(name, values) == rows[0]["value"]


def rows_of_3_5():
    """(reducer, status of its PUT, its reason, the recorded rows by query) of `reducers-of-3-5`."""
    exchanges = SCENARIOS["reducers-of-3-5"][1:]
    for put, whole, grouped in zip(exchanges[::3], exchanges[1::3], exchanges[2::3], strict=True):
        source = put["request"]["json"]["views"]["v"]["reduce"]
        answers = [answer["response"]["json"].get("rows") for answer in (whole, grouped)]
        yield source, put["response"], answers


@pytest.mark.parametrize(("source", "put", "answers"), list(rows_of_3_5()))
def test_the_reducers_of_3_5_are_as_recorded(source, put, answers):
    if put["status"] == 400:
        if source.startswith("_"):
            with pytest.raises(errors.BadRequest) as raised:
                reducer(source)
            assert raised.value.as_json() == put["json"]
        return
    docs = [doc for doc in SCENARIOS["reducers-of-3-5"][0]["request"]["json"]["docs"] if "g" in doc]
    for rows in filter(None, answers):
        for row in rows:
            chosen = [doc for doc in docs if row["key"] in (None, doc["g"])]
            keys = [[doc["g"], doc["_id"]] for doc in chosen]
            assert reduced(source, [doc["val"] for doc in chosen], keys) == row["value"]


SOURCES = ["_sum", "_count", "_stats", "_first", "_last", "_top_3", "_bottom_2", "_approx_count_distinct"]


@given(st.sampled_from(SOURCES), st.lists(st.integers(-1000, 1000), min_size=1, max_size=30), st.data())
def test_reducing_in_parts_is_reducing_at_once(source, values, data):
    made = reducer(source)
    keys = [[value // 7, f"{number:03}"] for number, value in enumerate(values)]
    rows = sorted(zip(keys, values, strict=True))
    cut = data.draw(st.integers(0, len(rows) - 1))
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    partial = [made.reduce([key for key, _ in part], [value for _, value in part]) for part in parts]
    whole = made.reduce([key for key, _ in rows], [value for _, value in rows])
    assert made.finalize(made.rereduce(partial)) == made.finalize(whole)
    json.dumps(partial)


def test_sums_of_integers_are_exact_and_those_out_of_range_are_refused():
    assert reduced("_sum", [2**53, 1, 2**70]) == 2**53 + 1 + 2**70
    for source in ("_sum", "_stats"):
        with pytest.raises(errors.FunctionFailed, match="badarith"):
            reduced(source, [1e308, 1e308])
        with pytest.raises(errors.FunctionFailed, match="badarith"):
            reduced(source, [10**400, 0.5])


def test_objects_are_summed_by_member():
    assert reduced("_sum", [{"a": 1, "b": [1, 2], "c": {"d": 3}}, {"a": 2, "b": 3, "c": {"e": 5}, "f": 1}]) == {
        "a": 3, "b": [4, 2], "c": {"d": 3, "e": 5}, "f": 1,
    }  # fmt: skip
    assert reduced("_sum", [1, {"a": 1}])["caused_by"] == 1
    assert reduced("_sum", [{"a": "x"}, {"a": 1}])["error"] == "builtin_reduce_error"


def test_an_error_of_a_sum_stays_when_it_is_summed_again():
    made = reducer("_sum")
    wrong = made.reduce([[1, "a"]], ["x"])
    assert made.rereduce([5, wrong, 7]) == wrong


def test_a_sum_that_grows_with_its_rows_is_refused():
    answer = reduced("_sum", [{f"member{number}": number} for number in range(1000)])
    assert answer["error"] == "builtin_reduce_error"
    assert answer["reason"].startswith("Reduce output must shrink more rapidly: input size: ")


def test_values_that_collate_alike_rank_once():
    assert reduced("_top_3", [5, 5, 5.0, 3, 1]) == [5, 3, 1]


@pytest.mark.parametrize("count", [0, 1, 10, 500, 2000, 50_000])
def test_distinct_keys_are_estimated(count):
    sketch = Sketch()
    for number in range(count):
        sketch.add(b"%d" % number)
    assert abs(Sketch.from_text(sketch.as_text()).estimate() - count) <= count * 0.05


@pytest.mark.parametrize("text", ["", "!", "YWJj", None, 5])
def test_a_damaged_sketch_is_refused(text):
    with pytest.raises(errors.FunctionFailed, match="cannot be read"):
        Sketch.from_text(text)


# -- Scripted ones --------------------------------------------------------------------------------


def test_javascript_reduces_and_rereduces():
    source = "function(keys, values, rereduce) { return {k: keys, v: values, r: rereduce} }"
    made = reducer(source)
    first = made.reduce([[1, "a"]], [2])
    assert first == {"k": [[1, "a"]], "v": [2], "r": False}
    assert made.rereduce([first]) == {"k": None, "v": [first], "r": True}
    made.close()


def test_reducers_share_an_engine():
    engine = Engine()
    made = [reducer(f"function(k, v) {{ return sum(v) + {number} }}", engine=engine) for number in range(3)]
    assert [one.reduce([[1, "a"]], [2]) for one in made] == [2, 3, 4]
    for one in made:
        one.close()
    assert made[0].reduce([[1, "a"]], [2]) == 2
    engine.close()


@pytest.mark.parametrize("body", ["throw 'x'", "null.x", "", "return undefined"])
def test_a_javascript_reduce_without_an_answer_gives_null(body):
    assert reduced(f"function(keys, values) {{ {body} }}", [1]) is None


def test_a_fatal_error_in_a_reduce_is_an_error():
    with pytest.raises(errors.FunctionFailed, match="why"):
        reduced("function() { throw ['fatal', 'boom', 'why'] }", [1])


@pytest.mark.parametrize("source", ["function(k, v) { return v }", lambda keys, values, rereduce: values])
def test_a_result_that_does_not_shrink_is_an_overflow(source):
    made = reducer(source)
    values = ["x" * 20] * 300
    partial = made.reduce([[number, "a"] for number in range(300)], values)
    assert (overflow(partial) or "").startswith("Reduce output must shrink more rapidly: ")
    again = made.rereduce([values, values])
    assert (overflow(again) or "").startswith("Reduce output must shrink more rapidly: input size: ")
    assert made.rereduce([1, again]) == again
    made.close()


def test_python_reduces_and_its_exceptions_give_null(caplog):
    assert reduced(lambda keys, values, rereduce: max(values), [1, 3, 2]) == 3
    assert reduced(lambda keys, values, rereduce: 1 / 0, [1]) is None
    assert reduced(lambda keys, values, rereduce: object(), [1]) is None
    assert "ZeroDivisionError" in caplog.text


def test_anything_else_is_no_reducer():
    with pytest.raises(errors.BadRequest, match="a string or a Python function"):
        reducer(5)  # type: ignore[arg-type]
