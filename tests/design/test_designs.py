"""Design functions that are kept compiled."""

from __future__ import annotations

import pytest

from couchette import Environment
from couchette.design.designs import Designs
from couchette.errors import NotFound

FILTERS = {"f": "function() { return true }"}


@pytest.fixture
def environment():
    with Environment(":memory:") as environment:
        environment.create("db")
        yield environment


@pytest.fixture
def designs():
    designs = Designs()
    yield designs
    designs.close()


def test_functions_are_made_once_a_revision_and_database(environment, designs):
    environment.create("other")
    first, second = environment["db"], environment["other"]
    design = {"_id": "_design/d", "_rev": "1-a", "filters": FILTERS}
    functions = designs.functions(first, design)
    assert designs.functions(first, design) is functions
    assert designs.functions(first, {**design, "_rev": "2-b"}) is not functions
    assert designs.functions(second, design) is not functions


def test_what_was_used_least_is_dropped_and_stays_for_who_uses_it(environment, designs, monkeypatch):
    monkeypatch.setattr("couchette.design.designs.DESIGNS_KEPT_MAX", 2)
    first, second, third = ({"_id": f"_design/{name}", "_rev": "1-a", "filters": FILTERS} for name in "abc")
    db = environment["db"]
    kept, dropped = designs.functions(db, first), designs.functions(db, second)
    designs.functions(db, first)
    designs.functions(db, third)
    assert designs.functions(db, first) is kept
    assert designs.functions(db, second) is not dropped
    assert dropped.filter("f", [{}], {}) == [True]


def test_after_the_end_they_are_made_anew(environment, designs):
    design = {"_id": "_design/d", "_rev": "1-a", "filters": FILTERS}
    before = designs.functions(environment["db"], design)
    designs.close()
    with pytest.raises(NotFound):
        before.filter("none", [], {})
    assert designs.functions(environment["db"], design).filter("f", [{}], {}) == [True]
