"""What the recorded exchanges do not show of the resources."""

from __future__ import annotations

import gzip

import pytest

from couchette.server.multipart_in import MultipartReader
from tests.server.asgi import call, call_json

pytestmark = pytest.mark.anyio

TEXT = b"hello " * 50


async def put_attachment(app, **headers):
    given = {"content-type": "text/plain", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return await call(app, "PUT", "/db/a/t.txt", given, TEXT)


async def test_a_new_document_gets_an_id(app):
    posted = await call_json(app, "POST", "/db", {"v": 1})
    assert posted.status == 201
    assert posted.headers["location"].endswith(posted.json()["id"])
    assert "etag" not in posted.headers


async def test_a_batch_write_is_accepted_without_a_rev_and_made(app):
    for method, target in [("POST", "/db"), ("PUT", "/db/a"), ("PUT", "/db/b/x"), ("PUT", "/db/_local/x")]:
        answer = await call_json(app, method, f"{target}?batch=ok", {"v": 1})
        assert answer.status == 202
        assert answer.json().keys() == {"ok", "id"}
    rev = (await call(app, "GET", "/db/a")).json()["_rev"]
    assert (await call(app, "DELETE", f"/db/a?batch=ok&rev={rev}")).json() == {"ok": True, "id": "a"}
    assert (await call(app, "GET", "/db/a")).status == 404


async def test_a_compressed_attachment_goes_out_as_the_client_accepts_it(app):
    assert (await put_attachment(app)).status == 201
    plain = await call(app, "GET", "/db/a/t.txt")
    assert (plain.body, plain.headers.get("content-encoding")) == (TEXT, None)
    packed = await call(app, "GET", "/db/a/t.txt", {"accept-encoding": "deflate, gzip"})
    assert (gzip.decompress(packed.body), packed.headers["content-encoding"]) == (TEXT, "gzip")
    assert packed.headers["etag"] == plain.headers["etag"]
    assert plain.headers["content-security-policy"] == "sandbox"
    assert (await call(app, "GET", "/db/a/t.txt", {"if-none-match": plain.headers["etag"]})).status == 304


async def test_an_attachment_may_come_compressed_and_is_kept_so(app):
    packed = gzip.compress(TEXT)
    headers = {"content-type": "image/x", "content-encoding": "gzip"}
    assert (await call(app, "PUT", "/db/a/i", headers, packed)).status == 201
    assert (await call(app, "GET", "/db/a/i")).body == TEXT
    stub = (await call(app, "GET", "/db/a?att_encoding_info=true")).json()["_attachments"]["i"]
    assert (stub["length"], stub["encoded_length"], stub["encoding"]) == (len(packed), len(packed), "gzip")


async def test_an_upload_that_is_no_gzip_is_kept_and_refused_when_it_is_read(app):
    headers = {"content-type": "image/x", "content-encoding": "gzip"}
    assert (await call(app, "PUT", "/db/a/i", headers, b"not gzip")).status == 201
    assert (await call(app, "GET", "/db/a/i")).status == 400
    assert (await call(app, "GET", "/db/a/i", {"accept-encoding": "gzip"})).body == b"not gzip"


@pytest.mark.parametrize("encoding", ["deflate", "br"])
async def test_other_encodings_are_refused(app, encoding):
    answer = await put_attachment(app, content_encoding=encoding)
    assert answer.json()["reason"] == "Only gzip and identity content-encodings are supported"
    assert answer.status == 415


async def test_an_attachment_is_removed_by_its_documents_rev(app):
    rev = (await put_attachment(app)).json()["rev"]
    assert (await call(app, "DELETE", "/db/a/t.txt")).status == 409
    assert (await call(app, "DELETE", f"/db/a/none?rev={rev}")).status == 404
    removed = await call(app, "DELETE", "/db/a/t.txt", {"if-match": rev})
    assert (removed.status, removed.json()["rev"][:2]) == (200, "2-")
    assert (await call(app, "GET", "/db/a/t.txt")).status == 404


async def test_a_name_that_begins_with_an_underscore_is_refused(app):
    assert (await call(app, "PUT", "/db/a/_x", {}, b"x")).status == 400


async def test_several_documents_come_as_multipart_only_to_a_client_that_takes_nothing_else(app):
    await put_attachment(app)
    await call_json(app, "PUT", "/db/b", {"v": 1})
    body = b'{"docs":[{"id":"a"},{"id":"b"},{"id":"none"}]}'
    headers = {"content-type": "application/json"}
    mixed = await call(app, "POST", "/db/_bulk_get?revs=true", {**headers, "accept": "multipart/mixed"}, body)
    reader = MultipartReader(mixed.headers["content-type"])
    reader.feed(mixed.body)
    first, second, third = reader.finish()
    assert first.headers["content-type"].startswith("multipart/related; boundary=")
    assert (first.headers["x-doc-id"], first.headers["x-rev-id"][:2]) == ("a", "1-")
    assert second.headers == {"content-type": "application/json"}
    assert third.headers == {"content-type": 'application/json; error="true"'}
    for accept in ("multipart/mixed, application/json", "*/*"):
        answer = await call(app, "POST", "/db/_bulk_get", {**headers, "accept": accept}, body)
        assert len(answer.json()["results"]) == 3


async def test_what_was_read_as_multipart_can_be_written_back(app):
    await put_attachment(app)
    got = await call(app, "GET", "/db/a?attachments=true&revs=true", {"accept": "multipart/related"})
    headers = {"content-type": got.headers["content-type"]}
    assert (await call(app, "PUT", "/db/copy?new_edits=false", headers, got.body)).status == 201
    assert (await call(app, "GET", "/db/copy/t.txt")).body == TEXT


async def test_other_multipart_kinds_are_no_documents(app):
    assert (await call(app, "PUT", "/db/a", {"content-type": "multipart/mixed; boundary=b"}, b"--b--")).status == 400


async def test_all_or_nothing_is_not_promised(app):
    answer = await call_json(app, "POST", "/db/_bulk_docs", {"docs": [{"_id": "a"}], "all_or_nothing": True})
    assert answer.status == 417
    assert (await call(app, "GET", "/db/a")).status == 404


async def test_a_local_documents_etag_is_that_of_its_text(app):
    await call_json(app, "PUT", "/db/_local/x", {"v": 1})
    first = await call(app, "GET", "/db/_local/x")
    assert (await call(app, "GET", "/db/_local/x", {"if-none-match": first.headers["etag"]})).status == 304
    await call_json(app, "PUT", "/db/_local/x", {"v": 2})
    second = await call(app, "GET", "/db/_local/x", {"if-none-match": first.headers["etag"]})
    assert (second.status, second.json()["_rev"]) == (200, first.json()["_rev"])


async def test_an_unchanged_feed_is_not_sent_again(app):
    await call_json(app, "PUT", "/db/a", {})
    etag = (await call(app, "GET", "/db/_changes")).headers["etag"]
    assert (await call(app, "GET", "/db/_changes", {"if-none-match": etag})).status == 304
    await call_json(app, "PUT", "/db/b", {})
    assert (await call(app, "GET", "/db/_changes", {"if-none-match": etag})).status == 200


async def test_a_form_upload_is_refused(app):
    answer = await call(app, "POST", "/db/a", {"referer": "http://couch.example/"})
    assert answer.status == 405
    assert "POST" not in answer.headers["allow"]


async def test_credentials_are_not_looked_at_yet(app):
    assert (await call(app, "GET", "/db", {"authorization": "Basic !!!"})).status == 200


async def test_a_host_header_may_be_missing(app):
    answer = await call(app, "PUT", "/db/a", {"host": ""}, b"{}")
    assert answer.headers["location"] == "http://localhost/db/a"
