"""all_docs: which documents, in which order, with what."""

from __future__ import annotations

import pytest

from couchette.errors import BadRequest, QueryParseError


@pytest.fixture
def listed(db):
    """b, c, d, a design document, é and an emoji; x is deleted, c has a conflict."""
    db.bulk_docs([{"_id": id, "v": n} for n, id in enumerate(["b", "c", "d", "_design/q", "é", "\U0001f600", "B"])])
    db.remove("x", db.put({"_id": "x"})["rev"])
    db.bulk_docs([{"_id": "c", "_rev": "1-0", "v": "loser"}], new_edits=False)
    db.put({"_id": "_local/l"})
    return db


ALL = ["B", "_design/q", "b", "c", "d", "é", "\U0001f600"]


def ids(answer):
    return [row["id"] for row in answer["rows"]]


def test_live_documents_in_the_order_of_their_bytes(listed):
    answer = listed.all_docs()
    assert ids(answer) == ALL
    assert (answer["total_rows"], answer["offset"]) == (7, 0)
    assert answer["rows"][2] == {"id": "b", "key": "b", "value": {"rev": listed.get("b")["_rev"]}}
    assert ids(listed.all_docs(descending=True)) == ALL[::-1]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"start_key": "b"}, ALL[2:]),
        ({"start_key": "ba"}, ALL[3:]),
        ({"end_key": "c"}, ALL[:4]),
        ({"end_key": "c", "inclusive_end": False}, ALL[:3]),
        ({"start_key": "b", "end_key": "d"}, ["b", "c", "d"]),
        ({"start_key": "d", "end_key": "b"}, []),
        ({"start_key": "d", "end_key": "b", "descending": True}, ["d", "c", "b"]),
        ({"start_key": "d", "end_key": "b", "descending": True, "inclusive_end": False}, ["d", "c"]),
        ({"start_key": "_design/", "end_key": "_design0"}, ["_design/q"]),
        ({"start_key": "é"}, ["é", "\U0001f600"]),
        ({"key": "c"}, ["c"]),
        ({"key": "nope"}, []),
        ({"key": "x"}, []),
        ({"key": 5}, []),
        ({"key": None}, []),
        ({"limit": 2}, ALL[:2]),
        ({"skip": 2, "limit": 2}, ALL[2:4]),
        ({"limit": 0}, []),
        ({"skip": 100}, []),
        ({"limit": 2**62, "skip": 1}, ALL[1:]),
        ({"descending": True, "skip": 1, "limit": 2}, ALL[-2:-4:-1]),
        ({"end_key": "\ufff0"}, ALL[:6]),
    ],
    ids=repr,
)
@pytest.mark.parametrize("include_docs", [False, True])
def test_ranges(listed, options, expected, include_docs):
    answer = listed.all_docs(**options, include_docs=include_docs)
    assert ids(answer) == expected
    assert answer["total_rows"] == 7
    if include_docs:
        assert [row["doc"] for row in answer["rows"]] == [listed.get(id) for id in expected]


def test_offset_is_counted_when_asked(listed):
    assert listed.all_docs(start_key="c")["offset"] is None
    assert listed.all_docs(start_key="c", exact_offset=True)["offset"] == 3
    assert listed.all_docs(start_key="c", descending=True, exact_offset=True)["offset"] == 3
    assert listed.all_docs(skip=2)["offset"] == 2
    assert listed.all_docs(skip=50)["offset"] == 7


def test_keys_are_answered_one_by_one(listed):
    answer = listed.all_docs(keys=["d", "nope", "x", "b", "d", 5], include_docs=True)
    gone = answer["rows"][2]["value"]["rev"]
    assert answer["offset"] is None
    assert answer["rows"] == [
        {"id": "d", "key": "d", "value": {"rev": listed.get("d")["_rev"]}, "doc": listed.get("d")},
        {"key": "nope", "error": "not_found"},
        {"id": "x", "key": "x", "value": {"rev": gone, "deleted": True}, "doc": None},
        {"id": "b", "key": "b", "value": {"rev": listed.get("b")["_rev"]}, "doc": listed.get("b")},
        {"id": "d", "key": "d", "value": {"rev": listed.get("d")["_rev"]}, "doc": listed.get("d")},
        {"key": 5, "error": "not_found"},
    ]
    assert ids(listed.all_docs(keys=["b", "c", "d"], skip=1, limit=1)) == ["c"]
    assert ids(listed.all_docs(keys=["b", "c", "d"], descending=True)) == ["d", "c", "b"]
    assert listed.all_docs(keys=[])["rows"] == []


def test_docs_may_show_their_conflicts_and_attachments(listed):
    rows = listed.all_docs(start_key="b", end_key="d", include_docs=True, conflicts=True)["rows"]
    assert [row["doc"].get("_conflicts") for row in rows] == [None, ["1-0"], None]
    listed.put_attachment("b", "x", b"hi", rev=listed.get("b")["_rev"])
    listed.put({"_id": "b2", "n": 2**70})
    for options, shown in [({}, "length"), ({"attachments": True}, "data")]:
        rows = listed.all_docs(start_key="b", end_key="c", include_docs=True, **options)["rows"]
        assert shown in rows[0]["doc"]["_attachments"]["x"]
        assert rows[1]["doc"]["n"] == 2**70


def test_update_seq_is_shown_when_asked(listed):
    assert listed.all_docs(update_seq=True)["update_seq"] == listed.info()["update_seq"]
    assert "update_seq" not in listed.all_docs()


@pytest.mark.parametrize(
    "options",
    [
        {"limit": -1}, {"limit": "5"}, {"limit": 1.5}, {"limit": True}, {"limit": 2**63}, {"skip": -1}, {"skip": None},
        {"skip": 10**30}, {"keys": ["a"], "start_key": "a"}, {"keys": ["a"], "end_key": "a"},
    ],
    ids=repr,
)  # fmt: skip
def test_bad_options_are_refused(listed, options):
    with pytest.raises(QueryParseError) as caught:
        listed.all_docs(**options)
    assert (caught.value.status, caught.value.error) == (400, "query_parse_error")
    assert caught.value.hint


@pytest.mark.parametrize("keys", ["abc", b"abc", 5], ids=repr)
def test_keys_that_are_no_list_are_refused(listed, keys):
    with pytest.raises(BadRequest, match="must be an array") as caught:
        listed.all_docs(keys=keys)
    assert (caught.value.status, caught.value.error) == (400, "bad_request")
    assert repr(keys) in caught.value.hint


def test_a_key_beside_keys_means_nothing_as_in_couchdb(listed):
    assert listed.all_docs(key="a", keys=["b"])["rows"] == listed.all_docs(keys=["b"])["rows"]


@pytest.mark.parametrize(
    "options", [{"key": "\ud800"}, {"keys": ["\ud800"]}, {"start_key": "\ud800"}, {"end_key": "\ud800"}]
)
def test_a_key_that_is_no_json_is_refused(listed, options):
    with pytest.raises(BadRequest):
        listed.all_docs(**options)
