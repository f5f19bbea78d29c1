"""Finding by a selector, and its indexes, on the facades."""

from __future__ import annotations

import pytest

from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.index import mango_rows
from couchette.query.find import find
from couchette.query.find_options import read_options
from couchette.query.find_planner import SORTED_IN_MEMORY, UNINDEXED


@pytest.fixture
def people(db):
    cities = ("Rome", "Oslo")
    db.bulk_docs(
        {"_id": f"{age:02}", "age": age, "name": f"n{age % 3}", "home": {"city": cities[age % 2]}} for age in range(30)
    )
    return db


def ids(answer):
    return [doc["_id"] for doc in answer["docs"]]


def test_without_an_index_all_documents_are_read(people):
    answer = people.find({"age": {"$lt": 3}}, execution_stats=True)
    assert ids(answer) == ["00", "01", "02"]
    assert answer["warning"].startswith(UNINDEXED)
    stats = answer["execution_stats"]
    assert (stats["total_keys_examined"], stats["total_docs_examined"], stats["results_returned"]) == (0, 30, 3)
    assert stats["execution_time_ms"] > 0


def test_an_index_reads_what_matches_alone(people):
    assert people.create_index("age")["result"] == "created"
    answer = people.find({"age": {"$gte": 3, "$lt": 6}}, execution_stats=True)
    assert ids(answer) == ["03", "04", "05"]
    assert "warning" not in answer
    assert answer["execution_stats"]["total_docs_examined"] == 3
    answer = people.find({"age": {"$gt": 6, "$lt": 3}}, execution_stats=True)
    assert (answer["docs"], answer["execution_stats"]["total_keys_examined"]) == ([], 0)
    answer = people.find({"age": {"$in": [3, 20]}, "name": "n2"}, execution_stats=True)
    assert ids(answer) == ["20"]
    assert answer["execution_stats"]["total_docs_examined"] == 2


def test_an_index_that_covers_reads_no_document(people):
    people.create_index(["home.city", "age"])
    answer = people.find(
        {"home.city": "Oslo", "age": {"$gt": 26}}, fields=["home.city", "age"], execution_stats=True, limit=2
    )
    assert answer["docs"] == [{"home": {"city": "Oslo"}, "age": 27}, {"home": {"city": "Oslo"}, "age": 29}]
    assert (answer["execution_stats"]["total_keys_examined"], answer["execution_stats"]["total_docs_examined"]) == (
        2,
        0,
    )


def test_a_sort_without_an_index_is_made_in_memory_unless_strict(people):
    answer = people.find({"age": {"$gt": 27}}, sort=[{"name": "asc"}, {"age": "desc"}])
    assert ids(answer) == ["28", "29"]
    assert SORTED_IN_MEMORY in answer["warning"]
    assert ids(people.find({}, sort={"age": "desc"}, limit=2, skip=1)) == ["28", "27"]
    with pytest.raises(BadRequest) as refused:
        people.find({}, sort=["age"], strict=True)
    assert refused.value.error == "no_usable_index"
    with pytest.raises(BadRequest) as refused:
        people.find({}, sort=[{"name": "asc"}, {"age": "desc"}], strict=True)
    assert refused.value.error == "unsupported_mixed_sort"


def test_without_a_limit_all_are_found(people):
    assert len(people.find({})["docs"]) == 25
    assert len(people.find({}, limit=None)["docs"]) == 30
    assert people.find({}, limit=0) == {"docs": [], "bookmark": "nil", "warning": UNINDEXED}
    assert people.find({"$or": []}) == {"docs": [], "bookmark": "nil"}


def test_a_bookmark_goes_on_with_its_index_though_a_better_one_is_made(people):
    first = people.find({"age": {"$gt": 3}, "name": {"$gt": None}}, limit=2)
    people.create_index("age")
    second = people.find({"age": {"$gt": 3}, "name": {"$gt": None}}, limit=2, bookmark=first["bookmark"])
    people.create_index(["name", "age"])
    third = people.find({"age": {"$gt": 3}, "name": {"$gt": None}}, limit=2, bookmark=second["bookmark"])
    assert ids(first) + ids(second) + ids(third) == ["04", "05", "06", "07", "08", "09"]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("way", ["asc", "desc"])
@pytest.mark.parametrize("fields", [None, ["_id", "age"]])
def test_pages_go_through_several_ranges_in_both_directions(people, size, way, fields):
    people.bulk_docs({"_id": f"x{age}", "age": age} for age in (3, 5, 9))
    people.create_index("age")
    selector = {"$or": [{"age": {"$in": [9, 3]}}, {"age": {"$gt": 4, "$lt": 7}}]}
    found, bookmark = [], None
    while (page := people.find(selector, sort={"age": way}, limit=size, bookmark=bookmark, fields=fields))["docs"]:
        found += ids(page)
        bookmark = page["bookmark"]
        assert len(found) < 10
    wanted = ["03", "x3", "05", "x5", "06", "09", "x9"]
    assert found == (wanted if way == "asc" else wanted[::-1])
    assert "memory" not in page.get("warning", "")
    assert [doc["_id"] for doc in people.find({"age": {"$gte": 3, "$lt": 6}}, skip=1, limit=2)["docs"]] == ["x3", "04"]


def test_a_sort_must_begin_the_index(people):
    people.create_index(["name", "home.city", "age"])
    selector = {"name": {"$gt": "n0"}, "age": {"$gt": 25}, "home.city": {"$exists": True}}
    answer = people.find(selector, sort=["name", "age"])
    assert SORTED_IN_MEMORY in answer["warning"]
    assert ids(answer) == ["28", "26", "29"]
    answer = people.find({**selector, "name": "n2"}, sort=["home.city", "age"])
    assert ids(answer) == ["29", "26"]
    assert "warning" not in answer


def test_ids_in_an_index_are_compared_by_their_bytes(db):
    db.bulk_docs([{"_id": name, "n": 1} for name in ("a", "B", "c")])
    db.create_index(["n", "_id"], ddoc="i", name="i")
    answer = db.find({"n": 1, "_id": {"$gt": "B"}}, use_index="i")
    assert ids(answer) == ["a", "c"]
    assert "warning" not in answer


def test_an_index_of_a_field_and_a_part_of_it_does_not_cover(db):
    db["a"] = {"c": [7, 8]}
    db.create_index(["c", "c.1"], ddoc="i", name="i")
    told = db.explain({"c": {"$exists": True}, "c.1": 8}, fields=["c", "c.1"])
    assert (told["index"]["name"], told["covering"]) == ("i", False)
    assert db.find({"c": {"$exists": True}, "c.1": 8}, fields=["c"])["docs"] == [{"c": [7, 8]}]


def test_a_bookmark_of_an_index_that_is_gone_is_refused(people):
    made = people.create_index("age")
    bookmark = people.find({"age": {"$gt": 3}}, limit=2)["bookmark"]
    people.delete_index(made["id"], made["name"])
    for wrong in (bookmark, "x", "é", "bnVsbA", "WzEsMiwzLDRd", "WzEseyJhIjoxLCJiIjoyfSwiIiwiYSJd"):
        with pytest.raises(BadRequest) as refused:
            people.find({"age": {"$gt": 3}}, bookmark=wrong)
        assert refused.value.error == "invalid_bookmark"
    assert people.find({"age": {"$gt": 99}}, bookmark=people.find({}, limit=1)["bookmark"])["docs"] == []


def test_an_index_follows_the_documents(people):
    people.create_index("age")
    people["new"] = {"age": 3.5}
    people["03"] = {"age": 100}
    del people["04"]
    assert ids(people.find({"age": {"$gt": 2, "$lt": 6}})) == ["new", "05"]
    people["late"] = {"age": 4}
    assert ids(people.find({"age": {"$gt": 2, "$lt": 6}}, update=False)) == ["new", "05"]
    assert ids(people.find({"age": {"$gt": 2, "$lt": 6}})) == ["new", "late", "05"]


def test_an_index_in_use_is_right_within_a_transaction(people):
    people.create_index("age", name="age", ddoc="age")
    with people.transaction():
        people["new"] = {"age": 3.5}
        assert ids(people.find({"age": 3.5})) == ["new"]
        people.create_index("name", name="name", ddoc="name", build=False)
        assert people.explain({"name": "x"})["index"]["name"] == "name"

    def fail(db):
        db.create_index("home", name="home", ddoc="home")
        assert db.get_indexes()["total_rows"] == 4
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        people.transaction(fail)
    assert people.get_indexes()["total_rows"] == 3


def test_conflicts_and_attachments_are_shown(people):
    people.create_index("age")
    people.bulk_docs([{"_id": "03", "_rev": "1-0", "age": 3}], new_edits=False)
    people.put_attachment("04", "x", b"hi", rev=people["04"]["_rev"])
    for selector in ({"age": {"$in": [3, 4]}}, {"age": {"$gte": 3, "$lt": 5}}, {"_id": {"$in": ["03", "04"]}}):
        one, other = people.find(selector, conflicts=True)["docs"]
        assert one["_conflicts"] == ["1-0"]
        assert other["_attachments"]["x"]["stub"]
        assert "_conflicts" not in people.find(selector)["docs"][0]


def test_integers_beyond_64_bits_are_exact(db):
    db.create_index("n")
    db.bulk_docs([{"_id": "a", "n": 2**70}, {"_id": "b", "n": 2**70 + 1}])
    assert [doc["n"] for doc in db.find({"n": {"$gt": 2**70}})["docs"]] == [2**70 + 1]
    assert db.find({"n": {"$gte": 1}}, fields=["n"])["docs"] == [{"n": 2**70}, {"n": 2**70 + 1}]
    assert [doc["n"] for doc in db.find({"n": 2**70, "x": {"$exists": False}})["docs"]] == [2**70]


def test_partial_indexes_serve_only_when_named(people):
    people.create_index("age", partial_filter_selector={"name": "n1"}, name="p", ddoc="p")
    assert "warning" in people.find({"age": {"$lt": 5}, "name": "n1"})
    answer = people.find({"age": {"$lt": 5}, "name": "n1"}, use_index="p")
    assert ids(answer) == ["01", "04"]
    assert "warning" not in answer
    assert people.get_indexes()["indexes"][1]["def"]["partial_filter_selector"] == {"name": {"$eq": "n1"}}


def test_use_index_and_its_fallback(people):
    people.create_index("age", name="age", ddoc="d")
    people.create_index("name", name="name", ddoc="d")
    for named in ("d", "_design/d", "d/age", ["d", "age"], ["_design/d", "age"]):
        assert "warning" not in people.find({"age": 1}, use_index=named)
    assert "was not used because" in people.find({"age": 1}, use_index=["d", "name"])["warning"]
    for named in (["d", "name"], "x"):
        with pytest.raises(BadRequest) as refused:
            people.find({"age": 1}, use_index=named, allow_fallback=False)
        assert refused.value.error == "invalid_index"
    assert ids(people.find({"age": 1}, allow_fallback=False)) == ["01"]


def test_indexes_are_made_once_listed_and_deleted(people):
    made = people.create_index(["age", "name"])
    assert made["id"] == f"_design/{made['name']}"
    assert len(made["name"]) == 40
    assert people.create_index(["age", "name"]) == {**made, "result": "exists"}
    other = people.create_index([{"age": "desc"}], ddoc=made["name"], name="other")
    assert other == {"result": "created", "id": made["id"], "name": "other"}
    assert [index["name"] for index in people.get_indexes()["indexes"]] == ["_all_docs", made["name"], "other"]
    assert ids(people.find({"age": 3}, use_index=[made["id"], "other"])) == ["03"]
    assert people.delete_index(made["id"], made["name"]) == {"ok": True}
    assert ids(people.find({"age": 3}, use_index=[made["id"], "other"])) == ["03"]
    assert people.delete_index(made["name"], "other") == {"ok": True}
    assert made["id"] not in people
    with pytest.raises(NotFound):
        people.delete_index(made["id"], "other")
    assert people._pool.read(lambda conn: conn.execute("SELECT count(*) FROM index_groups").get) == 0


def test_a_design_document_with_more_in_it_stays(people):
    people["_design/d"] = {"language": "query", "note": "mine"}
    people.create_index("age", ddoc="d", name="i")
    people.delete_index("d", "i")
    assert people["_design/d"]["note"] == "mine"
    assert "views" not in people["_design/d"]


@pytest.mark.parametrize(
    ("definition", "error", "status"),
    [
        ({"fields": []}, "invalid_index", 400),
        ({"fields": [1]}, "invalid_sort_field", 400),
        ({"fields": ["a..b"]}, "invalid_field_name", 400),
        ({"fields": ["a", {"b": "desc"}]}, "unsupported_mixed_sort", 400),
        ({"fields": ["a"], "type": "nouveau"}, "required index service unavailable", 503),
        ({"fields": ["a"], "type": "geo"}, "invalid_index", 400),
        ({"fields": ["a"], "ddoc": "js"}, "invalid_ddoc_lang", 400),
        ({"fields": ["a"], "partial_filter_selector": {"a": {"$nope": 1}}}, "invalid_operator", 400),
        ({"fields": ["a"], "name": 5}, "invalid_string", 400),
    ],
)
def test_a_malformed_index_is_refused(db, definition, error, status):
    db["_design/js"] = {"views": {}}
    with pytest.raises(CouchetteError) as refused:
        db.create_index(**definition)
    assert (refused.value.error, refused.value.status) == (error, status)


def test_explain_says_what_is_read_and_what_would_help(people):
    told = people.explain({"age": 3, "name": {"$gt": "n0"}}, sort=["name"])
    assert told["suggested_index"] == {"fields": ["age", "name"]}
    assert told["explanation"] == (
        "All documents are read by id. No index is in the order of the sort, so what matches is sorted in memory. "
        "An index on 'age', 'name' would help: create_index(['age', 'name'])."
    )
    people.create_index(["age", "name"])
    told = people.explain({"age": 3, "name": {"$gt": "n0"}}, sort=["name"], fields=["age"])
    assert told["suggested_index"] is None
    assert told["explanation"] == (
        "The index on 'age', 'name' is used for 'age', 'name'. One range is read. It holds all fields that are asked "
        "for, so no document is read. It is in the order of the sort."
    )
    assert told["covering"]
    people.create_index("name", ddoc="d", name="by name")
    told = people.explain({"name": {"$exists": True}, "x": 1})
    assert "The index 'by name' of _design/d on 'name' is read from end to end." in told["explanation"]
    assert told["suggested_index"] == {"fields": ["x"]}
    assert people.explain({"$and": []})["explanation"] == "Nothing is read: no document can match."
    assert "A range of documents is read by id." in people.explain({"_id": {"$gt": "1"}})["explanation"]
    assert people.explain({"name": {"$in": [1, 2]}})["explanation"].startswith(
        "The index 'by name' of _design/d on 'name' is used for 'name'. 3 ranges are read."
    )


def test_indexes_that_lie_in_one_file_serve_another_process(tmp_path):
    with Database(tmp_path / "a.couchette") as one, Database(tmp_path / "a.couchette") as other:
        one["a"] = {"n": 1}
        one.create_index("n")
        assert ids(other.find({"n": 1})) == ["a"]
        other["b"] = {"n": 1}
        assert ids(one.find({"n": 1})) == ["a", "b"]
        made = other.get_indexes()["indexes"][1]
        other.delete_index(made["ddoc"], made["name"])
        assert one.find({"n": 1})["warning"] == UNINDEXED


def test_the_index_is_built_again_when_another_drops_it_meanwhile(people, monkeypatch):
    """The catalogue is read before the index; in between it may be deleted and its rows dropped."""
    made = people.create_index("age")
    read, times = mango_rows.group_number, []

    def dropped_once(conn, signature):
        times.append(signature)
        return None if len(times) == 1 else read(conn, signature)

    monkeypatch.setattr("couchette.query.find.group_number", dropped_once)
    assert ids(people.find({"age": 3}, use_index=made["id"])) == ["03"]
    assert len(times) == 2


def test_options_in_couchdbs_own_form_are_taken(people):
    """What only the server's clients send: they change nothing here."""
    body = {"selector": {"age": 1}, "r": 2, "stale": "ok", "stable": True, "partition": "", "bookmark": ""}
    assert ids(find(people._pool, read_options(body))) == ["01"]
    for name, wrong in (("r", 0), ("stale", "x"), ("partition", "p"), ("use_index", 5), ("limit", True)):
        with pytest.raises(BadRequest):
            read_options({"selector": {}, name: wrong})


@pytest.mark.anyio
async def test_the_asynchronous_facade_finds_the_same(tmp_path):
    async with AsyncDatabase(tmp_path / "a.couchette") as db:
        await db.bulk_docs([{"_id": "a", "n": 1}, {"_id": "b", "n": 2}])
        made = await db.create_index("n")
        assert ids(await db.find({"n": {"$gt": 1}})) == ["b"]
        assert (await db.explain({"n": 1}))["index"]["name"] == made["name"]
        assert (await db.get_indexes())["total_rows"] == 2
        assert await db.delete_index(made["id"], made["name"]) == {"ok": True}
