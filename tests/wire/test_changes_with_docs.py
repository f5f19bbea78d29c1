"""Pages of changes with documents: which are taken, and when the next page may be asked for before one is read."""

from __future__ import annotations

import pytest

from couchette.errors import NotCouchDB
from couchette.wire.transfer import read_changes_with_docs, unread_changes

REV = "1-" + "a" * 32
ORDINARY = '{"id":"a","seq":1,"changes":[{"rev":"REV"}],"doc":{"_id":"a","_rev":"REV","n":1}}'.replace("REV", REV)
END = '\n],\n"last_seq":"7-x","pending":3}\n'


def page(*rows, end=END):
    return ('{"results":[\n' + ",\r\n".join(rows) + end).encode()


def test_ordinary_documents_are_taken_and_the_others_are_named():
    branched = ORDINARY.replace('"id":"a"', '"id":"b"').replace(
        f'[{{"rev":"{REV}"}}', f'[{{"rev":"{REV}"}},{{"rev":"1-b"}}'
    )
    deleted = f'{{"id":"c","seq":[1,"z"],"changes":[{{"rev":"{REV}"}}],"deleted":true,"doc":null}}'
    without = '{"id":"d","seq":null,"changes":[{"rev":"2-x"}]}'
    read = read_changes_with_docs(page(ORDINARY, branched, deleted, without))
    assert read.leaves == {"a": [REV], "b": [REV, "1-b"], "c": [REV], "d": ["2-x"]}
    assert {doc_id: doc.body for doc_id, doc in read.docs.items()} == {"a": b'{"n":1}'}
    assert read.deleted == {"c"}
    assert (read.last_seq, read.pending) == ("7-x", 3)


def test_a_document_that_changed_after_it_was_listed_is_not_taken():
    assert read_changes_with_docs(page(ORDINARY.replace(f'"_rev":"{REV}"', f'"_rev":"1-{"b" * 32}"'))).docs == {}


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", page(ORDINARY)[:-20], page("7"), b"\xff"])
def test_what_is_no_page_is_named(text):
    with pytest.raises(NotCouchDB, match="_changes"):
        read_changes_with_docs(text)


@pytest.mark.parametrize(
    ("end", "last_seq"),
    [(END, "7-x"), ('],"last_seq":12,"pending":1}', 12), (' ] , "last_seq" : "a\\"b" , "pending" : 9 } \n', 'a"b')],
)
def test_the_end_of_a_page_tells_where_the_next_begins(end, last_seq):
    unread = unread_changes(page(ORDINARY, end=end))
    assert unread is not None
    assert unread.last_seq == unread.read().last_seq == last_seq
    assert unread.pending > 0


@pytest.mark.parametrize(
    "end",
    [
        '],"last_seq":12,"pending":0}',
        '],"last_seq":12}',
        '],"last_seq":[1,2],"pending":3}',
        '],"pending":3,"last_seq":12}',
        r',"],\"last_seq\":1,\"pending\":3}"]}',
        f'],"last_seq":"{"9" * 10_000}","pending":3}}',
    ],
)
def test_without_such_an_end_the_page_is_read_first(end):
    assert unread_changes(page(ORDINARY, end=end)) is None


@pytest.mark.parametrize("odd", ['"\\ud83d"', "[" * 3000 + "]" * 3000], ids=["surrogate", "levels"])
def test_a_document_that_nobody_can_read_is_left_to_be_fetched(odd):
    spoilt = ORDINARY.replace('"id":"a"', '"id":"b"').replace('"n":1', f'"n":{odd}')
    read = read_changes_with_docs(page(ORDINARY, spoilt))
    assert (read.leaves, read.pending) == ({"a": [REV], "b": [REV]}, 3)
    assert "b" not in read.docs
