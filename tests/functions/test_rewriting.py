"""Rewrite rules: what CouchDB's documentation and source say about them."""

from __future__ import annotations

import pytest

from couchette import errors
from couchette.functions import parse_rules, rewrite_path

BASE = "/db/_design/d"


def rewritten(rules, path, query=(), method="GET"):
    return rewrite_path(parse_rules(rules), method, [part for part in path.split("/") if part], query, BASE)


@pytest.mark.parametrize(
    ("rule", "path", "query", "expected"),
    [
        ({"from": "", "to": "index.html"}, "", [], "/db/_design/d/index.html"),
        ({"from": "/a", "to": "/some"}, "a", [], "/db/_design/d/some"),
        ({"from": "/a/*", "to": "/some/*"}, "a/b/c", [], "/db/_design/d/some/b/c"),
        ({"from": "/a/b", "to": "/some"}, "a/b", [("k", "v")], "/db/_design/d/some?k=v"),
        ({"from": "/a/:foo", "to": "/some/:foo"}, "a/x y", [], "/db/_design/d/some/x+y?foo=x+y"),
        ({"from": "/a", "to": "/some/:foo"}, "a", [("foo", "b")], "/db/_design/d/some/b?foo=b"),
        ({"from": "/a", "to": "/some/:foo"}, "a", [], "/db/_design/d/some/undefined"),
        ({"from": "/db/*", "to": "../../*"}, "db/doc", [], "/db/doc"),
        ({"to": "x"}, "anything/at/all", [], "/db/_design/d/x"),
        (
            {"from": "/v/:k", "to": "_view/v", "query": {"startkey": [":k"], "endkey": [":k", {}], "limit": 5}},
            "v/a",
            [],
            "/db/_design/d/_view/v?k=a&startkey=%5B%22a%22%5D&endkey=%5B%22a%22%2C%7B%7D%5D&limit=5",
        ),
        (
            {
                "from": "/v/:n",
                "to": "_view/v",
                "query": {"key": ":n", "reduce": ":r"},
                "formats": {"n": "int", "r": "bool"},
            },
            "v/12",
            [("r", "TRUE")],
            "/db/_design/d/_view/v?r=TRUE&n=12&key=12&reduce=true",
        ),
        ({"from": "/k", "to": "_view/v"}, "k", [("key", '"a"')], "/db/_design/d/_view/v?key=%22a%22"),
    ],
)
def test_a_rule_makes_the_path(rule, path, query, expected):
    assert rewritten([rule], path, query) == expected


def test_the_first_rule_that_fits_counts():
    rules = [
        {"from": "/a", "to": "posted", "method": "POST"},
        {"from": "/a/b", "to": "two"},
        {"from": "/a", "to": "one"},
        {"from": "*", "to": "rest"},
    ]
    assert rewritten(rules, "a") == f"{BASE}/one"
    assert rewritten(rules, "a", method="POST") == f"{BASE}/posted"
    assert rewritten(rules, "a/b") == f"{BASE}/two"
    assert rewritten(rules, "a/b/c") == f"{BASE}/rest"
    assert rewritten(rules[:3], "a/b/c") is None
    assert rewritten([{"from": "/a/*/c", "to": "x"}], "a/b/c") == f"{BASE}/x"


def test_no_rule_leaves_the_database():
    with pytest.raises(errors.FunctionFailed) as raised:
        parse_rules([{"from": "/a", "to": "fine"}, {"from": "/b", "to": "../../../other"}])
    assert raised.value.error == "insecure_rewrite_rule"
    assert rewritten([{"from": "/*", "to": "../../*"}], "x/y") == "/db/x/y"


def test_a_rule_needs_a_target():
    with pytest.raises(errors.FunctionFailed, match="invalid_rewrite_target"):
        parse_rules([{"from": "/a"}])


@pytest.mark.parametrize("wrong", [{"from": 5}, {"query": 5}, {"query": None}, {"formats": []}])
def test_a_rule_has_members_of_the_right_types(wrong):
    with pytest.raises(errors.FunctionFailed, match="invalid_rewrite_rule"):
        parse_rules([{"to": "x", **wrong}])


def test_a_json_parameter_must_be_json():
    with pytest.raises(errors.BadRequest, match="invalid UTF-8 JSON"):
        rewritten([{"to": "x"}], "a", [("key", "{")])


def test_the_rest_may_be_bound_for_the_query_as_before_couchdb_2():
    rules = parse_rules([{"from": "/a/*", "to": "x/*", "query": {"n": "*"}}])
    assert rewrite_path(rules, "GET", ["a", "b", "c"], [], BASE) == f"{BASE}/x/b/c?n=%2A"
    assert rewrite_path(rules, "GET", ["a", "b", "c"], [], BASE, binds_rest=True) == f"{BASE}/x/b/c?n=b"
    assert rewrite_path(rules, "GET", ["a"], [], BASE, binds_rest=True) == f"{BASE}/x?n=%2A"
