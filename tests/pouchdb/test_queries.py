"""GQL, full-text search and search in space, as PouchDB's plug-ins have them."""

from __future__ import annotations

import pytest

from couchette import Database
from couchette.errors import BadRequest, NotFound, QueryParseError
from couchette.pouchdb import copies, queries
from couchette.pouchdb.core import DatabaseCore, EnvironmentCore
from couchette.pouchdb.folders import Folder
from couchette.pouchdb.results import Result

HOUSES = {
    "c1": {"type": "house", "text": "freehold", "price": 3, "at": [1, 1]},
    "c240s10A": {"type": "house", "text": "freehold, freehold and freehold again", "price": 2, "at": [5, 5]},
    "other": {"type": "flat", "text": "leasehold", "price": 1, "at": [9, 9]},
}
DESIGN = {
    "indexes": {
        "places": {"index": "function (doc) { index('text', doc.text, {store: true}); index('default', doc.type); }"}
    },
    "spatial": {"points": "function (doc) { emit({type: 'Point', coordinates: doc.at}, doc.price); }"},
    "views": {"prices": {"map": "function (doc) { emit(doc.price); }"}},
}


@pytest.fixture
def environment(tmp_path):
    environment = EnvironmentCore(Folder(str(tmp_path)), lambda event, name: None)
    yield environment
    environment.environment.close()


@pytest.fixture
def core(environment):
    core = environment.database("houses")
    core.database.bulk_docs([{"_id": doc_id, **doc} for doc_id, doc in HOUSES.items()])
    core.database["_design/houses"] = dict(DESIGN)
    return core


class ServersDatabase:
    """Of a database on a server, what a copy of it needs and what it cannot do."""

    def __init__(self, database: Database) -> None:
        self.all_docs = database.all_docs


@pytest.fixture
def remote(environment, core):
    """A database on a server, whose documents are those of ``core``."""
    remote = DatabaseCore(environment, "http://server.example/houses", {})
    remote.__dict__["database"] = ServersDatabase(core.database)
    return remote


def ids(answer):
    return [row["id"] for row in answer["rows"]]


def test_gql_takes_an_object_of_clauses_or_a_text(core):
    clauses = {"select": "max(price)", "where": "price > 0", "groupBy": "type", "label": "max(price) 'dearest'"}
    assert queries.gql(core, clauses) == {"rows": [{"dearest": 1}, {"dearest": 3}]}
    assert queries.gql(core, Result({"select": "price", "orderBy": "price desc", "limit": "1"})) == {
        "rows": [{"price": 3}]
    }
    assert queries.gql(core, "select type where price = 2") == {"rows": [{"type": "house"}]}


def test_a_bad_gql_query_is_a_400(core):
    for query in ({"select": "price +"}, {"chose": "price"}, "select", 5, None):
        with pytest.raises(QueryParseError) as caught:
            queries.gql(core, query)
        assert caught.value.status == 400


def test_gql_asks_a_servers_documents(remote):
    assert queries.gql(remote, {"select": "price", "where": "type = 'flat'"}) == {"rows": [{"price": 1}]}


def test_a_stored_index_is_searched_best_first(core):
    answer = queries.search(core, "houses/places", q="text:freehold")
    assert ids(answer) == ["c240s10A", "c1"]
    assert answer["total_rows"] == 2
    assert answer["rows"][1]["fields"] == {"text": "freehold"}
    answer = queries.search(core, "houses/places", query="house", limit=1, includeDocs=True, sort="-text<string>")
    assert answer["rows"][0]["doc"]["type"] == "house"


@pytest.mark.parametrize(
    "func",
    [
        "function (doc) { index('default', doc.text); }",
        {"index": "function (doc) { index('default', doc.text); }", "analyzer": "simple"},
        lambda doc: [("default", doc["text"])],
    ],
)
def test_an_index_for_one_query_leaves_nothing_behind(core, remote, func):
    for asked in (core, remote):
        assert ids(queries.search(asked, func, q="leasehold")) == ["other"]
    assert core.database.view_cleanup()["dropped"] == 0


def test_a_search_needs_an_index_and_a_query(core):
    with pytest.raises(BadRequest, match="query"):
        queries.search(core, "houses/places")
    with pytest.raises(NotFound):
        queries.search(core, "houses/missing", q="x")
    with pytest.raises(BadRequest):
        queries.search(core, "houses/places", q="text:[1 TO")


def test_one_name_stands_for_design_document_and_index(core):
    core.database["_design/places"] = dict(DESIGN)
    assert ids(queries.search(core, "places", q="text:leasehold")) == ["other"]


def test_a_spatial_view_answers_for_a_box(core):
    del core.database["c1"]
    answer = queries.spatial(core, "houses/points", start_range=[0, 0], end_range=[6, 6])
    assert [(row["id"], row["key"], row["value"]) for row in answer["rows"]] == [("c240s10A", [[5, 5], [5, 5]], 2)]
    assert len(queries.spatial(core, "houses/points", startRange=[None, None], endRange=[None, None])["rows"]) == 2
    with pytest.raises(NotFound):
        queries.spatial(core, "houses/missing", bbox=[0, 0, 1, 1])
    with pytest.raises(QueryParseError):
        queries.spatial(core, "houses/points", bbox=[0])


@pytest.mark.parametrize(
    "fun",
    [
        "function (doc) { if (doc.at) emit({type: 'Point', coordinates: doc.at}); }",
        lambda doc: [({"type": "Point", "coordinates": doc["at"]}, None)] if "at" in doc else [],
    ],
)
def test_a_spatial_function_is_asked_once(core, remote, fun):
    for asked in (core, remote):
        assert ids(queries.spatial(asked, fun, bbox=[0, 0, 2, 2])) == ["c1"]


def test_cleaning_up_drops_indexes_without_a_design_document(core):
    core.database.query("houses/prices")
    del core.database["_design/houses"]
    assert queries.view_cleanup(core) == {"ok": True}
    assert core.database.view_cleanup()["dropped"] == 0


def test_a_copy_has_all_documents(core, remote, monkeypatch):
    monkeypatch.setattr(copies, "_COPIED_AT_ONCE", 2)
    core.database.bulk_docs([{"_id": f"n{n}", "n": n} for n in range(5)])
    core.database.put_attachment("n0", "note", b"hi", "text/plain", rev=core.database["n0"]["_rev"])
    assert queries.gql(remote, "select count(_id)") == {"rows": [{"count(_id)": 8}]}
