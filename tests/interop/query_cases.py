"""What is asked of every peer that answers queries: the same documents, design documents, views and selectors.

A case names the peers that are known to answer otherwise than CouchDB, each with the reason; the others must agree with
us. Options have CouchDB's names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Doc = dict[str, Any]

POUCHDB = "pouchdb"
POUCHDB_SERVER = "pouchdb-server"


@dataclass(frozen=True)
class ViewCase:
    """One query of a view, ``design/view``."""

    name: str
    view: str
    options: Doc = field(default_factory=dict)
    differs: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FindCase:
    """One ``_find``. Where it is not sorted, the order of its answer says nothing."""

    name: str
    request: Doc
    differs: dict[str, str] = field(default_factory=dict)


def both(reason: str) -> dict[str, str]:
    """For what neither PouchDB in Node nor its server does, which is the same code."""
    return {POUCHDB: reason, POUCHDB_SERVER: reason}


# -- Documents ------------------------------------------------------------------------------------


def _person(doc_id: str, name: str, age: Any, city: str | None, tags: list[str], **more: Any) -> Doc:
    doc = {"_id": doc_id, "type": "person", "name": name, "age": age, "tags": tags, **more}
    return doc if city is None else {**doc, "address": {"city": city, "geo.lat": len(city)}}


PEOPLE = [
    _person("ada", "Ada", 36, "london", ["maths", "poetry"], boss="charles", visits=[1, 2, 3]),
    _person("alan", "Alan", 41, "london", ["maths", "running"], boss="max", visits=[2, 4]),
    _person("barbara", "Barbara", 90, "boston", ["abstraction"], scores=[{"game": "go", "points": 7}]),
    _person("charles", "Charles", 79, "london", [], boss=None),
    _person("donald", "Donald", 36.5, "stanford", ["organ", "maths"], boss="ada", visits=[]),
    _person("edsger", "Edsger", 72, "austin", ["letters"], scores=[{"game": "go", "points": 2}, {"game": "x"}]),
    _person("frances", "Frances", 88, None, ["compilers"], boss="nobody"),
    _person("grace", "Grace", 85, "new york", ["compilers", "navy"], visits=[9], deep={"er": {"est": 1}}),
    _person("john", "John", None, "budapest", ["maths"], boss="max"),
    _person("max", "Max", "old", "berlin", ["paper"], visits=[4, 4]),
]
ORDERS = [
    {"_id": f"order-{number:02}", "type": "order", "day": [2024, 1 + number % 3, 1 + number % 5], "total": number * 5}
    for number in range(1, 21)
]
SIMPLE: list[Any] = [None, False, True, -2, -1.5, 0, 0.5, 1, 2, 10, "", "a", "aa", "b", "ba"]
NESTED: list[Any] = [
    [],
    [None],
    ["a"],
    ["a", 1],
    ["b"],
    [[]],
    [[1]],
    {},
    {"a": 1},
    {"a": 2},
    {"a": 1, "b": 1},
    {"b": 0},
]
KEYS = [{"_id": f"key-{number:02}", "type": "key", "key": key} for number, key in enumerate([*SIMPLE, *NESTED])]
WORDS = [
    {"_id": f"word-{number:02}", "type": "word", "word": word}
    for number, word in enumerate(["a", "A", "b", "B", "á", "ä", "z", "ß", "ss", "Ø", "o", "日", "_", "-", "~"])
]
DESIGNS = [
    {
        "_id": "_design/people",
        "views": {
            "by_name": {"map": "function (doc) { if (doc.type === 'person') emit(doc.name, doc.age); }"},
            "by_tag": {"map": "function (doc) { (doc.tags || []).forEach(function (tag) { emit(tag, null); }); }"},
            "bosses": {"map": "function (doc) { if (doc.boss && doc.boss < 'n') emit(doc._id, {_id: doc.boss}); }"},
            "lost": {"map": "function (doc) { if (doc.boss === 'nobody') emit(doc._id, {_id: doc.boss}); }"},
            "years": {"map": "function (doc) { if (doc._id === 'ada') emit(-12); }"},
            "texts": {"map": "function (doc) { if (doc._id === 'ada') emit(toJSON(doc.tags)); }"},
            "by_city": {
                "map": "function (doc) { if (doc.type === 'person') emit([doc.address.city, doc.name], 1); }",
                "reduce": "_count",
            },
            "nothing": {"map": "function (doc) { if (doc.type === 'nobody') emit(doc._id); }", "reduce": "_sum"},
            "whole": {"map": "function (doc) { if (doc._id === 'ada') emit(null, doc.visits); }"},
            "same": {"map": "function (doc) { if (doc.type === 'person') emit('same'); }"},
            "none": {
                "map": "function (doc) { if (doc._id < 'c') emit(doc.age === 36 ? null : doc.age, doc.missing); }"
            },
        },
    },
    {
        "_id": "_design/orders",
        "views": {
            name: {"map": "function (doc) { if (doc.type === 'order') emit(doc.day, doc.total); }", "reduce": reduce}
            for name, reduce in {
                "sums": "_sum",
                "counts": "_count",
                "stats": "_stats",
                "largest": "function (keys, values) { return Math.max.apply(null, values); }",
                "seen": (
                    "function (keys, values, again) {"
                    " return again ? sum(values) : keys.filter(function (k) { return k[1] > 'order-10'; }).length; }"
                ),
                "distinct": "_approx_count_distinct",
            }.items()
        },
    },
    {
        "_id": "_design/keys",
        "views": {
            "all": {"map": "function (doc) { if (doc.type === 'key') emit(doc.key, doc._id); }"},
            "words": {"map": "function (doc) { if (doc.type === 'word') emit(doc.word); }"},
            "pairs": {"map": "function (doc) { if (doc.type === 'key') { emit(doc.key, 2); emit(doc.key, 1); } }"},
            "arrays": {
                "map": "function (doc) { if (isArray(doc.key)) emit(doc.key, doc.key.length); }",
                "reduce": "_sum",
            },
        },
    },
]
INDEXES: list[Doc] = [
    {"index": {"fields": ["age"]}, "ddoc": "ages", "name": "age"},
    {"index": {"fields": ["type", "total"]}, "ddoc": "types", "name": "type-total"},
    {"index": {"fields": ["address.city"]}, "ddoc": "cities", "name": "city"},
    {"index": {"fields": ["name"]}, "ddoc": "names", "name": "name"},
    {"index": {"fields": ["key"]}, "ddoc": "keyed", "name": "key"},
]
PARTIAL: Doc = {
    "index": {"fields": ["day"], "partial_filter_selector": {"total": {"$gte": 50}}},
    "ddoc": "large",
    "name": "large",
}
DOCS = [*PEOPLE, *ORDERS, *KEYS, *WORDS, *DESIGNS]

# -- Views ----------------------------------------------------------------------------------------

VIEW_CASES = [
    ViewCase("all rows", "people/by_name"),
    ViewCase("descending", "people/by_name", {"descending": True}),
    ViewCase("limit", "people/by_name", {"limit": 3}),
    ViewCase("limit 0", "people/by_name", {"limit": 0}),
    ViewCase("skip", "people/by_name", {"skip": 4}),
    ViewCase("skip and limit, descending", "people/by_name", {"skip": 2, "limit": 3, "descending": True}),
    ViewCase("a page beyond the end", "people/by_name", {"skip": 100}),
    ViewCase("one key", "people/by_name", {"key": "Grace"}),
    ViewCase("a key that is not there", "people/by_name", {"key": "Nobody"}),
    ViewCase("a key of many rows", "people/by_tag", {"key": "maths"}),
    ViewCase("a key of many rows, a part", "people/by_tag", {"key": "maths", "skip": 1, "limit": 2}),
    ViewCase("rows of one key, by id", "people/same"),
    ViewCase("rows of one key, by id, descending", "people/same", {"descending": True}),
    ViewCase(
        "rows of one key, from a document on",
        "people/same",
        {"startkey": "same", "startkey_docid": "edsger"},
        both("PouchDB ignores `startkey_docid`"),
    ),
    ViewCase("keys in the order asked", "people/by_name", {"keys": ["Max", "Ada", "Grace"]}),
    ViewCase("keys that are not there", "people/by_name", {"keys": ["Zoe", "Ada", "Bob"]}),
    ViewCase("keys of many rows", "people/by_tag", {"keys": ["navy", "maths"]}),
    ViewCase("a key asked twice", "people/by_name", {"keys": ["Ada", "Ada"]}),
    ViewCase("keys, skip and limit", "people/by_tag", {"keys": ["maths", "navy"], "skip": 1, "limit": 3}),
    ViewCase("no keys", "people/by_name", {"keys": []}),
    ViewCase("a range", "people/by_name", {"startkey": "B", "endkey": "F"}),
    ViewCase("a range, descending", "people/by_name", {"startkey": "F", "endkey": "B", "descending": True}),
    ViewCase("a range from a key that is there", "people/by_name", {"startkey": "Donald"}),
    ViewCase("a range up to a key that is there", "people/by_name", {"endkey": "Donald"}),
    ViewCase("a range without its end", "people/by_name", {"endkey": "Donald", "inclusive_end": False}),
    ViewCase(
        "a range without its end, descending",
        "people/by_name",
        {"endkey": "Donald", "inclusive_end": False, "descending": True},
    ),
    ViewCase("a beginning of text", "people/by_tag", {"startkey": "m", "endkey": "n\ufff0"}),
    ViewCase("documents beside the rows", "people/by_name", {"include_docs": True, "limit": 4}),
    ViewCase("documents of keys", "people/by_name", {"include_docs": True, "keys": ["Max", "Ada"]}),
    ViewCase("linked documents", "people/bosses", {"include_docs": True}),
    ViewCase("linked documents, descending", "people/bosses", {"include_docs": True, "descending": True}),
    ViewCase(
        "a linked document that is not there",
        "people/lost",
        {"include_docs": True},
        both("PouchDB leaves out `doc` where CouchDB gives null"),
    ),
    ViewCase("a map function that raises leaves a document out", "people/by_city", {"reduce": False}),
    ViewCase("a view without rows", "people/nothing"),
    ViewCase("a view without rows, not reduced", "people/nothing", {"reduce": False}),
    ViewCase("null key, array as value", "people/whole"),
    ViewCase("null key asked for", "people/whole", {"key": None}),
    ViewCase("undefined value", "people/none"),
    ViewCase("a key of every type", "keys/all"),
    ViewCase("a key of every type, descending", "keys/all", {"descending": True}),
    ViewCase("false as a key", "keys/all", {"key": False}),
    ViewCase("0 as a key", "keys/all", {"key": 0}),
    ViewCase("an empty string as a key", "keys/all", {"key": ""}),
    ViewCase("an array as a key", "keys/all", {"key": ["a", 1]}),
    ViewCase("an object as a key", "keys/all", {"key": {"a": 1, "b": 1}}),
    ViewCase("arrays, and no objects", "keys/all", {"startkey": [], "endkey": {}, "inclusive_end": False}),
    ViewCase("numbers", "keys/all", {"startkey": -5, "endkey": 5}),
    ViewCase("objects within a range", "keys/all", {"startkey": {"a": 1}, "endkey": {"a": 2}}),
    ViewCase("from null", "keys/all", {"startkey": None, "endkey": 0}),
    ViewCase("keys of several types", "keys/all", {"keys": [{}, [], None, "a", 2]}),
    ViewCase("several rows of one document", "keys/pairs", {"endkey": True}),
    ViewCase("several rows of one document, descending", "keys/pairs", {"startkey": True, "descending": True}),
    ViewCase("isArray", "keys/arrays", {"reduce": False}),
    ViewCase("toJSON", "people/texts", differs=both("PouchDB's functions have no toJSON")),
    ViewCase("a negative number", "people/years", differs=both("PouchDB reads -12 back as -11.999999999999993")),
    ViewCase("a letter in upper case", "keys/words", {"key": "B"}),
    ViewCase(
        "texts of several alphabets", "keys/words", differs=both("PouchDB compares UTF-16 units, CouchDB as ICU does")
    ),
    ViewCase("sum", "orders/sums"),
    ViewCase("sum by key", "orders/sums", {"group": True}),
    ViewCase("sum by year", "orders/sums", {"group_level": 1}),
    ViewCase("sum by month", "orders/sums", {"group_level": 2}),
    ViewCase("sum by month, descending", "orders/sums", {"group_level": 2, "descending": True}),
    ViewCase("sum by more levels than there are", "orders/sums", {"group_level": 9}),
    ViewCase("sum at level 0", "orders/sums", {"group_level": 0}),
    ViewCase("groups, a page of them", "orders/sums", {"group": True, "skip": 2, "limit": 3}),
    ViewCase("groups of keys", "orders/sums", {"group": True, "keys": [[2024, 2, 1], [2024, 1, 1]]}),
    ViewCase("sum of a range", "orders/sums", {"startkey": [2024, 2], "endkey": [2024, 2, {}]}),
    ViewCase("sum of a range, by month", "orders/sums", {"startkey": [2024, 2], "group_level": 2}),
    ViewCase("sum of one key", "orders/sums", {"key": [2024, 1, 1]}),
    ViewCase("not reduced", "orders/sums", {"reduce": False, "limit": 5}),
    ViewCase("count", "orders/counts"),
    ViewCase("count by month", "orders/counts", {"group_level": 2}),
    ViewCase("count by city", "people/by_city", {"group_level": 1}),
    ViewCase("stats", "orders/stats"),
    ViewCase("stats by month", "orders/stats", {"group_level": 2}),
    ViewCase("a reduce function", "orders/largest", {"group_level": 2}),
    ViewCase("a reduce function of all", "orders/largest"),
    ViewCase("a reduce function that looks at its keys", "orders/seen"),
    ViewCase("sum by the first of an array", "keys/arrays", {"group_level": 1}),
]

# -- Find -----------------------------------------------------------------------------------------

PERSON = {"type": "person"}
NO_OPERATOR = both("PouchDB does not have this operator")


def _find(name: str, selector: Doc, differs: dict[str, str] | None = None, **more: Any) -> FindCase:
    return FindCase(name, {"selector": selector, "limit": 100, **more}, differs or {})


FIND_CASES = [
    _find("equal, said shortly", {"name": "Ada"}),
    _find("$eq", {"name": {"$eq": "Ada"}}),
    _find("$ne", {**PERSON, "name": {"$ne": "Ada"}}),
    _find("$lt", {**PERSON, "age": {"$lt": 72}}),
    _find("$lte", {**PERSON, "age": {"$lte": 72}}),
    _find("$gt", {**PERSON, "age": {"$gt": 72}}),
    _find("$gte", {**PERSON, "age": {"$gte": 72}}),
    _find("both ends of a range", {"total": {"$gt": 20, "$lte": 60}}),
    _find("a range of texts", {"name": {"$gte": "C", "$lt": "G"}}),
    _find("$exists", {**PERSON, "boss": {"$exists": True}}),
    _find("not $exists", {**PERSON, "boss": {"$exists": False}}),
    _find("$type", {**PERSON, "age": {"$type": "number"}}),
    _find("$type null", {**PERSON, "age": {"$type": "null"}}),
    _find("$type string", {**PERSON, "age": {"$type": "string"}}),
    _find("$type object", {"type": "key", "key": {"$type": "object"}}),
    _find("$type array", {"type": "key", "key": {"$type": "array"}}),
    _find("$type boolean", {"type": "key", "key": {"$type": "boolean"}}),
    _find("$in", {"name": {"$in": ["Ada", "Max", "Nobody"]}}),
    _find("$in, values of several types", {**PERSON, "age": {"$in": [36, "old", 90]}}),
    _find("$in of an array", {**PERSON, "tags": {"$in": ["navy", "organ"]}}),
    _find("$nin", {**PERSON, "name": {"$nin": ["Ada", "Max"]}}),
    _find("$all", {**PERSON, "tags": {"$all": ["maths", "poetry"]}}),
    _find("$all of one", {**PERSON, "tags": {"$all": ["maths"]}}),
    _find("$size", {**PERSON, "tags": {"$size": 2}}),
    _find("$size 0", {**PERSON, "tags": {"$size": 0}}),
    _find("$mod", {"type": "order", "total": {"$mod": [10, 5]}}),
    _find("$regex", {**PERSON, "name": {"$regex": "^[A-C].*a"}}),
    _find("$elemMatch", {**PERSON, "visits": {"$elemMatch": {"$gt": 3}}}),
    _find("$elemMatch of objects", {**PERSON, "scores": {"$elemMatch": {"game": "go", "points": {"$gt": 5}}}}),
    _find("$allMatch", {**PERSON, "visits": {"$allMatch": {"$gt": 1}}}),
    _find("$keyMapMatch", {**PERSON, "deep": {"$keyMapMatch": {"$eq": "er"}}}, NO_OPERATOR),
    _find("$beginsWith", {**PERSON, "name": {"$beginsWith": "A"}}, NO_OPERATOR),
    _find("$and", {"$and": [PERSON, {"name": {"$gt": "F"}}, {"name": {"$lt": "M"}}]}),
    _find("$or", {"$or": [{"name": "Ada"}, {"total": 10}]}),
    _find("$nor", {**PERSON, "$nor": [{"name": "Ada"}, {"age": {"$gt": 50}}]}),
    _find("$not", {**PERSON, "$not": {"name": {"$gt": "C"}}}),
    _find(
        "$not of a field", {**PERSON, "name": {"$not": {"$regex": "a"}}}, both("PouchDB knows $not above fields only")
    ),
    _find("$or within $and", {"$and": [PERSON, {"$or": [{"age": 36}, {"age": 41}]}]}),
    _find("a field within another", {"address.city": "london"}),
    _find("a field within another, nested", {"address": {"city": "london"}}),
    _find("a field far within", {"deep.er.est": 1}),
    _find("a field whose name has a dot", {"address.geo\\.lat": 6}),
    _find("an array as it is", {**PERSON, "tags": ["maths", "poetry"]}),
    _find("an element of an array", {**PERSON, "visits.0": 2}),
    _find("null", {**PERSON, "age": None}),
    _find(
        "greater than null", {**PERSON, "age": {"$gt": None}}, both("PouchDB fails: it reads `{$gt: null}` as anything")
    ),
    _find("false", {"type": "key", "key": False}),
    _find("by id", {"_id": "ada"}),
    _find("a range of ids", {"_id": {"$gte": "b", "$lt": "e"}}),
    _find("ids in a list", {"_id": {"$in": ["ada", "max", "nobody"]}}),
    _find("sort by the index", {"age": {"$gt": 0}}, sort=["age"]),
    _find("sort, descending", {"age": {"$gt": 0}}, sort=[{"age": "desc"}]),
    _find("sort, limit", {"age": {"$gt": 0}}, sort=["age"], limit=2),
    _find("sort, skip and limit", {"age": {"$gt": 0}}, sort=["age"], skip=2, limit=3),
    _find("sort by two fields", {"type": "order", "total": {"$gte": 0}}, sort=["type", "total"]),
    _find("sort by a field within another", {"address.city": {"$gt": "b"}}, sort=["address.city"], limit=3),
    _find("sort by id", {"_id": {"$gt": "a", "$lt": "k"}}, sort=["_id"]),
    _find("sort by id, descending", {"_id": {"$gt": "a", "$lt": "k"}}, sort=[{"_id": "desc"}], limit=4),
    _find("sort of keys of many types", {"key": {"$gte": False}}, sort=["key"]),
    _find(
        "sort of keys of every type",
        {"key": {"$gte": None}},
        both("PouchDB reads `{$gte: null}` as anything, so what has no key is found too"),
        sort=["key"],
    ),
    _find("fields", PERSON, fields=["_id", "name"]),
    _find("fields within others", {"name": "Ada"}, fields=["address.city"]),
    _find("fields that not all have", PERSON, fields=["_id", "boss"]),
    _find("skip", {"type": "order", "total": {"$gt": 0}}, sort=["type", "total"], skip=15),
    _find("limit 0", PERSON, limit=0),
    _find("nothing matches", {"type": "nobody"}),
    _find("an index by its name", {"age": {"$gt": 40}}, use_index="ages"),
    _find("a partial index", {"day": {"$gte": [2024, 2]}, "total": {"$gte": 50}}, use_index="large"),
    _find(
        "a partial index that is not asked for",
        {"day": {"$gte": [2024, 2]}},
        {POUCHDB: "PouchDB takes a partial index for any selector"},
    ),
    _find("an index of two fields by its first", {"type": "order", "total": {"$gt": 90}}),
]
