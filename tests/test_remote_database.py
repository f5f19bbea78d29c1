"""A database on a server, as a synchronous program uses it: it behaves as a Database does."""

from __future__ import annotations

import inspect
import io
import threading
from base64 import b64encode
from collections.abc import MutableMapping
from hashlib import md5
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import couchette
from couchette import AsyncDatabase, AsyncRemoteDatabase, Database, Environment, RemoteDatabase, errors, limits, merging
from couchette.async_remote_database import LEFT_OUT
from couchette.server import background, create_app

ADDED = {"create", "request", "url"}
"""What only a database on a server has."""

PARAMETERS_LEFT_OUT = {
    "changes": {"cursor"},
    "compact": {"progress"},
    "create_index": {"build"},
    "purged_infos": {"since"},
    "query": {"progress"},
    "search": {"progress"},
    "spatial": {"progress"},
}
PARAMETERS_ADDED = {"changes": {"view", "query_params"}}


@pytest.fixture(scope="module")
def environment():
    with Environment(":memory:") as environment:
        yield environment


@pytest.fixture(scope="module")
def url(environment):
    with background(environment) as url:
        yield url


@pytest.fixture
def served(environment):
    """The served database, seen from inside."""
    database = environment.create("db")
    yield database
    environment.destroy("db")


@pytest.fixture
def db(served, url):
    with RemoteDatabase(f"{url}/db") as db:
        yield db


# -- The same methods ---------------------------------------------------------------------------------


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_what_a_database_has_and_a_remote_one_has_not_is_in_the_table():
    of_a_database = public(Database())
    assert of_a_database - public(RemoteDatabase) == set(LEFT_OUT)
    assert public(RemoteDatabase) - of_a_database == ADDED


def test_the_asynchronous_one_has_the_methods_of_the_synchronous_one_but_for_those_of_a_mapping():
    assert public(RemoteDatabase) - public(AsyncRemoteDatabase) == public(MutableMapping) - {"get"}
    assert public(AsyncRemoteDatabase) <= public(RemoteDatabase)


@pytest.mark.parametrize(("local", "remote"), [(Database, RemoteDatabase), (AsyncDatabase, AsyncRemoteDatabase)])
def test_methods_have_the_parameters_of_a_database_s(local, remote):
    for name in sorted(public(Database) & public(RemoteDatabase) - public(MutableMapping) | {"get"}):
        if not callable(method := getattr(local, name, None)):
            continue
        theirs = inspect.signature(method).parameters
        ours = inspect.signature(getattr(remote, name)).parameters
        assert set(theirs) - set(ours) == PARAMETERS_LEFT_OUT.get(name, set()), name
        assert set(ours) - set(theirs) == PARAMETERS_ADDED.get(name, set()), name
        shared = [parameter for parameter in ours.values() if parameter.name in theirs]
        assert [(one.name, one.kind) for one in shared] == [
            (one.name, one.kind) for one in theirs.values() if one.name in ours
        ]


def test_the_guide_has_the_table():
    page = (Path(__file__).parents[1] / "docs/guide/remote.md").read_text()
    rows = [f"| `{name}` | {hint} |" for name, hint in LEFT_OUT.items()]
    assert "\n".join(["|---|---|", *rows, ""]) in page


@pytest.mark.parametrize("name", sorted(LEFT_OUT))
def test_what_is_left_out_says_what_to_do_instead(name):
    db = RemoteDatabase("http://host/db")
    assert not hasattr(db, name)
    with pytest.raises(errors.NotOnServer) as caught:
        getattr(db, name)
    assert caught.value.hint == LEFT_OUT[name]
    with pytest.raises(AttributeError, match="'RemoteDatabase' object has no attribute 'nonsense'"):
        _ = db.nonsense


# -- The same results ---------------------------------------------------------------------------------

REVS = st.sampled_from(["none", "current", "stale", "1-00000000000000000000000000000000", "x"])
IDS = st.sampled_from(["a", "b", "ü/+ ?&", "_design/d", "", "_bad", "_local/l"])
BODIES = st.sampled_from([{}, {"n": 1}, {"n": 2, "text": "é"}, {"_deleted": True}, {"_unknown": 1}])
KEYS = st.sampled_from(["a", "b", "ü", None, 1])
PUTS = st.tuples(st.just("put"), IDS, BODIES, REVS)
GETS = st.tuples(
    st.just("get"),
    IDS,
    st.fixed_dictionaries(
        {},
        optional={
            "rev": st.sampled_from(["current", "stale", "1-00000000000000000000000000000000"]),
            "revs": st.booleans(),
            "revs_info": st.booleans(),
            "open_revs": st.sampled_from(["all", ["1-00000000000000000000000000000000"], []]),
            "latest": st.booleans(),
            "meta": st.booleans(),
            "conflicts": st.booleans(),
            "attachments": st.booleans(),
            "atts_since": st.sampled_from([[], ["1-00000000000000000000000000000000"]]),
            "att_encoding_info": st.booleans(),
            "binary": st.booleans(),
        },
    ),
)
LISTINGS = st.tuples(
    st.just("all_docs"),
    st.fixed_dictionaries(
        {"exact_offset": st.just(True)},
        optional={
            "key": KEYS,
            "keys": st.lists(KEYS, max_size=3),
            "start_key": KEYS,
            "end_key": KEYS,
            "inclusive_end": st.booleans(),
            "descending": st.booleans(),
            "skip": st.integers(-1, 2),
            "limit": st.none() | st.integers(0, 2),
            "include_docs": st.booleans(),
            "conflicts": st.booleans(),
        },
    ),
)
CHANGES = st.tuples(
    st.just("changes"),
    st.fixed_dictionaries(
        {},
        optional={
            "limit": st.integers(1, 3),
            "style": st.sampled_from(["main_only", "all_docs"]),
            "descending": st.booleans(),
            "include_docs": st.booleans(),
            "doc_ids": st.lists(st.sampled_from(["a", "b", "c"]), max_size=2),
            "selector": st.just({"n": {"$gt": 1}}),
            "filter": st.just(lambda doc: "n" in doc),
        },
    ),
)
EDITS = st.one_of(
    st.tuples(st.just("remove"), IDS, REVS, st.booleans()),
    st.tuples(st.just("graft"), st.sampled_from(["a", "b"]), st.integers(1, 3), st.sampled_from("abc"), st.booleans()),
    st.tuples(st.just("put_attachment"), IDS, st.sampled_from(["t.txt", "a/b.bin", "_x"]), REVS),
    st.tuples(st.just("remove_attachment"), IDS, st.sampled_from(["t.txt", "a/b.bin"]), REVS),
    st.tuples(st.just("copy"), IDS, IDS, st.sampled_from(["none", "current", "stale"])),
    st.tuples(st.just("bulk_docs"), st.lists(st.tuples(IDS, BODIES), max_size=3)),
    st.tuples(st.just("resolve"), IDS),
)
READS = st.one_of(
    st.tuples(st.just("get_attachment"), IDS, st.sampled_from(["t.txt", "a/b.bin"]), st.booleans()),
    st.tuples(st.sampled_from(["history", "conflicts", "local_docs", "revs_diff", "bulk_get", "find"]), IDS),
)


class Pair:
    """A database here and one on a server, to which the same is done."""

    def __init__(self, near, far):
        self.both = near, far

    def do(self, step):
        near, far = [outcome(lambda db=db: perform(db, step)) for db in self.both]
        if str(step).count("'_bad'") + str(step).count("''") + str(step).count("'x'") + str(step).count("_unknown") > 1:
            # Which of several faults is named is not the same everywhere.
            assert isinstance(near, tuple) == isinstance(far, tuple), step
        else:
            assert near == far, step


def outcome(call):
    try:
        return comparable(call())
    except errors.CouchetteError as exc:
        # What a server calls its own fault is a RemoteError to who asked it.
        return type(exc) if exc.status < 500 else None, exc.status, exc.error, exc.reason


def comparable(result):
    """A result without what tells one database from another: the uuid in its sequences."""
    if isinstance(result, list):
        return [comparable(one) for one in result]
    if not isinstance(result, dict):
        return result
    seqs = ("seq", "last_seq", "bookmark")
    return {
        name: value.partition("-")[0] if name in seqs and isinstance(value, str) else comparable(value)
        for name, value in result.items()
    }


def rev_of(db, id, which):
    if which == "none":
        return None
    if which not in ("current", "stale"):
        return which
    try:
        known = [one["rev"] for one in db.history(id)]
    except errors.CouchetteError:
        return None
    return known[0] if which == "current" else known[-1]


def perform(db, step):
    what, *rest = step
    match what:
        case "put":
            id, body, rev = rest
            return db.put({**body, "_id": id}, rev=rev_of(db, id, rev))
        case "get":
            id, options = rest
            rev = {"rev": rev_of(db, id, options["rev"])} if "rev" in options else {}
            return db.get(id, **{**options, **rev})
        case "all_docs":
            return db.all_docs(**rest[0])
        case "changes":
            page = db.changes(**rest[0])
            if "filter" in rest[0] and rest[0].get("descending"):
                del page["pending"]  # What lies ahead of a listing that goes backwards means nothing to anybody.
            return page
        case "remove":
            id, rev, all_leaves = rest
            # A database does not look at the rev of a _local document, and a server does.
            rev = None if id.startswith("_local/") else rev_of(db, id, rev)
            return db.remove(id, rev, all_leaves=all_leaves)
        case "graft":
            id, start, letter, deleted = rest
            path = [letter * 32, *("0" * 31 + str(depth) for depth in range(start - 1, 0, -1))]
            doc = {"_id": id, "_revisions": {"start": start, "ids": path}, "n": letter}
            return db.bulk_docs([{**doc, "_rev": f"{start}-{path[0]}", "_deleted": deleted}], new_edits=False)
        case "put_attachment":
            id, name, rev = rest
            kind = "text/plain" if name == "t.txt" else "application/x"
            return db.put_attachment(id, name, name.encode() * 50, kind, rev=rev_of(db, id, rev))
        case "remove_attachment":
            id, name, rev = rest
            return db.remove_attachment(id, name, rev_of(db, id, rev))
        case "get_attachment":
            id, name, encoded = rest
            return db.get_attachment(id, name, encoded=encoded)
        case "copy":
            id, new_id, rev = rest
            return db.copy(id, new_id, target_rev=rev_of(db, new_id, rev))
        case "bulk_docs":
            return db.bulk_docs([{**body, "_id": id} for id, body in rest[0]])
        case "resolve":
            return db.resolve(rest[0], merge=lambda leaves, ancestor: {"merged": [leaf.get("n") for leaf in leaves]})
        case "history":
            return db.history(rest[0])
        case "revs_diff":
            return db.revs_diff({rest[0]: ["1-" + "a" * 32, "2-" + "b" * 32]})
        case "bulk_get":
            return db.bulk_get([{"id": rest[0]}, {"id": "a", "rev": "1-" + "a" * 32}], revs=True)
        case "find":
            return db.find({"n": {"$gt": 0}}, fields=["_id", "n"])
        case _:
            return getattr(db, what)()


@pytest.fixture(scope="module")
def fresh_pair():
    """Makes an empty pair, whose server is a function call away."""
    with Environment(":memory:") as environment:
        transport = httpx.ASGITransport(create_app(environment))

        def make(number):
            environment.create(f"db{number}")
            return Pair(Database(), RemoteDatabase(f"http://server/db{number}", transport=transport))

        yield make


@pytest.mark.slow
@given(steps=st.lists(st.one_of(PUTS, PUTS, GETS, LISTINGS, CHANGES, EDITS, EDITS, READS), max_size=12))
def test_any_calls_have_the_results_and_errors_that_they_have_on_a_database(fresh_pair, counter, steps):
    pair = fresh_pair(next(counter))
    for step in steps:
        pair.do(step)
    for db in pair.both:
        db.close()


@pytest.fixture(scope="module")
def counter():
    return iter(range(1_000_000))


# -- Documents ----------------------------------------------------------------------------------------


def test_it_is_a_mapping_of_ids_to_documents(db):
    doc = {"kind": "cat"}
    db["mittens"] = doc
    assert db["mittens"] == {"kind": "cat", "_id": "mittens", "_rev": doc["_rev"]}
    db["mittens"] = {"kind": "dog"}  # On top of the current revision.
    assert db["mittens"]["kind"] == "dog"
    assert "mittens" in db
    assert list(db) == ["mittens"]
    assert len(db) == 1
    del db["mittens"]
    assert "mittens" not in db
    with pytest.raises(KeyError):
        db["mittens"]
    with pytest.raises(errors.BadRequest):
        db["mittens"] = "no document"


def test_its_ids_are_read_in_pages(db, served, monkeypatch):
    monkeypatch.setattr("couchette.remote_database.ITERATED_PAGE_DOCS", 2)
    served.bulk_docs([{"_id": id} for id in "abcde"])
    ids = iter(db)
    assert next(ids) == "a"
    served.put({"_id": "f"})
    assert list(ids) == ["b", "c", "d", "e", "f"]


def test_saving_without_a_rev_is_tried_again_when_somebody_else_was_faster(db, served, monkeypatch):
    served.put({"_id": "a"})
    asked = db._remote._current_rev

    async def overtaken(id):
        rev = await asked(id)
        if served.get("a")["_rev"].startswith("1-"):
            served.put({**served.get("a"), "by": "another"})
        return rev

    monkeypatch.setattr(db._remote, "_current_rev", overtaken)
    db["a"] = {"by": "us"}
    assert served["a"]["by"] == "us"
    assert served["a"]["_rev"].startswith("3-")


def test_a_new_document_gets_an_id_that_sorts_after_those_before(db):
    first, second = db.post({})["id"], db.post({})["id"]
    assert first < second
    assert db.post({"_id": "named"})["id"] == "named"


@pytest.mark.parametrize("data", [b"plain", bytearray(b"plain"), io.BytesIO(b"plain"), iter([b"pl", b"ain"])], ids=type)
def test_attachments_of_a_document_are_bytes_files_or_iterables(db, served, data):
    db.put({"_id": "a", "_attachments": {"x": {"content_type": "a/b", "data": data}}})
    assert served.get_attachment("a", "x").data == b"plain"


def test_an_attachment_that_is_not_as_announced_is_not_sent(db, served):
    wrong = "md5-" + b64encode(md5(b"other").digest()).decode()
    with pytest.raises(errors.DigestMismatch):
        db.put({"_id": "a", "_attachments": {"x": {"data": io.BytesIO(b"plain"), "digest": wrong}}})
    with pytest.raises(errors.DigestMismatch):
        db.put_attachment("a", "x", b"plain", digest=wrong)
    with pytest.raises(errors.BadRequest, match="longer than expected"):
        db.put_attachment("a", "x", iter([b"pl", b"ain"]), length=3)
    assert served.info()["doc_count"] == 0


def test_what_is_compressed_stays_so_on_its_way_there_and_back(db, served):
    packed = served.put({"_id": "a", "_attachments": {"x": {"content_type": "text/plain", "data": b"a" * 100}}})
    doc = db.get("a", attachments=True, binary=True)
    assert doc == served.get("a", attachments=True, binary=True)
    assert doc["_attachments"]["x"]["encoding"] == "gzip"
    assert db.put({**doc, "_id": "b", "_rev": None} | {"_rev": packed["rev"]}, new_edits=False)["ok"]
    assert served.get("b", attachments=True, binary=True)["_attachments"] == doc["_attachments"]


def test_revisions_are_given_with_their_attachments_bytes(db, served):
    served.put({"_id": "a", "_attachments": {"x": {"content_type": "text/plain", "data": b"a" * 100}}})
    served.put({"_id": "b"})
    asked = [{"id": "a"}, {"id": "b"}, {"id": "none"}]
    assert db.bulk_get(asked, attachments=True, binary=True) == served.bulk_get(asked, attachments=True, binary=True)
    options = {"open_revs": "all", "attachments": True, "binary": True}
    assert db.get("a", **options) == served.get("a", **options)


def test_a_document_larger_than_fits_into_json_well_travels_as_multipart(db, served):
    data = bytes(limits.ATTACHMENT_INLINE_BYTES_MAX + 1)
    db.put({"_id": "a", "_attachments": {"x": {"content_type": "a/b", "data": data}}})
    assert served.get_attachment("a", "x").data == data


# -- Attachments --------------------------------------------------------------------------------------


@pytest.fixture
def small_ranges(monkeypatch):
    monkeypatch.setattr(limits, "REMOTE_RANGE_BYTES", 1000)


@pytest.mark.parametrize("content_type", ["application/x", "text/plain"])
def test_an_attachment_is_read_as_a_file(db, served, small_ranges, content_type):
    content = bytes(range(256)) * 20
    served.put_attachment("a", "x", content, content_type)
    with db.open_attachment("a", "x") as file:
        assert file.read(10) == content[:10]
        assert file.seek(-5, io.SEEK_END) == len(content) - 5
        assert file.read() == content[-5:]
        assert file.read() == b""
        assert b"".join(file.chunks(990, 3010)) == content[990:3010]
        assert b"".join(file.chunks()) == content
        assert file.attachment == served.open_attachment("a", "x").attachment
        with pytest.raises(ValueError, match="negative position"):
            file.seek(-1)


def test_a_file_shows_the_revision_that_it_was_opened_for(db, served, small_ranges):
    first = served.put_attachment("a", "x", b"1" * 5000)
    with db.open_attachment("a", "x") as file:
        served.put_attachment("a", "x", b"2" * 5000, rev=first["rev"])
        assert file.read() == b"1" * 5000


def test_stored_bytes_are_given_as_they_are(db, served):
    served.put_attachment("a", "x", b"a" * 1000, "text/plain")
    stored = served.get_attachment("a", "x", encoded=True)
    assert db.get_attachment("a", "x", encoded=True) == stored
    with db.open_attachment("a", "x", encoded=True) as file:
        assert file.read() == stored.data


def test_an_attachment_that_is_not_there_is_not_found(db, served):
    served.put({"_id": "a"})
    for call in (db.get_attachment, db.open_attachment):
        with pytest.raises(errors.NotFound, match="Document is missing attachment"):
            call("a", "x")
        with pytest.raises(errors.NotFound, match="missing"):
            call("none", "x")


# -- Conflicts ----------------------------------------------------------------------------------------


def conflicted(database, **attachments):
    for letter in "abc":
        doc = {"_id": "a", "_rev": f"1-{letter * 32}", "by": letter}
        members = {letter: {"content_type": "a/b", "data": letter.encode()}} if attachments else {}
        database.put({**doc, "_attachments": members}, new_edits=False)


def test_conflicts_are_found_in_pages_of_documents(db, served, monkeypatch):
    monkeypatch.setattr(limits, "FEED_PAGE_DOCS", 2)
    served.bulk_docs([{"_id": id} for id in "bcdef"])
    conflicted(served)
    served.put({"_id": "z", "_rev": "1-" + "1" * 32}, new_edits=False)
    served.put({"_id": "z", "_rev": "1-" + "2" * 32}, new_edits=False)
    assert db.conflicts() == served.conflicts()
    assert db.conflicts(start_key="b") == served.conflicts(start_key="b")
    assert db.conflicts(limit=1) == served.conflicts(limit=1)
    with pytest.raises(errors.QueryParseError):
        db.conflicts(limit=-1)
    with pytest.raises(errors.QueryParseError):
        db.conflicts(start_key=1)


@pytest.mark.parametrize("decision", [{"keep": "1-" + "a" * 32}, {"merge": merging.newest_by("by")}, "join", "stubs"])
def test_a_conflict_is_ended_by_the_revisions_that_a_database_makes(db, served, decision):
    if isinstance(decision, str):
        merges = {
            "join": lambda leaves, ancestor: {"by": [leaf["by"] for leaf in leaves]},
            "stubs": lambda leaves, ancestor: {
                "_attachments": {name: stub for leaf in leaves for name, stub in leaf["_attachments"].items()}
            },
        }
        decision = {"merge": merges[decision]}
    with Database() as near:
        for database in (near, served):
            conflicted(database, attached=True)
        assert db.resolve("a", **decision) == near.resolve("a", **decision)
        assert served.get("a", attachments=True) == near.get("a", attachments=True)
        assert served.history("a") == near.history("a")
        assert db.resolve("a", **decision) == near.resolve("a", **decision)


@pytest.mark.parametrize(
    "call",
    [
        lambda db: db.resolve("a"),
        lambda db: db.resolve("a", keep="x"),
        lambda db: db.resolve("a", keep="1-" + "0" * 32),
        lambda db: db.resolve("none", keep="1-" + "0" * 32),
        lambda db: db.resolve("a", merge=lambda leaves, ancestor: "text"),
        lambda db: db.resolve("a", merge=lambda leaves, ancestor: {"_attachments": {"x": {"stub": True}}}),
        lambda db: db.resolve("a", merge=lambda leaves, ancestor: {"_attachments": "text"}),
        lambda db: db.resolve("a", merge=lambda leaves, ancestor: leaves[0]),
        lambda db: db.remove("a", "1-" + "0" * 32, all_leaves=True),
        lambda db: db.remove({"_id": "a", "_rev": "1-" + "a" * 32}, all_leaves=True),
        lambda db: db.remove({"_id": "a"}),
        lambda db: db.history("none"),
        lambda db: db.put("text"),
        lambda db: db.put({}),
        lambda db: db.post("text"),
        lambda db: db.bulk_docs({"_id": "a"}),
        lambda db: db.bulk_docs(["text"]),
        lambda db: db.put({"_id": "a", "_attachments": {"x": {"data": 5}}}),
        lambda db: db.put({"_id": "b", "n": {1, 2}}),
        lambda db: db.put_attachment("a", "x", 5),
        lambda db: db.put_attachment("a", "", b"x"),
        lambda db: db.put_attachment("a", "x", b"", "text/plain", encoding="zip"),
        lambda db: db.remove("_local/none", all_leaves=True),
        lambda db: db.missing_revs({"a": ["1-" + "0" * 32]}),
        lambda db: db.delete_index("none", "none"),
        lambda db: db.find({"$bad": 1}),
        lambda db: db.view_info("none"),
        lambda db: db.search_info("none/none"),
    ],
)
def test_what_is_refused_by_a_database_is_refused_alike(db, served, call):
    with Database() as near:
        for database in (near, served):
            conflicted(database, attached=True)
        assert outcome(lambda: call(db)) == outcome(lambda: call(near))
        assert served.history("a") == near.history("a")


def test_removing_an_attachment_without_a_name_leaves_the_document(db, served):
    rev = served.put({"_id": "a", "_attachments": {"": {"data": b"x"}}})["rev"]
    for call in (lambda: db.remove_attachment("a", "", rev), lambda: db.get_attachment("a", "")):
        with pytest.raises(errors.BadRequest, match="must not be empty"):
            call()
    assert served["a"]["_rev"] == rev


def test_a_conflict_that_somebody_else_ends_meanwhile_is_a_conflict(db, served):
    conflicted(served)

    def merge(leaves, ancestor):
        served.remove("a", leaves[0]["_rev"])
        return {"merged": True}

    with pytest.raises(errors.Conflict, match="changed meanwhile"):
        db.resolve("a", merge=merge)


def test_the_ancestor_is_given_to_a_merge_while_it_is_stored(db, served):
    first = served.put({"_id": "a", "n": 0})["rev"]
    for letter in "ab":
        path = [letter * 32, first.partition("-")[2]]
        served.put({"_id": "a", "_revisions": {"start": 2, "ids": path}, "n": letter}, new_edits=False)
    seen = []
    db.resolve("a", merge=lambda leaves, ancestor: seen.append(ancestor))
    assert seen == [{"_id": "a", "_rev": first, "n": 0}]


# -- Changes ------------------------------------------------------------------------------------------


def test_changes_are_waited_for(db, served):
    served.put({"_id": "a"})
    with db.changes(live=True) as feed:
        assert next(feed)["id"] == "a"
        served.put({"_id": "b"})
        assert next(feed)["id"] == "b"
    assert list(feed) == []


def test_a_feed_from_now_on_shows_nothing_that_was(db, served):
    served.put({"_id": "a"})
    with db.changes(live=True, since="now", limit=1, include_docs=True) as feed:
        served.put({"_id": "b", "n": 1})
        (change,) = feed
    assert change["doc"]["n"] == 1


def test_a_feed_ends_when_nothing_comes_for_long(db):
    with db.changes(live=True, timeout=0.01) as feed:
        assert list(feed) == []


def test_a_feed_shows_what_a_filter_here_and_one_there_accept(db, served):
    served.bulk_docs([{"_id": id, "n": n} for n, id in enumerate("abcd")])
    options = {"selector": {"n": {"$gt": 0}}, "filter": lambda doc: doc["n"] % 2 == 1}
    with db.changes(live=True, limit=2, **options) as feed:
        found = list(feed)
    assert [change["id"] for change in found] == ["b", "d"]
    assert "doc" not in found[0]
    assert [row["id"] for row in db.changes(**options)["results"]] == ["b", "d"]


def test_a_feed_that_is_cancelled_by_another_thread_ends(db):
    feed = db.changes(live=True)
    seen: list = []
    reader = threading.Thread(target=lambda: seen.extend(feed))
    reader.start()
    feed.cancel()
    reader.join()
    assert seen == []


def test_closing_the_database_is_told_to_who_reads_its_feed(served, url):
    with RemoteDatabase(f"{url}/db") as db:
        feed = db.changes(live=True)
    with pytest.raises(errors.DatabaseClosed):
        next(feed)
    assert list(feed) == []
    with pytest.raises(errors.DatabaseClosed):
        db.get("a")


def test_a_callback_is_called_with_each_change_until_it_is_cancelled(db, served):
    called = threading.Event()
    seen = []

    def on_change(change):
        seen.append(change["id"])
        called.set()

    with db.changes(live=True, on_change=on_change):
        served.put({"_id": "a"})
        assert called.wait(10)
    assert seen == ["a"]


def test_options_of_a_feed_that_make_no_sense_are_refused(db):
    for options in (
        {"timeout": 1},
        {"live": True, "descending": True},
        {"doc_ids": "abc"},
        {"doc_ids": ["a"], "view": "d/v"},
        {"selector": {"$nonsense": 1}},
    ):
        with pytest.raises(errors.BadRequest):
            db.changes(**options)


def test_a_filter_that_runs_here_is_asked_about_page_after_page(db, served, monkeypatch):
    monkeypatch.setattr(limits, "FEED_PAGE_DOCS", 2)
    served.bulk_docs([{"_id": str(n), "n": n} for n in range(7)])
    accepts = {"filter": lambda doc: doc["n"] > 2}
    assert outcome(lambda: db.changes(limit=1, **accepts)) == outcome(lambda: served.changes(limit=1, **accepts))
    page = db.changes(limit=2, **accepts)
    assert [row["id"] for row in page["results"]] == ["3", "4"]
    rest = db.changes(since=page["last_seq"], **accepts)
    assert [row["id"] for row in rest["results"]] == ["5", "6"]
    assert rest["last_seq"] == served.info()["update_seq"]
    assert [row["id"] for row in db.changes(descending=True, limit=1, **accepts)["results"]] == ["6"]


# -- Queries ------------------------------------------------------------------------------------------

DESIGN = {
    "_id": "_design/d",
    "views": {
        "v": {"map": "function (doc) { if (doc.n) emit(doc.n); }"},
        "by n/2": {"map": "function (doc) { if (doc.n) emit(doc.n, doc._id); }", "reduce": "_sum"},
    },
    "indexes": {"text": {"index": "function (doc) { if (doc.text) index('default', doc.text, {store: true}); }"}},
    "spatial": {"places": "function (doc) { if (doc.at) emit({type: 'Point', coordinates: doc.at}, doc.n); }"},
    "filters": {"odd": "function (doc, req) { return doc.n % req.query.by == 1; }"},
}


@pytest.fixture
def filled(served):
    served.put(DESIGN)
    served.bulk_docs([{"_id": f"doc{n}", "n": n, "text": f"fox number {n}", "at": [n, n]} for n in range(1, 6)])
    return served


@pytest.mark.parametrize(
    "options",
    [
        {"reduce": False, "exact_offset": True},
        {"reduce": False, "start_key": 2, "end_key": 4, "inclusive_end": False, "exact_offset": True},
        {"reduce": False, "keys": [3, 1], "include_docs": True, "exact_offset": True},
        {"reduce": False, "start_key": 2, "start_key_doc_id": "doc3", "update": "lazy", "exact_offset": True},
        {"group": True, "descending": True, "limit": 2, "skip": 1},
        {"queries": [{"key": 1, "reduce": False}, {"reduce": True}], "exact_offset": True},
        {"group": True, "reduce": False},
        {"keys": "text"},
        {"queries": [{"nonsense": 1}]},
        {"update_seq": True, "reduce": False, "exact_offset": True, "update": False, "sorted": False},
    ],
)
def test_a_view_is_queried_as_on_a_database(db, filled, options):
    filled.query("d/by n/2")
    for view in ("d/by n/2", ("d", "by n/2")):
        assert outcome(lambda view=view: db.query(view, **options)) == outcome(
            lambda view=view: filled.query(view, **options)
        )


def test_what_runs_functions_of_the_program_is_refused_with_the_remedy(db):
    source = "function (doc) { emit(doc._id); }"
    for call in (
        lambda: db.query(lambda doc: [(1, 2)]),
        lambda: db.query(source),
        lambda: db.query({"map": source}),
        lambda: db.query("declared"),
        lambda: db.query("d/v", reduce="_count"),
        lambda: db.spatial(lambda doc: []),
        lambda: db.search("declared", "fox"),
    ):
        with pytest.raises(errors.BadRequest) as caught:
            call()
        assert "design document" in caught.value.hint


def test_indexes_searches_and_places_are_asked_as_on_a_database(db, filled):
    assert db.create_index("n", name="by-n", ddoc="idx") == {"result": "created", "id": "_design/idx", "name": "by-n"}
    asked = {"sort": "n", "fields": ["n"], "limit": None}
    assert db.find({"n": {"$gt": 2}}, **asked)["docs"] == filled.find({"n": {"$gt": 2}}, **asked)["docs"]
    assert db.explain({"n": 1})["index"]["name"] == "by-n"
    assert db.get_indexes() == filled.get_indexes()
    assert db.delete_index("_design/idx", "by-n") == {"ok": True}
    for options in ({}, {"limit": 2, "sort": "-<score>"}, {"limit": None, "include_docs": True}):
        assert db.search("d/text", "fox", **options) == filled.search("d/text", "fox", **options)
    assert db.search_info("d/text")["search_index"]["doc_count"] == 5
    boxes: list = [
        {"bbox": [0, 0, 3, 3]},
        {"start_range": [2, None], "end_range": [None, 4], "limit": 1, "count": True},
    ]
    for box in boxes:
        assert outcome(lambda o=box: db.spatial("d/places", **o)) == outcome(
            lambda o=box: filled.spatial("d/places", **o)
        )
    assert db.view_info("d")["name"] == "d"
    assert db.view_cleanup() == {"ok": True}


def test_the_server_s_own_filters_select_changes(db, filled):
    odd = db.changes(filter="d/odd", query_params={"by": "2"})
    assert [row["id"] for row in odd["results"]] == ["doc1", "doc3", "doc5"]
    emitted = db.changes(view="d/v")
    assert len(emitted["results"]) == 5


def test_more_is_found_than_a_server_gives_at_once(db, filled, monkeypatch):
    monkeypatch.setattr("couchette.remote.queries.SEARCH_LIMIT_MAX", 2)
    found = db.search("d/text", "fox", limit=None, sort="default<string>")
    assert sorted(row["id"] for row in found["rows"]) == [f"doc{n}" for n in range(1, 6)]


# -- The database as a whole --------------------------------------------------------------------------


def test_settings_and_upkeep_are_the_server_s(db, served):
    db.set_revs_limit(7)
    assert db.get_revs_limit() == served.get_revs_limit() == 7
    db.set_purged_infos_limit(8)
    assert db.get_purged_infos_limit() == 8
    db.set_security({"members": {"names": ["ada"], "roles": []}})
    assert db.get_security() == served.get_security()
    rev = db.put({"_id": "a"})["rev"]
    assert db.purge({"a": [rev]}) == {"purge_seq": None, "purged": {"a": [rev]}}
    assert db.purged_infos() == [{"id": "a", "revs": [rev]}]
    assert db.compact() == {"ok": True}
    assert db.ensure_full_commit()["ok"]
    assert db.info()["db_name"] == db.name == "db"
    with pytest.raises(errors.BadRequest):
        db.set_revs_limit(0)


def test_a_database_is_made_when_it_is_asked_for(environment, url):
    with RemoteDatabase(f"{url}/fresh", create=True) as db:
        assert db.info()["doc_count"] == 0
        db.create()  # It is there, and that is all that was wanted.
    with RemoteDatabase(f"{url}/fresh", create=True) as db:
        db.destroy()
        assert db.closed
    with RemoteDatabase(f"{url}/fresh") as db, pytest.raises(errors.DatabaseNotFound):
        db.info()
    with RemoteDatabase(f"{url}/a%2Fb%2B") as db:
        db.create()
        assert db.name == "a/b+"
        assert "a/b+" in environment


def test_it_replicates_as_any_database(db, served, tmp_path):
    served.put({"_id": "a"})
    with Database(tmp_path / "near.couchette") as near:
        assert near.replicate_from(db).docs_written == 1
        near.put({"_id": "b"})
        assert db.replicate_from(near).docs_written == 1
        db.sync(near)
        assert couchette.replicate(db, near).docs_written == 0
    with Environment(tmp_path) as environment:
        assert db.replicate_to(environment["far"]).docs_written == 2


def test_a_target_that_shall_be_made_is_made(served, url, environment):
    served.put({"_id": "a"})
    with RemoteDatabase(f"{url}/made", create=True) as made:
        made.replicate_from(served)
    assert list(environment["made"]) == ["a"]


def test_any_request_gets_any_answer(db, served):
    served.put({"_id": "a b", "n": 1})
    status, headers, body = db.request("GET", "a%20b", params={"revs": True}, headers={"Accept": "application/json"})
    assert (status, headers["content-type"]) == (200, "application/json")
    assert b"_revisions" in body
    status, _, body = db.request("PUT", "b", content="{", headers={"Content-Type": "application/json"})
    assert status == 400
    assert b"bad_request" in body


def test_it_says_where_it_is_and_hides_the_password(url):
    db = RemoteDatabase(url.replace("http://", "http://ada:s3cret@") + "/db")
    assert db.url == f"{url}/db"
    assert repr(db) == f"<couchette.RemoteDatabase '{url}/db'>"
    db.close()
    assert repr(db) == f"<couchette.RemoteDatabase '{url}/db' closed>"
