"""Spatial views over HTTP."""

from __future__ import annotations

import pytest

from tests.server.asgi import call

pytestmark = pytest.mark.anyio

SPATIAL = {"points": "function (d) { if (d.at) emit({type: 'Point', coordinates: d.at}, d.n); }"}


@pytest.fixture
def app_with_places(app):
    db = app.environment["db"]
    db.bulk_docs([{"_id": "a", "at": [1, 2], "n": 1}, {"_id": "b", "at": [178, 2], "n": 2}])
    db["_design/geo"] = {"spatial": SPATIAL}
    return app


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["a", "b"]),
        ("?bbox=0,0,5.5,5", ["a"]),
        ("?bbox=170,0,-170,5", ["b"]),
        ("?bbox=2,0,1,5&plane_bounds=0,0,10,10", ["a"]),
        ("?start_range=[null,0]&end_range=[100,5]", ["a"]),
        ("?skip=1&limit=5&stale=ok&update=true", ["b"]),
    ],
)
async def test_rows_are_asked_for_by_the_query_string(app_with_places, query, expected):
    answer = (await call(app_with_places, "GET", f"/db/_design/geo/_spatial/points{query}")).json()
    assert [row["id"] for row in answer["rows"]] == expected


async def test_documents_and_counts(app_with_places):
    path = "/db/_design/geo/_spatial/points?limit=1&include_docs=true"
    [row] = (await call(app_with_places, "GET", path)).json()["rows"]
    assert (row["doc"]["n"], row["bbox"]) == (1, [1, 2, 1, 2])
    assert (await call(app_with_places, "GET", "/db/_design/geo/_spatial/points?count=true")).json() == {"count": 2}


@pytest.mark.parametrize(
    ("query", "status"),
    [("bbox=1,2,x,4", 400), ("bbox=1,2", 400), ("stale=update_after", 400), ("count=maybe", 400), ("limit=-1", 400)],
)
async def test_a_wrong_query_string_is_refused(app_with_places, query, status):
    answer = await call(app_with_places, "GET", f"/db/_design/geo/_spatial/points?{query}")
    assert (answer.status, answer.json()["error"]) == (status, "query_parse_error")


async def test_what_is_not_there_is_missing_and_other_methods_are_not_allowed(app_with_places):
    assert (await call(app_with_places, "GET", "/db/_design/geo/_spatial/nope")).status == 404
    answer = await call(app_with_places, "PUT", "/db/_design/geo/_spatial/points")
    assert answer.status == 405
