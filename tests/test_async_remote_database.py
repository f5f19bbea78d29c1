"""A database on a server for asynchronous programs: what is awaited, what is cancelled, and what a bad line does."""

from __future__ import annotations

import gc
import json
import threading

import anyio
import httpx
import pytest

from couchette import AsyncDatabase, AsyncRemoteDatabase, BearerAuth, Environment, RemoteDatabase, errors, limits
from couchette.document.attachment import gzip
from couchette.remote.client import Client
from couchette.remote.url import DatabaseUrl
from couchette.server import background
from tests.remote.scripted import Script, answer, couch_error

pytestmark = pytest.mark.anyio

REV = "1-" + "a" * 32


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        environment.create("db")
        yield environment


@pytest.fixture
def served(environment):
    return environment["db"]


@pytest.fixture
def url(environment):
    with background(environment) as url:
        yield f"{url}/db"


def scripted(*answers, **options):
    """A database whose server gives these answers, and the script."""
    script = Script(*answers)
    return AsyncRemoteDatabase("http://host/db", transport=httpx.MockTransport(script), **options), script


@pytest.fixture
def no_pauses(monkeypatch):
    monkeypatch.setattr(limits, "HTTP_RETRY_PAUSE_S", 0)


# -- Calls --------------------------------------------------------------------------------------------


async def test_documents_and_attachments_go_there_and_back(url, served, recwarn):
    async with AsyncRemoteDatabase(url) as db:
        written = await db.put({"_id": "a", "n": 1})
        assert await db.get("a") == served["a"]

        async def pieces():
            yield b"some "
            yield b"content"

        written = await db.put_attachment("a", "x", pieces(), rev=written["rev"])
        async with await db.open_attachment("a", "x") as file:
            assert await file.seek(5) == 5
            assert await file.read() == b"content"
            assert [chunk async for chunk in file.chunks(0, 4)] == [b"some"]
        await db.remove_attachment("a", "x", written["rev"])
        assert "_attachments" not in served["a"]
    assert db.closed
    gc.collect()
    assert list(recwarn) == []


async def test_connections_are_kept_between_calls(url):
    async with AsyncRemoteDatabase(url) as db:
        await db.info()
        http = db._client._line.http
        await db.get_security()
        assert db._client._line.http is http
        assert http is not None
        assert not http.is_closed
    assert http.is_closed
    await db.close()


async def test_a_call_can_be_cancelled(no_pauses):
    begun = anyio.Event()

    async def never(request):
        begun.set()
        await anyio.sleep_forever()

    db = AsyncRemoteDatabase("http://host/db", transport=httpx.MockTransport(never))
    async with db, anyio.create_task_group() as tasks:
        tasks.start_soon(db.info)
        await begun.wait()
        tasks.cancel_scope.cancel()
    assert tasks.cancel_scope.cancelled_caught


async def test_every_call_gives_up_after_a_while_of_silence():
    db, script = scripted(answer(200), answer(200))
    async with db:
        await db.info()
        await db.put({"_id": "a"})
    timeouts = [request.extensions["timeout"]["read"] for request in script.requests]
    assert timeouts == [limits.HTTP_TIMEOUT_S] * 2
    db, script = scripted(answer(200), timeout=3)
    async with db:
        await db.info()
    assert script.requests[0].extensions["timeout"]["read"] == 3


async def test_the_blocking_one_may_be_used_where_a_loop_runs(environment, url):
    environment["db"].put({"_id": "a"})
    with RemoteDatabase(url) as db, db.changes(live=True) as feed:
        assert next(feed)["id"] == "a"


# -- A bad line ---------------------------------------------------------------------------------------


async def test_a_read_is_repeated_when_the_line_breaks(no_pauses):
    db, script = scripted(httpx.ReadError("broke"), answer(502), answer(200, {"_id": "a"}))
    async with db:
        assert await db.get("a") == {"_id": "a"}
    assert len(script.requests) == 3


@pytest.mark.parametrize(
    "edit",
    [
        lambda db: db.put({"_id": "a"}),
        lambda db: db.post({}),
        lambda db: db.remove("a", REV),
        lambda db: db.copy("a", "b"),
        lambda db: db.bulk_docs([{}]),
        lambda db: db.put_attachment("a", "x", b""),
        lambda db: db.create_index("n"),
        lambda db: db.request("POST", "_x"),
    ],
)
async def test_an_edit_that_may_have_been_made_is_not_sent_again(no_pauses, edit):
    db, script = scripted(httpx.ReadError("broke"))
    async with db:
        with pytest.raises(errors.Unreachable, match="not known whether the server got to do it"):
            await edit(db)
    assert len(script.requests) == 1


async def test_an_edit_that_never_arrived_is_sent_again(no_pauses):
    db, script = scripted(answer(200), httpx.ConnectError("refused"), answer(429), answer(201, {"ok": True}))
    async with db:
        await db.info()  # The host has answered, so its address is right.
        assert await db.put({"_id": "a"}) == {"ok": True}
    assert len(script.requests) == 4


@pytest.mark.parametrize("status", [500, 503])
async def test_a_server_in_trouble_is_not_asked_to_edit_again(no_pauses, status):
    db, script = scripted(couch_error(status, "error", "Something."))
    async with db:
        with pytest.raises(errors.RemoteError, match="Something. From http://host/db") as caught:
            await db.put({"_id": "a"})
    assert (caught.value.status, len(script.requests)) == (status, 1)


async def test_the_error_of_a_function_is_not_asked_for_again(no_pauses):
    db, script = scripted(couch_error(500, "TypeError", "no such thing"))
    async with db:
        with pytest.raises(errors.CouchetteError, match="no such thing"):
            await db.query("d/v")
    assert len(script.requests) == 1


async def test_a_stream_cannot_be_sent_twice(no_pauses):
    async def pieces():
        yield b"content"

    async def consume(request):
        await request.aread()
        return couch_error(401, "unauthorized", "no")

    auth = BearerAuth("old", refresh=lambda: "new")
    async with AsyncRemoteDatabase("http://host/db", auth, transport=httpx.MockTransport(consume)) as db:
        with pytest.raises(errors.BadRequest, match="cannot be read a second time"):
            await db.put_attachment("a", "x", pieces())


async def test_what_is_no_couchdb_is_said_so():
    db, _ = scripted(answer(200, []), httpx.Response(200, text="hello"))
    async with db:
        for _ in range(2):
            with pytest.raises(errors.NotCouchDB):
                await db.info()


# -- Servers that are not quite CouchDB ---------------------------------------------------------------


async def test_a_server_without_multipart_gives_bytes_as_base64():
    doc = {"_id": "a", "_rev": REV, "_attachments": {"x": {"data": "YWJj"}, "y": {"stub": True}}}
    bulk = {"results": [{"id": "a", "docs": [{"ok": doc}, {"error": {}}]}]}
    db, _ = scripted(answer(200, doc), answer(200, [{"ok": doc}, {"missing": REV}]), answer(200, bulk))
    async with db:
        for read in (
            await db.get("a", attachments=True, binary=True),
            (await db.get("a", open_revs="all", attachments=True, binary=True))[0]["ok"],
            (await db.bulk_get([{"id": "a"}], attachments=True, binary=True))["results"][0]["docs"][0]["ok"],
        ):
            assert read["_attachments"]["x"] == {"data": b"abc", "length": 3}


@pytest.mark.parametrize(
    ("welcome", "kind"),
    [({"couchdb": "Welcome"}, "multipart/related"), ({"express-pouchdb": "Welcome!"}, "application/json")],
)
async def test_gzip_is_unpacked_for_a_server_that_would_take_it_for_the_content(welcome, kind):
    db, script = scripted(answer(200, welcome), answer(201, {"ok": True, "id": "a", "rev": REV}))
    member = {"content_type": "text/plain", "encoding": "gzip", "data": gzip(b"abc")}
    async with db:
        await db.put({"_id": "a", "_attachments": {"x": member}})
    asked, put = script.requests
    assert str(asked.url) == "http://host/"
    assert put.headers["content-type"].partition(";")[0] == kind
    if kind == "application/json":
        assert json.loads(put.content)["_attachments"]["x"] == {"content_type": "text/plain", "data": "YWJj"}


async def test_multipart_that_cannot_be_read_is_no_answer():
    headers = {"Content-Type": "multipart/related; boundary=x"}
    db, _ = scripted(httpx.Response(200, headers=headers, content=b"--x--"))
    async with db:
        with pytest.raises(errors.NotCouchDB, match="multipart"):
            await db.get("a", attachments=True, binary=True)


async def test_a_history_without_leaves_is_that_of_no_document():
    db, _ = scripted(answer(200, []))
    async with db:
        with pytest.raises(errors.NotFound, match="missing"):
            await db.history("a")


async def test_an_edit_that_is_forbidden_ends_a_resolution():
    leaves = [{"_id": "a", "_rev": f"1-{one * 32}", "_revisions": {"start": 1, "ids": [one * 32]}} for one in "ab"]
    refused = [{"id": "a", "error": "forbidden", "reason": "No."}]
    db, _ = scripted(answer(200, [{"ok": leaf} for leaf in leaves]), answer(201, refused))
    async with db:
        with pytest.raises(errors.Forbidden, match="No."):
            await db.resolve("a", keep=leaves[1]["_rev"])


async def test_a_database_that_cannot_be_seen_is_not_made():
    db, script = scripted(couch_error(401, "unauthorized", "no"), create=True)
    async with db:
        with pytest.raises(errors.Unauthorized):
            await db.info()
    assert [request.method for request in script.requests] == ["GET"]


async def test_a_database_that_somebody_else_made_meanwhile_will_do():
    missing = couch_error(404, "not_found", "Database does not exist.")
    db, script = scripted(missing, couch_error(412, "file_exists", "It is there."), answer(200, {}), create=True)
    async with db:
        assert await db.info() == {}
    assert [request.method for request in script.requests] == ["GET", "PUT", "GET"]


# -- Changes ------------------------------------------------------------------------------------------


async def test_changes_are_iterated_over_as_they_happen(url, served, recwarn):
    served.put({"_id": "a"})
    async with AsyncRemoteDatabase(url) as db:
        async with db.changes(live=True, limit=2) as feed:
            seen = []
            async for change in feed:
                seen.append(change["id"])
                if change["id"] == "a":
                    served.put({"_id": "b"})
        assert seen == ["a", "b"]
        assert (await db.changes())["last_seq"] == served.info()["update_seq"]
    gc.collect()
    assert list(recwarn) == []


async def test_a_cancelled_task_loses_no_change(url, served):
    async with AsyncRemoteDatabase(url) as db, db.changes(live=True) as feed:
        with anyio.move_on_after(0.01):
            await anext(feed)
        served.put({"_id": "a"})
        assert (await anext(feed))["id"] == "a"


async def test_a_feed_that_is_cancelled_ends_its_reader(url):
    seen: list = []

    async def read(feed):
        seen.extend([change async for change in feed])
        seen.append("end")

    async with AsyncRemoteDatabase(url) as db, anyio.create_task_group() as tasks:
        feed = db.changes(live=True)
        tasks.start_soon(read, feed)
        await feed.begin()
        await anyio.wait_all_tasks_blocked()
        feed.cancel()
    assert seen == ["end"]


async def test_closing_the_database_is_told_to_who_reads_its_feed(url):
    async def read(feed):
        with pytest.raises(errors.DatabaseClosed):
            await anext(feed)

    db = AsyncRemoteDatabase(url)
    async with anyio.create_task_group() as tasks:
        feed = db.changes(live=True)
        await feed.begin()
        tasks.start_soon(read, feed)
        await anyio.wait_all_tasks_blocked()
        await db.close()


async def test_a_callback_has_a_thread_of_its_own(url, served):
    before = threading.enumerate()
    called = threading.Event()
    async with AsyncRemoteDatabase(url) as db:
        listener = db.changes(live=True, on_change=lambda change: called.set())
        await AsyncDatabase(served).put({"_id": "a"})
        assert await anyio.to_thread.run_sync(called.wait, 10)
        await anyio.to_thread.run_sync(listener.cancel)
    started = [thread for thread in threading.enumerate() if thread not in before]
    assert not any(thread.name == "couchette-remote" for thread in started)


def feed_of(*lines):
    return httpx.Response(200, content=b"".join(line.encode() + b"\n" for line in lines))


async def test_a_feed_whose_line_breaks_goes_on_after_what_came(no_pauses):
    row = '{"seq":"%d-x","id":"%s","changes":[{"rev":"1-a"}]}'
    db, script = scripted(
        feed_of(row % (1, "a"), row % (2, "b")),
        httpx.ReadError("broke"),
        couch_error(502, "bad_gateway", ""),
        feed_of(row % (3, "c")),
        answer(404),
    )
    async with db, db.changes(live=True) as feed:
        seen = [(await anext(feed))["id"] for _ in range(3)]
    assert seen == ["a", "b", "c"]
    since = [request.url.params.get("since") for request in script.requests]
    assert since == ["0", "2-x", "2-x", "2-x"]


async def test_a_feed_that_stays_broken_says_so(no_pauses):
    broken = [httpx.ReadError("broke") for _ in range(100)]
    db, _ = scripted(*broken)
    async with db, db.changes(live=True) as feed:
        with pytest.raises(errors.Unreachable):
            await anext(feed)


async def test_a_client_apart_has_what_is_given_in_place_of_what_it_had():
    client = Client(DatabaseUrl.parse("http://ada:pw@host/db"))
    assert client.apart()._line.auth == ("ada", "pw")
    assert client.apart().url == "http://host/db"
