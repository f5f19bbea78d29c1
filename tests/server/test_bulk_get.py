"""``_bulk_get`` as JSON is made while it is sent: it says what one read says, and little of it is held at a time."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest

from couchette import jsonio
from couchette.server import bulk
from couchette.server.contents import gathered
from couchette.server.readable import readable
from tests.server.asgi import call_json

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[(1, 1), (3, 50), (1000, 1_000_000)])
def db(environment, request, monkeypatch):
    """Documents of every kind, of which so many entries, or so many bytes, are read at once."""
    rows, size = request.param
    monkeypatch.setattr("couchette.server.bulk.LISTING_PAGE_ROWS", rows)
    monkeypatch.setattr("couchette.server.bulk.LISTING_PAGE_BYTES", size)
    db = environment["db"]
    db.bulk_docs([{"_id": f"d{number}", "n": number} for number in range(6)])
    attachments = {"x": {"data": b"x" * 100, "content_type": "text/plain"}, "y": {"data": b"y"}}
    db.put({"_id": "at", "_attachments": attachments})
    db.bulk_docs([{"_id": "branched", "_rev": rev, "n": 21} for rev in ("2-b", "2-c")], new_edits=False)
    db.remove(db["d4"])
    return db


@pytest.fixture
def asked(db):
    first = db["at"]["_rev"]
    return [
        *({"id": name} for name in ("none", "d4", "at", "branched", "d1", "d1", "d2", "_local/x")),
        {"id": "branched", "rev": "2-b"},
        {"id": "d2", "rev": "1-none"},
        {"id": "d3", "rev": "x"},
        {"id": "at", "atts_since": [first]},
        {"id": "at", "atts_since": ["1-other"]},
        {"id": "at", "atts_since": "no array"},
        {},
        "none",
        {"id": "d5", "rev": db["d5"]["_rev"]},
    ]


@pytest.mark.parametrize("options", [(), ("revs",), ("latest",), ("revs", "latest"), ("attachments", "revs", "latest")])
async def test_it_says_what_the_database_says(app, db, asked, options):
    query = "&".join(f"{name}=true" for name in options)
    for docs in ([], asked, [entry for entry in asked if "atts_since" not in entry], asked[::-1], [{"id": "none"}] * 3):
        answer = await call_json(app, "POST", f"/db/_bulk_get?{query}", {"docs": docs})
        assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
        assert answer.body == jsonio.dumps(db.bulk_get(docs, **dict.fromkeys(options, True))) + b"\n"


def test_what_may_not_be_read_is_missing(db, asked):
    restricted = readable(db, lambda doc: doc.get("n") != 2)
    found = jsonio.loads(b"".join(bulk._parts(restricted, asked, revs=True)))
    assert found == restricted.bulk_get(asked, revs=True)
    assert found["results"][6]["docs"][0]["error"]["error"] == "not_found"


# -- Memory ---------------------------------------------------------------------------------------

KINDS: dict[str, tuple[dict[str, Any], list[Any]]] = {
    "different": ({}, [{"id": f"{number:03}"} for number in range(200)]),
    "repeated": ({}, [{"id": "000"}] * 200),
    "branched": ({}, [{"id": "branched"}] * 200),
    "as replicators ask": ({"revs": True, "latest": True}, [{"id": f"{number:03}"} for number in range(200)]),
    "repeated as replicators ask": ({"revs": True, "latest": True}, [{"id": "000"}] * 200),
    "with attachments": ({"attachments": True}, [{"id": "000"}] * 200),
    "with attachments since": ({}, [{"id": "at", "atts_since": ["1-other"]}] * 200),
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_of_any_length_is_held_in_pieces(environment, monkeypatch, kind):
    """4 MB, in pages of 32 KB: also where the winner is small, and another leaf large."""
    monkeypatch.setattr("couchette.server.bulk.LISTING_PAGE_BYTES", 32_000)
    monkeypatch.setattr("couchette.server.contents.ATTACHMENT_HOP_BYTES", 32_000)
    db = environment["db"]
    db.bulk_docs([{"_id": f"{number:03}", "text": "x" * 20_000} for number in range(200)])
    db.put({"_id": "at", "_attachments": {"x": {"content_type": "image/png", "data": b"x" * 16_000}}})
    leaves = [{"_rev": "1-b"}, {"_rev": "1-a", "text": "x" * 20_000}]
    db.bulk_docs([{"_id": "branched", **leaf} for leaf in leaves], new_edits=False)
    options, docs = KINDS[kind]
    tracemalloc.start()
    try:
        size = sum(map(len, gathered(bulk._parts(db, docs, **options))))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert size > 4_000_000
    assert peak < 600_000
