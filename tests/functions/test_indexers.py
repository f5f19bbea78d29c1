"""The functions of text indexes, in JavaScript and Python."""

from __future__ import annotations

import logging

import pytest

from couchette.errors import CompilationFailed, FunctionFailed
from couchette.functions import Limits, javascript_indexer, javascript_mapper, python_indexer

DOCS = [{"_id": "a", "t": "x", "n": 1.5, "b": True}, {"_id": "b"}]


@pytest.fixture
def indexed():
    indexers = []

    def run(source, docs=DOCS, **options):
        indexer = javascript_indexer(source, **options)
        indexers.append(indexer)
        return indexer.map(docs)

    yield run
    for indexer in indexers:
        indexer.close()


def test_index_takes_a_field_a_value_and_options(indexed):
    source = "function (doc) { if (doc.t) { index('t', doc.t, {store: true}); index('n', doc.n); index('b', doc.b); } }"
    assert indexed(source) == [[("t", "x", {"store": True}), ("n", 1.5, None), ("b", True, None)], []]


@pytest.mark.parametrize("call", ["index('t', doc.t)", "index(5, 'x')", "index('t', {})", "index('t', null)", "nope()"])
def test_a_document_on_which_it_throws_has_no_fields(indexed, caplog, call):
    with caplog.at_level(logging.WARNING, "couchette.functions"):
        assert indexed(f"function (doc) {{ index('a', 'b'); {call}; }}", [{"_id": "a"}]) == [[]]
    assert "with doc._id a" in caplog.text


def test_a_function_may_change_what_it_passed(indexed):
    source = "function (doc) { const o = {boost: 1}; index('a', 'x', o); o.boost = 2; index('b', 'y', o); }"
    fields = indexed(source, [{"_id": "a"}])
    assert [name for name, _, _ in fields[0]] == ["a", "b"]


def test_an_infinite_number_is_no_value(indexed):
    assert indexed("function (doc) { index('n', 1 / 0); }", [{"_id": "a"}]) == [[("n", None, None)]]


def test_it_may_require_modules(indexed):
    lib = {"m": "exports.v = 'w'"}
    assert indexed("function (doc) { index('m', require('views/lib/m').v); }", [{}], lib=lib) == [[("m", "w", None)]]


def test_errors_are_those_of_map_functions(indexed):
    with pytest.raises(CompilationFailed):
        indexed("function (")
    with pytest.raises(FunctionFailed):
        indexed("function (doc) { while (true); }", limits=Limits(time_s=0.05))


def test_in_a_view_index_is_any_variable():
    mapper = javascript_mapper(["function (doc) { for (index in doc.l) emit(index, doc.l[index]); }"])
    assert mapper.map([{"_id": "a", "l": ["x", "y"]}]) == [[[("0", "x"), ("1", "y")]]]
    mapper.close()


def test_python_functions_yield_or_return():
    docs = [{"_id": "a", "t": "x"}]
    assert python_indexer(lambda doc: {"t": doc["t"], "l": [1, 2], "none": None}).map(docs) == [
        [("t", "x", None), ("l", 1, None), ("l", 2, None)]
    ]
    assert python_indexer(lambda doc: [("t", "x", {"store": True})]).map(docs) == [[("t", "x", {"store": True})]]
    assert python_indexer(lambda doc: None).map(docs) == [[]]


@pytest.mark.parametrize("given", [5, [5], ["t"], [("t",)], [(5, "x")], {"t": {}}, {"t": [[]]}])
def test_what_a_python_function_must_not_give_is_logged(caplog, given):
    with caplog.at_level(logging.WARNING, "couchette.functions"):
        indexer = python_indexer(lambda doc: given)
        assert indexer.map([{"_id": "a"}]) == [[]]
        indexer.close()
    assert "raised for the document 'a'" in caplog.text
