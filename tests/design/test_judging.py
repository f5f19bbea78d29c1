"""Writes that are validated: `db.as_user`."""

from __future__ import annotations

import threading

import pytest

from couchette import AsyncDatabase, Database, jsonio
from couchette.errors import BadRequest, CompilationFailed, Conflict, Forbidden, FunctionFailed, NotFound, Unauthorized
from couchette.pool import Pool

REX = {"name": "rex", "roles": ["dog"]}
OWN = """function(edited, old, user, security) {
    if (user.roles.indexOf('_admin') >= 0) return;
    if (old && old.owner !== user.name) throw {unauthorized: 'it is ' + old.owner + "'s"};
    if (edited.owner !== undefined && edited.owner !== user.name) throw {forbidden: 'not yours'};
    if (edited._attachments && edited._attachments.secret) throw {forbidden: 'no secrets'};
}"""
TELL = "function() { throw {forbidden: JSON.stringify([].slice.call(arguments))} }"


@pytest.fixture
def db(db):
    db.bulk_docs([{"_id": "_design/own", "validate_doc_update": OWN}, {"_id": "cats", "owner": "tom", "v": 1}])
    return db


@pytest.fixture
def rex(db):
    return db.as_user(REX)


def told(db, write, **given):
    """What the validation function of a database is given for a write."""
    db["_design/own"] = {"validate_doc_update": TELL}
    with pytest.raises(Forbidden) as raised:
        write(db.as_user(**given))
    return jsonio.loads(raised.value.reason)


# -- What is refused --------------------------------------------------------------------------------------------------


def test_every_way_to_write_a_document_is_judged(db, rex):
    rev = db["cats"]["_rev"]
    db["_design/own"] = {**db["_design/own"], "language": "javascript"}
    for write in (
        lambda: rex.put({"_id": "cats", "_rev": rev}),
        lambda: rex.put({"v": 2}, id="cats", rev=rev),
        lambda: rex.remove("cats", rev),
        lambda: rex.remove({"_id": "cats", "_rev": rev}),
        lambda: rex.remove("cats", all_leaves=True),
        lambda: rex.put_attachment("cats", "a", b"", "a/b", rev=rev),
        lambda: rex.__setitem__("cats", {"v": 2}),
        lambda: rex.__delitem__("cats"),
        lambda: rex.pop("cats"),
        lambda: rex.update(cats={"v": 2}),
    ):
        with pytest.raises(Unauthorized, match="it is tom's"):
            write()
    for write in (lambda: rex.post({"owner": "tom"}), lambda: rex.copy("cats", "dogs")):
        with pytest.raises(Forbidden, match="not yours"):
            write()
    assert (db["cats"]["_rev"], len(db)) == (rev, 2)


def test_what_is_allowed_is_written(db, rex):
    rev = rex.put({"_id": "a", "owner": "rex"})["rev"]
    rev = rex.put_attachment("a", "file", b"hi", "a/b", rev=rev)["rev"]
    with pytest.raises(Forbidden, match="no secrets"):
        rex.put_attachment("a", "secret", b"hi", "a/b", rev=rev)
    rev = rex.remove_attachment("a", "file", rev)["rev"]
    rex["a"] = {"owner": "rex", "v": 2}
    assert (db["a"]["v"], rex["a"]["v"]) == (2, 2)
    del rex["a"]
    rex["a"] = {"owner": "rex", "v": 3}
    assert rex.remove("a", all_leaves=True)["ok"]
    assert "a" not in db


def test_a_bulk_write_has_rows_for_what_is_refused(db, rex):
    rows = rex.bulk_docs([{"_id": "a", "owner": "rex"}, {"_id": "b", "owner": "tom"}, {"_id": "cats"}])
    assert rows[0]["ok"]
    assert rows[1] == {"id": "b", "error": "forbidden", "reason": "not yours"}
    assert (rows[2]["id"], rows[2]["error"]) == ("cats", "conflict")
    rows = rex.bulk_docs([{"_id": "b", "_rev": "1-a", "owner": "tom"}], new_edits=False)
    assert rows == [{"id": "b", "rev": "1-a", "error": "forbidden", "reason": "not yours"}]
    assert {*db} == {"_design/own", "a", "cats"}


def test_design_and_local_documents_are_not_judged(rex):
    assert rex.put({"_id": "_design/x", "owner": "tom"})["ok"]
    rex["_local/x"] = {"owner": "tom"}
    assert rex["_local/x"]["owner"] == "tom"


def test_the_solution_of_a_conflict_is_judged_and_undone_if_it_is_refused(db, rex):
    db.bulk_docs(
        [{"_id": "a", "_rev": f"1-{n}", "owner": owner} for n, owner in enumerate(("tom", "rex"))], new_edits=False
    )
    with pytest.raises(Unauthorized):
        rex.resolve("a", keep="1-1")
    assert db.conflicts()[0]["conflicts"] == ["1-0"]
    db.as_user({"name": "root", "roles": ["_admin"]}).resolve("a", keep="1-1")
    assert db.conflicts() == []


def test_a_write_within_a_transaction_is_judged_with_what_was_written_there(db, rex):
    with db.transaction():
        db["_design/own"] = {"validate_doc_update": "function(doc) { if (!doc.ok) throw {forbidden: 'new'} }"}
        with pytest.raises(Forbidden, match="new"):
            rex["a"] = {}
        rex["b"] = {"ok": True}
    assert {*db} == {"_design/own", "b", "cats"}


def test_threads_that_validate_do_not_wait_for_each_other_in_a_circle(monkeypatch):
    """In memory a read waits for another thread's transaction, and that thread may validate, too."""
    reading = threading.Event()
    read = Pool.read

    def read_seen(*args, **kwargs):
        if threading.current_thread() is other:
            reading.set()
        return read(*args, **kwargs)

    with Database(":memory:") as db:
        db["_design/own"] = {"validate_doc_update": OWN}
        rex = db.as_user(REX)
        other = threading.Thread(target=rex.put, args=({"_id": "a"},))
        monkeypatch.setattr(Pool, "read", read_seen)
        with db.transaction():
            other.start()
            assert reading.wait(60)
            rex["b"] = {}
        other.join()
        assert {*db} == {"_design/own", "a", "b"}


# -- What the functions are told --------------------------------------------------------------------------------------


def test_the_function_is_given_edit_predecessor_user_and_security(db):
    rev = db["cats"]["_rev"]
    edited, old, user, security = told(db, lambda view: view.put({"_id": "cats", "_rev": rev, "v": 2}))
    assert edited == {"_id": "cats", "_rev": rev, "v": 2, "_revisions": {"start": 1, "ids": [rev[2:]]}}
    assert (old["v"], old["_revisions"]) == (1, edited["_revisions"])
    assert user == {"db": db.name, "name": None, "roles": ["_admin"]}
    assert security == {"members": {"roles": ["_admin"]}, "admins": {"roles": ["_admin"]}}


def test_a_mapping_s_write_is_shown_as_any_other(db):
    rev = db["cats"]["_rev"]
    edited, old, *_ = told(db, lambda view: view.__setitem__("cats", {"v": 2}))
    assert edited == {"_id": "cats", "_rev": rev, "v": 2, "_revisions": {"start": 1, "ids": [rev[2:]]}}
    assert old["v"] == 1
    edited, old, *_ = told(db, lambda view: view.__setitem__("new", {"v": 2}))
    assert (edited, old) == ({"_id": "new", "v": 2, "_revisions": {"start": 0, "ids": []}}, None)


def test_user_and_security_are_those_that_are_given(db):
    db.set_security({"admins": {"names": ["x"]}})
    assert told(db, lambda view: view.post({}))[3] == {"admins": {"names": ["x"]}}
    given = {"user_ctx": REX, "sec_obj": {"a": 1}}
    assert told(db, lambda view: view.post({}), **given)[2:] == [{"db": db.name, **REX}, {"a": 1}]


def test_attachments_are_shown_as_they_will_be(db):
    rev = db.put_attachment("cats", "a", b"x", "a/b", rev=db["cats"]["_rev"])["rev"]
    edited, *_ = told(db, lambda view: view.put_attachment("cats", "b", b"x", "c/d", rev=rev))
    assert {name: one["content_type"] for name, one in edited["_attachments"].items()} == {"a": "a/b", "b": "c/d"}
    edited, *_ = told(db, lambda view: view.remove_attachment("cats", "a", rev))
    assert edited["_attachments"] == {}


def test_the_program_s_own_function_is_asked_first(db):
    asked = []

    def validate(edited, old, user_ctx, sec_obj):
        asked.append((edited["_id"], old, user_ctx["name"], sec_obj))
        if edited.get("bad"):
            raise Forbidden("bad")

    rex = db.as_user(REX, {}, validate=validate)
    rex.put({"_id": "a"})
    with pytest.raises(Forbidden, match="bad"):
        rex.put({"_id": "b", "bad": True, "owner": "tom"})
    assert asked == [("a", None, "rex", {}), ("b", None, "rex", {})]


def test_an_update_function_s_document_is_validated_and_the_function_told_of_the_user(db):
    update = "function(doc, req) { return [{_id: req.id, owner: req.query.to, by: req.userCtx, s: req.secObj}, ''] }"
    db["_design/u"] = {"updates": {"give": update}}
    rex = db.as_user(REX, {"a": 1})
    with pytest.raises(Forbidden, match="not yours"):
        rex.design.update("u/give", "gift", query={"to": "tom"})
    made = rex.design.update("u/give", "gift", query={"to": "rex"}).doc
    assert (made["by"], made["s"]) == ({"db": db.name, **REX}, {"a": 1})
    assert db.design.update("u/give", "other", query={"to": "tom"}).written["ok"]


# -- Functions that fail ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "kind", "word"),
    [
        ("function() { nothing }", FunctionFailed, "ReferenceError"),
        ("function(", CompilationFailed, "compilation_error"),
        ("'text'", CompilationFailed, "compilation_error"),
    ],
)
def test_a_function_that_fails_lets_nothing_through(db, source, kind, word):
    db["_design/own"] = {"validate_doc_update": source}
    for write in (lambda view: view.post({}), lambda view: view.bulk_docs([{}]), lambda view: view.update(a={})):
        with pytest.raises(kind) as raised:
            write(db.as_user(REX))
        assert raised.value.error == word
    assert len(db) == 2


def test_what_the_store_refuses_is_refused_as_ever(rex):
    with pytest.raises(Conflict):
        rex.put({"_id": "cats"})
    with pytest.raises(BadRequest):
        rex.put({"_id": "_x"})
    with pytest.raises(NotFound):
        rex.remove("none", "1-a")
    with pytest.raises(NotFound):
        del rex["none"]
    with pytest.raises(NotFound):
        rex.resolve("none", keep="1-1")


# -- The object -------------------------------------------------------------------------------------------------------


def test_it_is_the_same_open_database(db):
    @db.view("owners")
    def owners(doc):
        yield doc.get("owner"), None

    rex = db.as_user(REX)
    assert rex.query("owners", key="tom")["rows"][0]["id"] == "cats"
    assert rex._views is db._views
    assert db.as_user(REX).as_user({"name": "tom", "roles": []}).put({"_id": "b", "owner": "tom"})["ok"]
    rex.close()
    assert db.closed


@pytest.mark.anyio
async def test_a_task_writes_as_a_user(db):
    rex = AsyncDatabase(db).as_user(REX)
    with pytest.raises(Forbidden):
        await rex.put({"_id": "a", "owner": "tom"})
    assert (await rex.put({"_id": "a", "owner": "rex"}))["ok"]
