"""Databases to ask, and a proper request to each resource: what the fuzzing bends."""

from __future__ import annotations

from typing import Any

FUNCTIONS: dict[str, Any] = {
    "_id": "_design/x",
    "views": {
        "v": {"map": "function (doc) { emit(doc.n, 1); }", "reduce": "_stats"},
        "w": {"map": "function (doc) { emit([doc._id, doc.n], 1); }", "reduce": "_count"},
    },
    "filters": {"f": "function (doc, req) { return doc.n > (req.query.n || 0); }"},
    "shows": {"s": "function (doc, req) { provides('html', function () { return '<' + (doc || req).n + '>'; }); }"},
    "lists": {"l": "function (head, req) { var row; while (row = getRow()) { send(toJSON(row)); } }"},
    "updates": {"u": "function (doc, req) { doc = doc || {_id: req.uuid}; doc.got = req.body; return [doc, 'done']; }"},
    "rewrites": [{"from": "doc/:id", "to": "../../:id"}, {"from": "rows", "to": "_view/v", "query": {"limit": "2"}}],
    "indexes": {"i": {"index": "function (doc) { index('default', doc._id); index('n', doc.n || 0, {facet: true}); }"}},
    "spatial": {"p": "function (doc) { if (doc.at) { emit({type: 'Point', coordinates: doc.at}, doc.n); } }"},
}
DOCS: list[dict[str, Any]] = [
    {"_id": "a", "n": 1, "at": [1, 2], "_attachments": {"t": {"content_type": "text/plain", "data": "aGVsbG8="}}},
    {"_id": "b", "n": [2, "x"], "_attachments": {"p q/r": {"content_type": "image/png", "data": "AAEC"}}},
    {"_id": "é", "n": None},
    {"_id": "_local/o", "n": 1},
    FUNCTIONS,
]
SECRET = "nobody may read this"
LEAVES = [
    {"_id": "c", "_rev": "2-b", "_revisions": {"start": 2, "ids": ["b", "a"]}, "n": 3, "text": SECRET},
    {
        "_id": "c",
        "_rev": "2-c",
        "_revisions": {"start": 2, "ids": ["c", "a"]},
        "n": 4,
        "text": SECRET,
        "_attachments": {"t": {"data": "eA=="}},
    },
    {"_id": "gone", "_rev": "1-d", "_deleted": True},
]
PARTITIONED: list[dict[str, Any]] = [{"_id": "p:a", "n": 1}, {"_id": "q:a", "n": 2}, FUNCTIONS]

SELECTOR = {"$or": [{"n": {"$in": [1, "x"]}}, {"n.0": {"$regex": "^x", "$mod": [2, 1]}}]}
FIND = {"selector": SELECTOR, "sort": [], "fields": ["_id", "n.x"], "limit": 2, "skip": 1}
KEYS = {"keys": ["a", "c"], "include_docs": True, "descending": True, "limit": 2, "skip": 1}
QUERY_LIST = {
    "queries": [{"keys": [1], "group": True}, {"startkey": [None], "endkey": {}, "group_level": 1, "reduce": True}]
}
SEARCH = {
    "q": "default:a OR n:[0 TO 5]",
    "sort": ["-n<number>", "x<string>"],
    "counts": ["n"],
    "group_field": "n",
    "limit": 2,
    "ranges": {"n": {"low": "[0 TO 2]"}},
    "include_docs": True,
    "highlight_fields": ["default"],
    "drilldown": [["n", 1]],
}
JSON_INDEX = {"fields": ["n", {"_id": "asc"}], "partial_filter_selector": {"n": {"$exists": True}}}
TEXT_INDEX = {"fields": [{"name": "n", "type": "string"}], "default_field": {"enabled": True, "analyzer": "english"}}
JOB = {"source": {"url": "http://there.example/db", "headers": {"a": "b"}}, "target": {"url": "db"}, "continuous": True}
LEAF = {"_rev": "3-x", "_revisions": {"start": 3, "ids": ["x", "b", "a"]}, "_deleted": True}
BATCH = {"docs": [{"_id": "d", "n": 1}, {"_id": "c", "_rev": "2-b"}, {"n": 2}], "new_edits": True}
OF_OTHERS = {
    "docs": [{"_id": "d", "_rev": "1-q", "_attachments": {"u": {"data": "eA=="}}}, LEAVES[2]],
    "new_edits": False,
}
WANTED = {"docs": [{"id": "a"}, {"id": "c", "rev": "2-b", "atts_since": ["1-a"]}]}
JUDGING = {**FUNCTIONS, "_id": "_design/y", "validate_doc_update": "function (doc) { throw {forbidden: doc._id}; }"}
PROPER: list[tuple[str, str, Any]] = [
    ("GET", "", None),
    ("GET", "_all_dbs?limit=1", None),
    ("POST", "_dbs_info", {"keys": ["db", "none"]}),
    ("GET", "_db_updates?feed=longpoll", None),
    ("GET", "_uuids?count=2", None),
    ("GET", "_active_tasks", None),
    ("GET", "_cluster_setup", None),
    ("GET", "_node/_local/_stats", None),
    ("GET", "_node/_local/_prometheus", None),
    ("GET", "_node/_local/_versions", None),
    ("GET", "_utils/", None),
    ("PUT", "_node/_local/_config/cors/origins", "http://x"),
    ("POST", "_session", {"name": "ada", "password": "pw"}),
    ("POST", "_search_analyze", {"analyzer": "standard", "text": "some Words"}),
    ("POST", "_replicate", {"source": "db", "target": "other", "create_target": True, "doc_ids": ["a"]}),
    ("POST", "_replicate", JOB),
    ("PUT", "_replicator/a", JOB),
    ("GET", "_scheduler/docs", None),
    ("PUT", "_users/org.couchdb.user:eve", {"name": "eve", "type": "user", "roles": ["r"], "password": "pw"}),
    ("PUT", "other", None),
    ("GET", "db", None),
    ("DELETE", "db", None),
    ("POST", "db", {"n": 1}),
    ("GET", "db/_all_docs?include_docs=true&conflicts=true&update_seq=true", None),
    ("POST", "db/_all_docs", KEYS),
    ("POST", "db/_all_docs/queries", {"queries": [{"keys": ["a"]}, {"startkey": "b", "limit": 1}]}),
    ("POST", "db/_design_docs", KEYS),
    ("GET", "db/_local_docs?include_docs=true", None),
    ("POST", "db/_bulk_docs", BATCH),
    ("POST", "db/_bulk_docs", OF_OTHERS),
    ("POST", "db/_bulk_get?revs=true&attachments=true", WANTED),
    ("POST", "db/_changes", {"doc_ids": ["a", "c"], "selector": {"n": {"$gt": 1}}}),
    ("GET", "db/_changes?feed=continuous&filter=x/f&n=0&style=all_docs&include_docs=true", None),
    ("GET", "db/_changes?feed=eventsource&filter=_view&view=x/v&since=0", None),
    ("POST", "db/_changes?filter=_selector", {"selector": SELECTOR}),
    ("POST", "db/_revs_diff", {"a": ["1-a", "1-x"], "c": ["2-b", "3-z"], "gone": ["1-d"]}),
    ("POST", "db/_missing_revs", {"c": ["2-b", "3-z"]}),
    ("POST", "db/_purge", {"c": ["2-b"], "none": ["1-x"]}),
    ("PUT", "db/_purged_infos_limit", 1000),
    ("PUT", "db/_revs_limit", 2),
    ("POST", "db/_compact", None),
    ("POST", "db/_compact/x", None),
    ("POST", "db/_view_cleanup", None),
    ("POST", "db/_ensure_full_commit", None),
    ("GET", "db/_shards/a", None),
    ("POST", "db/_sync_shards", None),
    ("PUT", "db/_security", {"admins": {"names": ["ada"], "roles": []}, "members": {"names": [], "roles": ["r"]}}),
    ("POST", "db/_find", {**FIND, "use_index": ["_design/x", "v"], "execution_stats": True}),
    ("POST", "db/_explain", FIND),
    ("POST", "db/_index", {"index": JSON_INDEX, "ddoc": "z", "name": "y", "type": "json"}),
    ("POST", "db/_index", {"index": TEXT_INDEX, "type": "text"}),
    ("GET", "db/_index", None),
    ("POST", "db/_index/_bulk_delete", {"docids": ["x", "_design/y"]}),
    ("GET", "db/a?revs=true&revs_info=true&conflicts=true&attachments=true&att_encoding_info=true", None),
    ("GET", 'db/c?open_revs=["2-b","2-c","9-x"]&latest=true', None),
    ("PUT", "db/c?new_edits=false", LEAF),
    ("PUT", "db/new", {"_attachments": {"t": {"content_type": "a/b", "data": "eA=="}}}),
    ("PUT", "db/_local/z", {"n": 1}),
    ("DELETE", "db/c?rev=2-c", None),
    ("COPY", "db/c", None),
    ("GET", "db/a/t", None),
    ("PUT", "db/new/u%2Fv", None),
    ("DELETE", "db/c/t?rev=2-c", None),
    ("PUT", "db/_design/y", JUDGING),
    ("GET", "db/_design/x/_info", None),
    ("GET", "db/_design/x/_view/v?startkey=1&endkey={}&reduce=false&include_docs=true&inclusive_end=false", None),
    ("POST", "db/_design/x/_view/w?group=true", {"keys": [["a", 1]]}),
    ("POST", "db/_design/x/_view/v/queries", QUERY_LIST),
    ("GET", "db/_design/x/_show/s/a?format=html", None),
    ("GET", "db/_design/x/_list/l/v?reduce=false", None),
    ("POST", "db/_design/x/_update/u", {"n": 1}),
    ("PUT", "db/_design/x/_update/u/a", "text"),
    ("GET", "db/_design/x/_rewrite/doc/a", None),
    ("GET", "db/_design/x/_rewrite/rows", None),
    ("GET", 'db/_design/x/_search/i?q=*:*&sort="-n<number>"&counts=["n"]&limit=1', None),
    ("POST", "db/_design/x/_search/i", SEARCH),
    ("GET", "db/_design/x/_search_info/i", None),
    ("GET", "db/_design/x/_spatial/p?bbox=0,0,5,5", None),
    ("GET", "parts/_partition/p", None),
    ("POST", "parts/_partition/p/_all_docs", {"startkey": "p:a", "include_docs": True}),
    ("GET", "parts/_partition/p/_design/x/_view/v?reduce=false&limit=2", None),
    ("POST", "parts/_partition/p/_find", FIND),
    ("POST", "parts/_bulk_docs", {"docs": [{"_id": "p:c"}, {"_id": "q:a", "n": 2}]}),
]
"""A request to each resource, of an administrator: method, path, JSON body. Each has its answer."""
PROPER_HEADERS = {"content-type": "application/json", "authorization": "Basic YWRhOnB3", "destination": "e"}


def _related(doc: bytes) -> bytes:
    parts = [b"Content-Type: application/json\r\n\r\n" + doc]
    for name in (b"u", b"v"):
        parts.append(
            b'Content-Disposition: attachment; filename="%b"\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhello'
            % name
        )
    return b"--b\r\n" + b"\r\n--b\r\n".join(parts) + b"\r\n--b--"


MULTIPARTS = [
    _related(
        b'{"n":1,"_attachments":{"u":{"follows":true,"length":5,"content_type":"a/b"},"v":{"follows":true,"length":5}}}'
    ),
    _related(
        b'{"_attachments":{"u":{"follows":true,"length":5,"encoding":"gzip","digest":"md5-XUFAKrxLKna5cZ2REBfFkg=="}}}'
    ),
    b'--b\r\nContent-Disposition: form-data; name="_attachments"; filename="f"\r\nContent-Type: a/b\r\n\r\nhello\r\n'
    b'--b\r\nContent-Disposition: form-data; name="_rev"\r\n\r\n1-a\r\n--b--\r\n',
    b'--b\r\nContent-Disposition: form-data; name="_doc"\r\n\r\n{"n":2}\r\n--b--\r\n',
]
