"""Databases of the synchronous API: their results, errors and mapping, in PouchDB's shapes."""

from __future__ import annotations

import inspect
import re
from typing import Any

import pytest

import couchette
from couchette import pouchdb
from couchette.pouchdb import AbstractPouchDB, AsyncPouchDB, PouchDBError, SyncPouchDB
from couchette.pouchdb.operations import operation

MISSING = '{"status":404,"name":"not_found","message":"missing"}'


def test_documents_are_put_got_and_removed(pouch):
    put = pouch.put({"_id": "a", "n": 1})
    assert (put.ok, put.id) == (True, "a")
    got = pouch.get("a")
    assert got == {"_id": "a", "_rev": put.rev, "n": 1}
    assert pouch.put({"n": 2}, "a", put.rev).rev.startswith("2-")
    assert pouch.remove(pouch.get("a")).ok
    with pytest.raises(PouchDBError) as caught:
        pouch.get("a")
    assert str(caught.value) == MISSING
    assert caught.value["reason"] == "deleted"


def test_documents_may_be_json_text(pouch):
    put = pouch.put('{"_id": "a", "list": [1, {"b": 2}]}')
    assert pouch.post('{"_id": "b"}').id == "b"
    assert [row.ok for row in pouch.bulkDocs('{"docs": [{"_id": "c"}, {"_id": "d"}]}')] == [True, True]
    assert pouch.revsDiff('{"a": ["1-x"]}') == {"a": {"missing": ["1-x"]}}
    assert pouch.remove(f'{{"_id": "a", "_rev": "{put.rev}"}}').ok
    pouch["e"] = '{"n": 1}'
    assert pouch["e"].n == 1


def test_a_result_can_be_changed_and_put_again(pouch):
    pouch["a"] = {"tags": [{"name": "x"}], "address": {"city": "Ulm"}}
    doc = pouch.get("a")
    doc.tags[0].name = "y"
    doc.address.zip = 89073
    pouch.put(doc)
    assert pouch.get("a").tags == [{"name": "y"}]
    assert pouch.get("a").address == {"city": "Ulm", "zip": 89073}
    pouch["copy"] = {"part": pouch.get("a").address}
    assert pouch["copy"].part.city == "Ulm"


@pytest.mark.parametrize(
    ("call", "status", "name", "message"),
    [
        (lambda db: db.get("x"), 404, "not_found", "missing"),
        (lambda db: db.put({}), 412, "missing_id", "_id is required for puts"),
        (lambda db: db.put({"_id": "a"}), 409, "conflict", "Document update conflict"),
        (
            lambda db: db.put({"_id": "_x"}),
            400,
            "bad_request",
            "Only reserved document ids may start with underscore.",
        ),
        (lambda db: db.put("text"), 400, "bad_request", "invalid UTF-8 JSON"),
        (lambda db: db.put([]), 400, "bad_request", "Document must be a JSON object"),
        (lambda db: db.put({"_id": "q", "_rev": "foo"}), 400, "bad_request", "Invalid rev format"),
        (lambda db: db.put({"_id": 5}), 400, "bad_request", "_id field must contain a string"),
        (lambda db: db.post({"_id": 5}), 400, "bad_request", "_id field must contain a string"),
        (lambda db: db.get(5), 400, "bad_request", "_id field must contain a string"),
        (lambda db: db.bulkDocs([1]), 400, "bad_request", "Document must be a JSON object"),
        (lambda db: db.bulkDocs({}), 400, "bad_request", "Missing JSON list of 'docs'"),
        (lambda db: db.bulkGet({}), 400, "bad_request", "Missing JSON list of 'docs'"),
        (lambda db: db.remove("nope", "1-abc"), 404, "not_found", "missing"),
        (lambda db: db.remove({}), 404, "not_found", "missing"),
        (lambda db: db.remove("a"), 404, "not_found", "missing"),
        (lambda db: db.remove({"_id": "nope"}), 404, "not_found", "missing"),
        (lambda db: db.remove({"_id": "a"}), 409, "conflict", "Document update conflict"),
        (lambda db: db.getAttachment("a", "b"), 404, "not_found", "missing"),
        (lambda db: db.getAttachment("nope", "b"), 404, "not_found", "missing"),
        (lambda db: db.putAttachment("z", "b", "%%%", "text/plain"), 500, "badarg", "Some query argument is invalid"),
        (lambda db: db.removeAttachment("a", "b", "1-aa"), 409, "conflict", "Document update conflict"),
        (lambda db: db.query("foo/bar"), 404, "not_found", "missing"),
        (lambda db: db.query("foo"), 404, "not_found", "missing"),
        (lambda db: db.get("a", open_revs=["zz"]), 400, "bad_request", "Invalid rev format"),
        (lambda db: db.find({}), 400, "bad_request", "you must provide a selector to find()"),
        (lambda db: db.purge("a", "1-aa"), 404, "not_found", "missing"),
        (lambda db: db.changes(filter="no/filter"), 404, "not_found", "missing"),
        (lambda db: db.changes(filter="_view"), 400, "bad_request", "`view` filter parameter is not provided."),
    ],
)
def test_errors_are_pouchdbs(pouch, call, status, name, message):
    pouch.put({"_id": "a"})
    with pytest.raises(PouchDBError) as caught:
        call(pouch)
    error = caught.value
    assert (error["status"], error["name"], error["message"]) == (status, name, message)
    assert isinstance(error.__cause__, couchette.CouchetteError)


def test_bulk_docs_has_a_row_for_each(pouch):
    pouch.put({"_id": "a"})
    rows = pouch.bulk_docs({"docs": [{"_id": "a"}, {"_id": "b"}, {}]})
    assert (rows[0].status, rows[0].name, rows[0].error, rows[0].id) == (409, "conflict", True, "a")
    assert rows[1].ok
    assert rows[2].id
    assert pouch.bulkDocs([{"_id": "n", "_rev": "1-aaa"}], new_edits=False) == []
    assert pouch.bulkDocs({"docs": [{"_id": "m", "_rev": "1-aaa"}], "new_edits": False}) == []
    assert pouch.get("n")._rev == pouch.get("m")._rev == "1-aaa"


def test_all_docs_takes_its_options_in_every_spelling(pouch):
    pouch.bulkDocs([{"_id": name} for name in "abcd"])
    gone = pouch.remove(pouch.get("b")).rev
    assert [row.id for row in pouch.allDocs(startkey="b", endkey="c").rows] == ["c"]
    assert [row.id for row in pouch.all_docs(start_key="a", limit=1, skip=1).rows] == ["c"]
    assert pouch.allDocs(startkey="c", skip=1).offset == 1
    answer = pouch.allDocs(keys=["b", "nope"], includeDocs=True, ajax={"cache": True})
    assert answer.rows == [
        {"id": "b", "key": "b", "value": {"rev": gone, "deleted": True}, "doc": None},
        {"key": "nope", "error": "not_found"},
    ]
    assert answer.total_rows == 3
    assert pouch.allDocs(include_docs=True).rows[0].doc._id == "a"
    assert pouch.allDocs(update_seq=True).update_seq == 5


def test_attachments_are_bytes_in_the_order_of_arguments_of_the_package(pouch):
    rev = pouch.putAttachment("doc", "a.txt", b"Hello", "text/plain").rev
    assert pouch.getAttachment("doc", "a.txt") == {"data": b"Hello", "type": "text/plain"}
    rev = pouch.put_attachment("doc", "b.txt", "SGk=", "text/plain", rev).rev
    assert pouch.get_attachment("doc", "b.txt", rev=rev).data == b"Hi"
    shown = pouch.get("doc", attachments=True, binary=True)
    assert shown._attachments["a.txt"].data == b"Hello"
    whole = {"include_docs": True, "attachments": True}
    for answer in (pouch.allDocs, lambda **asked: pouch.query(lambda doc: [(1, None)], **asked)):
        assert answer(**whole, binary=True).rows[0].doc._attachments["b.txt"].data == b"Hi"
        assert answer(**whole, binary=False).rows[0].doc._attachments["b.txt"].data == "SGk="
    for binary, data in ((True, b"Hi"), (False, "SGk=")):
        [change] = pouch.changes(**whole, binary=binary).results
        assert change.doc._attachments["b.txt"].data == data
        assert pouch.get("doc", attachments=True, binary=binary)._attachments["b.txt"].data == data
    assert pouch.removeAttachment("doc", "nope", rev) is None
    assert pouch.remove_attachment("doc", "a.txt", rev).rev.startswith("3-")
    with pytest.raises(PouchDBError, match="missing"):
        pouch.getAttachment("doc", "a.txt")


def test_revisions_are_got_in_pouchdbs_shapes(pouch):
    first = pouch.put({"_id": "a"}).rev
    second = pouch.put({"_id": "a", "_rev": first}).rev
    assert pouch.get("a", rev=first)._rev == first
    assert pouch.get("a", openRevs="all") == [{"ok": {"_id": "a", "_rev": second}}]
    assert pouch.get("a", revs=True)._revisions.start == 2
    answer = pouch.bulkGet({"docs": [{"id": "a"}, {"id": "nope"}]})
    assert answer.results[0].docs[0].ok._rev == second
    error = answer.results[1].docs[0].error
    assert (error.status, error.name, error.reason, error.docId) == (404, "not_found", "missing", "nope")
    assert pouch.revs_diff({"a": [second, "3-x"]}) == {"a": {"missing": ["3-x"], "possible_ancestors": [second]}}


def test_force_puts_over_whatever_is_there(pouch):
    pouch.put({"_id": "a"})
    assert pouch.put({"_id": "a", "n": 1}, force=True).rev.startswith("2-")


def test_info_compact_purge_and_security(pouch):
    rev = pouch.put({"_id": "a"}).rev
    info = pouch.info()
    assert (info.db_name, info.doc_count, info.update_seq) == ("example", 1, 1)
    assert pouch.compact() == {"ok": True}
    assert pouch.viewCleanup().ok
    assert pouch.purge("a", rev) == {"ok": True, "deletedRevs": [rev], "documentWasRemovedCompletely": True}
    assert pouch.getSecurity() == {}
    assert pouch.putSecurity({"members": {"names": ["ada"]}}) == {"ok": True}
    assert pouch.get_security().members.names == ["ada"]


def test_queries_take_python_functions(pouch):
    pouch.bulkDocs([{"_id": str(n), "n": n} for n in range(3)])

    def with_emit(doc, emit):
        emit(doc["n"], 1)

    expected = [{"id": str(n), "key": n, "value": 1} for n in range(3)]
    assert pouch.query(lambda doc: [(doc["n"], 1)]).rows == expected
    answer = pouch.query(with_emit, startkey=1)
    assert (answer.total_rows, answer.offset, answer.rows) == (3, 0, expected[1:])
    assert pouch.query({"map": with_emit, "reduce": "_sum"}).rows == [{"key": None, "value": 3}]
    assert pouch.query({"map": with_emit, "reduce": "_sum"}, reduce=False, key=2).rows == expected[2:]


def test_queries_take_javascript_and_design_documents(pouch):
    source = "function (doc) { emit(doc.n); }"
    pouch.bulkDocs([{"_id": str(n), "n": n} for n in range(3)])
    assert [row.key for row in pouch.query(source, descending=True).rows] == [2, 1, 0]
    assert [row.key for row in pouch.query({"map": source}, keys=[1]).rows] == [1]
    pouch["_design/by"] = {"views": {"by": {"map": source}, "n": {"map": source}}}
    assert [row.id for row in pouch.query("by/n", limit=1, include_docs=True).rows] == ["0"]
    assert len(pouch.query("by").rows) == 3
    pouch["3"] = {"n": 3}
    assert len(pouch.query("by/n", stale="ok").rows) == 3
    assert len(pouch.query("by/n").rows) == 4


def test_find_and_its_indexes(pouch):
    pouch.bulkDocs([{"_id": str(n), "n": n} for n in range(40)])
    made = pouch.createIndex({"index": {"fields": ["n"], "name": "by-n"}})
    assert made.result == "created"
    assert pouch.create_index(fields=["n"], name="by-n").result == "exists"
    assert len(pouch.find({"selector": {"n": {"$gte": 0}}}).docs) == 40
    assert [doc._id for doc in pouch.find(selector={"n": {"$gt": 36}}, fields=["_id"]).docs] == ["37", "38", "39"]
    assert pouch.explain({"selector": {"n": 1}}).index.name == "by-n"
    index = pouch.getIndexes().indexes[1]
    assert index.name == "by-n"
    assert pouch.deleteIndex(index).ok
    with pytest.raises(PouchDBError, match="ddoc"):
        pouch.delete_index({"name": "by-n"})


def test_changes_until_now(pouch):
    pouch.bulkDocs([{"_id": name, "kind": name} for name in "abc"])
    seen, done = [], []
    answer = pouch.changes(since=1, onChange=seen.append, complete=lambda err, resp: done.append((err, resp)))
    assert [(row.seq, row.id) for row in answer.results] == [(2, "b"), (3, "c")]
    assert answer.last_seq == 3
    assert seen == answer.results
    told: list[Any] = []
    assert pouch.changes(since=1, onChange=told.append, return_docs=False) == {"results": [], "last_seq": 3}
    assert told == seen
    assert [row.seq for row in pouch.changes(seq_interval=2).results] == [1, 2, 3]
    assert pouch.changes(descending=False, doc_ids=["a"]).last_seq == 3
    assert done == [(None, answer)]
    assert pouch.changes(descending=True, limit=1).last_seq == 3
    assert pouch.changes(docIds=["a"]).results[0].id == "a"
    assert pouch.changes(selector={"kind": "b"}, include_docs=True).results[0].doc.kind == "b"


def test_changes_through_filters(pouch):
    pouch["_design/f"] = {
        "filters": {"kind": "function (doc, req) { return doc.kind === req.query.kind; }"},
        "views": {"f": {"map": "function (doc) { if (doc.kind) emit(doc.kind); }"}},
    }
    pouch.bulkDocs([{"_id": name, "kind": name} for name in "ab"])

    def ids(**options):
        return [row.id for row in pouch.changes(**options).results]

    assert ids(filter="f/kind", query_params={"kind": "b"}) == ["b"]
    assert ids(filter="_view", view="f") == ids(view="f/f") == ["a", "b"]
    assert ids(filter="f/kind", view="f", query_params={"kind": "b"}) == ["b"]
    assert ids(filter=lambda doc: doc.get("kind") == "a") == ["a"]
    assert ids(filter=lambda doc, req: doc.get("kind") == req["query"]["k"], queryParams={"k": "b"}) == ["b"]
    assert ids(filter="_doc_ids", doc_ids=["b"]) == ["b"]


# -- The mapping ----------------------------------------------------------------------------------


def test_a_document_that_is_set_gets_its_id_and_rev(pouch):
    doc = {"test": "ok"}
    pouch["mytest"] = doc
    assert doc == {"test": "ok", "_id": "mytest", "_rev": pouch.get("mytest")._rev}
    pouch["mytest"] = {"again": True}
    assert pouch["mytest"]._rev.startswith("2-")
    with pytest.raises(PouchDBError) as caught:
        pouch["mytest"] = doc
    assert caught.value["status"] == 409
    with pytest.raises(PouchDBError, match="JSON object"):
        pouch["mytest"] = [1]


def test_what_is_not_there_is_a_key_error_with_the_errors_text(pouch):
    for act in (lambda: pouch["abc"], lambda: pouch.__delitem__("abc"), lambda: pouch.pop("abc")):
        with pytest.raises(KeyError) as caught:
            act()
        assert caught.value.args == (MISSING,)
    pouch["gone"] = {}
    del pouch["gone"]
    with pytest.raises(KeyError, match=re.escape(MISSING)):
        pouch["gone"]


def test_an_error_that_is_no_404_is_no_key_error(pouch):
    with pytest.raises(PouchDBError):
        pouch["_x"]
    assert "_x" not in pouch
    assert 5 not in pouch


def test_del_deletes_the_winner(pouch):
    pouch.bulkDocs([{"_id": "a", "_rev": "1-aaa"}, {"_id": "a", "_rev": "1-bbb"}], new_edits=False)
    del pouch["a"]
    assert pouch["a"]._rev == "1-aaa"


def test_the_methods_of_mappings_work(pouch):
    pouch.update({"b": {"n": 1}, "a": {"n": 2}})
    pouch.update([("c", {})], d={})
    assert list(pouch) == ["a", "b", "c", "d"]
    assert len(pouch) == 4
    assert list(pouch.keys()) == ["a", "b", "c", "d"]
    assert [doc.get("n") for doc in pouch.values()] == [2, 1, None, None]
    assert dict(pouch.items())["a"].n == 2
    assert "a" in pouch
    assert "z" not in pouch
    assert pouch.get_("abc", {"hello": "world"}) == {"hello": "world"}
    assert pouch.get_("a").n == 2
    assert pouch.pop("a").n == 2
    assert pouch.pop("a", None) is None
    assert pouch.setdefault("b", {"n": 5}).n == 1
    assert pouch.setdefault("e", {"n": 5})["_rev"]
    assert pouch.popitem()[0] == "b"
    pouch.clear()
    assert len(pouch) == 0
    assert list(pouch) == []


def test_databases_are_equal_by_identity(env):
    one, two = env["a"], env["a"]
    assert one == one
    assert one != two
    assert len({one, two}) == 2


# -- The class ------------------------------------------------------------------------------------


def test_databases_belong_to_an_environment():
    with pytest.raises(pouchdb.EnvironmentError, match="setup"):
        SyncPouchDB("name")


def test_every_method_has_a_snake_case_name_in_both_apis():
    declared = {name for name, value in vars(AbstractPouchDB).items() if isinstance(value, operation)}
    for face in (SyncPouchDB, AsyncPouchDB):
        names = declared | {"changes", "replicateTo", "replicateFrom", "sync"}
        for name in names:
            snake = re.sub(r"(?<=[a-z])([A-Z])", r"_\1", name).lower()
            assert callable(getattr(face, name))
            assert callable(getattr(face, snake)), snake
    method: Any = SyncPouchDB.put_attachment
    assert inspect.signature(method).parameters.keys() == {
        "self",
        "docId",
        "attachmentId",
        "doc",
        "type",
        "rev",
    }
    assert SyncPouchDB.allDocs.__doc__ == AsyncPouchDB.all_docs.__doc__
    method = SyncPouchDB.allDocs
    assert method.__name__ == "allDocs"


def test_plugins_are_written_in_python(env):
    def count(db, prefix):
        return sum(id.startswith(prefix) for id in db)

    assert env.PouchDB.plugin({"count": count}) is env.PouchDB
    db = env["a"]
    db.update({"x1": {}, "x2": {}, "y": {}})
    assert db.count("x") == 2

    class Sums:
        @staticmethod
        def twice(db, n):
            return 2 * n

        def _hidden(self):
            raise AssertionError

    env.PouchDB.plugin(Sums)
    env.PouchDB.plugin(lambda kind: setattr(kind, "more", lambda db: "more"))
    assert (db.twice(2), db.more()) == (4, "more")
    assert not hasattr(pouchdb.setup()["a"], "count")
    for wrong in ({}, 5):
        with pytest.raises(pouchdb.EnvironmentError, match="expected an object or a function"):
            env.PouchDB.plugin(wrong)


def test_options_of_a_local_database_are_kept(env):
    db = env.PouchDB("small", auto_compaction=True, revs_limit=2)
    revs = [db.put({"_id": "a"}, force=True).rev for _ in range(4)]
    with pytest.raises(PouchDBError, match="missing"):
        db.get("a", rev=revs[2])
    assert len(db.get("a", revs=True)._revisions.ids) == 2
    env["small"]["b"] = {}
    first = env["small"].get("b")._rev
    env["small"]["b"] = {}
    with pytest.raises(PouchDBError, match="missing"):
        env["small"].get("b", rev=first)
    assert env.PouchDB("small", auto_compaction=False).put({"_id": "b"}, force=True).ok
    assert env["small"].get("a", revs=True)._revisions.ids == db.get("a", revs=True)._revisions.ids


def test_the_class_is_one_of_the_environment(env):
    assert env.PouchDB.prefix == ""
    assert env.PouchDB.version == env.POUCHDB_VERSION == "9.0.0"
    assert isinstance(env["a"], env.PouchDB)
    assert issubclass(env.PouchDB, SyncPouchDB)
    assert re.fullmatch(r"<pouchdb.SyncPouchDB object at 0x[0-9a-f]+>", repr(env["a"]))


def test_a_closed_or_destroyed_database_says_so(env):
    first, second = env["a"], env["a"]
    first["x"] = {}
    assert first.close() is None
    with pytest.raises(PouchDBError, match="database is closed"):
        first.get("x")
    assert second["x"]
    assert second.destroy() == {"ok": True}
    for act in (lambda: second.get("x"), lambda: len(second), lambda: list(second), lambda: second.changes()):
        with pytest.raises(PouchDBError, match="database is destroyed"):
            act()
    assert len(env["a"]) == 0


def test_a_file_is_closed_with_the_last_object_of_it(env):
    first, second = env["a"], env["a"]
    facade = first._core.database
    first.close()
    assert not facade.closed
    second.close()
    assert facade.closed
