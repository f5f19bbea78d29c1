"""Callbacks, wherever the package takes one: behind the arguments or as a keyword, in a program that waits for them."""

from __future__ import annotations

import pytest

from couchette.pouchdb import MaxListenersExceededWarning, PouchDBError

MAP = {"map": "function (doc) { emit(null, doc._rev); }"}
ONLY_TEST = {
    "_id": "_design/test",
    "validate_doc_update": "function (doc) { if (doc._id !== 'test') throw {forbidden: 'only a test'}; }",
    "spatial": {"places": "function (doc) { if (doc.key) emit(doc.key, doc); }"},
    "indexes": {"texts": {"index": "function (doc) { if (doc.text) index('default', doc.text); }"}},
    "lists": {"head": "function (head, req) { return toJSON([head.offset, req.id, req.query.a]); }"},
    "views": {"ids": {"map": "function (doc) { emit(doc._id); }"}},
}


class Recorder:
    """Is called back, and waited for."""

    def __init__(self, env):
        self.env = env
        self.calls = []

    def __call__(self, err, resp=None):
        self.calls.append((err, resp))

    def wait(self):
        """The error and the result of the next call."""
        self.env.context.waitUntilCalled(self)
        return self.calls.pop(0)


@pytest.fixture
def called(async_env):
    return Recorder(async_env)


@pytest.fixture
def db(async_env):
    return async_env["test"]


def test_documents_call_back(db, called):
    db.put({"_id": "a", "something": 26}, called)
    assert called.calls == []
    error, put = called.wait()
    assert (error, put.ok) == (None, True)
    db.put({}, "mytest", called)
    assert called.wait()[1].id == "mytest"
    db.post({}, callback=called)
    assert called.wait()[1]["ok"]
    db.get("a", called)
    assert called.wait()[1] == {"_id": "a", "_rev": put.rev, "something": 26}
    db.remove({"_id": "a", "_rev": put.rev}, called)
    assert called.wait()[1].ok
    db.get("a", called)
    error, nothing = called.wait()
    assert (error["status"], error["message"], nothing) == (404, "missing", None)


def test_many_documents_call_back(db, called):
    db.bulkDocs({"docs": [{"a": 1}, {"b": 2}]}, called)
    assert [row.ok for row in called.wait()[1]] == [True, True]
    db.allDocs(called, include_docs=True)
    assert len(called.wait()[1]["rows"]) == 2
    db.query(MAP, called)
    assert len(called.wait()[1].rows) == 2
    db.revsDiff({"a": ["1-b2e5", "2-3a24"]}, called)
    assert called.wait()[1]["a"]["missing"] == ["1-b2e5", "2-3a24"]
    db.changes(complete=called)
    assert "last_seq" in called.wait()[1]


def test_attachments_call_back(db, called):
    db.putAttachment("doc", "text", b"abcd", "text/plain", callback=called)
    rev = called.wait()[1].rev
    db.putAttachment("doc", "text2", "éf".encode(), "text/plain", rev, called)
    rev = called.wait()[1].rev
    db.getAttachment("doc", "text", called)
    assert called.wait() == (None, {"data": b"abcd", "type": "text/plain"})
    for missing in (("doc", "nope"), ("nope", "text")):
        db.getAttachment(*missing, called)
        assert called.wait()[0]["status"] == 404
    db.removeAttachment("doc", "text", rev, called)
    assert called.wait()[1].ok
    db.removeAttachment("nope", "text", rev, called)
    assert called.wait()[0]["status"] == 404


def test_upkeep_calls_back(async_env, db, called):
    db.info(called)
    error, info = called.wait()
    assert (error, info.db_name, info.update_seq) == (None, "test", 0)
    for method in (db.viewCleanup, db.compact, db.getSession, db.logout):
        method(called)
        assert called.wait()[1].ok
    async_env.allDbs(called)
    assert called.wait() == (None, ["test"])
    db.destroy(called)
    assert called.wait() == (None, {"ok": True})


def test_a_callback_may_wait_for_another(async_env, db, called):
    missing = Recorder(async_env)
    statuses = []

    def destroyed(err, resp):
        assert err is None
        async_env.PouchDB("test").get("mytest", missing)
        statuses.append(missing.wait()[0]["status"])

    db.put({"_id": "mytest"})
    db.destroy(destroyed)
    async_env.context.waitUntilCalled(destroyed)
    assert statuses == [404]
    async_env.destroy(lambda err, resp: async_env["test"].get("mytest", called), name="test")
    assert called.wait()[0]["status"] == 404


def test_validated_writes_call_back(db, called):
    db.put(ONLY_TEST)
    db.validatingPut({"_id": "test"}, called)
    rev = called.wait()[1].rev
    db.validatingPutAttachment("test", "file", b"Hi", "text/plain", rev, called)
    rev = called.wait()[1].rev
    db.validatingRemoveAttachment("test", "file", rev, called)
    rev = called.wait()[1].rev
    db.validatingRemove({"_id": "test", "_rev": rev}, called)
    assert called.wait()[1].ok
    db.validatingBulkDocs({"docs": [{"_id": "test"}, {"_id": "x"}]}, called)
    written, refused = called.wait()[1]
    assert (written.ok, refused.status, refused.name) == (True, 403, "forbidden")
    db.putAttachment("other", "file", b"Hi", "text/plain", callback=called)
    rev = called.wait()[1].rev
    for refused in (
        lambda: db.validatingPost({}, called),
        lambda: db.validatingPutAttachment("new", "file", b"Hi", "text/plain", called),
        lambda: db.validatingRemoveAttachment("other", "file", rev, called),
    ):
        refused()
        error, _ = called.wait()
        assert (error["status"], error["name"], error.message) == (403, "forbidden", "only a test")


def test_plug_ins_call_back_before_their_options(db, called):
    db.put(ONLY_TEST)
    db.bulkDocs([{"_id": "a", "key": [1], "text": "freehold"}, {"_id": "volatile", "key": [2]}])
    db.get("volatile").then(db.remove).then(
        lambda removed: db.spatial("test/places", called, start_range=[None], end_range=[None])
    )
    error, found = called.wait()
    assert error is None
    assert [row.value["_id"] for row in found.rows] == ["a"]
    assert "key" in found.rows[0]
    assert "_rev" in found.rows[0]["value"]
    db.search("test/texts", called, q="freehold")
    assert [row.id for row in called.wait()[1].rows] == ["a"]
    db.list("test/head/ids", called, query={"a": "b"})
    assert called.wait()[1].body == '[0,null,"b"]'
    db.gql({"select": "text", "where": "text = 'freehold'"}, called)
    assert called.wait()[1].rows == [{"text": "freehold"}]


def test_a_chain_goes_on_where_a_callback_ends(db, called):
    db.put({"_id": "a"}, called).then(lambda put: db.get(put.id)).then(db.remove).then(lambda removed: called(None, 2))
    assert called.wait()[1].ok
    assert called.wait() == (None, 2)


# -- What goes on ---------------------------------------------------------------------------------


def test_promises_are_objects_of_javascript(db, async_env):
    promises = [db.get("x").catch(len), db.changes(), async_env.replicate("test", "b"), db.compact()]
    for promise in promises:
        assert "then" in promise
        assert "catch" in promise
        promise["catch"](lambda error: None)
    with pytest.raises(KeyError):
        promises[0]["_settle"]


@pytest.mark.slow
def test_replications_call_back(async_env, db, called):
    db.put({"_id": "mytest"})
    replication = async_env.replicate("test", "testb", complete=called)
    assert replication["cancelled"] is False
    assert called.wait()[1]["docs_written"] == 1
    db.sync("testb", called, complete=called)
    for _ in range(2):
        error, both = called.wait()
        assert (error, both["pull"]["ok"], both["push"]["ok"]) == (None, True, True)
    async_env.sync("test", "testb", complete=called)
    assert called.wait()[1]["push"].docs_written == 0
    db.replicateFrom("empty", called)
    assert called.wait()[1]["docs_written"] == 0
    db.replicateTo("testc", called)
    assert called.wait()[1]["docs_written"] == 1


@pytest.mark.parametrize("api", ["env", "async_env"])
def test_what_is_live_is_cancelled_in_both_apis(request, api):
    env = request.getfixturevalue(api)
    db, called = env["test"], Recorder(env)
    changes = db.changes(live=True, complete=called)
    assert changes.cancel() is None
    assert called.wait() == (None, {"status": "cancelled"})
    for going in (
        db.replicateTo("testb", live=True, complete=called),
        db.replicate_to("testb", continuous=True, complete=called),
        db.replicateFrom("testb", continuous=True, complete=called),
        db.replicate_from("testb", live=True, complete=called),
        env.replicate("test", "testb", live=True, complete=called),
        db.sync("testb", live=True, complete=called),
        env.sync("test", "testb", live=True, complete=called),
    ):
        assert going["cancel"]() is None
        assert going["cancelled"] is True
        error, result = called.wait()
        assert error is None
        assert (result.push if "push" in result else result).status == "cancelled"


# -- Waiting for what is no operation -------------------------------------------------------------


def test_a_listener_is_waited_for_however_it_was_called(env):
    sums = []

    def add(n=1):
        sums.append(n)

    env.once("test", add)
    assert env.emit("test", 2)
    env.context.waitUntilCalled(add)
    assert not env.emit("test")
    assert sums == [2]
    env.on("test", add).on("test", sums.clear)
    for listener in env.listeners("test"):
        assert listener() is None
        env.context.waitUntilCalled([add, sums.clear])
    assert sums == []


def test_too_many_listeners_are_warned_of(env):
    env.setMaxListeners(1).on("test", print)
    with pytest.warns(MaxListenersExceededWarning, match=r"possible EventEmitter memory leak detected\."):
        env.on("test", print)


def test_an_attachment_of_a_document_that_is_not_there_is_not_found(env):
    with pytest.raises(PouchDBError) as caught:
        env["test"].removeAttachment("nope", "text", "1-967a00dff5e02add41819138abb3284d")
    assert (caught.value["status"], caught.value["name"]) == (404, "not_found")
