"""``verify``: silent about what the store writes, and it finds each way in which a file may be bent."""

from __future__ import annotations

import hashlib

import apsw
import pytest

from couchette import AsyncDatabase, Database

HEX = ["a" * 32, "b" * 32, "c" * 32]


@pytest.fixture
def path(tmp_path):
    """A database with each kind of row: linear and branched documents, tombstones, attachments, ``_local``."""
    path = tmp_path / "some.couchette"
    with Database(path) as db:
        first = db.put({"_id": "line", "n": 2**70})
        second = db.put({"_id": "line", "_rev": first["rev"], "n": 2})
        db.put({"_id": "line", "_rev": second["rev"], "n": 3})
        db.bulk_docs(
            [{"_id": "fork", "_revisions": {"start": 2, "ids": [tip, "root"]}} for tip in HEX], new_edits=False
        )
        db.remove("fork", f"2-{HEX[2]}")
        gone = db.put({"_id": "gone"})
        db.remove("gone", gone["rev"])
        db.put_attachment("att", "note", b"hello" * 100, "text/plain")
        db.put_attachment("big", "noise", bytes(range(256)) * 2000)
        db.put({"_id": "_local/mark", "at": 3})
        db.purge({"never": [db.put({"_id": "never"})["rev"]]})
        assert db.verify() == []
    return path


def problems_after(path, *statements):
    conn = apsw.Connection(str(path))
    for statement in statements:
        conn.execute(statement)
    conn.close()
    with Database(path) as db:
        return db.verify()


BENT = {
    "a sequence beyond the last": ("UPDATE meta SET update_seq=3", "The update sequence is 3, but a row has"),
    "a wrong count": ("UPDATE meta SET doc_count=9", "The count of documents is 9, but there are 4."),
    "a wrong count of deletions": (
        "UPDATE meta SET del_count=0",
        "The count of deleted documents is 0, but there are 1.",
    ),
    "a revs_limit of nothing": ("UPDATE meta SET revs_limit=0", "revs_limit is 0; it must be a positive integer."),
    "no uuid": ("UPDATE meta SET uuid=''", "The uuid is ''; sequences end with it"),
    "a uuid that ends a sequence": ("UPDATE meta SET uuid='a-b'", "The uuid is 'a-b'"),
    "_security that is no JSON": ("UPDATE meta SET security='{'", "The _security object cannot be read: "),
    "_security of other bytes": ("UPDATE meta SET security=x'ff'", "The _security object cannot be read: "),
    "_security that is a list": ("UPDATE meta SET security='[]'", "_security is []; it must be an object."),
    "an id that is no text": (
        "UPDATE docs SET id=CAST(x'ff' AS TEXT) WHERE id='gone'",
        "There is text that is not UTF-8: ",
    ),
    "a wrong count of conflicts": (
        "UPDATE meta SET conflict_count=0",
        "The count of conflicted documents is 0, but there are 1.",
    ),
    "a purge beyond the last": ("UPDATE meta SET purge_seq=0", "The purge sequence is 0, but the log of purges has 1."),
    "a purge of nothing known": ("UPDATE purges SET revs='['", "The list of revisions of purge 1 cannot be read."),
    "a purge of odd revisions": ("UPDATE purges SET revs='[3]'", "The list of revisions of purge 1 cannot be read."),
    "no meta": ("DELETE FROM meta", "The table meta must have one row; it has 0."),
    "no winner": ("UPDATE docs SET cur=0 WHERE id='line'", "No row speaks for the document: none has cur=1."),
    "two winners": (
        "DROP INDEX docs_id; UPDATE docs SET cur=1 WHERE id='line'",
        "3 rows speak for the document: only one may have cur=1.",
    ),
    "an id that none can have": ("UPDATE docs SET id='_x' WHERE id='att'", "The id '_x' is not one that a document"),
    "an odd cur": (
        "UPDATE docs SET cur=2 WHERE id='line' AND cur=0",
        "cur is 2 and deleted is 0; each must be 0 or 1.",
    ),
    "a winner below": ("UPDATE docs SET seq=-99 WHERE id='att'", "The winner's sequence is -99; it must be positive."),
    "a body that is no JSON": ("UPDATE docs SET body=x'7b' WHERE id='att'", "The body cannot be read: "),
    "a body that is no text": ("UPDATE docs SET body=7 WHERE id='att'", "The body cannot be read: "),
    "a body that is no object": ("UPDATE docs SET body=x'5b5d' WHERE id='att'", "The body is not an object."),
    "a revision without a number": (
        "UPDATE docs SET rev='abc' WHERE id='att'",
        "The revision 'abc' is not of the form N-id.",
    ),
    "a tree below": ("UPDATE docs SET tree='{}' WHERE cur=0", "There is a tree in a row that does not speak for"),
    "half an ancestor": (
        "UPDATE docs SET tree=x'00' WHERE id='att'",
        "The packed history must be one or more ids of 16",
    ),
    "a number as history": (
        "UPDATE docs SET tree=5 WHERE id='att'",
        "The packed history must be one or more ids of 16",
    ),
    "too many ancestors": (
        "UPDATE docs SET tree=zeroblob(32) WHERE id='att'",
        "The packed history has 2 ancestors, more than revision 1 can have.",
    ),
    "another document's body": (
        "UPDATE docs SET prev=(SELECT seq FROM docs WHERE id='fork' AND cur=0) WHERE id='line' AND cur=1",
        "of 'fork'.",
    ),
    "a circle": ("UPDATE docs SET prev=seq WHERE id='line' AND cur=1", "which should hold what 3-"),
    "another history": (
        "UPDATE docs SET tree=zeroblob(32) WHERE id='line' AND cur=1",
        "is not in the history, which has 2-00000000000000000000000000000000 there.",
    ),
    "a tree that is no JSON": (
        "UPDATE docs SET tree='{' WHERE id='fork' AND cur=1",
        "The revision tree cannot be read: ",
    ),
    "a tree with a number for a revision": (
        """UPDATE docs SET tree=replace(tree, '"1-root"', '1') WHERE id='fork' AND cur=1""",
        "The revision tree is not written as the store writes trees.",
    ),
    "an empty tree": (
        """UPDATE docs SET tree='{"revs":[],"parents":[],"seqs":[],"deleted":[]}' WHERE id='fork' AND cur=1""",
        "The revision tree is not written as the store writes trees.",
    ),
    "a tree with spaces": (
        "UPDATE docs SET tree=' ' || tree WHERE id='fork' AND cur=1",
        "The revision tree is not written as the store writes trees.",
    ),
    "a leaf without a body": (
        "UPDATE docs SET tree=json_replace(tree, '$.seqs[1]', null) WHERE id='fork' AND cur=1",
        "has no body.",
    ),
    "a body that is gone": ("DELETE FROM docs WHERE id='fork' AND cur=0", "which is not there."),
    "another winner": (
        "UPDATE docs SET tree=json_replace(tree, '$.deleted', json('[0,1,2]')) WHERE id='fork' AND cur=1",
        "do not agree on whether",
    ),
    "a body of another revision": (
        "UPDATE docs SET rev='9-other' WHERE id='fork' AND cur=0",
        "which holds 9-other of 'fork'.",
    ),
    "a leap between parent and child": (
        """UPDATE docs SET tree=replace(tree, '"1-root"', '"0-root"') WHERE id='fork' AND cur=1""",
        "0-root cannot be the parent of 2-",
    ),
    "attachments that are no JSON": (
        "UPDATE docs SET atts='[' WHERE id='att'",
        "The list of attachments cannot be read: ",
    ),
    "attachments with a key that is none": (
        "UPDATE docs SET atts=json_replace(atts, '$[0][0]', 'x') WHERE id='att'",
        "The list of attachments cannot be read: the key of a content must be an integer.",
    ),
    "an attachment twice": (
        "UPDATE docs SET atts=json_insert(atts, '$[#]', json_extract(atts, '$[0]')) WHERE id='att'",
        "Two attachments have the same name.",
    ),
    "no content": ("DELETE FROM att WHERE att=1", "The content of the attachment 'note' is not there."),
    "another digest": ("UPDATE att SET digest=x'00' WHERE att=1", "The attachment 'note' has the digest md5-"),
    "another size": (
        "UPDATE att SET size=7 WHERE att=2",
        "The attachment 'noise' has 512000 stored bytes, its content 7.",
    ),
    "a lost chunk": ("DELETE FROM att_chunk WHERE att=2 AND n=0", "The attachment content 2 should have 512000 bytes"),
    "a bent chunk": (
        "UPDATE att_chunk SET data=zeroblob(length(data)) WHERE att=2 AND n=1",
        "its chunks join to 512000 with md5-",
    ),
    "half an attachment": (
        "INSERT INTO att_chunk VALUES(77, 0, x'00')",
        "There are chunks of the attachment content 77",
    ),
    "chunks that do not begin where they should": (
        "UPDATE att_chunk SET n=n+5",
        "Chunk 5 of the attachment content 1 begins at byte 0.",
    ),
    "an upload of nothing": (
        "INSERT INTO upload VALUES(7,99,0)",
        "There is an upload of the attachment content 99, which is not listed.",
    ),
    "a _local document elsewhere": (
        "UPDATE local SET id='mark'",
        "The id of a _local document must begin with _local/.",
    ),
    "a _local document that is no JSON": ("UPDATE local SET body=x''", "The body cannot be read: "),
}


@pytest.mark.parametrize(("statements", "sentence"), BENT.values(), ids=BENT)
def test_what_is_bent_is_found(path, statements, sentence):
    found = problems_after(path, *statements.split("; "))
    assert any(sentence in problem["problem"] for problem in found), found


def test_a_problem_of_a_document_names_it(path):
    (found,) = problems_after(path, "UPDATE docs SET body=x'5b5d' WHERE id='att'")
    assert (found["id"], found["rev"][:2]) == ("att", "1-")


def test_a_damaged_page_is_reported_and_the_rest_is_looked_at(path):
    conn = apsw.Connection(str(path))
    root = conn.execute("SELECT rootpage FROM sqlite_schema WHERE name='local'").get
    conn.execute("UPDATE meta SET doc_count=9")
    size = conn.pragma("page_size")
    conn.pragma("wal_checkpoint(truncate)")
    conn.close()
    with open(path, "r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    with Database(path) as db:
        found = [problem["problem"] for problem in db.verify()]
    assert found[0].startswith("SQLite's integrity_check says: ")
    assert "The count of documents is 9, but there are 4." in found
    assert any(problem.startswith("SQLite cannot read on: ") for problem in found)


def test_it_changes_nothing(path):
    def digest():
        return hashlib.sha256(path.read_bytes()).hexdigest()

    before = digest()
    with Database(path) as db:
        assert db.verify() == []
    assert digest() == before


def test_stemming_and_bodies_that_no_tree_names_are_sound(path):
    with Database(path, revs_limit=2) as db:
        for n in range(5):
            db["line"] = {"n": n}
            db["fork"] = {"n": n}
        assert db.verify() == []
    with Database(path, revs_limit=1) as db:
        assert db.verify() == []


@pytest.mark.anyio
async def test_the_asynchronous_facade_verifies_too(path):
    async with AsyncDatabase(path) as db:
        assert await db.verify() == []
