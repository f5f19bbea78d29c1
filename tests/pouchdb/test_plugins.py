"""The plug-ins as methods of databases, in both APIs; what they do is tested beside this, operation by operation."""

from __future__ import annotations

import pytest

from couchette.pouchdb import PouchDBError
from couchette.pouchdb.authentication import LocalSession

DESIGN = {
    "_id": "_design/d",
    "validate_doc_update": "function (doc) { if (doc.bad) throw {forbidden: 'no bad documents'}; }",
    "shows": {"s": "function (doc, req) { return doc ? doc._id + req.query.mark : 'none'; }"},
    "lists": {
        "l": "function (head) { var row, ids = []; while (row = getRow()) ids.push(row.id); return ids.join(' '); }"
    },
    "updates": {"u": "function (doc, req) { return [{_id: 'made', by: req.method}, 'done']; }"},
    "views": {"ids": {"map": "function (doc) { emit(doc._id); }"}},
    "rewrites": [{"from": "/show/:id", "to": "_show/s/:id", "query": {"mark": "!"}}],
    "indexes": {"words": {"index": "function (doc) { if (doc.text) index('text', doc.text); }"}},
    "spatial": {"points": "function (doc) { if (doc.place) emit(doc.place, doc._id); }"},
}
PLACE = {"type": "Point", "coordinates": [10.0, 48.4]}
BAD = {"_id": "x", "bad": True}


@pytest.fixture
def filled(pouch):
    pouch.put(DESIGN)
    pouch.update({"a": {"text": "a brown fox", "place": PLACE}, "b": {"text": "a grey cat", "pay": 5}})
    return pouch


def test_show_list_update_and_rewrite(filled):
    assert filled.show("d/s/a", query={"mark": "?"}).body == "a?"
    assert filled.list("d/l/ids").body == "a b"
    assert filled.update("d/u").body == "done"
    assert filled["made"].by == "POST"
    assert filled.rewrite("d/show/b").body == "b!"
    assert filled.rewriteResultRequestObject("d/show/b").path == filled.rewrite_result_request_object("d/show/b").path
    for call in (
        lambda: filled.show("d/nope"),
        lambda: filled.list("d/nope/ids"),
        lambda: filled.update("d/nope"),
        lambda: filled.rewrite("d/nope"),
    ):
        with pytest.raises(PouchDBError) as caught:
            call()
        assert (caught.value["status"], caught.value["name"]) == (404, "not_found")


@pytest.mark.parametrize(
    "write",
    [
        lambda db: db.validatingPut(BAD),
        lambda db: db.validating_put(BAD),
        lambda db: db.validatingPost(BAD),
        lambda db: db.validating_post(BAD),
    ],
)
def test_writes_are_validated(filled, write):
    with pytest.raises(PouchDBError) as caught:
        write(filled)
    assert (caught.value["status"], caught.value["message"]) == (403, "no bad documents")
    assert "x" not in filled


def test_each_kind_of_write_has_a_form_that_validates(filled):
    refused, written = filled.validatingBulkDocs([BAD, {"_id": "y"}])
    assert (refused.status, written.ok) == (403, True)
    assert filled.validating_bulk_docs([{"_id": "z"}])[0].ok
    options = {"userCtx": {"db": "example", "name": "ada", "roles": []}, "secObj": {"admins": {"names": ["ada"]}}}
    rev = filled.validatingPutAttachment("y", "t", b"Hi", "text/plain", written.rev, **options).rev
    rev = filled.validating_put_attachment("y", "u", b"Hi", "text/plain", rev).rev
    rev = filled.validatingRemoveAttachment("y", "t", rev).rev
    assert filled.validating_remove_attachment("y", "u", rev).ok
    assert filled.validatingRemove(filled["y"]).ok
    assert filled.validating_remove(filled["z"], checkHttp=True).ok


def test_gql_search_and_spatial(filled):
    assert [row["pay"] for row in filled.gql({"select": "pay", "where": "pay > 1"}).rows] == [5]
    assert [row.id for row in filled.search("d/words", q="text:fox").rows] == ["a"]
    assert [row.id for row in filled.spatial("d/points", start_range=[9, 48], end_range=[11, 49]).rows] == ["a"]
    assert filled.viewCleanup() == filled.view_cleanup() == {"ok": True}


def test_users_sign_up_log_in_and_out(env, pouch):
    env._core.__dict__["session"] = LocalSession(env._core.environment, iterations=1)
    assert pouch.signUp("ada", "secret", metadata={"email": "a@example.org"}).ok
    assert pouch.sign_up("bob", "secret", ajax={}).id == "org.couchdb.user:bob"
    assert pouch.getSession().userCtx.name is None
    assert pouch.logIn("ada", "secret").name == pouch.log_in("ada", "secret").name == "ada"
    assert pouch.get_session().userCtx.name == "ada"
    assert pouch.getUser("ada").email == pouch.get_user("ada").email == "a@example.org"
    assert pouch.logOut() == pouch.log_out() == pouch.logout() == {"ok": True}
    with pytest.raises(PouchDBError) as caught:
        pouch.login("ada", "wrong")
    assert caught.value["status"] == 401
    with pytest.raises(PouchDBError) as caught:
        pouch.signup("a:b", "secret")
    assert caught.value["status"] == 403


def test_the_asynchronous_api_has_them_too(async_env, settled):
    db = async_env["a"]
    db.put(DESIGN)
    db.put({"_id": "a", "pay": 5})
    assert settled(db.show("d/s/a", query={"mark": "?"})).body == "a?"
    assert settled(db.update("d/u")).body == "done"
    with pytest.raises(PouchDBError, match="no bad documents"):
        settled(db.validatingPut(BAD))
    answers = []
    settled(db.gql({"select": "pay"}, lambda err, resp: answers.append(resp.rows)))
    assert {"pay": 5} in answers[0]
