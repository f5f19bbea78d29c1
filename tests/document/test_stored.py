"""Documents that are moved without being read: they say the same as those that were."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import Database, jsonio
from couchette.document.stored import StoredDoc, read_stored

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


def parts(doc):
    return None if doc is None else (doc.id, doc.rev, doc.path, doc.deleted, jsonio.loads(doc.body))


@given(MEMBERS, st.booleans())
def test_a_text_is_read_back_unless_only_a_closer_look_can_judge_it(members, deleted):
    doc = stored(members, deleted=deleted)
    read = read_stored(doc.json(), doc.id, doc.rev)
    assert read is None or (parts(read) == parts(doc) and read.body == doc.body)
    assert read is not None or b'"_' in doc.body


def test_a_text_of_couchdb_is_read():
    """Its members come first, it has spaces where it likes, and it escapes as it likes."""
    rev = f"1-{IDS[1]}"
    text = b'{"_id":"a:b", "_rev":"%b",  "x" : "\\u00e9:\\/", "n":1.0e2, "y":[true ,null]}\n' % rev.encode()
    read = read_stored(text, "a:b", rev)
    assert read is not None
    assert (read.body, read.path) == ('{"x":"é:/","n":100.0,"y":[true,null]}'.encode(), bytes.fromhex(IDS[1]))
    # Its feed does not say what a tombstone holds.
    assert read_stored(b'{"_id":"a","_rev":"%b","_deleted":true}' % rev.encode(), "a", rev) is None


OWN = '"_id":"a","_rev":"REV"'
HISTORY = f'"_revisions":{{"start":2,"ids":["{IDS[0]}","{IDS[1]}"]}}'


@pytest.mark.parametrize(
    ("rev", "text"),
    [
        (f"2-{IDS[0]}", f"{{{OWN}}}"),  # Its history is not told.
        ("1-a", f"{{{OWN}}}"),  # Its id is none of ours.
        (f"2-{IDS[0]}", f'{{"_id":"b","_rev":"REV",{HISTORY}}}'),
        (f"2-{IDS[0]}", f'{{"_id":"a","_rev":"2-{IDS[1]}",{HISTORY}}}'),
        (f"3-{IDS[0]}", f"{{{OWN},{HISTORY}}}"),
        (f"2-{IDS[0]}", f"{{{OWN},{HISTORY.replace(IDS[1], IDS[1].upper())}}}"),
        (f"2-{IDS[0]}", f'{{{OWN},{HISTORY},"_revisions":{{}}}}'),
        (f"2-{IDS[0]}", f'{{{OWN},"_revisions":{{"start":2,"ids":[]}}}}'),
        (f"2-{IDS[0]}", f'{{{OWN},"_revisions":7}}'),
        (f"2-{IDS[0]}", f'{{{OWN},{HISTORY},"_deleted":1}}'),
        (f"2-{IDS[0]}", f'{{{OWN},{HISTORY},"_attachments":{{}}}}'),
        (f"2-{IDS[0]}", f'{{{OWN},{HISTORY},"_conflicts":["1-a"]}}'),
        (f"2-{IDS[0]}", f'{{"x":1,{OWN},{HISTORY},"x":1}}'),
        (f"2-{IDS[0]}", f'{{"x":{{"y":1,"y":1}},{OWN},{HISTORY}}}'),
        (f"2-{IDS[0]}", f'{{"\\u003a":1,":":1,{OWN},{HISTORY}}}'),
        (f"2-{IDS[0]}", f'{{"x":{2**70},{OWN},{HISTORY}}}'),
        (f"2-{IDS[0]}", f'{{"x":"\\ud800",{OWN},{HISTORY}}}'),
        (f"2-{IDS[0]}", f"{{{OWN},{HISTORY}"),
        (f"2-{IDS[0]}", "[]"),
        (f"2-{IDS[0]}", "null"),
    ],
)
def test_any_other_text_is_left_to_a_closer_look(rev, text):
    assert read_stored(text.replace("REV", rev).encode(), "a", rev) is None
