"""The short cuts for the usual document are only short cuts: whatever is written, they decide nothing."""

from __future__ import annotations

import math
import types
import uuid
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from couchette import Database
from couchette.errors import CouchetteError

HEX = st.sampled_from(["0123456789abcdef" * 2, "f" * 32, "0" * 32])
IDS = HEX | st.sampled_from(["a", "", "F" * 32, "g" * 32, "\ud800", 5, None])
texts = st.sampled_from(["", "a", "_", "_x", "null", '"_', "é", "\0", "\ud800", "a_b", "n\\u005f"]) | st.text(
    max_size=3
)
numbers = st.sampled_from([0, -0.0, 1.0, math.nan, math.inf, 2**63, 2**64, -(2**63) - 1])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts | st.sampled_from([b"x", uuid.UUID(int=5)]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
revisions = st.fixed_dictionaries(
    {
        "start": st.sampled_from([0, 1, 2, 3, 9, -1, 2**63, True, "1"]),
        "ids": st.lists(IDS, max_size=4) | st.just("f" * 64),
    }
)
members: dict[str, st.SearchStrategy[Any]] = {
    "_id": st.sampled_from(["a", "b", "_design/d", "_local/l", "", "_x", "\0", "a\0", "\ud800", None, 7]),
    "_rev": st.sampled_from(["1-" + "f" * 32, "2-" + "0" * 32, "1-a", "x", None, "0-1"]),
    "_revisions": revisions | st.sampled_from([None, [], {}]),
    "_deleted": st.booleans() | st.none(),
    "_attachments": st.just({}) | st.just({"x": {"data": "aGk="}}) | st.just(None),
    "_conflicts": st.just([]),
    "_access": st.just([]),
}
documents = st.builds(
    lambda special, fields: {**special, **fields},
    st.fixed_dictionaries({}, optional=members),
    st.dictionaries(st.sampled_from(["a", "b", "é", "null", "x_", "_y", "\ud800"]), values, max_size=3),
)


def usual(id: str, new_edits: bool) -> dict[str, Any]:
    """A document of which nothing is unusual."""
    return {"_id": id, "n": 1} if new_edits else {"_id": id, "n": 1, "_revisions": {"start": 1, "ids": ["e" * 32]}}


def outcome(docs: Any, before: list[dict[str, Any]], new_edits: bool) -> tuple[Any, Any]:
    """What a batch answers, or how it is refused; and what is in the database after it."""
    with Database() as db:
        db.bulk_docs(before, new_edits=False)
        answer: Any
        try:
            answer = db.bulk_docs(docs, new_edits=new_edits)
        except CouchetteError as error:
            answer = (type(error), error.status, error.error, error.reason)
        changes = db.changes(style="all_docs", include_docs=True)["results"]
        leaves = [db.get(row["id"], open_revs="all", revs=True) for row in changes]
        for row in changes:
            row["seq"] = row["seq"].partition("-")[0]
        local = db.get("_local/l") if "_local/l" in db else None
        return answer, (repr(changes), repr(leaves), local, db.info()["doc_count"], db.info()["doc_del_count"])


@pytest.mark.slow
@given(
    st.lists(documents.filter(lambda doc: "_id" in doc), min_size=1, max_size=3),
    st.lists(st.sampled_from(["0", "a", "c"]), unique=True),
    st.booleans(),
)
@example([{"_id": "a", "x": None, "y": math.nan}], [], True)
@example([{"_id": "a", "x": None, "y": math.nan, "_revisions": {"start": 1, "ids": ["f" * 32]}}], [], False)
@example([{"_id": "a", "_revisions": {"start": 64, "ids": "f" * 64}}], [], False)
def test_a_dict_is_written_as_any_other_mapping_is(docs, stored, new_edits):
    """Only a plain dict takes the short cuts, so another mapping of the same members goes the long way."""
    before = [{"_id": id, "_rev": "1-" + "0" * 32} for id in stored]
    # Some usual ones before and behind, so that there are enough to be written together.
    docs = [*docs, *(usual(id, new_edits) for id in ("A", "Z", "a!", "a-", "b!", "z"))]
    short = outcome(docs, before, new_edits)
    long = outcome([types.MappingProxyType(doc) for doc in docs], before, new_edits)
    assert short == long


@pytest.mark.parametrize("new_edits", [True, False])
def test_more_documents_than_are_written_together_are_all_written(new_edits, monkeypatch):
    monkeypatch.setattr("couchette.store.bulk.DOCS_TOGETHER", 5)
    docs = [usual(f"{number:02}", new_edits) for number in range(23)]
    docs[7]["_attachments"] = {"x": {"data": "aGk="}}
    docs[16]["_deleted"] = True
    assert outcome(docs, [], new_edits) == outcome(list(map(types.MappingProxyType, docs)), [], new_edits)


def test_edits_of_new_and_old_documents_are_written_together():
    """With parents of several numbers, a document that is new, and one whose edit is a conflict."""
    answers = []
    for kind in (dict, types.MappingProxyType):
        with Database() as db:
            revs = [""] * 12
            for turn in range(3):
                rows = db.bulk_docs(
                    [
                        {"_id": f"{n:02}", "_rev": revs[n], "t": turn} if revs[n] else {"_id": f"{n:02}"}
                        for n in range(12 - 4 * turn)
                    ]
                )
                for n, row in enumerate(rows):
                    revs[n] = row["rev"]
            revs[5] = "1-" + "0" * 32
            docs = [{"_id": f"{n:02}", "_rev": revs[n], "last": n} for n in range(12)] + [{"_id": "new"}]
            answers.append(
                (db.bulk_docs([kind(doc) for doc in docs]), [db.get(id, revs=True) for id in db], db.verify())
            )
    assert answers[0] == answers[1]
    assert ["error" in row for row in answers[0][0]] == [n == 5 for n in range(13)]
    assert answers[0][2] == []


@pytest.mark.parametrize("revs_limit", [1, 2, 1000])
def test_both_ways_stem_alike(revs_limit):
    doc = {"_id": "a", "_revisions": {"start": 4, "ids": [letter * 32 for letter in "dcba"]}}
    kept = []
    for given_doc in (doc, types.MappingProxyType(doc)):
        with Database(revs_limit=revs_limit) as db:
            db.bulk_docs([given_doc], new_edits=False)
            kept.append(db.get("a", revs=True))
    assert kept[0] == kept[1]
    assert len(kept[0]["_revisions"]["ids"]) == min(revs_limit, 4)
