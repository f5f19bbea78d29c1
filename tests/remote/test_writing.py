"""Writing documents with large attachments: streamed from where they are, and never held."""

from __future__ import annotations

import base64
import json
from contextlib import asynccontextmanager

import httpx
import pytest
import trio
import trio.testing

from couchette import errors
from couchette.document.attachment import gzip
from couchette.remote.contents import RemoteContent
from couchette.remote.hosts import host_of
from couchette.remote.writing import Writer
from couchette.wire import stubs
from couchette.wire.content import ContentGone
from couchette.wire.multipart_docs import read_related
from couchette.wire.transfer import Refusal
from tests.remote.scripted import Script, answer, client_of, couch_error

pytestmark = pytest.mark.anyio

SIZE = 300_000
WELCOME = answer(200, {"couchdb": "Welcome"})


@pytest.fixture
def anyio_backend():
    """Pauses pass at once: the clock jumps when every task waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


class Source:
    """A Content of three chunks, which counts how often it was opened."""

    def __init__(self, *, fails=None):
        self.length = SIZE
        self.opened = 0
        self.fails = fails

    @asynccontextmanager
    async def open(self):
        self.opened += 1
        if self.fails is not None:
            raise self.fails

        async def chunks():
            for letter in b"abc":
                yield bytes([letter]) * (SIZE // 3)

        generator = chunks()
        yield generator
        await generator.aclose()


def doc(content, doc_id="a"):
    attachments = {
        "small": {"content_type": "text/plain", "revpos": 2, "data": "QQ=="},
        "old": {"stub": True, "revpos": 1, "content_type": "text/plain", "length": 5},
        "large": {"content_type": "application/x", "revpos": 2, "digest": "md5-x", "length": SIZE, "data": content},
    }
    return {"_id": doc_id, "_rev": "2-y", "_revisions": {"start": 2, "ids": ["y", "x"]}, "_attachments": attachments}


async def write(script, *docs):
    async with script.client() as client:
        return await Writer(client).write(docs)


WHOLE = b"a" * (SIZE // 3) + b"b" * (SIZE // 3) + b"c" * (SIZE // 3)


async def test_a_document_with_a_large_attachment_is_put_as_multipart():
    script = Script(answer(201))
    assert await write(script, doc(Source(), "a/b")) == []
    (request,) = script.requests
    assert str(request.url) == "http://host:5984/db/a%2Fb?new_edits=false"
    assert int(request.headers["content-length"]) == len(request.content)
    assert "transfer-encoding" not in request.headers
    sent = read_related(request.headers["content-type"], request.content)
    assert sent["_revisions"] == {"start": 2, "ids": ["y", "x"]}
    attachments = sent["_attachments"]
    assert (attachments["small"]["data"], attachments["large"]["data"]) == (b"A", WHOLE)
    assert attachments["old"]["stub"] is True
    assert list(attachments) == ["small", "old", "large"]


async def test_the_others_go_together_in_bulk():
    script = Script(answer(201, []), answer(201))
    plain = {"_id": "p", "_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}}
    assert await write(script, doc(Source()), plain) == []
    assert [request.method for request in script.requests] == ["POST", "PUT"]
    assert json.loads(script.requests[0].content)["docs"] == [plain]


async def test_content_is_read_once_more_when_a_write_is_repeated():
    source = Source()

    async def serve(request):
        await request.aread()
        return answers.pop(0)

    answers = [answer(503), answer(201)]
    async with client_of(serve) as client:
        assert await Writer(client).write([doc(source)]) == []
    assert source.opened == 2


@pytest.mark.parametrize("status", [401, 403, 413])
async def test_a_document_that_the_server_refuses_by_itself_is_told(status):
    script = Script(couch_error(status, "no", "because"))
    assert await write(script, doc(Source())) == [Refusal("a", "2-y", "no", "because")]


@pytest.mark.parametrize("status", [400, 414, 415])
async def test_a_server_without_multipart_gets_it_inline(status):
    script = Script(couch_error(status, "bad_content_type", "no"), answer(201, []))
    assert await write(script, doc(Source())) == []
    (sent,) = json.loads(script.requests[1].content)["docs"]
    assert len(sent["_attachments"]["large"]["data"]) == SIZE // 3 * 4
    assert sent["_attachments"]["old"]["stub"] is True


def packed(length):
    one = doc(Source())
    one["_attachments"] = {
        "bomb": {"content_type": "text/x", "revpos": 2, "length": length, "encoding": "gzip", "data": gzip(bytes(9000))}
    }
    return one


async def test_gzip_that_becomes_far_longer_than_it_says_goes_as_it_is(monkeypatch):
    monkeypatch.setattr(stubs, "ATTACHMENT_UNPACKED_BYTES", 1000)
    script = Script(answer(201, []), WELCOME, answer(201))
    assert await write(script, packed(8000), packed(7999)) == []
    assert [request.method for request in script.requests] == ["POST", "GET", "PUT"]
    sent = read_related(script.requests[2].headers["content-type"], script.requests[2].content)
    assert (
        sent["_attachments"]["bomb"].items() >= {"encoding": "gzip", "length": 7999, "data": gzip(bytes(9000))}.items()
    )
    for answers in ([WELCOME, couch_error(415, "bad_content_type", "no")], [couch_error(404, "not_found", "missing")]):
        [refusal] = await write(Script(*answers), packed(10))
        assert (refusal.id, refusal.error) == ("a", "too_large")
        assert "'bomb' is too large" in refusal.reason


class Gzip(Source):
    """The gzip of what a Source gives."""

    @asynccontextmanager
    async def open(self):
        async def chunks():
            yield gzip(WHOLE)

        generator = chunks()
        yield generator
        await generator.aclose()


def with_gzip(doc_id):
    small = {"content_type": "text/x", "revpos": 2, "length": 1, "encoding": "gzip", "data": gzip(b"A")}
    one = doc(Gzip(), doc_id)
    one["_attachments"]["small"] = small
    one["_attachments"]["large"] |= {"encoding": "gzip", "encoded_length": len(gzip(WHOLE))}
    one["_attachments"]["large"]["data"].length = len(gzip(WHOLE))
    return one


async def test_a_couchdb_gets_gzip_as_it_is():
    script = Script(WELCOME, answer(201), answer(201))
    assert await write(script, with_gzip("a"), with_gzip("b")) == []
    assert [str(request.url) for request in script.requests] == [
        "http://host:5984/",
        "http://host:5984/db/a?new_edits=false",
        "http://host:5984/db/b?new_edits=false",
    ]
    attachments = read_related(script.requests[1].headers["content-type"], script.requests[1].content)["_attachments"]
    assert (attachments["small"]["encoding"], attachments["small"]["data"]) == ("gzip", gzip(b"A"))
    assert (attachments["large"]["encoding"], attachments["large"]["data"]) == ("gzip", gzip(WHOLE))


@pytest.mark.parametrize(
    "welcome", [answer(200, {"express-pouchdb": "Welcome!"}), answer(200, []), couch_error(404, "not_found", "missing")]
)
async def test_a_server_that_is_no_couchdb_gets_gzip_unpacked(welcome):
    script = Script(welcome, answer(201, []), answer(201, []))
    assert await write(script, with_gzip("a"), with_gzip("b")) == []
    assert [request.method for request in script.requests] == ["GET", "POST", "POST"]
    (sent,) = json.loads(script.requests[1].content)["docs"]
    for name, content in ("small", b"A"), ("large", WHOLE):
        assert base64.b64decode(sent["_attachments"][name]["data"]) == content
        assert "encoding" not in sent["_attachments"][name]


async def test_a_server_that_cannot_be_asked_who_it_is_ends_the_write():
    with pytest.raises(errors.Unreachable):
        await write(Script(httpx.ConnectError("refused")), with_gzip("a"))


async def test_a_server_that_refuses_it_inline_too_has_refused_it():
    script = Script(couch_error(415, "bad_content_type", "no"), couch_error(413, "too_large", "x"))
    assert await write(script, doc(Source())) == [Refusal("a", "2-y", "too_large", "x")]


@pytest.mark.parametrize("status", [400, 413])
async def test_a_document_for_which_the_server_refuses_the_whole_is_refused_alone(status):
    def response(request):
        ids = [one["_id"] for one in json.loads(request.content)["docs"]]
        asked.append("".join(ids))
        return couch_error(status, "bad", "bad") if "b" in ids else answer(201, [])

    asked: list = []
    docs = [{"_id": doc_id, "_rev": "1-x", "_revisions": {"start": 1, "ids": ["x"]}} for doc_id in "abcd"]
    assert await write(Script(*[response] * 5), *docs) == [Refusal("b", "1-x", "bad", "bad")]
    assert asked == ["abcd", "ab", "a", "b", "cd"]


async def test_a_dangling_stub_is_raised():
    with pytest.raises(errors.MissingStub):
        await write(Script(couch_error(412, "missing_stub", "x")), doc(Source()))


async def test_content_that_is_gone_refuses_its_document():
    async def serve(request):
        await request.aread()
        return answer(201)

    gone = doc(Source(fails=ContentGone("missing", "purged")))
    async with client_of(serve) as client:
        assert await Writer(client).write([gone]) == [Refusal("a", "2-y", "not_found", "missing")]


async def test_a_source_that_cannot_be_reached_ends_the_write():
    async def serve(request):
        await request.aread()
        return answer(201)

    async with client_of(serve) as client:
        with pytest.raises(errors.Unreachable, match="the source"):
            await Writer(client).write([doc(Source(fails=errors.Unreachable("the source")))])


async def test_a_write_without_an_answer_is_unreachable():
    script = Script(httpx.ConnectError("refused"))
    with pytest.raises(errors.Unreachable):
        await write(script, doc(Source()))


async def test_content_may_come_from_the_server_that_it_goes_to_even_if_that_bears_one_request_at_a_time():
    async def serve(request):
        if request.method == "GET":
            return httpx.Response(200, content=b"x" * SIZE)
        await request.aread()
        return answer(201)

    async with client_of(serve) as client:
        host = host_of("http://host:5984")
        while host.slots > 1:
            host.throttled(trio.current_time(), 0)
            await trio.sleep(1)
        content = RemoteContent(client, "a", "2-y", "large", SIZE)
        with trio.fail_after(5):
            assert await Writer(client).write([doc(content)]) == []
