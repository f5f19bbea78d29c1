"""Attachments in the store: content kept once, stubs, revpos, and the revision ids that depend on them."""

from __future__ import annotations

from base64 import b64encode

import apsw
import pytest

from couchette import Database
from couchette.document.attachment import gzip
from couchette.errors import BadContentType, BadRequest, Conflict, MissingStub, NotFound, TooLarge
from couchette.limits import ATTACHMENT_CHUNK_BYTES
from couchette.store import content

HELLO = {"content_type": "text/plain", "data": "aGVsbG8="}
HI = {"content_type": "image/png", "data": b"hi"}


def stored(db):
    """How many contents and chunks there are."""
    conn = apsw.Connection(db.path, flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return conn.execute("SELECT (SELECT count(*) FROM att), (SELECT count(*) FROM att_chunk)").fetchone()
    finally:
        conn.close()


def names(doc):
    return list(doc["_attachments"])


# -- With a document ------------------------------------------------------------------------------


def test_inline_attachments_are_listed_as_stubs(db):
    rev = db.put({"_id": "a", "_attachments": {"t.txt": HELLO, "p.png": HI}})["rev"]
    assert db.get("a") == {
        "_id": "a",
        "_rev": rev,
        "_attachments": {
            "t.txt": {
                "content_type": "text/plain", "revpos": 1, "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==", "length": 5,
                "stub": True,
            },
            "p.png": {
                "content_type": "image/png", "revpos": 1, "digest": "md5-SfaKXIST7CwL9ImCHCH8Ow==", "length": 2,
                "stub": True,
            },
        },
    }  # fmt: skip


def test_content_comes_as_base64_of_the_plain_bytes(db):
    db.put({"_id": "a", "_attachments": {"t.txt": HELLO, "p.png": HI}})
    shown = db.get("a", attachments=True, att_encoding_info=True)["_attachments"]
    assert shown["t.txt"] == {
        "content_type": "text/plain", "revpos": 1, "digest": "md5-iMaiC8wqiFlD2NjLTemvCQ==", "encoding": "gzip",
        "data": "aGVsbG8=",
    }  # fmt: skip
    assert shown["p.png"]["data"] == "aGk="
    assert "encoding" not in shown["p.png"]


def test_encoding_info_tells_the_stored_length(db):
    db.put({"_id": "a", "_attachments": {"t.txt": HELLO}})
    stub = db.get("a", att_encoding_info=True)["_attachments"]["t.txt"]
    assert (stub["encoding"], stub["encoded_length"], stub["length"]) == ("gzip", 25, 5)


def test_binary_content_goes_to_another_database_as_it_is(db):
    first = db.put({"_id": "a", "_attachments": {"t.txt": HELLO, "p.png": HI}})
    db.put_attachment("a", "z", b"not gzip", "image/png", rev=first["rev"], encoding="gzip")
    doc = db.get("a", attachments=True, binary=True, revs=True)
    assert doc["_attachments"]["t.txt"]["data"] == gzip(b"hello")
    assert doc["_attachments"]["t.txt"]["length"] == 5
    with Database() as other:
        assert other.bulk_docs([doc], new_edits=False) == []
        assert other.get("a") == db.get("a")
        assert other.get("a", attachments=True, binary=True, revs=True) == doc


def test_a_new_edit_gives_new_content_its_own_number_and_ignores_a_given_revpos(db):
    rev = db.put({"_id": "a", "_attachments": {"x": {**HELLO, "revpos": 7}}})["rev"]
    assert db.get("a")["_attachments"]["x"]["revpos"] == 1
    edit = {"_id": "a", "_rev": rev, "_attachments": {"y": HI, "x": {"stub": True}}}
    db.put(edit)
    doc = db.get("a")
    assert [(name, one["revpos"]) for name, one in doc["_attachments"].items()] == [("y", 2), ("x", 1)]


def test_a_replicated_revision_keeps_its_revpos_and_has_0_without(db):
    doc = {"_id": "a", "_rev": "5-a", "_attachments": {"x": {**HELLO, "revpos": 3}, "y": HI}}
    db.bulk_docs([doc], new_edits=False)
    assert [one["revpos"] for one in db.get("a")["_attachments"].values()] == [3, 0]


def test_what_a_new_edit_does_not_mention_is_gone(db):
    rev = db.put({"_id": "a", "_attachments": {"x": HELLO}})["rev"]
    db.put({"_id": "a", "_rev": rev})
    assert "_attachments" not in db.get("a")
    assert db.get_attachment("a", "x", rev=rev).data == b"hello"


def test_a_stub_is_matched_by_name_and_its_digest_does_not_matter(db):
    rev = db.put({"_id": "a", "_attachments": {"x": HELLO}})["rev"]
    stub = {"stub": True, "digest": "md5-wrong", "length": 99, "content_type": "other"}
    db.put({"_id": "a", "_rev": rev, "_attachments": {"x": stub}})
    assert db.get_attachment("a", "x").data == b"hello"
    assert db.get_attachment("a", "x").content_type == "text/plain"


@pytest.mark.parametrize("stub", [{"stub": True, "revpos": 2}, {"stub": True, "revpos": 0}])
def test_a_stub_with_another_revpos_is_missing(db, stub):
    rev = db.put({"_id": "a", "_attachments": {"x": HELLO}})["rev"]
    with pytest.raises(MissingStub):
        db.put({"_id": "a", "_rev": rev, "_attachments": {"x": stub}})
    assert db.get("a")["_rev"] == rev


def test_a_dangling_stub_is_a_412_that_names_it_and_stores_nothing(db):
    with pytest.raises(MissingStub, match="Invalid attachment stub in a for x") as caught:
        db.put({"_id": "a", "_attachments": {"y": HELLO, "x": {"stub": True}}})
    assert (caught.value.status, caught.value.error) == (412, "missing_stub")
    assert stored(db) == (0, 0)
    with pytest.raises(MissingStub):
        db.bulk_docs([{"_id": "a", "_rev": "2-b", "_attachments": {"x": {"stub": True}}}], new_edits=False)
    assert db.info()["update_seq"].startswith("0-")


def test_a_document_as_it_was_read_can_be_put_back(db):
    rev = db.put({"_id": "a", "_attachments": {"t.txt": HELLO, "p.png": HI}})["rev"]
    for options in ({}, {"attachments": True}, {"attachments": True, "binary": True}):
        doc = db.get("a", **options)
        rev = db.put({**doc, "n": len(options)})["rev"]
        assert names(db.get("a", rev=rev)) == ["t.txt", "p.png"]
        assert db.get_attachment("a", "t.txt").data == b"hello"


def test_replicated_stubs_find_the_nearest_stored_ancestor(db):
    one = {"_id": "a", "_rev": "1-a", "_attachments": {"x": {**HELLO, "revpos": 1}}}
    db.bulk_docs([one], new_edits=False)
    far = {"_revisions": {"start": 4, "ids": ["d", "c", "b", "a"]}, "_attachments": {"x": {"stub": True, "revpos": 1}}}
    db.bulk_docs([{"_id": "a", **far}], new_edits=False)
    beside = {"_revisions": {"start": 2, "ids": ["e", "a"]}, "_attachments": {"x": {"stub": True, "revpos": 1}}}
    db.bulk_docs([{"_id": "a", **beside}], new_edits=False)
    assert [row["ok"]["_attachments"]["x"]["data"] for row in db.get("a", open_revs="all", attachments=True)] == [
        "aGVsbG8=",
        "aGVsbG8=",
    ]


def test_a_stub_may_lean_on_a_revision_of_the_same_batch(db):
    docs = [
        {"_id": "a", "_rev": "1-a", "_attachments": {"x": {**HELLO, "revpos": 1}}},
        {
            "_id": "a",
            "_revisions": {"start": 2, "ids": ["b", "a"]},
            "_attachments": {"x": {"stub": True, "revpos": 1}, "y": {**HI, "revpos": 2}},
        },
    ]
    assert db.bulk_docs(docs, new_edits=False) == []
    assert db.get_attachment("a", "x").data == b"hello"
    assert db.get_attachment("a", "y", rev="2-b").data == b"hi"


def test_each_leaf_has_its_own_attachments(db):
    docs = [
        {"_id": "a", "_rev": f"1-{id}", "_attachments": {"x": {"data": id.encode(), "revpos": 1}}} for id in ("a", "b")
    ]
    db.bulk_docs(docs, new_edits=False)
    assert db.get_attachment("a", "x").data == b"b"
    assert db.get_attachment("a", "x", rev="1-a").data == b"a"
    found = db.bulk_get([{"id": "a", "rev": "1-a"}], attachments=True)["results"][0]["docs"][0]["ok"]
    assert found["_attachments"]["x"]["data"] == b64encode(b"a").decode()


def test_a_tombstone_may_carry_attachments(db):
    rev = db.put({"_id": "a", "_attachments": {"x": HELLO}})["rev"]
    gone = db.put({"_id": "a", "_rev": rev, "_deleted": True, "_attachments": {"x": {"stub": True}}})["rev"]
    assert db.get_attachment("a", "x", rev=gone).data == b"hello"
    with pytest.raises(NotFound, match="deleted"):
        db.get_attachment("a", "x")


def test_an_empty_name_is_taken_with_its_document_as_couchdb_does_but_not_by_itself(db):
    rev = db.put({"_id": "a", "_attachments": {"": HI}})["rev"]
    assert db.get_attachment("a", "").data == b"hi"
    with pytest.raises(BadRequest, match="must not be empty"):
        db.put_attachment("a", "", b"x", rev=rev)
    assert "_attachments" not in db.get("a", rev=db.remove_attachment("a", "", rev)["rev"])


# -- Content --------------------------------------------------------------------------------------


def test_equal_content_is_stored_once(db):
    db.bulk_docs({"_id": f"{n}", "_attachments": {"x": HI, f"y{n}": HI}} for n in range(5))
    assert stored(db) == (1, 1)
    rev = db.get("1")["_rev"]
    db.put_attachment("1", "z", b"hi", "other/type", rev=rev)
    assert stored(db) == (1, 1)
    db.put_attachment("2", "z", b"ho", rev=db.get("2")["_rev"])
    assert stored(db) == (2, 2)


@pytest.mark.parametrize(
    "size", [0, 1, ATTACHMENT_CHUNK_BYTES - 1, ATTACHMENT_CHUNK_BYTES, 3 * ATTACHMENT_CHUNK_BYTES + 1]
)
def test_content_of_any_size_comes_back(db, size):
    data = bytes(n % 251 for n in range(size))
    db.put_attachment("a", "x", data, "image/png")
    db.put_attachment("b", "x", data, "text/plain")
    for id in ("a", "b"):
        found = db.get_attachment(id, "x")
        assert (found.data, found.length) == (data, size)
    assert db.get_attachment("b", "x", encoded=True).data == gzip(data)


def test_the_md5_of_other_content_does_not_deceive(db):
    """Two contents with one digest and size stay two."""
    from couchette.store import content

    def forged(conn):
        digest = b"\0" * 16
        first = content.store(conn, b"one", digest)
        second = content.store(conn, b"two", digest)
        again = content.store(conn, b"one", digest)
        return first, second, again, content.read(conn, first), content.read(conn, second)

    first, second, again, one, two = db._pool.write(forged)
    assert first == again != second
    assert (one, two) == (b"one", b"two")


def test_a_refused_write_leaves_no_content_behind(db):
    with pytest.raises(BadRequest):
        db.bulk_docs([{"_id": "a", "_attachments": {"x": HI}}, {"_id": "b", "_foo": 1}])
    assert stored(db) == (0, 0)


@pytest.mark.parametrize("name", ["é", "\U0001f600.png", "a/b c", "%2F", "a\0b", "e\u0301", "\\", '"', "x" * 5000])
def test_names_in_any_script(db, name):
    rev = db.put_attachment("a", name, b"x")["rev"]
    assert names(db.get("a")) == [name]
    assert db.get_attachment("a", name).name == name
    db.remove_attachment("a", name, rev)
    assert "_attachments" not in db.get("a")


# -- One by one -----------------------------------------------------------------------------------


def test_putting_an_attachment_makes_the_document_or_extends_it(db):
    first = db.put_attachment("a", "x", b"1")
    assert first["rev"].startswith("1-")
    second = db.put_attachment("a", "y", b"2", rev=first["rev"])
    assert second["rev"].startswith("2-")
    assert names(db.get("a")) == ["y", "x"]
    assert [one["revpos"] for one in db.get("a")["_attachments"].values()] == [2, 1]


def test_a_replaced_attachment_comes_first_in_the_listing_and_last_in_the_hash(db):
    rev = db.put({"_id": "a", "v": 1, "_attachments": {"x": HI, "y": HI}})["rev"]
    replaced = db.put_attachment("a", "y", b"new", "image/png", rev=rev)["rev"]
    assert names(db.get("a")) == ["y", "x"]
    with Database() as other:
        other.put({"_id": "a", "v": 1, "_attachments": {"x": HI, "y": HI}})
        new = {"content_type": "image/png", "data": b"new"}
        inline = other.put({"_id": "a", "_rev": rev, "v": 1, "_attachments": {"y": new, "x": {"stub": True}}})
    assert inline["rev"] == replaced


def test_the_body_stays_when_an_attachment_is_put_or_removed(db):
    rev = db.put({"_id": "a", "v": 2**70})["rev"]
    rev = db.put_attachment("a", "x", b"1", rev=rev)["rev"]
    rev = db.remove_attachment("a", "x", rev)["rev"]
    assert db.get("a") == {"_id": "a", "_rev": rev, "v": 2**70}


def test_an_attachment_on_an_existing_document_wants_its_rev(db):
    rev = db.put({"_id": "a"})["rev"]
    with pytest.raises(Conflict) as caught:
        db.put_attachment("a", "x", b"")
    assert rev in caught.value.hint
    with pytest.raises(Conflict):
        db.put_attachment("a", "x", b"", rev="7-x")
    with pytest.raises(Conflict):
        db.put_attachment("new", "x", b"", rev="1-x")
    assert "new" not in db


def test_an_attachment_makes_a_deleted_document_anew(db):
    db.remove("a", db.put({"_id": "a", "v": 1})["rev"])
    assert db.put_attachment("a", "x", b"")["rev"].startswith("3-")
    assert "v" not in db.get("a")


def test_removing_wants_a_known_name_and_a_leaf(db):
    old = db.put_attachment("a", "x", b"1")["rev"]
    rev = db.put_attachment("a", "y", b"2", rev=old)["rev"]
    before = db.info()["update_seq"]
    with pytest.raises(NotFound, match="missing attachment"):
        db.remove_attachment("a", "z", rev)
    with pytest.raises(Conflict):
        db.remove_attachment("a", "x", old)
    with pytest.raises(Conflict):
        db.remove_attachment("a", "x")
    with pytest.raises(Conflict, match="missing_rev") as caught:
        db.remove_attachment("a", "x", "1-nope")
    assert (caught.value.status, caught.value.error) == (409, "not_found")
    with pytest.raises(NotFound, match="missing"):
        db.remove_attachment("b", "x")
    assert db.info()["update_seq"] == before
    assert names(db.get("a", rev=db.remove_attachment("a", "x", rev)["rev"])) == ["y"]


def test_getting_tells_what_is_missing(db):
    rev = db.put_attachment("a", "x", b"1")["rev"]
    for id, name, options, reason in [
        ("b", "x", {}, "missing"),
        ("a", "y", {}, "missing attachment"),
        ("a", "x", {"rev": "9-x"}, "missing"),
        ("b", "x", {"rev": rev}, "missing"),
    ]:
        with pytest.raises(NotFound, match=reason):
            db.get_attachment(id, name, **options)


def test_uploaded_gzip_is_kept_as_it_is(db):
    db.put_attachment("a", "t", gzip(b"hello"), "text/plain", encoding="gzip")
    found = db.get_attachment("a", "t")
    assert (found.data, found.length, found.encoded_length) == (b"hello", 25, 25)
    assert db.get_attachment("a", "t", encoded=True).data == gzip(b"hello")


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"data": "text"}, BadRequest),
        ({"data": None}, BadRequest),
        ({"data": b"", "content_type": 5}, BadRequest),
        ({"data": b"", "content_type": "a/\ud800"}, BadRequest),
        ({"data": b"", "name": "_x"}, BadRequest),
        ({"data": b"", "name": None}, BadRequest),
        ({"data": b"", "id": "_local/x"}, BadRequest),
        ({"data": b"", "id": ""}, BadRequest),
        ({"data": b"", "encoding": "deflate"}, BadContentType),
        ({"data": b"", "rev": "x"}, BadRequest),
    ],
)
def test_bad_uploads_are_refused_and_store_nothing(db, change, kind):
    with pytest.raises(kind):
        db.put_attachment(**{"id": "a", "name": "x", **change})
    assert db.info()["update_seq"].startswith("0-")
    assert stored(db) == (0, 0)


BOMB = gzip(bytes(3000))
"""Whoever uploads gzip may say that it is shorter than this."""


@pytest.fixture
def bombs(db, monkeypatch):
    """A database where 5000 bytes may be unpacked that no stub told of, and four times 3000 such bytes."""
    monkeypatch.setattr(content, "ATTACHMENT_UNPACKED_BYTES", 5000)
    db.put_attachment("a", "x", BOMB, encoding="gzip")
    db.put({"_id": "b", "_attachments": {name: {"data": BOMB, "encoding": "gzip", "length": 1} for name in "xy"}})
    db.put({"_id": "c", "_attachments": {"x": {"data": BOMB + b"\0", "encoding": "gzip", "length": 3000}}})
    return db


@pytest.mark.parametrize(
    "read",
    [
        lambda db: db.get("b", attachments=True),
        lambda db: db.get("b", attachments=True, open_revs="all"),
        lambda db: db.all_docs(keys=["a", "b"], include_docs=True, attachments=True),
        lambda db: db.changes(include_docs=True, attachments=True),
        lambda db: db.query(lambda doc: [(doc["_id"], None)], include_docs=True, attachments=True),
    ],
)
def test_uploaded_gzip_that_becomes_too_long_is_not_read_with_its_document(bombs, read):
    with pytest.raises(TooLarge, match="too large to be unpacked in memory") as caught:
        read(bombs)
    assert caught.value.status == 413
    assert "Read it by itself" in caught.value.hint


def test_of_many_documents_those_that_become_too_long_are_errors(bombs):
    results = bombs.bulk_get([{"id": "a"}, {"id": "b"}, {"id": "c"}], attachments=True)["results"]
    assert [result["docs"][0].get("error", {}).get("error") for result in results] == [None, "too_large", None]


def test_uploaded_gzip_that_becomes_too_long_is_read_by_itself_or_as_it_is_stored(bombs):
    bombs.put_attachment("d", "x", gzip(bytes(9000)), encoding="gzip")
    with pytest.raises(TooLarge, match="'x' is too large"):
        bombs.get_attachment("d", "x")
    assert bombs.open_attachment("d", "x").read() == bytes(9000)
    assert bombs.get_attachment("d", "x", encoded=True).data == gzip(bytes(9000))
    assert bombs.get("b", attachments=True, binary=True)["_attachments"]["y"]["data"] == BOMB


def test_what_a_stub_tells_is_unpacked_whatever_its_size(bombs):
    for _ in range(2):  # Each read has its own bound.
        assert bombs.get("a", attachments=True)["_attachments"]["x"]["data"] == b64encode(bytes(3000)).decode()
    assert bombs.all_docs(keys=["a", "c", "c"], include_docs=True, attachments=True)["rows"][2]["doc"]["_id"] == "c"
    data = b"x" * 9000
    bombs.put({"_id": "e", "_attachments": {name: {"content_type": "text/plain", "data": data} for name in "xyz"}})
    assert b64encode(data).decode() == bombs.get("e", attachments=True)["_attachments"]["z"]["data"]


@pytest.mark.parametrize("data", [bytearray(b"hi"), memoryview(b"hi")])
def test_any_bytes_will_do(db, data):
    db.put_attachment("a", "x", data)
    db.put({"_id": "b", "_attachments": {"x": {"data": data}}})
    assert db.get_attachment("a", "x").data == db.get_attachment("b", "x").data == b"hi"


# -- atts_since -----------------------------------------------------------------------------------


@pytest.fixture
def aged(db):
    """A document whose attachments came with revisions 1, 2 and 3."""
    revs = [db.put_attachment("a", "one", b"1")["rev"]]
    for name in ("two", "three"):
        revs.append(db.put_attachment("a", name, b"2", rev=revs[-1])["rev"])
    return db, revs


def full(doc):
    return {name for name, one in doc["_attachments"].items() if "data" in one}


def test_atts_since_brings_the_content_that_is_newer(aged):
    db, revs = aged
    for since, expected in [
        ([revs[0]], {"two", "three"}),
        ([revs[1]], {"three"}),
        ([revs[2]], set()),
        (revs[:2], {"three"}),
        (["1-unknown"], {"one", "two", "three"}),
        (["9-unknown", revs[1]], {"three"}),
        ([], {"one", "two", "three"}),
    ]:
        assert full(db.get("a", atts_since=since)) == expected
        assert full(db.get("a", rev=revs[2], atts_since=since)) == expected
        assert full(db.get("a", open_revs=[revs[2]], atts_since=since)[0]["ok"]) == expected
        entry = {"id": "a", "rev": revs[2], "atts_since": since}
        expected = expected if since else set()
        assert full(db.bulk_get([entry])["results"][0]["docs"][0]["ok"]) == expected


def test_atts_since_counts_ancestors_of_the_revision_only(aged):
    db, revs = aged
    beside = {
        "_id": "a",
        "_revisions": {"start": 2, "ids": ["f" * 32, revs[0][2:]]},
        "_attachments": {"own": {"data": b"x", "revpos": 2}, "one": {"stub": True, "revpos": 1}},
    }
    db.bulk_docs([beside], new_edits=False)
    found = db.get("a", rev="2-" + "f" * 32, atts_since=[revs[1]])
    assert full(found) == {"own", "one"}
    assert full(db.get("a", rev="2-" + "f" * 32, atts_since=[revs[1], revs[0]])) == {"own"}
