"""Malformed documents and batches get CouchDB's kind of refusal; what is malformed elsewhere is `test_fuzz.py`'s."""

from __future__ import annotations

import gzip
import json
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Environment
from couchette.server import create_app
from tests.server.asgi import call


def one_of(words: str) -> st.SearchStrategy[str]:
    """One of these words."""
    return st.sampled_from(words.split())


MEMBERS = one_of(
    "_id _rev _deleted _revisions _attachments start ids data stub follows revpos content_type docs doc id rev "
    "atts_since keys limit new_edits doc_ids a"
)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["1-a", "doc"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(MEMBERS, inner, max_size=4),
    max_leaves=12,
)
DOCS: list[dict[str, Any]] = [
    {"_id": "doc", "v": 1, "_attachments": {"att": {"content_type": "text/plain", "data": "aGVsbG8="}}},
    {"_id": "_design/x", "filters": {"f": "x"}},
    {"_id": "_local/x"},
]


async def answered(method: str, target: str, headers: dict[str, str], body: bytes) -> int:
    with Environment(":memory:") as environment:
        environment.create("db").bulk_docs(DOCS)
        answer = await call(create_app(environment), method, target, headers, body)
    if answer.status >= 400 and method != "HEAD":
        assert answer.json().keys() == {"error", "reason"}
    return answer.status


def send(method: str, target: str, headers: dict[str, str], body: bytes) -> int:
    return anyio.run(answered, method, target, headers, body)


@given(st.sampled_from(["_bulk_docs", "_bulk_get"]), st.lists(JSON_VALUES, max_size=3), st.booleans())
def test_any_batch_is_answered_without_a_failure(resource, docs, new_edits):
    body = json.dumps({"docs": docs, "new_edits": new_edits}).encode()
    status = send("POST", f"/db/{resource}", {"content-type": "application/json"}, body)
    assert status in (200, 201, 400, 412)


@given(st.dictionaries(MEMBERS, JSON_VALUES), one_of("new doc _local/x _design/x"), st.booleans())
def test_any_document_is_stored_or_refused(doc, doc_id, new_edits):
    target = f"/db/{doc_id}?new_edits={json.dumps(new_edits)}"
    assert send("PUT", target, {}, json.dumps(doc).encode()) in (200, 201, 400, 409, 412)


@given(st.dictionaries(one_of("doc none _local/x _x"), JSON_VALUES), one_of("_revs_diff _missing_revs"))
def test_any_question_for_missing_revisions_is_answered_or_refused(revs, resource):
    headers = {"content-type": "application/json"}
    assert send("POST", f"/db/{resource}", headers, json.dumps(revs).encode()) in (200, 400)


@given(st.dictionaries(MEMBERS | one_of("key start_key end_key include_docs descending skip"), JSON_VALUES))
def test_any_options_of_all_docs_are_taken_or_refused(options):
    headers = {"content-type": "application/json"}
    assert send("POST", "/db/_all_docs", headers, json.dumps(options).encode()) in (200, 400)


@given(st.binary(max_size=40), st.sampled_from(["/db/new", "/db/_local/a", "/db/_design/a"]))
def test_any_bytes_as_a_document_are_stored_or_refused(body, target):
    assert send("PUT", target, {}, body) in (201, 400)


@given(st.binary(max_size=60))
def test_any_multipart_is_stored_or_refused(body):
    headers = {"content-type": "multipart/related; boundary=b"}
    content = b"--b\r\nContent-Type: application/json\r\n\r\n" + body + b"\r\n--b--"
    assert send("PUT", "/db/new", headers, content) in (201, 400, 412)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"a":NaN}', "invalid UTF-8 JSON"),
        (b'{"a":1e400}', "invalid UTF-8 JSON"),
        (b'{"a":"\\ud800"}', "invalid UTF-8 JSON"),
        (b"\xef\xbb\xbf{}", "invalid UTF-8 JSON"),
        (b"[]", "Document must be a JSON object"),
    ],
)
@pytest.mark.anyio
async def test_malformed_documents_have_couchdbs_sentences(app, body, reason):
    answer = await call(app, "PUT", "/db/a", {}, body)
    assert (answer.status, answer.json()) == (400, {"error": "bad_request", "reason": reason})
    assert (await call(app, "GET", "/db/_all_docs")).json()["total_rows"] == 0


@pytest.mark.anyio
async def test_a_document_nested_too_deeply_is_refused(app):
    answer = await call(app, "PUT", "/db/a", {}, b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}")
    assert answer.status == 400


@pytest.mark.anyio
async def test_a_revision_or_a_type_cannot_end_a_header(app):
    body = json.dumps({"_rev": "1-a\r\nX-Evil: 1\u65e5", "_attachments": {"x": {"content_type": "a\r\nb", "data": ""}}})
    put = await call(app, "PUT", "/db/a?new_edits=false", {}, body.encode())
    assert put.status == 201
    assert "\r" not in put.headers["etag"]
    got = await call(app, "GET", "/db/a/x")
    assert got.headers["content-type"] == "a%0D%0Ab"


@pytest.mark.anyio
async def test_a_compressed_body_is_unpacked(app):
    body = gzip.compress(b'{"v":1}')
    assert (await call(app, "PUT", "/db/a", {"content-encoding": "gzip"}, body)).status == 201
    assert (await call(app, "GET", "/db/a")).json()["v"] == 1
    refused = await call(app, "PUT", "/db/b", {"content-encoding": "gzip"}, b"{}")
    assert (refused.status, refused.json()["reason"]) == (400, "Request body is not properly gzipped.")
    refused = await call(app, "PUT", "/db/b", {"content-encoding": "br"}, b"{}")
    assert (refused.status, refused.json()["error"]) == (415, "bad_content_type")
