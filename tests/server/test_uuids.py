"""Ids that clients ask for."""

from __future__ import annotations

import re

import pytest

from couchette.limits import UUIDS_MAX
from couchette.server import uuids
from couchette.server.uuids import Uuids
from tests.server.asgi import call

pytestmark = pytest.mark.anyio


async def test_an_id_is_made_for_whoever_asks(app):
    answer = await call(app, "GET", "/_uuids")
    [made] = answer.json()["uuids"]
    assert (answer.status, bool(re.fullmatch("[0-9a-f]{32}", made))) == (200, True)


async def test_several_ids_ascend_and_are_never_made_again(app):
    first = (await call(app, "GET", "/_uuids?count=500")).json()["uuids"]
    second = (await call(app, "GET", "/_uuids?count=500")).json()["uuids"]
    assert first + second == sorted({*first, *second})
    assert (await call(app, "GET", "/_uuids?count=0")).json() == {"uuids": []}


async def test_no_cache_keeps_ids(app):
    headers = (await call(app, "GET", "/_uuids")).headers
    assert (headers["cache-control"], headers["pragma"]) == ("no-cache", "no-cache")
    assert headers["expires"].endswith("1990 00:00:00 GMT")
    assert headers["etag"] != (await call(app, "GET", "/_uuids")).headers["etag"]


@pytest.mark.parametrize(
    ("count", "reason"),
    [
        ("-1", "count must be a positive integer"),
        ("x", "count must be a positive integer"),
        ("", "count must be a positive integer"),
        (UUIDS_MAX + 1, "count parameter too large"),
    ],
)
async def test_another_count_is_refused(app, count, reason):
    answer = await call(app, "GET", f"/_uuids?count={count}")
    assert (answer.status, answer.json()) == (400, {"error": "bad_request", "reason": reason})


async def test_only_get_is_allowed(app):
    answer = await call(app, "POST", "/_uuids")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")


def test_a_prefix_is_left_before_its_numbers_end(monkeypatch):
    monkeypatch.setattr(uuids, "_LAST", 0)
    made = Uuids().take(3)
    assert len({text[:26] for text in made}) == 3
    assert {len(text) for text in made} == {32}
