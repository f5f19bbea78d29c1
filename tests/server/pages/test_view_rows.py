"""Pages of a view's rows: whole and stable, forward and back, whatever the keys."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import BadRequest
from couchette.server.pages.view_rows import Place, Shown, read, read_options

keys = st.one_of(st.none(), st.integers(0, 3), st.sampled_from(["a", "b"]), st.lists(st.integers(0, 1), max_size=2))


def emitted(doc: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    for number, key in enumerate(doc["keys"]):
        yield key, number


def page(db: Database, options: dict[str, Any], where: dict[str, Any], limit: int) -> Shown:
    def ask(**asked: Any) -> dict[str, Any]:
        return db.query("emitted", **asked)

    return read(ask, {**options, "limit": limit}, where, has_reduce=False)


@settings(max_examples=25, deadline=None)
@given(
    docs=st.lists(st.lists(keys, max_size=5), min_size=1, max_size=5),
    limit=st.integers(1, 4),
    descending=st.booleans(),
    start=st.one_of(st.none(), st.sampled_from([0, 1, "a"])),
)
def test_pages_hold_all_rows_once_and_lead_back_the_same_way(
    docs: list[list[Any]], limit: int, descending: bool, start: Any
) -> None:
    with Database(":memory:") as db:
        db.view("emitted")(emitted)
        db.bulk_docs([{"_id": f"d{number}", "keys": emits} for number, emits in enumerate(docs)])
        options = {"descending": descending, **({} if start is None else {"start_key": start})}
        every = db.query("emitted", **options)["rows"]
        shown = page(db, options, {}, limit)
        pages = [shown]
        while shown.following:
            shown = page(db, options, dict(shown.following), limit)
            pages.append(shown)
        assert [row for one in pages for row in one.rows] == every
        assert pages[0].previous is None
        at = len(every) - len(pages[-1].rows)
        while shown.previous:
            shown = page(db, options, dict(shown.previous), limit)
            first = max(0, at - limit)
            assert shown.rows == (every[first:at] if first else every[:limit])
            at = first
        assert at == 0


def test_a_page_stays_where_it_is_though_rows_come_and_go_before_it() -> None:
    with Database(":memory:") as db:
        db.view("emitted")(emitted)
        db.bulk_docs([{"_id": f"d{number}", "keys": [number]} for number in range(6)])
        second = page(db, {}, {}, 2).following
        assert second is not None
        db.put({"_id": "new", "keys": [0]})
        db.remove("d1", db["d1"]["_rev"])
        db.remove("d2", db["d2"]["_rev"])
        assert [row["id"] for row in page(db, {}, dict(second), 2).rows] == ["d3", "d4"]


@pytest.mark.parametrize("text", ["1", "[1]", '["a", 1, 0]', '["a", "d", -1]', '["a", "d", "x"]', "x"])
def test_an_address_that_names_no_row_is_refused(text: str) -> None:
    with pytest.raises(BadRequest):
        Place.read(text)


def test_a_key_that_is_no_json_is_named() -> None:
    with pytest.raises(BadRequest, match=r"`startkey` is not JSON\."):
        read_options({"startkey": "cat"})
    assert read_options({"key": "[1]", "group_level": "2"}) == {"start_key": [1], "end_key": [1], "group_level": 2}
