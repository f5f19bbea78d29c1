"""A find answers what filtering every winner by the selector answers, whatever the index, the sort and the paging."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database
from couchette.document import selector as selectors
from couchette.document.collation import compare
from couchette.document.selector import NOT_THERE, field_getter
from tests.query import find_strategies as drawn


def expected(docs, selector, sort):
    """What matches and has the fields of the sort, sorted by them alone."""
    accepts = selectors.compile(selector)
    getters = [(field_getter(path), -1 if way == "desc" else 1) for path, way in sort]
    found = [doc for doc in docs if accepts(doc) and all(get(doc) is not NOT_THERE for get, _ in getters)]

    def order(one, other):
        return next((by * way for get, way in getters if (by := compare(get(one), get(other)))), 0)

    return sorted(found, key=functools.cmp_to_key(order)), order


@pytest.mark.slow
@given(
    contents=st.dictionaries(drawn.ids, drawn.documents, max_size=14),
    changed=st.dictionaries(drawn.ids, st.one_of(st.none(), drawn.documents), max_size=4),
    indexes=st.lists(drawn.columns, max_size=3),
    selector=drawn.selectors,
    sort=drawn.sorts,
    page=st.integers(1, 4),
    whole=st.booleans(),
)
def test_a_find_is_a_filter_of_all_documents(contents, changed, indexes, selector, sort, page, whole):
    asked: dict[str, Any] = {"sort": [{path: way} for path, way in sort]}
    if not whole:
        asked["fields"] = ["_id", "a", "c.d"]
    with Database() as db:
        db.bulk_docs([{"_id": doc_id, **doc} for doc_id, doc in contents.items()])
        for number, paths in enumerate(indexes):
            db.create_index(paths, ddoc=f"i{number % 2}", name=f"n{number}", build=number % 2 == 0)
        for doc_id, doc in changed.items():
            if doc is not None:
                db[doc_id] = doc
            elif doc_id in db:
                del db[doc_id]
        docs = [db.get(doc_id) for doc_id in db if not doc_id.startswith("_design/")]
        wanted, order = expected(docs, selector, sort)
        found = db.find(selector, limit=None, **asked)["docs"]
        by_id = {doc["_id"]: doc for doc in docs}
        assert {doc["_id"] for doc in found} == {doc["_id"] for doc in wanted}
        assert len(found) == len(wanted)
        in_order = [by_id[doc["_id"]] for doc in found]
        assert all(order(one, other) == 0 for one, other in zip(in_order, wanted, strict=True))
        if whole:
            assert in_order == found
        else:
            assert found == [projected(doc) for doc in in_order]
        assert pages(db, selector, page, asked) == found
        assert db.find(selector, skip=page, limit=page, **asked)["docs"] == found[page : 2 * page]
        assert db.explain(selector, **asked)["limit"] == 25


def projected(doc):
    shown = {"_id": doc["_id"]}
    if "a" in doc:
        shown["a"] = doc["a"]
    if isinstance(doc.get("c"), dict) and "d" in doc["c"]:
        shown["c"] = {"d": doc["c"]["d"]}
    return shown


def pages(db, selector, size, asked):
    """All that bookmarks lead to."""
    found, bookmark = [], None
    while (answer := db.find(selector, limit=size, bookmark=bookmark, **asked))["docs"]:
        found += answer["docs"]
        bookmark = answer["bookmark"]
        assert len({doc["_id"] for doc in found}) == len(found)
    return found
