"""Which map functions plainly change nothing, and that they answer as if their documents were frozen."""

from __future__ import annotations

from typing import Any

import pytest

from couchette.functions import javascript_mapper
from couchette.functions.plainness import is_plain

PLAIN = [
    "function(doc) { emit(doc.type, doc.n) }",
    "function (doc) { if (doc.type === 'post' && doc.tags) { doc.tags.forEach(function (tag) { emit(tag, null) }) } };",
    "doc => { for (const tag of doc.tags) emit([tag, doc.a.b['c']], {_id: doc.ref}) } // done",
    "function(doc) { var n = 0; for (var i = 0; i < doc.tags.length; i++) { n += 2; --n; emit(doc.tags[i], n) } }",
    "function(doc) { for (var k in doc) { /* doc.x = 1 */ if (k in doc) emit(k, 'doc.x = 1; delete doc') } }",
    "function map(doc) { emit(new Date(doc.at).getFullYear(), doc.name.toLowerCase().split(' ').slice(1)) }",
    "function(doc) { emit(doc.delete, doc.class); switch (doc.t) { case 1: emit(1); break } }",
    "function(doc) { while (doc?.tags?.length > n) { var n = (n || 0) + 1 } throw {forbidden: 'no'} }",
    "function(doc) { i = 5; try { emit(i) } catch (e) { log(e) } }",
]

DOUBTFUL = [
    "function(doc) { doc.n = 1; emit(doc.n) }",
    "function(doc) { doc . /* */ n += 1 }",
    "function(doc) { doc['n'] = 1 }",
    "function(doc) { doc.n++ }",
    "function(doc) { ++doc.n }",
    "function(doc) { --doc[0] }",
    "function(doc) { doc.a ??= 1 }",
    "function(doc) { delete doc.n }",
    "function(doc) { doc.tags.push(1) }",
    "function(doc) { doc.tags.sort() }",
    "function(doc) { doc.tags?.reverse?.() }",
    "function(doc) { Object.assign(doc, {n: 1}) }",
    "function(doc) { ({a: doc.n} = {a: 1}) }",
    "function(doc) { [doc.n] = [1] }",
    "function(doc) { for (doc.n of [1]); }",
    "function(doc) { for (doc.n in {a: 1}); }",
    "function(doc) { (function(d) { d.n = 1 })(doc) }",
    "function(doc) { helper(doc) }; function helper(d) { }",
    "function(doc) { require('views/lib/x').change(doc) }",
    "function(doc) { if (/'/.test(doc.n = 5, '')) emit(1) }",
    "function(doc) { emit(`${doc.n = 1}`) }",
    "function(doc) { <!-- '\n doc.n = 1 }",
    "function(doc) { d\\u006fc.n = 1 }",
    "function(doc) { with (doc) { n = 1 } }",
    "function(doc) { new Function('d', 'd.n = 1') }",
    "function(doc) { var f = Object.assign; f(doc, {}) }",
    "function(doc) { (0, doc.tags.push)(1) }",
    "function(doc) { doc['tags']['push'](1) }",
    "function(doc) { ö = doc }",
    "function(doc) { 'open }",
    "function(doc) { // comment\r doc.n = 1 }",
    "function(doc) { // comment\u2028 doc.n = 1 }",
    "(function() { var seen = []; return function(doc) { emit(seen) } })()",
]


@pytest.mark.parametrize("source", PLAIN)
def test_ordinary_functions_are_plain(source):
    assert is_plain(source)


@pytest.mark.parametrize("source", DOUBTFUL)
def test_whatever_may_change_something_is_not(source):
    assert not is_plain(source)


@pytest.mark.parametrize("source", PLAIN)
def test_plain_functions_answer_as_beside_one_that_is_not(source):
    docs: list[dict[str, Any]] = [
        {
            "_id": "a",
            "type": "post",
            "n": 1,
            "tags": ["x", "y"],
            "a": {"b": {"c": 1}},
            "name": "A B C",
            "at": 0,
            "t": 1,
        },
        {"_id": "b"},
        {"_id": "c", "tags": [{"deep": [1]}], "name": 5, "a": {"b": []}},
    ]
    alone = javascript_mapper([source])
    beside = javascript_mapper([source, "function(doc) { delete doc._id }"])
    assert [views[0] for views in alone.map(docs)] == [views[0] for views in beside.map(docs)]
    alone.close()
    beside.close()


def test_a_plain_function_that_emits_what_json_cannot_hold_skips_that_document():
    mapper = javascript_mapper(["function(doc) { emit(doc.bad ? 10n : 1) }"])
    docs: list[dict[str, Any]] = [{"_id": "a"}, {"_id": "b", "bad": True}]
    assert is_plain("function(doc) { emit(doc.bad ? 10n : 1) }")
    assert mapper.map(docs) == [[[(1, None)]], [[]]]
    assert mapper.map(docs) == [[[(1, None)]], [[]]]
    mapper.close()
