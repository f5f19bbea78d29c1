"""Deciding which attachments travel, and giving them the form in which they do."""

from __future__ import annotations

import base64
import gzip

import pytest

from couchette.errors import TooLarge
from couchette.wire import stubs
from couchette.wire.stubs import fill, inlined, needed_attachments


def doc(start=3, ids=("c", "b", "a"), **attachments):
    return {
        "_id": "d",
        "_rev": f"{start}-{ids[0]}",
        "_revisions": {"start": start, "ids": list(ids)},
        "_attachments": {name: {"stub": True, "length": 5, "revpos": revpos} for name, revpos in attachments.items()},
    }


@pytest.mark.parametrize(
    ("ancestors", "needed"),
    [([], ["old", "new"]), (["2-b"], ["new"]), (["1-a"], ["new"]), (["3-c"], []), (["2-other"], ["old", "new"])],
)
def test_an_attachment_not_younger_than_a_known_ancestor_is_not_needed(ancestors, needed):
    assert needed_attachments(doc(old=1, new=3), ancestors) == needed


@pytest.mark.parametrize("revpos", [0, None, "1"])
def test_an_attachment_without_a_revpos_is_needed(revpos):
    assert needed_attachments(doc(odd=revpos), ["3-c"]) == ["odd"]


def test_a_filled_attachment_is_not_needed():
    one = doc(a=3)
    fill(one, "a", b"bytes")
    assert needed_attachments(one, []) == []
    assert one["_attachments"]["a"] == {"data": b"bytes", "length": 5, "revpos": 3}


def test_bytes_become_base64_of_the_plain_content():
    one = doc(a=3, b=3)
    one["_attachments"]["a"] = {"data": gzip.compress(b"text"), "encoding": "gzip", "encoded_length": 9, "revpos": 2}
    sent = inlined(one)["_attachments"]
    assert sent["a"] == {"data": base64.b64encode(b"text").decode(), "revpos": 2}
    assert sent["b"] == one["_attachments"]["b"]


def test_bytes_that_only_claim_to_be_gzip_go_on_as_they_are():
    one = doc(a=3)
    one["_attachments"]["a"] = {"data": b"no gzip", "encoding": "gzip"}
    assert inlined(one)["_attachments"]["a"] == {"data": base64.b64encode(b"no gzip").decode()}


def test_bytes_that_become_far_longer_than_they_say_are_not_unpacked(monkeypatch):
    monkeypatch.setattr(stubs, "ATTACHMENT_UNPACKED_BYTES", 1000)
    one = doc(a=3)
    entry = {"data": gzip.compress(bytes(5000)), "encoding": "gzip"}
    one["_attachments"]["a"] = {**entry, "length": 4000}
    assert len(inlined(one)["_attachments"]["a"]["data"]) > 5000
    for length in (3999, 10, None, "4000", -1):
        one["_attachments"]["a"] = {**entry, "length": length}
        with pytest.raises(TooLarge, match="'a' is too large"):
            inlined(one)


def test_a_document_without_bytes_is_sent_as_it_is():
    one = doc(a=3)
    assert inlined(one) is one
