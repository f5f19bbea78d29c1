"""The plug-in that validates, below the faces of the package."""

from __future__ import annotations

import json

import pytest

from couchette import Environment, server
from couchette.errors import BadRequest, CompilationFailed, CouchetteError, Forbidden, FunctionFailed, Unauthorized
from couchette.pouchdb import documents
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.folders import Folder
from couchette.pouchdb.validation import (
    validating_bulk_docs,
    validating_post,
    validating_put,
    validating_put_attachment,
    validating_remove,
    validating_remove_attachment,
)

REASON = "only a document named 'test' is allowed."
ADMIN = {"db": "test", "name": None, "roles": ["_admin"]}
NOBODY = {"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}}
TELL = "function () { throw {forbidden: JSON.stringify([].slice.call(arguments))} }"


def only_test(kind="forbidden"):
    return f"function (doc) {{ if (doc._id !== 'test') throw {{{kind}: \"{REASON}\"}} }}"


@pytest.fixture
def core(tmp_path):
    folder = Folder(str(tmp_path))
    core = EnvironmentCore(folder, lambda event, name: None).database("test")
    core.database.put({"_id": "mytest", "test": True})
    yield core
    folder.environment.close()


@pytest.fixture(scope="module")
def server_url():
    with Environment(":memory:") as environment, server.background(environment) as url:
        yield url


@pytest.fixture
def far(server_url):
    """A database on a server."""
    core = EnvironmentCore(Folder(":memory:"), lambda event, name: None).database(f"{server_url}/test")
    documents.put(core, {"_id": "mytest", "test": True})
    yield core
    core.destroy()
    core.environment.close_servers()


def judge(core, source):
    """Give a database this validation function."""
    documents.save(core, "_design/test", {"validate_doc_update": source})


def told(write):
    """The arguments of the validation function."""
    with pytest.raises(Forbidden) as raised:
        write()
    return json.loads(raised.value.reason)


# -- What is allowed --------------------------------------------------------------------------------------------------


def test_what_the_functions_let_pass_is_written(core):
    judge(core, only_test())
    rev = validating_put(core, {"_id": "test"})["rev"]
    rev = validating_put(core, '{"v": 2}', "test", rev)["rev"]
    rev = validating_put_attachment(core, "test", "file", b"Hi", "text/plain", rev)["rev"]
    assert documents.get_attachment(core, "test", "file") == {"data": b"Hi", "type": "text/plain"}
    assert validating_remove_attachment(core, "test", "file", rev) is not None
    rev = documents.get(core, "test")["_rev"]
    assert validating_remove(core, {"_id": "test", "_rev": rev})["ok"]
    assert validating_post(core, {"_id": "test"})["id"] == "test"
    rev = documents.get(core, "test")["_rev"]
    assert validating_remove(core, "test", rev)["ok"]
    assert validating_bulk_docs(core, {"docs": [{"_id": "test"}]})[0]["ok"]


def test_without_a_function_everything_is_allowed(core):
    assert validating_post(core, {})["ok"]
    assert validating_put_attachment(core, "new", "file", "SGk=", "text/plain")["ok"]
    assert documents.get_attachment(core, "new", "file")["data"] == b"Hi"
    assert validating_put(core, {"_id": "mytest"}, force=True)["ok"]


def test_design_documents_are_not_validated(core):
    judge(core, TELL)
    assert validating_put(core, {"_id": "_design/mytest"})["ok"]
    assert validating_bulk_docs(core, [{"_id": "_design/other"}])[0]["ok"]


# -- What is refused --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "error"), [("forbidden", Forbidden), ("unauthorized", Unauthorized)])
def test_what_the_functions_refuse_is_not_written(core, kind, error):
    judge(core, only_test(kind))
    rev = documents.get(core, "mytest")["_rev"]
    for write in (
        lambda: validating_put(core, {"_id": "other"}),
        lambda: validating_put(core, {}, "other"),
        lambda: validating_post(core, {}),
        lambda: validating_post(core, "{}"),
        lambda: validating_remove(core, {"_id": "mytest", "_rev": rev}),
        lambda: validating_put_attachment(core, "mytest", "a", b"", "a/b", rev),
        lambda: validating_put_attachment(core, "new", "a", b"", "a/b"),
    ):
        with pytest.raises(error, match=REASON) as raised:
            write()
        assert raised.value.error == kind
    assert [*core.database] == ["_design/test", "mytest"]


def test_a_bulk_write_has_an_error_for_each_document_that_is_refused(core):
    judge(core, only_test())
    rows = validating_bulk_docs(core, [{"_id": "other"}, {"_id": "test"}, {}])
    assert [row.get("ok") for row in rows] == [None, True, None]
    assert {name: rows[0][name] for name in ("id", "status", "name", "message", "error")} == {
        "id": "other",
        "status": 403,
        "name": "forbidden",
        "message": REASON,
        "error": True,
    }
    assert (rows[2]["name"], len(rows[2]["id"]) > 10) == ("forbidden", True)


@pytest.mark.parametrize(
    ("source", "kind", "name", "message"),
    [
        ("function () { test; }", FunctionFailed, "ReferenceError", "test"),
        ("'a text'", CompilationFailed, "compilation_error", "Expression does not eval to a function."),
        ("function () { return; }324j3lkl;", CompilationFailed, "compilation_error", "Expression does not eval to a"),
    ],
)
def test_a_function_that_fails_is_an_error_of_its_name(core, source, kind, name, message):
    judge(core, source)
    for write in (lambda: validating_put(core, {"_id": "test"}), lambda: validating_post(core, {})):
        with pytest.raises(kind, match=message) as raised:
            write()
        assert (raised.value.status, raised.value.error) == (500, name)
    rows = validating_bulk_docs(core, [{"_id": "test"}, {"_id": "_design/x"}])
    assert (rows[0]["name"], rows[0]["id"], rows[0]["error"]) == (name, "test", True)
    assert message in rows[0]["message"]
    assert rows[1]["ok"]


# -- What the functions are told --------------------------------------------------------------------------------------


def test_the_arguments_have_the_plug_in_s_defaults(core):
    judge(core, TELL)
    new, old, user, security = told(lambda: validating_put(core, {"_id": "test"}))
    assert (new["_id"], old, user, security) == ("test", None, ADMIN, NOBODY)
    rev = documents.get(core, "mytest")["_rev"]
    new, old, *_ = told(lambda: validating_put(core, {"_id": "mytest", "_rev": rev}))
    assert old["test"]
    assert old["_revisions"]["ids"] == new["_revisions"]["ids"] == [rev[2:]]
    new, *_ = told(lambda: validating_remove(core, {"_id": "mytest", "_rev": rev}))
    assert new["_deleted"]


def test_user_and_security_may_be_given(core):
    judge(core, TELL)
    user = {"db": "test", "name": "pypouchtest", "roles": ["the_boss"]}
    security = {"admins": {"names": ["the_boss"], "roles": []}, "members": {"names": [], "roles": []}}
    assert told(lambda: validating_post(core, {}, userCtx=user))[2] == user
    assert told(lambda: validating_post(core, {}, secObj=security))[3] == security
    assert told(lambda: validating_post(core, {}, user_ctx={"name": "x"}))[2] == {"db": "test", "name": "x"}
    core.database.set_security(security)
    assert told(lambda: validating_post(core, {}))[3] == security


def test_the_attachments_are_those_that_would_be(core):
    rev = documents.put_attachment(core, "mytest", "text", b"x", "text/plain", documents.get(core, "mytest")["_rev"])[
        "rev"
    ]
    judge(core, TELL)
    assert told(lambda: validating_remove_attachment(core, "mytest", "text", rev))[0]["_attachments"] == {}
    new, *_ = told(lambda: validating_put_attachment(core, "other", "text", b"x", "text/plain"))
    assert new["_attachments"]["text"]["content_type"] == "text/plain"


# -- A server's database ----------------------------------------------------------------------------------------------


def test_a_server_validates_itself(far):
    judge(far, only_test())
    with pytest.raises(Forbidden, match=REASON):
        validating_post(far, {})
    rows = validating_bulk_docs(far, [{"_id": "other"}, {"_id": "test"}])
    assert (rows[0]["name"], rows[1].get("ok")) == ("forbidden", True)
    assert validating_put(far, {"_id": "_design/x"})["ok"]
    rev = validating_put_attachment(far, "test", "a", b"Hi", "a/b", documents.get(far, "test")["_rev"])["rev"]
    assert validating_remove_attachment(far, "test", "a", rev) is not None


def test_with_check_http_it_is_validated_here_before_anything_is_sent(far, monkeypatch):
    judge(far, TELL)
    rev = documents.get(far, "mytest")["_rev"]
    sent = []

    def send(*args, **options):
        sent.append(args)
        return []

    for name in ("put", "post", "remove", "bulk_docs", "put_attachment", "remove_attachment"):
        monkeypatch.setattr(documents, name, send)
    user = {"name": "rex", "roles": []}

    def checked(write, *args):
        return told(lambda: write(far, *args, checkHttp=True, userCtx=user, secObj={"x": 1}))

    edited = checked(validating_put, {"v": 2}, "mytest", rev)
    assert (edited[0]["v"], edited[1]["test"], edited[3]) == (2, True, {"x": 1})
    assert edited[2] == {"db": "test", **user}
    assert checked(validating_post, {})[1] is None
    assert checked(validating_remove, {"_id": "mytest", "_rev": rev})[0]["_deleted"]
    assert checked(validating_remove, "mytest", rev)[0] == {
        "_id": "mytest",
        "_rev": rev,
        "_deleted": True,
        "_revisions": {"start": 1, "ids": [rev[2:]]},
    }
    attached = checked(validating_put_attachment, "mytest", "a", b"Hi", "a/b", rev)[0]
    assert attached["_attachments"] == {"a": {"content_type": "a/b", "stub": True}}
    assert checked(validating_remove_attachment, "mytest", "a", rev)[0]["_attachments"] == {}
    assert checked(validating_put, {"_id": "x", "_attachments": {"a": {"content_type": "a/b", "data": "SGk="}}})[0][
        "_attachments"
    ] == {"a": {"content_type": "a/b", "stub": True}}
    assert sent == []
    rows = validating_bulk_docs(far, [{"_id": "x"}], checkHttp=True)
    assert ([row["name"] for row in rows], sent) == (["forbidden"], [(far, [])])


def test_a_server_s_functions_that_let_an_edit_pass_let_it_be_sent(far):
    judge(far, only_test())
    assert validating_put(far, {"_id": "test"}, checkHttp=True)["ok"]
    rows = validating_bulk_docs(far, [{"_id": "other"}, {"_id": "_design/y"}], checkHttp=True)
    assert (rows[0]["name"], rows[1]["id"]) == ("forbidden", "_design/y")
    merged = [{"_id": "other", "_rev": "1-a"}, {"_id": "test", "_rev": "1-b"}]
    rows = validating_bulk_docs(far, {"docs": merged, "new_edits": False}, checkHttp=True)
    assert [row["id"] for row in rows] == ["other"]
    with pytest.raises(CouchetteError):
        validating_remove_attachment(far, "none", "a", "1-a", checkHttp=True)
    with pytest.raises(BadRequest):
        validating_put(far, "[]", checkHttp=True)
