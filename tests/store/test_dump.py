"""``dump`` and ``load``: what comes back is the same database, whatever it held; and a bent dump is refused."""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import couchette
from couchette import AsyncDatabase, Database
from couchette.errors import BadRequest, Conflict, DatabaseExists, MissingStub, NotFound, StoreError

IDS = ["a", "ü/\0 b", "_design/é"]
HEX = [digit * 32 for digit in "abc"]
bodies = st.sampled_from([{}, {"n": 2**70, "x": 1.0, "é": "\0"}, {"list": [None, -0.0, 1e300]}])
atts = st.none() | st.dictionaries(
    st.sampled_from(["note.txt", "ß.bin"]), st.sampled_from([b"", b"one", bytes(300_000)]), min_size=1
)
edits = st.tuples(st.just("edit"), st.sampled_from(IDS), bodies, st.booleans(), atts)
pushes = st.tuples(
    st.just("push"),
    st.sampled_from(IDS),
    bodies,
    st.booleans(),
    st.integers(1, 4),
    st.lists(st.sampled_from([*HEX, "odd", "other"]), min_size=1, max_size=4, unique=True),
)
marks = st.tuples(st.just("local"), st.sampled_from(["_local/x", "_local/é"]), bodies)
tidying = st.tuples(st.sampled_from(["compact", "purge"]), st.sampled_from(IDS), st.just({}))
work = st.lists(edits | edits | pushes | marks | tidying, max_size=12)


def do(db, step):
    kind, id, body, *more = step
    doc = {**body, "_id": id}
    if kind == "compact":
        db.compact()
        return
    if kind == "purge":
        known = db.get(id, open_revs="all") if db.changes(doc_ids=[id])["results"] else []
        db.purge({id: [row["ok"]["_rev"] for row in known[:1]]})
        return
    if kind == "edit":
        deleted, attachments = more
        known = db.get(id, open_revs="all") if db.changes(doc_ids=[id])["results"] else []
        if known:
            doc["_rev"] = known[-1]["ok"]["_rev"]
        if deleted:
            doc["_deleted"] = True
        if attachments:
            doc["_attachments"] = {
                name: {"data": data, "content_type": "text/plain" if name.endswith("txt") else "image/png"}
                for name, data in attachments.items()
            }
    elif kind == "push":
        deleted, above, ids = more
        doc |= {"_revisions": {"start": len(ids) + above, "ids": ids}, "_deleted": deleted}
    try:
        db.put(doc, new_edits=kind != "push")
    except (Conflict, BadRequest, MissingStub):
        assert kind == "edit"


def dumped(db):
    file = io.BytesIO()
    db.dump(file)
    return file.getvalue()


def answers(db):
    """All that can be asked, sizes and the file's name apart."""
    info = {name: value for name, value in db.info().items() if name not in ("sizes", "db_name")}
    changes = db.changes(style="all_docs", include_docs=True, conflicts=True, attachments=True)
    docs = {}
    for change in changes["results"]:
        id = change["id"]
        shown = {"rev": change["changes"][0]["rev"]} if change.get("deleted") else {"meta": True}
        docs[id] = [db.get(id, open_revs="all", revs=True, attachments=True, binary=True)]
        docs[id].append(db.get(id, latest=True, local_seq=True, **shown))
        for row in docs[id][0]:
            start, ids = row["ok"]["_revisions"].values()
            for rev in (f"{start - depth}-{one}" for depth, one in enumerate(ids)):
                docs[id].append(db.get(id, open_revs=[rev], revs=True, attachments=True))
    local = []
    for id in ("_local/x", "_local/é"):
        try:
            local.append(db.get(id))
        except NotFound:
            local.append(None)
    settings = [db.get_revs_limit(), db.get_purged_infos_limit(), db.get_security()]
    return [info, changes, docs, local, settings, db.purged_infos(), db.all_docs(include_docs=True, update_seq=True)]


CAT = ("edit", "a", {}, False, None)
SIDE = ("push", "a", {}, False, 1, HEX[:2])


@example(work=[CAT, CAT, CAT], revs_limit=1000, later=CAT)
@example(work=[CAT, CAT, CAT, CAT], revs_limit=3, later=CAT)
@example(work=[CAT, CAT, SIDE, ("purge", "a", {})], revs_limit=1000, later=CAT)
@example(work=[CAT, CAT, SIDE, CAT, ("compact", "a", {})], revs_limit=1000, later=SIDE)
@given(work=work, revs_limit=st.sampled_from([1000, 3, 1]), later=edits)
def test_a_restored_database_answers_as_the_original(work, revs_limit, later):
    with tempfile.TemporaryDirectory() as folder, Database(":memory:", revs_limit=revs_limit) as db:
        for step in work:
            do(db, step)
        dump = dumped(db)
        couchette.load(dump.splitlines(keepends=True), Path(folder, "new"))
        with Database(Path(folder, "new")) as restored:
            assert restored.verify() == []
            assert answers(restored) == answers(db)
            assert dumped(restored) == dump
            for one in (db, restored):
                do(one, later)
            assert answers(restored) == answers(db)
            assert restored.verify() == []


@pytest.fixture
def dump():
    """The lines of a dump with each kind of line."""
    with Database(":memory:") as db:
        rev = db.put({"_id": "a", "n": 1})["rev"]
        db.put({"_id": "a", "_rev": rev, "n": 2})
        db.put_attachment("b", "note", b"hello")
        db.put({"_id": "c", "_revisions": {"start": 2, "ids": ["y", "x"]}}, new_edits=False)
        db.put({"_id": "_local/l"})
        return dumped(db).splitlines(keepends=True)


def sealed(lines):
    """The lines with a trailer that fits them, as who bends a dump with care would make it."""
    trailer = json.loads(lines[-1])
    trailer |= {"end": len(lines) - 1, "sha256": hashlib.sha256(b"".join(lines[:-1])).hexdigest()}
    return [*lines[:-1], json.dumps(trailer).encode()]


def test_how_much_of_the_log_of_purges_is_kept_comes_along(tmp_path):
    with Database(":memory:") as db:
        assert b"purged_infos_limit" not in dumped(db)
        db.set_purged_infos_limit(5)
        dump = dumped(db)
    couchette.load(io.BytesIO(dump), tmp_path / "new")
    with Database(tmp_path / "new") as restored:
        assert restored.get_purged_infos_limit() == 5
    bent = [line.replace(b'"purged_infos_limit":5', b'"purged_infos_limit":"5"') for line in dump.splitlines(True)]
    with pytest.raises(StoreError, match="cannot be read"):
        couchette.load(bent, tmp_path / "bent")


def test_replication_goes_on_where_it_was(tmp_path):
    with Database(tmp_path / "old") as old, Database(tmp_path / "peer") as peer:
        old.bulk_docs([{"_id": str(n)} for n in range(20)])
        old.sync(peer)
        dump = dumped(old)
        couchette.load(io.BytesIO(dump), tmp_path / "new")
        peer["later"] = {}
        with Database(tmp_path / "new", name="old") as new:
            new["mine"] = {}
            result = new.sync(peer)
            assert (result.push.missing_checked, result.pull.missing_checked) == (1, 2)
            assert "mine" in peer
            assert "later" in new


def test_a_dump_is_one_snapshot_and_tells_how_far_it_is(tmp_path):
    told = []
    with Database(tmp_path / "db") as db:
        db.bulk_docs([{"_id": str(n)} for n in range(3)])

        def progress(done, total):
            told.append((done, total))
            db[f"later{done}"] = {}

        file = io.BytesIO()
        counts = db.dump(file, progress=progress)
        assert len(db) == 6
    assert told == [(1, 3), (2, 3), (3, 3)]
    assert counts == {"documents": 3, "revisions": 3, "attachments": 0, "local": 0}
    restored = []
    assert couchette.load(io.BytesIO(file.getvalue()), tmp_path / "new", progress=restored.append) == counts
    assert restored[-1] == 3


def test_a_thousand_branches_of_a_long_history_take_the_room_of_their_tree():
    history = [f"{n:032x}" for n in range(500)]
    with Database(":memory:") as db:
        docs = [{"_id": "x", "_revisions": {"start": 501, "ids": [f"{n:032x}", *history]}} for n in range(1000, 1300)]
        db.bulk_docs(docs, new_edits=False)
        assert len(dumped(db)) < 80_000


@pytest.mark.parametrize("kept", range(9))
def test_a_dump_that_is_cut_is_noticed_and_nothing_is_left(dump, tmp_path, kept):
    assert kept < len(dump) - 1
    with pytest.raises(StoreError, match="The dump is cut off"):
        couchette.load(dump[:kept], tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_line_that_is_cut_is_named(dump, tmp_path):
    with pytest.raises(StoreError, match="The dump cannot be read. Line 4 is damaged"):
        couchette.load([*dump[:3], dump[3][:-5]], tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


BENT = {
    "a changed body": ('"n":2', '"n":3', "The dump cannot be read. Line "),
    "a lost line": ('{"local"', None, "The dump cannot be read. Line "),
    "another format": ('"couchette_dump":1', '"couchette_dump":2', "Its format is version 2; this couchette reads 1."),
    "no dump": ('{"couchette_dump":1', '{"dump":1', "Line 1 is damaged, or the file is no dump"),
    "an empty object": ('{"local"', "{}", "Line "),
    "a number": ('{"local":"_local/l","rev":"0-1","body":{}}', "7", "Line "),
    "a sequence beyond SQLite": ('"update_seq":4', '"update_seq":99999999999999999999', "Line 1 is damaged"),
    "a key beyond SQLite": ('{"content":1,', '{"content":99999999999999999999,', "Line 2 is damaged"),
    "a key that is a list": ('{"content":1,', '{"content":[],', "Line 2 is damaged"),
    "a key that is a text": ('{"content":1,', '{"content":"x",', "Line 2 is damaged"),
    "a header without its uuid": ('"uuid":"', '"uuid":7,"was":"', "Line 1 is damaged"),
}


@pytest.mark.parametrize(("text", "other", "sentence"), BENT.values(), ids=BENT)
def test_a_bent_dump_is_refused(dump, tmp_path, text, other, sentence):
    assert any(text.encode() in line for line in dump)
    if other is None:
        bent = [line for line in dump if text.encode() not in line]
    else:
        bent = [line.replace(text.encode(), other.encode()) for line in dump]
    with pytest.raises(StoreError) as caught:
        couchette.load(bent, tmp_path / "new")
    assert sentence in str(caught.value)
    assert list(tmp_path.iterdir()) == []


FORGED = {
    "another content": ('{"data":"', '{"data":"AAAA', "does not describe a sound database"),
    "a sequence beyond the last": ('"update_seq":4', '"update_seq":3', "does not describe a sound database"),
    "no such content": ('"content":1,"', '"content":9,"', "does not describe a sound database"),
    "a history of another revision": ('"ids":["', '"ids":["00000000000000000000000000000000","', "of another revision"),
    "a leaf without a body": ('"2-y"', '"1-x"', "does not describe a sound database"),
    "no body": ('"rev":"2-y","seq":4', '"rev":"2-y","seq":9', "has no body for its sequence"),
    "an id that none can have": ('"id":"b"', '"id":"_b"', "is not one that a document can have"),
    "a deletion of another kind": ('"rev":"2-y"', '"rev":"2-y","deleted":"so"', "does not describe a sound database"),
    "a document twice": ('{"id":"b","seq":3', '{"id":"a","seq":3', "UNIQUE constraint failed"),
    "a body that is no object": ('"body":{"n":2}', '"body":[]', "does not describe a sound database"),
}


@pytest.mark.parametrize(("text", "other", "sentence"), FORGED.values(), ids=FORGED)
def test_a_dump_that_is_bent_with_care_gives_no_database_either(dump, tmp_path, text, other, sentence):
    assert any(text.encode() in line for line in dump)
    couchette.load(sealed(dump), tmp_path / "as it was")
    bent = [line.replace(text.encode(), other.encode(), 1) for line in dump]
    with pytest.raises(StoreError) as caught:
        couchette.load(sealed(bent), tmp_path / "new")
    assert sentence in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["as it was"]


def test_more_after_the_trailer_is_refused(dump, tmp_path):
    with pytest.raises(StoreError, match="there is more after the trailer"):
        couchette.load([*dump, dump[-2]], tmp_path / "new")


def test_a_file_that_is_there_is_not_touched(dump, tmp_path):
    path = tmp_path / "there"
    path.write_text("mine")
    with pytest.raises(DatabaseExists):
        couchette.load(dump, path)

    def meanwhile(documents):
        (tmp_path / "new").write_text("mine")

    with pytest.raises(DatabaseExists, match="was made meanwhile"):
        couchette.load(dump, tmp_path / "new", progress=meanwhile)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"there": "mine", "new": "mine"}


def test_a_folder_that_is_missing_is_named(dump, tmp_path):
    with pytest.raises(StoreError, match=r"The folder .* does not exist"):
        couchette.load(dump, tmp_path / "none" / "new")


def test_an_error_of_who_reads_the_lines_leaves_nothing(dump, tmp_path):
    def lines():
        yield dump[0]
        raise ConnectionResetError("the other side is gone")

    with pytest.raises(StoreError, match="the other side is gone"):
        couchette.load(lines(), tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.anyio
async def test_the_asynchronous_facade_dumps_too(tmp_path):
    file = io.BytesIO()
    async with AsyncDatabase(":memory:") as db:
        await db.put({"_id": "a"})
        assert (await db.dump(file))["documents"] == 1
        assert file.getvalue() == dumped(db.database)
