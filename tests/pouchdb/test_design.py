"""The plug-ins `show`, `list`, `update` and `rewrite`, below the faces of the package."""

from __future__ import annotations

import base64
import json

import pytest

from couchette import Environment, pouchdb, server
from couchette.errors import BadRequest, CouchetteError, FunctionFailed, MethodNotAllowed, NotFound
from couchette.pouchdb import documents
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.design import list_, rewrite, rewrite_result_request_object, show, update
from couchette.pouchdb.folders import Folder

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
NOBODY = {"admins": {"names": [], "roles": []}, "members": {"names": [], "roles": []}}
DESIGN = {
    "_id": "_design/test",
    "shows": {
        "my": "function (doc, req) { return {body: doc ? doc.description : 'no doc'} };\n",
        "args": "function (doc, req) { return toJSON([doc, req]) }",
        "types": """function (doc, req) {
            provides('json', function () { return toJSON({message: 'Hi'}) });
            provides('html', function () { return '<h1>Hi</h1>' });
            registerType('ascii', 'application/octet-stream; charset=ascii');
            provides('ascii', function () { return {base64: 'SGVsbG8gV29ybGQh'} });
        }""",
        "json": "function () { return {json: {old: 'style'}} }",
        "empty": "function () {}",
        "number": "function () { provides('html', function () { return 42 }) }",
        "text": "'Hello World!'",
        "syntax": "function (doc, req)) {}",
        "throws": "function () { throw new Error('Hello') }",
        "unknown": "function () { return {body: '', abc: 'test'} }",
        "early": "function () { return {code: 100, body: ''} }",
        "etag": "function () { return {code: 203, headers: {ETag: 'x', Vary: 'Cookie'}, body: ''} }",
    },
    "views": {"ids": {"map": "function (doc) { emit(doc._id, 'value') }"}},
    "lists": {
        "args": "function (head, req) { return toJSON([head, req]) }",
        "rows": """function (head, req) {
            start({code: 500});
            send(JSON.stringify(getRow()));
            send('\\n');
            return 'end';
        }""",
        "lib": "function () { return sum([1, 2, 3]) + ' - ' + require('lib/thingy').data }",
    },
    "lib": {"thingy": "exports.data = 'Hi'"},
    "updates": {
        "args": "function (doc, req) { return [null, toJSON([doc, req])] }",
        "throws": "function () { return abc }",
        "save": "function (old, req) { var doc = JSON.parse(req.body); doc.saved = true; return [doc, 'Hi'] }",
        "hello": "function (doc, req) { doc = doc || {_id: req.id}; doc.world = 'hello'; return [doc, 'hello doc'] }",
    },
}


@pytest.fixture
def core(tmp_path):
    folder = Folder(str(tmp_path))
    core = EnvironmentCore(folder, lambda event, name: None).database("test")
    core.database.bulk_docs([DESIGN, {"_id": "mytest", "description": "Hi", "test": True}])
    yield core
    folder.environment.close()


@pytest.fixture
def routed(core):
    """Gives the design document these rewrites."""

    def store(*rewrites):
        core.database["_design/test"] = {**DESIGN, "rewrites": [*rewrites]}
        return core

    return store


def told(answer):
    return json.loads(answer["body"])


# -- Shows ------------------------------------------------------------------------------------------------------------


def test_a_show_s_answer_is_a_response_object(core):
    headers = {"Content-Type": "text/html; charset=utf-8", "Vary": "Accept"}
    assert show(core, "test/my") == {"code": 200, "headers": headers, "body": "no doc"}
    assert show(core, "test/my/mytest")["body"] == "Hi"
    assert show(core, "test/empty") == {"code": 200, "headers": headers, "body": ""}
    assert show(core, "test/number")["body"] == ""
    assert show(core, "test/etag") == {"code": 203, "headers": {**headers, "Vary": "Cookie"}, "body": ""}
    answer = show(core, "test/json")
    assert (told(answer), answer["headers"]["Content-Type"]) == ({"old": "style"}, "application/json")


def test_the_request_object_is_a_browser_s(core):
    doc, req = told(show(core, "test/args"))
    assert doc is None
    assert len(req.pop("uuid")) == 32
    assert req.pop("info")["db_name"] == "test"
    assert req.pop("headers").items() >= {"Host": "localhost:5984", "Accept": BROWSER}.items()
    assert req == {
        "body": "undefined",
        "cookie": {},
        "form": {},
        "id": None,
        "method": "GET",
        "path": ["test", "_design", "test", "_show", "args"],
        "peer": "127.0.0.1",
        "query": {},
        "raw_path": "/test/_design/test/_show/args",
        "requested_path": ["test", "_design", "test", "_show", "args"],
        "secObj": NOBODY,
        "userCtx": {"db": "test", "name": None, "roles": ["_admin"]},
    }


@pytest.mark.parametrize(
    ("path", "id", "raw"), [("abc", "abc", "abc"), ("_design/test", "_design/test", "_design/test"), ("_design",) * 3]
)
def test_the_request_object_has_the_id_whether_the_document_is_there_or_not(core, path, id, raw):
    doc, req = told(show(core, f"test/args/{path}"))
    assert (req["id"], req["raw_path"]) == (id, f"/test/_design/test/_show/args/{raw}")
    assert (doc is not None) == (path == "_design/test")


def test_members_of_the_request_object_may_be_given(core):
    assert told(show(core, "test/args", method="PUT"))[1]["method"] == "PUT"
    req = told(show(core, "test/args", headers={"host": "example.com"}))[1]
    assert (req["headers"]["Host"], req["headers"]["Accept"]) == ("example.com", BROWSER)
    req = told(show(core, "test/args", query={"a": 1}))[1]
    assert (req["raw_path"], req["requested_path"][-1]) == ("/test/_design/test/_show/args?a=1", "args?a=1")
    assert (req["query"], req["path"][-1]) == ({"a": 1}, "args")
    req = told(show(core, "test/args", form={"a": 1}))[1]
    assert (req["body"], req["form"], req["method"]) == ("a=1", {"a": 1}, "POST")
    assert req["headers"]["Content-Type"] == "application/x-www-form-urlencoded"
    assert req["headers"]["Content-Length"] == "3"
    req = told(show(core, "test/args", body="text", method="GET"))[1]
    assert (req["body"], req["method"]) == ("text", "POST")
    assert told(show(core, "test/args", body={"a": [1]}))[1]["body"] == '{"a":[1]}'
    assert told(show(core, "test/args", body=bytearray(b"x")))[1]["body"] == "x"
    options = {"cookie": {"a": "b"}, "peer": "10.0.0.1", "uuid": "u", "secObj": {"x": 1}, "userCtx": {"name": "rex"}}
    req = told(show(core, "test/args", **options))[1]
    assert {name: req[name] for name in options} == {**options, "userCtx": {"db": "test", "name": "rex"}}


def test_a_provider_is_chosen_by_format_or_accept(core):
    assert show(core, "test/types")["body"] == "<h1>Hi</h1>"
    answer = show(core, "test/types", query={"format": "json"})
    assert (told(answer), answer["headers"]["Content-Type"]) == ({"message": "Hi"}, "application/json")
    answer = show(core, "test/types", headers={"Accept": "application/octet-stream"})
    assert "body" not in answer
    assert base64.b64decode(answer["base64"]) == b"Hello World!"
    assert answer["headers"]["Content-Type"] == "application/octet-stream; charset=ascii"


@pytest.mark.parametrize(
    ("path", "options", "status", "name", "message"),
    [
        ("abc/args", {}, 404, "not_found", "missing"),
        ("test/none", {}, 404, "not_found", "missing show function none on design doc _design/test"),
        ("test", {}, 404, "not_found", "missing show function  on design doc _design/test"),
        (
            "test/types",
            {"headers": {"Accept": "text/plain"}},
            406,
            "not_acceptable",
            "Content-Type(s) text/plain not s",
        ),
        (
            "test/types",
            {"query": {"format": "text"}},
            500,
            "render_error",
            "the format option is set to 'text', but th",
        ),
        ("test/types", {"query": {"format": "xyz"}}, 500, "render_error", "the format option is set to 'xyz', but th"),
        ("test/throws", {}, 500, "Error", "Error: Hello"),
        (
            *("test/unknown", {}, 500, "external_response_error"),
            'Invalid data from external server: {<<"abc">>,<<"test">>}',
        ),
        ("test/early", {}, 500, "external_response_error", "Invalid data from external server: code 100"),
        ("test/text", {}, 500, "compilation_error", "Expression does not eval to a function."),
        ("test/syntax", {}, 500, "compilation_error", "Expression does not eval to a function."),
    ],
)
def test_a_show_that_cannot_be_is_an_error_in_the_plug_in_s_words(core, path, options, status, name, message):
    with pytest.raises(CouchetteError) as raised:
        show(core, path, **options)
    assert (raised.value.status, raised.value.error) == (status, name)
    assert raised.value.reason.startswith(message)


# -- Lists ------------------------------------------------------------------------------------------------------------


def test_a_list_renders_a_view(core):
    answer = list_(core, "test/rows/ids", query={"startkey": "mytest"})
    assert (answer["code"], answer["headers"]["Transfer-Encoding"]) == (500, "chunked")
    row, end = answer["body"].split("\n")
    assert (json.loads(row), end) == ({"id": "mytest", "key": "mytest", "value": "value"}, "end")
    assert list_(core, "test/lib/ids")["body"] == "6 - Hi"
    head, req = told(list_(core, "test/args/test/ids", query={"a": "b"}))
    assert (head["offset"], head["total_rows"], req["id"], req["query"]) == (0, 1, None, {"a": "b"})
    assert (req["raw_path"], req["path"][3]) == ("/test/_design/test/_list/args/test/ids?a=b", "_list")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("none/args/ids", "missing"),
        ("test/none/ids", "missing list function none on design doc _design/test"),
        ("test/args/none", "missing_named_view"),
        ("test/args", "Invalid path."),
    ],
)
def test_a_list_or_view_that_is_not_there_is_not_found(core, path, message):
    with pytest.raises(NotFound) as raised:
        list_(core, path)
    assert raised.value.reason == message


def test_a_list_is_asked_in_json(core):
    with pytest.raises(BadRequest, match="invalid_json"):
        list_(core, "test/args/ids", headers={"Content-Type": "application/x-www-form-urlencoded"})


# -- Updates ----------------------------------------------------------------------------------------------------------


def test_an_update_saves_its_document(core):
    answer = update(core, "test/save", body=json.dumps({"_id": "new", "name": "Today"}))
    saved = core.database["new"]
    assert (answer["code"], answer["body"], saved["saved"], saved["name"]) == (201, "Hi", True, "Today")
    assert (answer["headers"]["X-Couch-Id"], answer["headers"]["X-Couch-Update-NewRev"]) == ("new", saved["_rev"])
    doc, req = told(update(core, "test/args/mytest", query={"a": 3}, withValidation=True))
    assert (doc["test"], req["id"], req["method"]) == (True, "mytest", "PUT")
    assert req["raw_path"] == "/test/_design/test/_update/args/mytest?a=3"
    assert "withValidation" not in req
    assert told(update(core, "test/args"))[1]["method"] == "POST"


def test_an_update_is_validated_if_that_is_wished(core):
    core.database["_design/v"] = {"validate_doc_update": "function(doc, old, user) { throw {forbidden: user.name} }"}
    with pytest.raises(CouchetteError) as raised:
        update(core, "test/hello/x", with_validation=True, userCtx={"name": "rex", "roles": []})
    assert (raised.value.status, raised.value.reason) == (403, "rex")
    assert update(core, "test/hello/x")["code"] == 201


def test_an_update_that_fails_is_named_by_what_it_threw(core):
    with pytest.raises(FunctionFailed, match="abc") as raised:
        update(core, "test/throws")
    assert (raised.value.status, raised.value.error) == (500, "ReferenceError")
    with pytest.raises(NotFound, match="missing update function none on design doc _design/test"):
        update(core, "test/none")


# -- Rewrites ---------------------------------------------------------------------------------------------------------


def test_a_rewrite_gives_the_result_of_the_method_that_it_leads_to(routed):
    core = routed(
        {"from": "/welcome/:id", "to": "_show/my/:id"},
        {"from": "/hello/:id", "to": "_update/hello/:id", "method": "PUT"},
        {"from": "/list", "to": "_list/rows/ids"},
        {"from": "/list/:first", "to": "_list/rows/ids", "query": {"startkey": ":first"}},
        {"from": "/doc/:id", "to": "../../:id"},
        {"from": "/", "to": "_view/ids"},
        {"from": "/local", "to": ".././../_local/test"},
        {"from": "/db/*", "to": "../../*"},
    )
    assert rewrite(core, "test/local", method="PUT", body='{"_id": "test"}', withValidation=True)["ok"]
    assert rewrite(core, "test/welcome/mytest")["body"] == "Hi"
    assert rewrite(core, "test/hello/new", method="PUT")["body"] == "hello doc"
    assert core.database["new"]["world"] == "hello"
    assert '"id":"mytest"' in rewrite(core, "test/list/m")["body"]
    assert rewrite(core, "test/")["total_rows"] == 2
    assert rewrite(core, "test/doc/mytest")["test"]
    rev = rewrite(core, "test/doc/bound", method="PUT", body="{}")["rev"]
    assert rewrite(core, "test/doc/bound", method="DELETE", query={"rev": rev})["ok"]


def test_a_rewrite_reaches_every_part_of_the_database(routed):
    core = routed({"from": "/db/*", "to": "../../*"})

    def ask(path, **options):
        return rewrite(core, f"test/db/{path}", **options)

    assert ask("")["db_name"] == "test"
    assert ask("", method="POST", body='{"_id": "posted"}')["id"] == "posted"
    assert ask("_all_docs", query={"keys": ["mytest"], "include_docs": True})["rows"][0]["doc"]["test"]
    assert ask("_all_docs", body='{"keys": ["mytest"]}')["rows"][0]["id"] == "mytest"
    assert ask("_bulk_docs", body='{"docs": [{"_id": "mytest"}]}')[0]["name"] == "conflict"
    assert ask("_bulk_get", body='{"docs": [{"id": "mytest"}]}')["results"][0]["id"] == "mytest"
    assert ask("_changes", query={"limit": 1})["last_seq"] == 2
    assert ask("_compact", method="POST") == {"ok": True}
    assert ask("_find", body='{"selector": {"test": true}}')["docs"][0]["_id"] == "mytest"
    assert ask("_revs_diff", body='{"mytest": ["1-x"]}')["mytest"]["missing"] == ["1-x"]
    assert ask("_missing_revs", body='{"mytest": ["1-x"]}') == {"missing_revs": {"mytest": ["1-x"]}}
    assert ask("_security", method="PUT", body='{"a": 1}') == {"ok": True}
    assert ask("_security") == {"a": 1}
    assert ask("_view_cleanup", method="POST") == {"ok": True}
    assert ask("_design/test/_view/ids", query={"key": "mytest"})["rows"][0]["value"] == "value"
    assert ask("_design/test/_info")["name"] == "test"
    assert ask("mytest", query={"revs": True})["_revisions"]["start"] == 1
    assert ask("_local/x", method="PUT", body="{}")["ok"]
    assert ask("_local/x")["_id"] == "_local/x"


def test_rules_bind_as_couchdb_s_own_examples_do(core):
    """What CouchDB 1's test suite of rewrites expects, which the plug-in's did."""
    lists = {
        "form": """function (head, req) {
            var row, first = null, last = null;
            while (row = getRow()) { if (!first) first = row.value; last = row.value; }
            return first + ' to ' + last;
        }"""
    }
    views = {
        "basic": {"map": "function (doc) { if (doc.integer) emit(doc.integer, doc.integer) }"},
        "complex": {"map": "function (doc) { if (doc.a) emit([doc.a, doc.b], doc.s) }"},
        "a": {"map": "function (doc) { if (doc.a) emit(doc.a, doc.s) }"},
        "b": {"map": "function (doc) { if (doc.b) emit(doc.b, doc.s) }"},
    }
    shows = dict.fromkeys(("welcome", "welcome3"), "function (doc, req) { return 'Welcome ' + req.query.name }")
    rewrites = [
        {"from": "/welcome", "to": "_show/welcome"},
        {"from": "/welcome/:name", "to": "_show/welcome", "query": {"name": ":name"}},
        {"from": "/welcome2", "to": "_show/welcome", "query": {"name": "user"}},
        {"from": "/welcome4/*", "to": "_show/welcome3", "query": {"name": "*"}},
        {"from": "/welcome5/*", "to": "_show/*", "query": {"name": "*"}},
        {"from": "form/basic", "to": "_list/form/basic"},
        {"from": "form/fixed", "to": "_list/form/basic", "query": {"startkey": 3, "endkey": 8}},
        {
            "from": "form/path/:start/:end",
            "to": "_list/form/basic",
            "query": {"startkey": ":start", "endkey": ":end"},
            "formats": {"start": "int", "end": "int"},
        },
        {"from": "form/complex", "to": "_list/form/complex", "query": {"key": [1, 2]}},
        {"from": "form/complex2", "to": "_list/form/complex", "query": {"key": ["test", {}]}},
        {"from": "form/complex4", "to": "_list/form/a", "query": {"key": {"c": 1}}},
        {"from": "form/complex5/:a/:b", "to": "_list/form/b", "query": {"key": [":a", ":b"]}},
        {"from": "form/complex6", "to": "_list/form/b", "query": {"key": [":a", ":b"]}},
        {
            "from": "form/complex7/:a/:b",
            "to": "_view/b",
            "query": {"key": [":a", ":b"], "include_docs": ":doc"},
            "format": {"doc": "bool"},
        },
        {"from": "/", "to": "_view/basic"},
        {"from": "/db/*", "to": "../../*"},
    ]
    core.database["_design/test"] = {"shows": shows, "views": views, "lists": lists, "rewrites": rewrites}
    pairs = [(1, 1), (1, 2), ("test", {}), ("test", ["test", "essai"]), ({"c": 1}, "")]
    complex_docs = [{"a": a, "b": b, "s": f"doc {number}"} for number, (a, b) in enumerate(pairs, 1)]
    core.database.bulk_docs([*({"_id": str(i), "integer": i} for i in range(10)), *complex_docs])

    def body(path, **query):
        return rewrite(core, f"test/{path}", query=query)["body"]

    assert body("welcome", name="user") == "Welcome user"
    assert [body(path) for path in ("welcome/user", "welcome2", "welcome4/user")] == ["Welcome user"] * 3
    assert body("welcome5/welcome3") == "Welcome welcome3"
    assert body("form/basic", startkey=3, endkey=8) == "3 to 8"
    assert [body("form/fixed"), body("form/fixed", startkey=4), body("form/path/3/8")] == ["3 to 8"] * 3
    assert body("form/complex") == "doc 2 to doc 2"
    assert body("form/complex2") == "doc 3 to doc 3"
    assert body("form/complex4") == "doc 5 to doc 5"
    assert [body("form/complex5/test/essai"), body("form/complex6", a="test", b="essai")] == ["doc 4 to doc 4"] * 2
    assert rewrite(core, "test/form/complex7/test/essai", query={"doc": True})["rows"][0]["doc"]["s"] == "doc 4"
    assert rewrite(core, "test/")["total_rows"] == 9
    shown = rewrite(core, "test/db/_design/test", query={"revs_info": True})
    assert (shown["_id"], shown["_revs_info"][0]["status"]) == ("_design/test", "available")


def test_attachments_are_put_read_and_removed_through_a_rewrite(routed):
    core = routed({"from": "/a", "to": "/attachment"})
    rev = core.database["_design/test"]["_rev"]
    headers = {"Content-Type": "text/plain"}
    rev = rewrite(core, "test/a/", method="PUT", withValidation=True, body=b"Hi", headers=headers, query={"rev": rev})[
        "rev"
    ]
    assert rewrite(core, "test/a") == {"data": b"Hi", "type": "text/plain"}
    assert rewrite(core, "test/a", method="DELETE", withValidation=False, query={"rev": rev})["ok"]
    with pytest.raises(MethodNotAllowed) as raised:
        rewrite(core, "/test/a", method="POST", query={"rev": rev})
    assert (raised.value.status, raised.value.reason) == (405, "method 'POST' not allowed.")


def test_the_database_itself_may_be_deleted(routed):
    core = routed({"from": "/db", "to": "../.."})
    assert rewrite(core, "test/db", method="DELETE") == {"ok": True}
    assert core.environment.names() == []


def test_writes_of_a_rewrite_are_validated_if_that_is_wished(routed):
    core = routed({"from": "/db/*", "to": "../../*"})
    core.database["_design/v"] = {"validate_doc_update": "function() { throw {unauthorized: 'no'} }"}
    rev = core.database["mytest"]["_rev"]
    for method, path, body, query in [
        ("POST", "", "{}", {}),
        ("PUT", "x", "{}", {}),
        ("DELETE", "mytest", None, {"rev": rev}),
        ("PUT", "mytest/a", b"", {"rev": rev}),
        ("PUT", "_design/test/_update/hello/y", None, {}),
    ]:
        with pytest.raises(CouchetteError, match="no"):
            rewrite(core, f"test/db/{path}", withValidation=True, method=method, body=body, query=query)
    rows = rewrite(core, "test/db/_bulk_docs", body='{"docs": [{"_id": "x"}]}', withValidation=True)
    assert (rows[0]["status"], rows[0]["name"], rows[0]["message"]) == (401, "unauthorized", "no")
    assert rewrite(core, "test/db/x", method="PUT", body="{}")["ok"]


def test_the_rewritten_request_may_be_had_as_an_object(routed):
    core = routed(
        {"from": "/all", "to": "_list/test/ids"}, {"from": "/show/:id", "to": "_show/my/:id", "query": {"n": 3}}
    )
    req = rewrite_result_request_object(core, "test/all", query={"k": "v"})
    assert (req["raw_path"], req["id"]) == ("/test/_design/test/_list/test/ids?k=v", None)
    assert req["requested_path"] == ["test", "_design", "test", "_rewrite", "all?k=v"]
    req = rewrite_result_request_object(core, "test/show/mytest", method="PUT", body="text")
    assert (req["id"], req["method"], req["body"], req["query"]) == ("mytest", "PUT", "text", {"id": "mytest", "n": 3})
    assert req["path"] == ["test", "_design", "test", "_show", "my", "mytest"]


@pytest.mark.parametrize(
    ("rewrites", "status", "name", "message"),
    [
        (None, 404, "rewrite_error", "Invalid path."),
        ([], 404, "not_found", "missing"),
        ([{"from": "*"}], 500, "error", "invalid_rewrite_target"),
        ([{"from": "/x", "to": "../../../../../.."}], 404, "not_found", "missing"),
        ([{"from": "/x", "to": "../../../_all_dbs"}], 404, "not_found", "missing"),
        ([{"from": "/x", "to": "../../a/b/c"}], 404, "not_found", "missing"),
        ([{"from": "/x", "to": "_list/args/none"}], 404, "not_found", "missing_named_view"),
        ("'text'", 500, "compilation_error", "Expression does not eval to a function. ('text')"),
    ],
)
def test_a_rewrite_that_leads_nowhere_is_an_error(core, rewrites, status, name, message):
    core.database["_design/test"] = {**DESIGN, **({} if rewrites is None else {"rewrites": rewrites})}
    with pytest.raises(CouchetteError) as raised:
        rewrite(core, "test/x")
    assert (raised.value.status, raised.value.error, raised.value.reason) == (status, name, message)


def test_a_rewrites_function_may_answer_at_once(core):
    core.database["_design/test"] = {**DESIGN, "rewrites": "function(req) { return {code: 202, body: req.method} }"}
    answer = rewrite(core, "test/x")
    assert (answer["code"], answer["body"]) == (202, "GET")
    with pytest.raises(BadRequest, match="answers at once"):
        rewrite_result_request_object(core, "test/x")


# -- A database on a server -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def far():
    """A database on a server, with the design document."""
    with Environment(":memory:") as environment, server.background(environment) as url:
        core = EnvironmentCore(Folder(":memory:"), lambda event, name: None).database(f"{url}/test")
        rules = [{"from": "/all", "to": "_list/args/ids"}, {"from": "/doc/:id", "to": "../../:id"}]
        documents.put(core, {**DESIGN, "rewrites": rules})
        documents.put(core, {"_id": "mytest", "description": "Hi"})
        yield core
        core.environment.close_servers()


def test_a_server_is_sent_the_request(far):
    answer = show(far, "test/args/mytest", body="Hi", headers={"Content-Type": "text/plain"}, query={"a": 1})
    doc, req = told(answer)
    assert (answer["code"], answer["headers"]["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert (doc["description"], req["body"], req["method"], req["query"]) == ("Hi", "Hi", "POST", {"a": "1"})
    assert (req["headers"]["Accept"], req["headers"]["Content-Type"]) == (BROWSER, "text/plain")
    assert req["path"] == ["test", "_design", "test", "_show", "args", "mytest"]
    assert told(list_(far, "test/args/ids", query={"key": "mytest"}))[1]["query"] == {"key": "mytest"}
    assert update(far, "test/hello/new")["code"] == 201
    assert documents.get(far, "new")["world"] == "hello"
    answer = show(far, "test/types", headers={"Accept": "application/octet-stream"})
    assert answer["body"] == "Hello World!"


def test_a_server_s_rewrites_are_its_own(far):
    assert told(rewrite(far, "test/all"))[1]["requested_path"] == ["test", "_design", "test", "_rewrite", "all"]
    assert told(rewrite(far, "test/doc/mytest"))["description"] == "Hi"
    req = rewrite_result_request_object(far, "test/all", query={"k": "v"})
    assert (req["raw_path"], req["info"]["db_name"]) == ("/test/_design/test/_list/args/ids?k=v", "test")


def test_a_server_s_errors_are_raised_and_its_functions_answers_are_not(far):
    with pytest.raises(NotFound) as raised:
        list_(far, "test/args/none")
    assert raised.value.reason == "missing_named_view"
    with pytest.raises(CouchetteError) as failed:
        show(far, "test/text")
    assert (failed.value.status, failed.value.error) == (500, "compilation_error")
    assert list_(far, "test/rows/ids")["code"] == 500


# -- Through the faces ------------------------------------------------------------------------------------------------


def test_the_synchronous_face_has_the_plug_ins(tmp_path):
    db = pouchdb.setup(str(tmp_path)).PouchDB("test")
    db.put({**DESIGN, "rewrites": [{"from": "/docs/:id", "to": "../../:id"}]})
    db.put({"_id": "mytest", "description": "Hi"})
    answer = db.show("test/my/mytest")
    assert (answer.code, answer.body, answer.headers["Vary"]) == (200, "Hi", "Accept")
    assert "base64" in db.show("test/types", headers={"Accept": "application/octet-stream"})
    assert json.loads(db.list("test/args/ids").body)[0]["total_rows"] == 1
    assert db.update("test/hello/new").code == 201
    assert db.rewrite("test/docs/new").world == "hello"
    assert db.rewriteResultRequestObject("test/docs/new").path == ["test", "new"]
    assert db.rewrite("test/docs/mytest", method="DELETE", query={"rev": db["mytest"]["_rev"]}).ok
    with pytest.raises(pouchdb.PouchDBError) as raised:
        db.update("test/throws")
    assert (raised.value["status"], raised.value["name"]) == (500, "ReferenceError")


def test_the_asynchronous_face_calls_back(tmp_path):
    env = pouchdb.setup(str(tmp_path), async_=True)
    db = env.PouchDB("test")
    seen = []

    def stored(err, resp):
        db.show("test/my", shown)

    def shown(err, resp):
        seen.append(resp.body)
        db.show("abc/args", refused)

    def refused(err, resp):
        seen.append((err["name"], err["message"]))

    db.put(DESIGN, stored)
    env.context.waitUntilCalled(refused)
    assert seen == ["no doc", ("not_found", "missing")]
