"""Filters, validation, shows, lists, updates and rewrites, against what CouchDB answered where that is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from couchette import errors
from couchette.functions import DesignFunctions, Response, check_design, check_written, checked_response, parse_response

GOLDEN = Path(__file__).parents[1] / "conformance" / "golden"
FUNCTIONS = {
    scenario["name"]: scenario["exchanges"]
    for scenario in json.loads((GOLDEN / "functions.json").read_text())["scenarios"]
}
SHOWS = FUNCTIONS["shows"][0]["request"]["json"]
UPDATES = FUNCTIONS["updates"][0]["request"]["json"]
ON_SAVE = next(
    scenario["exchanges"]
    for scenario in json.loads((GOLDEN / "design.json").read_text())["scenarios"]
    if scenario["name"] == "validation-on-save"
)


@pytest.fixture
def functions():
    """Functions of design documents, closed after the test."""
    made = []

    def make(design):
        made.append(DesignFunctions(design))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="module")
def shows():
    made = DesignFunctions(SHOWS)
    yield made
    made.close()


def recorded_shows():
    for exchange in FUNCTIONS["shows"] + FUNCTIONS["shows-errors-and-accept"]:
        request = exchange["request"]
        steps = request["path"].split("/")
        if "_show" in steps and "f" in steps and request["method"] == "GET" and steps[-1] != "sl%2Fash":
            yield exchange


@pytest.mark.parametrize("exchange", list(recorded_shows()))
def test_shows_answer_as_recorded(exchange, shows):
    request, response = exchange["request"], exchange["response"]
    steps = request["path"].split("/")
    name, doc_id = steps[5], "/".join(steps[6:]) or None
    query = dict(part.split("=") for part in request.get("query", "").split("&") if part)
    req = {
        "id": doc_id, "method": "GET", "query": query, "headers": {"Accept": request["headers"]["accept"]}
        if "accept" in request.get("headers", {}) else {"Accept": "application/json"},
        "path": ["db", *steps[2:]], "body": "undefined",
    }  # fmt: skip
    doc = {"_id": doc_id, "v": 1} if doc_id in ("a", "sl/ash") else None
    if response["status"] >= 400:
        with pytest.raises(errors.CouchetteError) as raised:
            parse_response(shows.show(name, doc, req))
        assert (raised.value.status, raised.value.error) == (response["status"], response["json"]["error"])
        if response["json"]["reason"] != "<any>":
            assert raised.value.reason == response["json"]["reason"]
        return
    answer = parse_response(shows.show(name, doc, req))
    assert answer.code == response["status"]
    if answer.body:
        headers = {header.lower(): value for header, value in answer.headers.items()}
        assert headers["content-type"] == response["headers"]["content-type"]
    if "json" in response:
        assert json.loads(answer.body) == response["json"]
    elif "text" in response:
        assert answer.body.decode() == response["text"]


@pytest.mark.parametrize(
    ("name", "doc", "expected"),
    [
        ("mk", {"_id": "a", "n": 1}, ({"_id": "a", "n": 2}, "n=2")),
        ("none", None, (None, "nothing")),
        ("del", {"_id": "a"}, ({"_id": "a", "_deleted": True}, "deleted")),
        ("noid", None, ({"x": 1}, "noid")),
    ],
)
def test_updates_answer_a_document_and_a_response(name, doc, expected, functions):
    edited, response = functions(UPDATES).update(name, doc, {"method": "PUT", "id": "a"})
    assert (edited, parse_response(response).body.decode()) == expected


@pytest.mark.parametrize(
    ("name", "method", "status", "word"),
    [
        ("boom", "POST", 500, "render_error"),
        ("badret", "POST", 500, "render_error"),
        ("forb", "POST", 500, "render_error"),
        ("bad", "POST", 500, "compilation_error"),
        ("nope", "POST", 404, "not_found"),
        ("mk", "GET", 405, "method_not_allowed"),
    ],
)
def test_updates_err_as_recorded(name, method, status, word, functions):
    with pytest.raises(errors.CouchetteError) as raised:
        functions(UPDATES).update(name, None, {"method": method, "id": None})
    assert (raised.value.status, raised.value.error) == (status, word)


def test_functions_see_the_whole_design_document_and_cannot_change_it(functions):
    design = {
        "_id": "_design/d",
        "lib": {"util": "exports.twice = function(n) { return 2 * n }"},
        "shows": {
            "use": "function() { return String(require('lib/util').twice(this.factor)) }",
            "change": "function() { this.factor = 5; return String(this.factor) }",
        },
        "factor": 21,
    }
    made = functions(design)
    assert [made.show(name, None, {})["body"] for name in ("use", "change", "use")] == ["42", "21", "42"]


# -- Filters and validation -----------------------------------------------------------------------


def test_filters_judge_batches(functions):
    made = functions(
        {
            "filters": {
                "big": "function(doc, req) { return doc.v > req.query.n }",
                "boom": "function(doc, req) { throw('x') }",
                "err": "function(doc, req) { return doc.a.b }",
                "bad": "function(",
            },
            "views": {"odd": {"map": "function(d) { if (d.v % 2) emit(d._id, null) }"}},
        }
    )
    docs = [{"_id": str(value), "v": value} for value in range(4)]
    assert made.filter("big", docs, {"query": {"n": "1"}}) == [False, False, True, True]
    assert made.filter_view("odd", docs) == [False, True, False, True]
    for name, word in {"boom": "unnamed_error", "err": "TypeError", "bad": "compilation_error"}.items():
        with pytest.raises(errors.FunctionFailed) as raised:
            made.filter(name, docs, {})
        assert raised.value.error == word
    for missing in (lambda: made.filter("none", docs, {}), lambda: made.filter_view("none", docs)):
        with pytest.raises(errors.NotFound, match="missing json key: none"):
            missing()


VALIDATE = """function(n, o, u, s) {
    if (n.bad) throw({forbidden: 'no bad'});
    if (n.who) throw({unauthorized: 'log in'});
    if (n.dump) throw({forbidden: JSON.stringify([u.name, s, o === null])});
    if (n.odd) throw({odd: 'x'});
    if (n.text) throw 'x';
    if (n.crash) n.a.b.c;
    return false;
}"""


@pytest.mark.parametrize(
    ("edited", "kind", "reason"),
    [
        ({"bad": 1}, errors.Forbidden, "no bad"),
        ({"who": 1}, errors.Unauthorized, "log in"),
        ({"dump": 1}, errors.Forbidden, '["admin",{"admins":{}},true]'),
        ({"odd": 1}, errors.FunctionFailed, "x"),
        ({"text": 1}, errors.FunctionFailed, "x"),
        ({"crash": 1}, errors.FunctionFailed, "TypeError"),
    ],
)
def test_validation_refuses(edited, kind, reason, functions):
    made = functions({"validate_doc_update": VALIDATE})
    with pytest.raises(kind) as raised:
        made.validate(edited, None, {"name": "admin", "roles": []}, {"admins": {}})
    assert raised.value.reason.startswith(reason)


def test_validation_judges_many_edits_in_one_call(functions):
    made = functions({"validate_doc_update": VALIDATE})
    good, bad = made.validate_all([({"_id": "a"}, {"_id": "a"}), ({"bad": 1}, None)], {}, {})
    assert good is None
    assert isinstance(bad, errors.Forbidden)
    assert functions({}).validate({"bad": 1}, None, {}, {}) is None


# -- Lists ----------------------------------------------------------------------------------------

ROWS = [{"id": str(number), "key": number, "value": None} for number in range(6000)]


def test_lists_read_rows_and_send_chunks(functions):
    source = """function(head, req) {
        start({code: 201, headers: {'X-A': 'b'}});
        send('total ' + head.total_rows + ':');
        var row;
        while (row = getRow()) send(' ' + row.key);
        return '.';
    }"""
    listing = functions({"lists": {"l": source}}).list("l", {"total_rows": 3}, ROWS[:3], {})
    assert listing.head == {"code": 201, "headers": {"X-A": "b"}}
    assert "".join(listing.chunks) == "total 3: 0 1 2."


@pytest.mark.parametrize("count", [0, 999, 1000, 1001, 6000])
def test_lists_see_every_row_once(count, functions):
    source = "function() { var n = 0, last; while (row = getRow()) { n++; last = row.key } return n + ' ' + last }"
    listing = functions({"lists": {"l": source}}).list("l", {}, iter(ROWS[:count]), {})
    assert listing.chunks == [f"{count} {count - 1 if count else 'undefined'}"]


def test_a_list_consumes_no_more_rows_than_it_asks_for(functions):
    rows = iter(ROWS)
    source = "function() { for (var i = 0; i < 5; i++) send(getRow().key); }"
    assert "".join(functions({"lists": {"l": source}}).list("l", {}, rows, {}).chunks) == "01234"
    assert next(rows)["key"] == 1000


def test_a_list_that_catches_everything_still_gets_all_rows(functions):
    source = """function() {
        var n = 0;
        try { while (getRow()) n++ } catch (e) { n = -1 }
        return String(n);
    }"""
    assert functions({"lists": {"l": source}}).list("l", {}, ROWS, {}).chunks == ["6000"]


def test_a_list_of_too_many_rows_is_refused(functions, monkeypatch):
    monkeypatch.setattr("couchette.functions.design.LIST_BYTES_MAX", 50_000)
    with pytest.raises(errors.TooLarge, match="too many rows"):
        functions({"lists": {"l": "function() { while (getRow()); }"}}).list("l", {}, ROWS, {})


def test_lists_provide_what_is_accepted(functions):
    source = """function(head, req) {
        provides('json', function() { return '[]' });
        provides('html', function() { var row; while (row = getRow()) send(row.key + '<br>'); });
    }"""
    made = functions({"lists": {"l": source, "boom": "function() { getRow(); throw ['error', 'mine', 'why'] }"}})
    listing = made.list("l", {}, ROWS[:2], {"headers": {"Accept": "text/html"}})
    assert listing.head["headers"] == {"Content-Type": "text/html; charset=utf-8"}
    assert "".join(listing.chunks) == "0<br>1<br>"
    with pytest.raises(errors.FunctionFailed) as raised:
        made.list("boom", {}, ROWS[:2], {})
    assert (raised.value.error, raised.value.reason) == ("mine", "why")


# -- Rewrites and the rest ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return '/x'", {"path": "/x", "method": "GET"}),
        ("return {path: '/x', query: {a: 'b'}}", {"path": "/x", "query": {"a": "b"}}),
        ("return {code: 404, body: 'no'}", {"code": 404, "body": "no"}),
        ("", None),
        ("throw {forbidden: 'no'}", errors.Forbidden),
        ("return 5", "rewrite_error"),
        ("return {path: 5}", "rewrite_error"),
        ("return {code: 99}", "rewrite_error"),
        ("return {query: {a: 1}}", "rewrite_error"),
        ("return {headers: []}", "rewrite_error"),
        ("throw 'x'", "render_error"),
    ],
)
def test_rewrite_functions(body, expected, functions):
    made = functions({"rewrites": f"function(req) {{ {body} }}"})
    if isinstance(expected, dict) or expected is None:
        assert made.rewrite({"method": "GET"}) == expected
    else:
        with pytest.raises(errors.CouchetteError) as raised:
            made.rewrite({"method": "GET"})
        assert raised.value.error == (expected if isinstance(expected, str) else expected.default_error)


def test_another_language_is_refused():
    with pytest.raises(errors.FunctionFailed) as raised:
        DesignFunctions({"language": "erlang"})
    assert raised.value.error == "unknown_query_language"


@pytest.mark.parametrize(
    "answer",
    [{"nope": 1}, {"code": "200"}, {"code": True}, {"body": 5}, {"base64": "!"}, {"headers": {"A": "b\r\nC: d"}}],
)
def test_a_wrong_response_object_is_refused(answer):
    with pytest.raises(errors.FunctionFailed) as raised:
        parse_response(answer)
    assert raised.value.error == "external_response_error"


def test_an_answer_is_checked_as_a_client_gets_it():
    answer = {"code": 203, "headers": {"x-THING": 1}, "json": {"a": 1}}
    response = checked_response(answer)
    assert response == Response(203, {"X-Thing": "1", "Content-Type": "application/json"}, b'{"a":1}\n')
    assert (response.text, response.json()) == ('{"a":1}\n', {"a": 1})
    assert checked_response({"headers": {"a": "b"}}, text="sent") == Response(200, {"A": "b"}, b"sent")
    assert checked_response({"base64": "/w=="}).text == "\ufffd"
    for wrong in ({"code": 101}, {"headers": {"a b": "c"}}, {"headers": {"": "c"}}):
        with pytest.raises(errors.FunctionFailed, match="Invalid data from external server: (code 101|header)"):
            checked_response(wrong)


def test_what_a_function_provides_may_be_bytes(functions):
    source = "function() { provides('html', function() { return {base64: 'aGk='} }) }"
    answer = functions({"shows": {"s": source}}).show("s", None, {})
    assert parse_response(answer) == Response(200, {"Content-Type": "text/html; charset=utf-8"}, b"hi", is_binary=True)


@pytest.mark.parametrize(
    ("thrown", "expected"),
    [
        ("new TypeError('x')", ("TypeError", "x")),
        ("'text'", None),
        ("Object.defineProperty(new Error(), 'name', {get() { throw 1 }})", None),
    ],
)
def test_an_error_tells_which_exception_a_function_threw(functions, thrown, expected):
    made = functions({"shows": {"s": f"function() {{ throw {thrown} }}"}})
    with pytest.raises(errors.FunctionFailed) as raised:
        made.show("s", None, {})
    assert (raised.value.error, raised.value.thrown) == ("render_error", expected)


def test_a_written_design_document_is_checked_unless_it_is_replicated_or_none():
    wrong = {"_id": "_design/d", "views": {"v": {"map": "function("}}}
    with pytest.raises(errors.CompilationFailed):
        check_written(wrong, new_edits=True)
    check_written(wrong, new_edits=False)
    check_written({**wrong, "_id": "d"}, new_edits=True)
    check_written({**wrong, "_deleted": True}, new_edits=True)
    partitioned = {"_id": "_design/d", "options": {"partitioned": True}}
    with pytest.raises(errors.BadRequest, match="partitioned option cannot be true"):
        check_written(partitioned, new_edits=True)
    check_written(partitioned, new_edits=True, partitioned=True)


@pytest.mark.parametrize("exchange", ON_SAVE)
def test_design_documents_are_refused_as_recorded(exchange):
    request, response = exchange["request"], exchange["response"]
    if "json" not in request:
        return
    if response["status"] != 400:
        check_design(request["json"])
        return
    with pytest.raises(errors.CouchetteError) as raised:
        check_design(request["json"])
    assert (raised.value.status, raised.value.error) == (400, response["json"]["error"])
    if response["json"]["reason"] != "<any>":
        assert raised.value.reason == response["json"]["reason"]


def test_the_reason_of_a_failed_compilation_names_view_and_function():
    with pytest.raises(errors.CompilationFailed) as raised:
        check_design({"views": {"v": {"map": "5"}}})
    assert raised.value.reason == (
        "Compilation of the map function in the 'v' view failed: Expression does not eval to a function. (5)"
    )
