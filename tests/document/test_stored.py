"""Documents that are moved without being read: they say the same as those that were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database, jsonio
from couchette.document.stored import StoredDoc

IDS = ["b" * 32, "a" * 32]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
MEMBERS = st.dictionaries(st.text().filter(lambda name: not name.startswith("_")), VALUES)


def stored(members, *, deleted=False):
    return StoredDoc("x", f"2-{IDS[0]}", bytes.fromhex("".join(IDS)), deleted, jsonio.dumps(members))


@given(MEMBERS, st.booleans())
def test_its_text_and_its_members_are_the_documents(members, deleted):
    doc = stored(members, deleted=deleted)
    expected = {**members, "_id": "x", "_rev": f"2-{IDS[0]}", "_revisions": {"start": 2, "ids": IDS}}
    if deleted:
        expected["_deleted"] = True
    assert dict(doc) == jsonio.loads(doc.json()) == expected
    assert len(doc) == len(expected)
    assert doc["_id"] == "x"


def test_what_it_does_not_have():
    doc = stored({"a": 1})
    assert (doc.get("_attachments"), doc.get("a"), doc.get("b", 2)) == (None, 1, 2)
    with pytest.raises(KeyError):
        doc["b"]


@pytest.mark.parametrize("before", [[], [{"_id": "x", "_rev": f"1-{IDS[1]}"}], [{"_id": "x", "_rev": f"2-{'c' * 32}"}]])
@pytest.mark.parametrize("deleted", [False, True])
def test_writing_it_is_writing_the_document(before, deleted):
    """On nothing, on its parent, and beside another branch."""
    doc = stored({"a": [1]}, deleted=deleted)
    found = []
    for form in (doc, dict(doc)):
        with Database(":memory:", revs_limit=2) as db:
            db.bulk_docs(before, new_edits=False)
            db.bulk_docs([form], new_edits=False)
            db.bulk_docs([form], new_edits=False)
            numbers = db.info()
            found.append((db.get("x", open_revs="all", revs=True), numbers["doc_count"], numbers["doc_del_count"]))
            assert db.verify() == []
    assert found[0] == found[1]
