"""Fetching with attachments: multipart where a server speaks it, and streams that read on where the line broke."""

from __future__ import annotations

import json
from contextlib import aclosing

import httpx
import pytest
import trio.testing

from couchette import errors, limits
from couchette.remote.contents import NOT_GIVEN, RemoteContent
from couchette.remote.fetching import Fetcher
from couchette.wire.content import ContentGone
from couchette.wire.multipart import json_part
from couchette.wire.transfer import Refusal, Wanted
from tests.remote.scripted import Script, answer, client_of, couch_error
from tests.wire.multiparts import related, write

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Pauses pass at once: the clock jumps when every task waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


def doc(doc_id="a", rev="2-y", **attachments):
    one = {"_id": doc_id, "_rev": rev, "_revisions": {"start": 2, "ids": [rev[2:], "x"]}}
    return {**one, "_attachments": attachments} if attachments else one


def stub(length=3, revpos=2):
    return {"stub": True, "length": length, "revpos": revpos, "content_type": "text/plain"}


def full(data, **more):
    return {"content_type": "text/plain", "revpos": 2, "data": data, **more}


def stubbed(*docs):
    return answer(200, {"results": [{"id": one["_id"], "docs": [{"ok": one}]} for one in docs]})


def mixed(*docs):
    body = write(
        "multipart/mixed", [related(one).as_part() if "_attachments" in one else json_part(one) for one in docs]
    )
    return httpx.Response(200, headers={"content-type": body.content_type}, content=body.content)


async def fetch(script, *wanted):
    portions = []
    async with script.client() as client, aclosing(Fetcher(client).fetch(wanted)) as fetched:
        async for portion in fetched:
            portions.append(portion)
    return portions


async def test_attachments_of_many_documents_come_as_multipart_without_base64():
    script = Script(
        stubbed(doc("a", x=stub(), y=stub()), doc("b", x=stub())),
        mixed(doc("a", x=full(b"\x00a"), y=full(b"\x1f\x8b", encoding="gzip")), doc("b", x=full(b"\x00b"))),
    )
    empty, filled = await fetch(script, Wanted("a", ["2-y"], ["1-x"]), Wanted("b", ["2-y"]))
    assert not empty.docs
    a, b = filled.docs
    assert a["_attachments"]["x"]["data"] == b"\x00a"
    assert (a["_attachments"]["y"]["data"], a["_attachments"]["y"]["encoding"]) == (b"\x1f\x8b", "gzip")
    assert b["_attachments"]["x"]["data"] == b"\x00b"
    assert [request.headers["accept"] for request in script.requests] == ["application/json", "multipart/mixed"]
    assert json.loads(script.requests[1].content)["docs"][0]["atts_since"] == ["1-x"]
    assert filled.size > 0


async def test_a_server_that_does_not_accept_multipart_is_asked_in_json_from_then_on():
    filled = doc("a", x=full("QQ=="), y=full("QQ=="))
    script = Script(
        stubbed(doc("a", x=stub(), y=stub())),
        couch_error(406, "not_acceptable", "no"),
        stubbed(filled),
    )
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert portion.docs == [filled]
    assert script.requests[2].headers["accept"] == "application/json"


async def test_without_bulk_get_a_document_with_attachments_comes_by_open_revs_with_atts_since():
    script = Script(
        couch_error(404, "not_found", "missing"),
        answer(200, [{"ok": doc("a", old=stub(revpos=1), x=stub(), y=stub())}]),
        mixed(doc("a", old=stub(revpos=1), x=full(b"x"), y=full(b"y"))),
    )
    _, portion = await fetch(script, Wanted("a", ["2-y"], ["1-x"]))
    (one,) = portion.docs
    assert (one["_attachments"]["x"]["data"], one["_attachments"]["old"]["stub"]) == (b"x", True)
    asked = script.requests[2]
    assert asked.headers["accept"] == "multipart/mixed"
    assert json.loads(asked.url.params["open_revs"]) == ["2-y"]
    assert json.loads(asked.url.params["atts_since"]) == ["1-x"]


@pytest.mark.parametrize("size", [3, limits.ATTACHMENT_INLINE_BYTES_MAX + 1])
async def test_an_attachment_with_an_empty_name_is_never_asked_for_by_its_url(size):
    """Its URL would be the document's, whose JSON would be taken for the content."""
    listed, filled = stubbed(doc("a", **{"": stub(size)})), mixed(doc("a", **{"": full(b"abc")}))
    script = Script(listed, filled)
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert portion.docs[0]["_attachments"][""]["data"] == b"abc"
    script = Script(couch_error(404, "x", "x"), answer(200, [{"ok": doc("a", **{"": stub(size)})}]), filled)
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert portion.docs[0]["_attachments"][""]["data"] == b"abc"
    script = Script(listed, listed)
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert (portion.docs, [refusal.error for refusal in portion.refused]) == ([], ["bad_request"])


SPOILT = [b'"\\ud83d"', b"9" * 5000, b'{"\\ud83d":1}', b"[" * 3000 + b"]" * 3000]


def spoiling(spoilt, rev="2-y"):
    """A server that has documents as they are asked for, of which `b` cannot be read; and what it was asked for."""
    asked: list = []

    def response(request):
        if request.method == "POST":
            keys = [(entry["id"], entry["rev"]) for entry in json.loads(request.content)["docs"]]
            asked.append([doc_id for doc_id, _ in keys])
            rows = [{"id": doc_id, "docs": [{"ok": doc(doc_id, rev)}]} for doc_id, rev in keys]
            content = json.dumps({"results": rows}).encode()
        else:
            revs = json.loads(request.url.params["open_revs"])
            asked.append(revs)
            content = json.dumps([{"ok": doc("b" if one == rev else "a", one)} for one in revs]).encode()
        content = content.replace(b'{"_id": "b"', b'{"v": ' + spoilt + b', "_id": "b"')
        return httpx.Response(200, headers={"content-type": "application/json"}, content=content)

    return response, asked


@pytest.mark.parametrize("spoilt", SPOILT, ids=lambda text: text[:9].decode())
async def test_a_document_that_cannot_be_read_is_refused_alone(spoilt):
    response, asked = spoiling(spoilt)
    (portion,) = await fetch(Script(*[response] * 5), *(Wanted(doc_id, ["2-y"]) for doc_id in "abcd"))
    assert asked == [["a", "b", "c", "d"], ["a", "b"], ["a"], ["b"], ["c", "d"]]
    assert [one["_id"] for one in portion.docs] == ["a", "c", "d"]
    (refusal,) = portion.refused
    assert (refusal.id, refusal.rev, refusal.error) == ("b", "2-y", "unreadable")


async def test_without_bulk_get_a_revision_that_cannot_be_read_is_refused_alone():
    response, asked = spoiling(SPOILT[0], rev="2-z")
    script = Script(couch_error(404, "x", "x"), *[response] * 3)
    (portion,) = await fetch(script, Wanted("a", ["2-y", "2-z"]))
    assert asked == [["2-y", "2-z"], ["2-y"], ["2-z"]]
    assert ([one["_rev"] for one in portion.docs], [one.rev for one in portion.refused]) == (["2-y"], ["2-z"])


async def test_what_is_no_json_at_all_ends_the_fetch():
    page = httpx.Response(200, headers={"content-type": "text/html"}, content=b"<html>")
    with pytest.raises(errors.NotCouchDB, match="does not answer as CouchDB"):
        await fetch(Script(page), Wanted("a", ["2-y"]), Wanted("b", ["2-y"]))


async def test_a_list_of_ancestors_is_cut_to_what_a_path_may_hold():
    known = [f"1-{number:032}" for number in range(600)]
    one = doc("a", x=stub(), y=stub())
    script = Script(couch_error(404, "x", "x"), answer(200, [{"ok": one}]), mixed(doc("a", x=full(b"x"), y=full(b"y"))))
    await fetch(script, Wanted("a", ["2-y"], known))
    asked = script.requests[2].url
    assert len(asked.raw_path) <= limits.URL_PATH_MAX + 100
    assert json.loads(asked.params["atts_since"]) == known[: len(json.loads(asked.params["atts_since"]))]


async def test_a_multipart_answer_that_is_broken_is_not_couchdb_s():
    broken = httpx.Response(200, headers={"content-type": "multipart/mixed; boundary=b"}, content=b"--b\r\n\r\n{}")
    script = Script(stubbed(doc("a", x=stub(), y=stub())), broken)
    with pytest.raises(errors.NotCouchDB, match="multipart"):
        await fetch(script, Wanted("a", ["2-y"]))


CONTENT = bytes(range(256)) * 40  # 10240 bytes


class Attachment:
    """A server of one attachment, whose line breaks after so many bytes of each answer."""

    def __init__(self, *breaks, ranges=True, etag='"e"'):
        self.breaks = list(breaks)
        self.ranges = ranges
        self.etag = etag
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        first = 0
        if self.ranges and "range" in request.headers:
            assert request.headers["if-range"] == self.etag
            first = int(request.headers["range"].removeprefix("bytes=").removesuffix("-"))
        limit = self.breaks.pop(0) if self.breaks else None

        async def body():
            whole = CONTENT[first:]
            for start in range(0, len(whole if limit is None else whole[:limit]), 1000):
                yield whole[start : start + 1000] if limit is None else whole[start : min(start + 1000, limit)]
            if limit is not None:
                raise httpx.ReadError("reset")

        return httpx.Response(206 if first else 200, headers={"etag": self.etag}, content=body())

    async def read(self, length=10240):
        async with client_of(self) as client:
            content = RemoteContent(client, "a", "2-y", "x/y", length)
            async with content.open() as chunks:
                return b"".join([chunk async for chunk in chunks])


@pytest.mark.parametrize("ranges", [True, False])
async def test_content_is_read_on_where_the_line_broke(ranges):
    server = Attachment(3500, *([2500] if ranges else [5000]), ranges=ranges)
    assert await server.read() == CONTENT
    assert len(server.requests) == 3
    assert str(server.requests[0].url) == "http://host:5984/db/a/x%2Fy?rev=2-y"
    assert server.requests[0].headers["accept-encoding"] == "identity"
    assert server.requests[1].headers["range"] == "bytes=3500-"


async def test_a_line_that_gets_no_further_is_given_up():
    server = Attachment(3500, *[0] * 20)
    with pytest.raises(errors.Unreachable):
        await server.read()
    assert len(server.requests) == limits.HTTP_RETRIES + 1


async def test_content_that_ends_early_is_read_on_and_then_given_up():
    with pytest.raises(ContentGone, match="ended at byte") as caught:
        await Attachment().read(len(CONTENT) + 1)
    assert caught.value.error == "remote_error"


async def test_content_that_is_longer_than_announced_is_given_up_before_it_is_given_out():
    with pytest.raises(ContentGone, match="not as long as announced") as caught:
        await Attachment().read(len(CONTENT) - 1)
    assert caught.value.error == "remote_error"


@pytest.mark.parametrize("status", NOT_GIVEN)
async def test_content_that_the_server_does_not_give_is_gone(status):
    async with client_of(lambda request: couch_error(status, "word", "missing")) as client:
        with pytest.raises(ContentGone) as caught:
            async with RemoteContent(client, "a", "2-y", "x", 5).open() as chunks:
                await anext(aiter(chunks))
    assert (caught.value.status, caught.value.error, caught.value.reason) == (status, "word", "missing")


async def test_large_content_that_is_stored_compressed_is_moved_so():
    size = limits.ATTACHMENT_INLINE_BYTES_MAX + 1
    info = full(None, stub=True, length=size, encoding="gzip", encoded_length=4)

    async def body():
        yield b"\x1f\x8b!!"

    gzipped = httpx.Response(200, headers={"content-encoding": "gzip"}, content=body())
    script = Script(stubbed(doc("a", x=stub(size))), answer(200, doc("a", x=info)), gzipped)
    async with script.client() as client, aclosing(Fetcher(client).fetch([Wanted("a", ["2-y"])])) as portions:
        (one,) = [one async for portion in portions for one in portion.docs]
        entry = one["_attachments"]["x"]
        async with entry["data"].open() as chunks:
            assert b"".join([chunk async for chunk in chunks]) == b"\x1f\x8b!!"
    assert (entry["encoding"], entry["length"], entry["data"].length) == ("gzip", size, 4)
    assert script.requests[1].url.params["att_encoding_info"] == "true"
    assert script.requests[2].headers["accept-encoding"] == "gzip"


async def test_content_that_does_not_come_as_it_is_stored_is_refused():
    async with Script(httpx.Response(200, content=b"plain")).client() as client:
        with pytest.raises(errors.RemoteError, match="did not come as it is stored"):
            async with RemoteContent(client, "a", "2-y", "x", 5, compressed=True).open() as chunks:
                await anext(aiter(chunks))


@pytest.mark.parametrize("status", NOT_GIVEN)
@pytest.mark.parametrize("size", [3, limits.ATTACHMENT_INLINE_BYTES_MAX + 1])
async def test_a_document_whose_attachment_the_server_does_not_give_is_refused_alone(status, size):
    def response(request):
        if request.method == "POST":
            return stubbed(doc("a", x=stub(size)), doc("b"))
        return couch_error(status, "word", "because")

    plain, portion = await fetch(Script(*[response] * 20), Wanted("a", ["2-y"]), Wanted("b", ["2-y"]))
    assert [one["_id"] for one in plain.docs] == ["b"]
    assert (portion.docs, portion.refused) == ([], [Refusal("a", "2-y", "word", "because")])


@pytest.mark.parametrize("came", [b"ab", b"abcd", b"<html>"])
async def test_an_attachment_that_is_not_as_long_as_its_stub_is_not_taken_for_it(came):
    def response(request):
        if request.method == "POST":
            return stubbed(doc("a", x=stub(3)))
        if request.url.path.endswith("/x"):
            return httpx.Response(200, content=came)
        return answer(200, doc("a", x=stub(3)))

    _, portion = await fetch(Script(*[response] * 20), Wanted("a", ["2-y"]))
    content = portion.docs[0]["_attachments"]["x"]["data"]
    async with client_of(response) as client:
        content = RemoteContent(client, "a", "2-y", "x", content.length)
        with pytest.raises(ContentGone, match="not as long as announced"):
            async with content.open() as chunks:
                [chunk async for chunk in chunks]


async def test_an_attachment_whose_stub_counts_the_bytes_of_its_gzip_is_taken_as_it_is_stored():
    def response(request):
        if request.method == "POST":
            return stubbed(doc("a", x=stub(3)))
        if not request.url.path.endswith("/x"):
            return answer(200, doc("a", x={**stub(3), "encoding": "gzip", "encoded_length": 3}))
        if request.headers["accept-encoding"] == "gzip":
            return httpx.Response(200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"\x1f\x8b!"))
        return httpx.Response(200, content=b"plain text")

    _, portion = await fetch(Script(*[response] * 20), Wanted("a", ["2-y"]))
    entry = portion.docs[0]["_attachments"]["x"]
    assert (entry["encoding"], entry["encoded_length"], entry["data"].length) == ("gzip", 3, 3)


async def test_a_refusal_without_an_error_word_has_that_of_its_status():
    script = Script(stubbed(doc("a", x=stub())), httpx.Response(403, text="no entry"))
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert portion.refused == [Refusal("a", "2-y", "forbidden", "Forbidden")]


@pytest.mark.parametrize("size", [3, limits.ATTACHMENT_INLINE_BYTES_MAX + 1])
async def test_what_is_not_about_one_document_ends_the_fetch(size):
    script = Script(stubbed(doc("a", x=stub(size))), couch_error(401, "unauthorized", "who are you"))
    with pytest.raises(ExceptionGroup) as caught:
        await fetch(script, Wanted("a", ["2-y"]))
    assert isinstance(caught.value.exceptions[0], errors.Unauthorized)
