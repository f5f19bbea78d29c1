"""Fetching with attachments: multipart where a server speaks it, and streams that read on where the line broke."""

from __future__ import annotations

import json
from contextlib import aclosing

import httpx
import pytest
import trio.testing

from couchette import errors, limits
from couchette.remote.contents import RemoteContent
from couchette.remote.fetching import Fetcher
from couchette.wire.content import ContentGone
from couchette.wire.multipart import json_part, related, write
from couchette.wire.transfer import Refusal, Wanted
from tests.remote.scripted import Script, answer, client_of, couch_error

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


async def test_content_that_ends_early_is_read_on_and_then_unreachable():
    server = Attachment()
    with pytest.raises(errors.Unreachable, match="ended at byte"):
        await server.read(len(CONTENT) + 1)


async def test_content_that_is_longer_than_announced_is_refused():
    with pytest.raises(errors.RemoteError, match="not as long as announced"):
        await Attachment().read(len(CONTENT) - 1)


async def test_content_of_a_document_that_was_purged_meanwhile_is_gone():
    async with Script(couch_error(404, "not_found", "missing")).client() as client:
        with pytest.raises(ContentGone):
            async with RemoteContent(client, "a", "2-y", "x", 5).open() as chunks:
                await anext(aiter(chunks))


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


async def test_a_document_with_large_attachments_that_was_purged_is_refused():
    size = limits.ATTACHMENT_INLINE_BYTES_MAX + 1
    script = Script(stubbed(doc("a", x=stub(size))), couch_error(404, "not_found", "missing"))
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert (portion.docs, portion.refused) == ([], [Refusal("a", "2-y", "not_found", "missing")])


async def test_a_purged_document_is_refused_and_the_others_come():
    script = Script(stubbed(doc("a", x=stub())), couch_error(404, "not_found", "missing"))
    _, portion = await fetch(script, Wanted("a", ["2-y"]))
    assert portion.docs == []
    assert portion.refused == [Refusal("a", "2-y", "not_found", "missing")]
