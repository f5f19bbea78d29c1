"""Filters of a source in this process, which has nobody else to run them."""

from __future__ import annotations

import pytest

from couchette import Database
from couchette.functions import DesignFunctions
from couchette.replication.local import LocalPeer
from couchette.wire.selection import Selection

pytestmark = pytest.mark.anyio

DESIGN = {
    "_id": "_design/d",
    "filters": {"even": "function(d) { return d.n % 2 === 0 }"},
    "views": {"odd": {"map": "function(d) { if (d.n % 2 === 1) emit(null) }"}},
}


@pytest.mark.parametrize(
    ("selection", "function", "wanted"),
    [(Selection(filter="d/even"), "filter", {0, 2, 4}), (Selection(view="d/odd"), "filter_view", {1, 3, 5})],
)
async def test_a_design_function_is_run_on_a_page_at_a_time(selection, function, wanted, monkeypatch):
    calls = []
    run = getattr(DesignFunctions, function)

    def counted(self, name, docs, *rest):
        calls.append(len(docs))
        return run(self, name, docs, *rest)

    monkeypatch.setattr(DesignFunctions, function, counted)
    with Database(":memory:") as db:
        db.bulk_docs([DESIGN, *({"_id": f"{n}", "n": n} for n in range(6))])
        async with LocalPeer(db._pool, label="db") as peer:
            page = await peer.changes(0, 100, selection)
    assert set(page.leaves) == {f"{n}" for n in wanted}
    assert calls == [7]
