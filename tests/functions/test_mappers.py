"""Map functions, in JavaScript and Python."""

from __future__ import annotations

import logging

import pytest

from couchette import errors
from couchette.functions import javascript_mapper, python_mapper


@pytest.fixture
def mapped():
    """Map documents by JavaScript sources."""
    mappers = []

    def run(sources, docs, **options):
        mappers.append(javascript_mapper(sources, **options))
        return mappers[-1].map(docs)

    yield run
    for mapper in mappers:
        mapper.close()


def test_all_views_are_mapped_in_one_pass(mapped):
    sources = ["function(doc) { emit(doc._id, doc.n) }", "function(doc) { emit([doc.n, true]); emit() }"]
    assert mapped(sources, [{"_id": "a", "n": 1}, {"_id": "b", "n": 2.5}]) == [
        [[("a", 1)], [([1, True], None), (None, None)]],
        [[("b", 2.5)], [([2.5, True], None), (None, None)]],
    ]
    assert mapped(sources, []) == []


def test_an_exception_drops_what_the_document_emitted_before_and_is_logged(mapped, caplog):
    sources = ["function(doc) { emit(1); if (doc.bad) throw {forbidden: 'no'} }", "function(doc) { emit(2) }"]
    assert mapped(sources, [{"_id": "a"}, {"_id": "b", "bad": True}]) == [[[(1, None)], [(2, None)]], [[], [(2, None)]]]
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("couchette.functions", logging.WARNING)
    assert record.message.startswith('function raised exception {"forbidden":"no"} with doc._id b')


@pytest.mark.parametrize(
    "thrown",
    [
        "{toString() { throw 1 }, get error() { throw 1 }}",
        "new Proxy({}, {get() { throw 1 }, getPrototypeOf() { throw 1 }})",
        "Object.defineProperty(new Error('x'), 'stack', {get() { throw 1 }})",
        "Symbol('x')",
        "undefined",
        "10n",
    ],
)
def test_a_hostile_exception_is_an_exception(thrown, mapped):
    sources = [f"function(doc) {{ throw {thrown} }}", "function(doc) { emit(1) }"]
    assert mapped(sources, [{"_id": "a"}]) == [[[], [(1, None)]]]


def test_a_fatal_error_ends_the_batch(mapped):
    with pytest.raises(errors.FunctionFailed, match="why") as raised:
        mapped(["function(doc) { throw ['fatal', 'boom', 'why'] }"], [{"_id": "a"}])
    assert (raised.value.status, raised.value.error) == (500, "boom")
    with pytest.raises(errors.FunctionFailed, match="fatal_error") as raised:
        mapped(["function(doc) { throw 'fatal_error' }"], [{"_id": "a"}])
    assert raised.value.error == "map_runtime_error"


@pytest.mark.parametrize(
    "change",
    ["doc.n = 5", "doc.list.push(5)", "doc.deep.er.n = 5", "delete doc.n", "Object.assign(doc, {n: 5})", "doc.new = 5"],
)
def test_documents_are_sealed(change, mapped):
    doc = {"_id": "a", "n": 1, "list": [1], "deep": {"er": {"n": 1}}}
    sources = [f"function(doc) {{ try {{ {change} }} catch (e) {{}} emit(doc) }}"] * 2
    assert mapped(sources, [doc]) == [[[(doc, None)], [(doc, None)]]]


def test_what_is_emitted_is_written_before_the_next_call(mapped):
    lib = {"shared": "exports.counts = {}"}
    source = """function(doc) {
        var counts = require('views/lib/shared').counts;
        counts[doc._id] = 1;
        emit(null, counts);
    }"""
    assert mapped([source], [{"_id": "a"}, {"_id": "b"}], lib=lib) == [
        [[(None, {"a": 1})]],
        [[(None, {"a": 1, "b": 1})]],
    ]


def test_an_undeclared_variable_lives_for_one_document(mapped):
    sources = [
        "function(doc) { for (i = 0; i < 2; i++) emit(i, typeof seen); seen = doc }",
        "function(doc) { emit(typeof i) }",
    ]
    rows = [[(0, "undefined"), (1, "undefined")], [("undefined", None)]]
    assert mapped(sources, [{"_id": "a"}, {"_id": "b"}]) == [rows, rows]


def test_numbers_are_doubles(mapped):
    docs = [{"_id": "a", "v": value} for value in (9007199254740993, 2**70, 1.0, 1e300)]
    keys = [views[0][0][0] for views in mapped(["function(doc) { emit(doc.v) }"], docs)]
    assert keys == [9007199254740992, 1.1805916207174113e21, 1, 1e300]
    assert mapped(["function(doc) { emit(0/0, 1/0) }"], [{"_id": "a"}]) == [[[(None, None)]]]


def test_the_helpers_of_couchdb_are_there(mapped):
    source = (
        "function(doc) { emit([sum([1, 2.5]), isArray([]), isArray({length: 1}), toJSON({a: 1}), JSON.parse('[1]')]) }"
    )
    assert mapped([source], [{"_id": "a"}]) == [[[([3.5, True, False, '{"a":1}', [1]], None)]]]


def test_maps_require_modules_of_views_lib_only(mapped):
    lib = {
        "k": "exports.key = function(d) { return require('./l') + require('../lib/l') + d._id }",
        "l": "module.exports = 'L'",
    }
    sources = ["function(d) { emit(require('views/lib/k').key(d)) }", "function(d) { emit(require('lib/m')) }"]
    assert mapped(sources, [{"_id": "a"}], lib=lib) == [[[("LLa", None)], []]]


def test_modules_may_require_one_another_in_a_circle(mapped):
    lib = {
        "a": "exports.name = 'a'; exports.other = require('./b').name",
        "b": "exports.name = 'b'; exports.seen = require('./a').name",
    }
    source = "function(d) { emit([require('views/lib/a').other, require('views/lib/b').seen]) }"
    assert mapped([source], [{"_id": "a"}], lib=lib) == [[[(["b", "a"], None)]]]


@pytest.mark.parametrize(
    ("path", "complaint"),
    [
        ("views/lib/none", "no property"),
        ("views/lib", "not: object"),
        ("../x", "no parent"),
        ("views/lib/bad", "raised error SyntaxError"),
        ("views/lib/throws", "raised error TypeError"),
        ("__proto__/x", "no property"),
    ],
)
def test_a_bad_require_is_an_exception_of_the_function(path, complaint, mapped, caplog):
    lib = {"bad": "exports.x = (", "throws": "null.x"}
    assert mapped([f"function(d) {{ emit(require('{path}')) }}"], [{"_id": "a"}], lib=lib) == [[[]]]
    assert complaint in caplog.text


@pytest.mark.parametrize("source", ["function(doc", "5", "not a function", "", "function(d){}; }"])
def test_a_source_that_is_no_function_does_not_compile(source, mapped):
    with pytest.raises(errors.CompilationFailed) as raised:
        mapped(["function(doc) {}", source], [{"_id": "a"}])
    assert raised.value.error == "compilation_error"


def test_large_batches_are_cut(mapped, monkeypatch):
    monkeypatch.setattr("couchette.functions.batches.FUNCTION_BATCH_BYTES", 100)
    docs = [{"_id": f"{number:02}", "text": "x" * number * 10} for number in range(20)]
    assert mapped(["function(doc) { emit(doc._id) }"], docs) == [[[(doc["_id"], None)]] for doc in docs]


# -- Python ---------------------------------------------------------------------------------------


def test_python_functions_return_or_yield_pairs():
    def by_tag(doc):
        for tag in doc.get("tags", ()):
            yield tag, 1

    mapper = python_mapper([by_tag, lambda doc: [(doc["_id"], None)], lambda doc: None])
    assert mapper.map([{"_id": "a", "tags": ["x", "y"]}]) == [[[("x", 1), ("y", 1)], [("a", None)], []]]
    mapper.close()


@pytest.mark.parametrize(
    "function", [lambda doc: [(doc["missing"], 1)], lambda doc: [1], lambda doc: 5, lambda doc: [(1, object())]]
)
def test_a_python_function_that_errs_is_logged_and_skips_the_document(function, caplog):
    assert python_mapper([function]).map([{"_id": "a"}]) == [[[]]]
    assert "'a'" in caplog.text


def test_a_python_function_cannot_change_what_another_sees():
    def change(doc):
        doc["n"] = 2
        return [(doc["n"], None)]

    assert python_mapper([change, lambda doc: [(doc["n"], None)]]).map([{"_id": "a", "n": 1}]) == [
        [[(2, None)], [(1, None)]]
    ]
