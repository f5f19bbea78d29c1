"""A database behind a URL, against a small server of dicts: what is asked, and how odd servers are met."""

from __future__ import annotations

import json
from contextlib import aclosing

import httpx
import pytest

from couchette import errors, limits
from couchette.remote import RemotePeer
from couchette.wire.transfer import Refusal, Wanted

pytestmark = pytest.mark.anyio


class Server:
    """Answers by ``METHOD path`` below the database; an answer is JSON, bytes, or (status, JSON)."""

    def __init__(self, answers):
        self.answers = answers
        self.requests = []

    def __call__(self, request):
        path = request.url.raw_path.decode().partition("?")[0].removeprefix("/db").removeprefix("/")
        self.requests.append(request)
        answer = self.answers[f"{request.method} {path}".rstrip()]
        if callable(answer):
            answer = answer(request)
        if isinstance(answer, bytes):
            return httpx.Response(200, content=answer)
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        return httpx.Response(status, json=body)

    def bodies(self, path):
        return [json.loads(r.content) for r in self.requests if r.url.path == f"/db/{path}"]

    def peer(self):
        return RemotePeer("http://ann:secret@host/db", transport=httpx.MockTransport(self))


def doc(doc_id="a", rev="2-y", *ancestors, **attachments):
    one = {"_id": doc_id, "_rev": rev}
    one["_revisions"] = {"start": int(rev[0]), "ids": [rev[2:], *ancestors]}
    if attachments:
        one["_attachments"] = attachments
    return one


def stub(length=3, revpos=2):
    return {"stub": True, "length": length, "revpos": revpos, "content_type": "text/plain"}


def given(*docs):
    return {"results": [{"id": one["_id"], "docs": [{"ok": one}]} for one in docs]}


async def fetch(server, *wanted):
    docs, refused = [], []
    async with server.peer() as peer, aclosing(peer.fetch(wanted)) as portions:
        async for portion in portions:
            docs.extend(portion.docs)
            refused.extend(portion.refused)
    return docs, refused


async def test_its_names_hold_no_credentials():
    peer = Server({}).peer()
    assert (peer.label, repr(peer)) == ("http://host/db", "<RemotePeer http://host/db>")


async def test_given_credentials_take_the_place_of_those_in_the_url():
    server = Server({"GET": {"db_name": "db"}})
    async with RemotePeer("http://ann:x@host/db", ("bob", "y"), transport=httpx.MockTransport(server)) as peer:
        await peer.info()
    assert server.requests[0].headers["authorization"] == httpx.BasicAuth("bob", "y")._auth_header


async def test_a_context_may_be_entered_again_inside_itself():
    peer = Server({"GET": {"db_name": "db"}}).peer()
    async with peer:
        async with peer:
            pass
        assert (await peer.info()).identity == "http://host/db"


async def test_info_is_the_url_and_the_start_time():
    async with Server({"GET": {"db_name": "db", "instance_start_time": "17"}}).peer() as peer:
        info = await peer.info()
    assert (info.identity, info.instance_start_time) == ("http://host/db", "17")


async def test_a_server_s_root_is_not_a_database():
    async with Server({"GET": {"couchdb": "Welcome"}}).peer() as peer:
        with pytest.raises(errors.NotCouchDB, match="must end with the database's name"):
            await peer.info()


async def test_creating_a_database_that_exists_is_no_error():
    server = Server({"PUT": (412, {"error": "file_exists", "reason": "x"})})
    async with server.peer() as peer:
        await peer.create()
    assert [request.method for request in server.requests][-1] == "PUT"


async def test_a_checkpoint_that_is_not_there_is_none():
    async with Server({"GET _local/x": (404, {"error": "not_found", "reason": "missing"})}).peer() as peer:
        assert await peer.get_checkpoint("_local/x") is None


async def test_documents_are_fetched_by_bulk_get_without_attachments():
    server = Server({"POST _bulk_get": given(doc())})
    assert await fetch(server, Wanted("a", ["2-y"])) == ([doc()], [])
    (request,) = server.requests
    assert request.url.query == b"revs=true&latest=true"
    assert server.bodies("_bulk_get") == [{"docs": [{"id": "a", "rev": "2-y"}], "revs": True, "latest": True}]


async def test_two_revisions_answered_by_one_leaf_are_one_document():
    server = Server({"POST _bulk_get": given(doc(), doc())})
    assert await fetch(server, Wanted("a", ["2-y", "1-x"])) == ([doc()], [])


@pytest.mark.parametrize("status", [400, 404, 405, 501])
async def test_a_server_without_bulk_get_is_asked_for_single_documents_from_then_on(status):
    server = Server(
        {
            "POST _bulk_get": (status, {"error": "no", "reason": "no"}),
            "GET a%2Fb": [{"ok": doc("a/b")}],
            "GET c": [{"ok": doc("c")}, {"missing": "1-z"}],
        }
    )
    wanted = [Wanted("a/b", ["2-y"]), Wanted("c", ["2-y", "1-z"])]
    async with server.peer() as peer:
        for _ in range(2):
            async with aclosing(peer.fetch(wanted)) as portions:
                (first,) = [portion async for portion in portions]
            assert first.docs == [doc("a/b"), doc("c")]
            assert first.refused == [Refusal("c", "1-z", "not_found", "missing")]
    assert [request.method for request in server.requests] == ["POST", *["GET"] * 4]
    asked = {request.url.params["open_revs"] for request in server.requests[1:]}
    assert asked == {'["2-y"]', '["2-y","1-z"]'}
    assert all(request.headers["accept"] == "application/json" for request in server.requests)


async def test_a_document_that_bulk_get_left_out_is_asked_for_alone():
    server = Server({"POST _bulk_get": given(doc("a")), "GET b": [{"ok": doc("b")}]})
    assert await fetch(server, Wanted("a", ["2-y"]), Wanted("b", ["2-y"])) == ([doc("a"), doc("b")], [])


async def test_long_lists_of_revs_are_cut_so_that_paths_stay_short():
    revs = [f"1-{number:032}" for number in range(600)]
    server = Server({"POST _bulk_get": (404, {}), "GET a": lambda request: []})
    await fetch(server, Wanted("a", revs))
    asked = [request.url for request in server.requests[1:]]
    assert len(asked) > 2
    assert all(len(url.raw_path) <= limits.URL_PATH_MAX + 100 for url in asked)
    assert [rev for url in asked for rev in json.loads(url.params["open_revs"])] == revs


async def test_small_attachments_of_many_documents_come_inline():
    stubbed = given(doc("a", x=stub()), doc("b", x=stub()))
    filled = given(doc("a", x={"data": "QQ==", "revpos": 2}), doc("b", x={"data": "Qg==", "revpos": 2}))
    server = Server({"POST _bulk_get": lambda r: filled if b"attachments" in r.url.query else stubbed})
    docs, _ = await fetch(server, Wanted("a", ["2-y"], ["1-x"]), Wanted("b", ["2-y"]))
    assert [one["_attachments"]["x"]["data"] for one in docs] == ["QQ==", "Qg=="]
    assert server.requests[1].url.query == b"revs=true&attachments=true"
    assert server.bodies("_bulk_get")[1]["docs"] == [
        {"id": "a", "rev": "2-y", "atts_since": ["1-x"]},
        {"id": "b", "rev": "2-y"},
    ]


async def test_what_a_server_leaves_as_a_stub_is_fetched_as_bytes():
    server = Server(
        {
            "POST _bulk_get": lambda r: given(doc("a", x=stub(2)), doc("b", **{"ü/+": stub(2)})),
            "GET a/x": b"\x00a",
            "GET b/%C3%BC%2F%2B": b"\x00b",
        }
    )
    docs, _ = await fetch(server, Wanted("a", ["2-y"]), Wanted("b", ["2-y"]))
    assert docs[0]["_attachments"]["x"]["data"] == b"\x00a"
    assert docs[1]["_attachments"]["ü/+"]["data"] == b"\x00b"
    assert server.requests[-1].url.query == b"rev=2-y"


async def test_a_large_attachment_is_not_fetched_before_it_is_read():
    large = stub(length=limits.ATTACHMENT_INLINE_BYTES_MAX + 1)
    bytes_of = {"a": b"A" * large["length"], "b": b"B" * large["length"]}
    server = Server(
        {
            "POST _bulk_get": given(doc("a", x=dict(large), y=stub(1)), doc("b", x=dict(large))),
            "GET a": doc("a", x=dict(large), y=stub(1)),
            "GET b": doc("b", x=dict(large)),
            "GET a/x": bytes_of["a"],
            "GET a/y": b"y",
            "GET b/x": bytes_of["b"],
        }
    )
    async with server.peer() as peer:
        docs = []
        async with aclosing(peer.fetch([Wanted("a", ["2-y"]), Wanted("b", ["2-y"])])) as portions:
            async for portion in portions:
                docs.extend(portion.docs)
        asked = [request.url.path for request in server.requests]
        assert asked[0] == "/db/_bulk_get"
        assert sorted(asked[1:]) == ["/db/a", "/db/a/y", "/db/b"]  # The latter tell how the large ones are stored.
        for one in docs:
            content = one["_attachments"]["x"]["data"]
            assert content.length == large["length"]
            async with content.open() as chunks:
                assert b"".join([chunk async for chunk in chunks]) == bytes_of[one["_id"]]


async def test_attachments_that_the_target_holds_stay_stubs():
    server = Server({"POST _bulk_get": given(doc("a", "2-y", "x", old=stub(revpos=1)))})
    docs, _ = await fetch(server, Wanted("a", ["2-y"], ["1-x"]))
    assert docs[0]["_attachments"]["old"]["stub"] is True
    assert len(server.requests) == 1


async def test_a_document_whose_attachment_is_gone_meanwhile_is_refused():
    server = Server(
        {
            "POST _bulk_get": lambda r: given(doc("a", x=stub()), doc("b", x=stub(1))),
            "GET a/x": (404, {"error": "not_found", "reason": "missing"}),
            "GET b/x": b"B",
        }
    )
    docs, refused = await fetch(server, Wanted("a", ["2-y"]), Wanted("b", ["2-y"]))
    assert [one["_id"] for one in docs] == ["b"]
    assert refused == [Refusal("a", "2-y", "not_found", "missing")]


async def test_a_write_is_cut_into_requests_of_bounded_size(monkeypatch):
    monkeypatch.setattr(limits, "BATCH_BYTES", 150)
    server = Server({"POST _bulk_docs": []})
    async with server.peer() as peer:
        assert await peer.write([doc(name) for name in "abcd"]) == []
    bodies = server.bodies("_bulk_docs")
    assert [one["_id"] for body in bodies for one in body["docs"]] == list("abcd")
    assert len(bodies) == 2
    assert all(body["new_edits"] is False for body in bodies)


async def test_a_request_too_large_for_the_server_is_halved_down_to_the_document_that_is():
    def write(request):
        ids = [one["_id"] for one in json.loads(request.content)["docs"]]
        return (413, {"error": "too_large", "reason": "x"}) if "c" in ids else []

    server = Server({"POST _bulk_docs": write})
    async with server.peer() as peer:
        assert await peer.write([doc(name) for name in "abcd"]) == [Refusal("c", "2-y", "too_large", "x")]
    assert len(server.requests) == 5


async def test_refusals_come_back_and_a_dangling_stub_is_raised():
    server = Server({"POST _bulk_docs": (201, [{"id": "a", "rev": "2-y", "error": "forbidden", "reason": "no"}])})
    async with server.peer() as peer:
        assert await peer.write([doc()]) == [Refusal("a", "2-y", "forbidden", "no")]
        server.answers["POST _bulk_docs"] = (412, {"error": "missing_stub", "reason": "x"})
        with pytest.raises(errors.MissingStub):
            await peer.write([doc(x=stub())])
