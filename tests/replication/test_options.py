"""What a replication may be asked to leave out, to find out only, or to begin with; and what makes it another one."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import limits, store
from couchette.errors import BadRequest, NotFound
from couchette.merging import keep_winner
from couchette.replication import Options, replicate
from couchette.replication.batching import BatchSize
from couchette.replication.fingerprint import fingerprint
from couchette.wire.transfer import Wanted
from tests.replication.peers import Recording, fill, graft, leaves, local, pool_of, put

pytestmark = pytest.mark.anyio


def ids(peer):
    return sorted({doc_id for doc_id, _ in leaves(peer)})


def numbered(first, final):
    return [{"_id": f"d{number:03}", "n": number, "even": number % 2 == 0} for number in range(first, final)]


# -- Which documents ----------------------------------------------------------------------------------


async def test_doc_ids_name_the_documents():
    source, target = local(), local()
    fill(source)
    await replicate(source, target, doc_ids=["conflicted", "gone", "nowhere"])
    assert ids(target) == ["conflicted", "gone"]
    assert [key for key in leaves(source) if key[0] in ids(target)] == list(leaves(target))


async def test_a_selector_chooses_documents_and_the_checkpoint_passes_the_others():
    source, target = Recording(local()), local()
    put(source.peer, *numbered(0, 40))
    first = await replicate(source, target, selector={"even": True}, batch_docs=3)
    assert len(leaves(target)) == 20
    assert first.last_seq == pool_of(source.peer).read(store.info)["update_seq"]
    put(source.peer, {"_id": "odd", "even": False})
    second = await replicate(source, target, selector={"even": True})
    third = await replicate(source, target, selector={"even": True})
    assert (second.start_seq, third.start_seq) == (first.last_seq, second.last_seq)
    assert third.missing_checked == second.missing_checked == 0


async def test_a_python_function_chooses_documents_also_tombstones():
    source, target = local(), local()
    put(source, *numbered(0, 10))
    graft(source, ("gone", "2-y 1-x", {"_deleted": True, "even": True}))
    await replicate(source, target, filter=lambda doc: doc.get("even", False))
    assert ids(target) == ["d000", "d002", "d004", "d006", "d008", "gone"]


async def test_a_python_function_is_given_the_parameters():
    source, target = local(), local()
    put(source, *numbered(0, 10))
    await replicate(source, target, filter=lambda doc, params: doc["n"] >= params["least"], query_params={"least": 8})
    assert ids(target) == ["d008", "d009"]


async def test_what_the_source_cannot_filter_is_filtered_here():
    class Server(Recording):
        """Runs no Python."""

        def __getattr__(self, name):
            method = super().__getattr__(name)
            if name != "changes":
                return method
            return lambda since, limit, selection: method(since, limit, type(selection)())

    source, target = Server(local()), local()
    put(source.peer, *numbered(0, 10))
    await replicate(source, target, filter=lambda doc: doc["even"])
    assert ids(target) == ["d000", "d002", "d004", "d006", "d008"]


async def test_a_failing_filter_function_ends_it():
    source = local()
    put(source, *numbered(0, 3))
    with pytest.raises(KeyError, match="colour"):
        await replicate(source, local(), filter=lambda doc: doc["colour"] == "red")


DESIGN = {
    "_id": "_design/d",
    "filters": {
        "even": "function (doc, req) { return doc.even === true; }",
        "least": "function (doc, req) { return doc.n >= Number(req.query.least); }",
    },
    "views": {"evens": {"map": "function (doc) { if (doc.even) emit(doc.n); }"}},
}


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"filter": "d/even"}, 5),
        ({"filter": "d/least", "query_params": {"least": "7"}}, 3),
        ({"view": "d/evens"}, 5),
    ],
)
async def test_a_local_source_runs_its_design_functions(options, count):
    source, target = local(), local()
    put(source, DESIGN, *numbered(0, 10))
    await replicate(source, target, **options)
    assert len(leaves(target)) == count


async def test_a_function_that_is_not_there_is_named():
    source = local()
    with pytest.raises(NotFound):
        await replicate(source, local(), filter="d/even")
    put(source, {"_id": "_design/d"}, {"_id": "a"})
    with pytest.raises(NotFound, match="even"):
        await replicate(source, local(), filter="d/even")


@pytest.mark.parametrize("options", [{"winning_revs_only": True}, {"style": "main_only"}])
async def test_losing_leaves_may_stay_behind(options):
    source, target = local(), local()
    fill(source)
    await replicate(source, target, **options)
    assert len(leaves(target)) == len(ids(source))
    winners = [pool_of(peer).read(store.changes)["results"] for peer in (source, target)]
    assert {row["id"]: row["changes"] for row in winners[0]} == {row["id"]: row["changes"] for row in winners[1]}


async def test_since_is_where_it_begins_until_there_is_a_checkpoint():
    source, target = local(), local()
    put(source, *numbered(0, 3))
    since = pool_of(source).read(store.info)["update_seq"]
    put(source, *numbered(3, 5))
    await replicate(source, target, since=since)
    assert ids(target) == ["d003", "d004"]
    again = await replicate(source, target, since=since)
    assert again.start_seq != since


async def test_since_now_moves_nothing_and_is_remembered():
    source, target = local(), local()
    put(source, *numbered(0, 3))
    await replicate(source, target, since="now")
    put(source, *numbered(3, 5))
    await replicate(source, target, since="now")
    assert ids(target) == ["d003", "d004"]


# -- A first pull -------------------------------------------------------------------------------------


async def test_an_empty_target_is_not_asked_what_it_lacks():
    source, target = local(), Recording(local())
    fill(source)
    await replicate(source, target, batch_docs=3)
    assert "revs_diff" not in target.names()
    assert leaves(target.peer) == leaves(source)
    put(source, *numbered(0, 3))
    await replicate(source, target)
    assert "revs_diff" in target.names()


async def test_tombstones_of_what_the_target_never_had_may_stay_behind():
    source, target = local(), local()
    graft(source, ("known", "1-a", {}), ("unknown", "2-y 1-x", {"_deleted": True}), ("live", "1-l", {}))
    graft(target, ("known", "1-a", {}))
    graft(source, ("known", "2-b 1-a", {"_deleted": True}))
    await replicate(source, target, skip_deletes=True)
    assert sorted(leaves(target)) == [("known", "2-b"), ("live", "1-l")]
    assert (await replicate(source, target)).docs_read == 0


async def test_a_document_deleted_under_way_is_deleted_there():
    class Busy(Recording):
        """Deletes a document after its first page was read."""

        async def before(self, name, *args):
            if name == "changes" and name in self.names():
                graft(self.peer, ("d000", "2-gone " + first, {"_deleted": True}))
            await super().before(name, *args)

    source, target = Busy(local()), local()
    put(source.peer, *numbered(0, 6))
    first = pool_of(source.peer).read(store.get, "d000")["_rev"]
    await replicate(source, target, skip_deletes=True, batch_docs=3)
    assert leaves(target) == leaves(source.peer)


# -- Only finding out ---------------------------------------------------------------------------------


async def test_a_dry_run_says_what_would_move_and_moves_nothing():
    source, target = local(), Recording(local())
    fill(source)
    graft(target.peer, ("conflicted", "2-b 1-a", {"v": "b"}))
    found = await replicate(source, target, dry_run=True, batch_docs=3)
    assert not {"write", "put_checkpoint", "create"} & set(target.names())
    would = {(entry["id"], rev) for entry in found.would_move for rev in entry["revs"]}
    assert would == leaves(source).keys() - leaves(target.peer).keys()
    assert not found.ok
    await replicate(source, target)
    done = await replicate(source, target, dry_run=True)
    assert done.ok
    assert done.would_move == ()


async def test_a_dry_run_asks_the_filter_too():
    source, target = local(), local()
    put(source, *numbered(0, 10))
    found = await replicate(source, target, dry_run=True, filter=lambda doc: doc["even"])
    assert len(found.would_move) == 5
    assert leaves(target) == {}


# -- Batches ------------------------------------------------------------------------------------------


async def test_a_batch_is_bounded_by_bytes_as_soon_as_sizes_are_known():
    source, target = Recording(local()), local()
    put(target, {"_id": "d400", "text": "x" * 10_000})
    put(source.peer, *({"_id": f"d{number:03}", "text": "x" * 10_000} for number in range(401)))
    await replicate(source, target, batch_bytes=100_000)
    sizes = [sum(len(one.revs) for one in args[0]) for name, *args in source.calls if name == "fetch"]
    assert sizes[0] == limits.BATCH_DOCS_FIRST
    assert all(5 <= size <= 10 for size in sizes[1:-1])
    assert leaves(target) == leaves(source.peer)


async def test_the_leaves_of_one_document_are_fetched_in_portions_too():
    source, target = Recording(local()), local()
    graft(source.peer, *(("a", f"1-{number:03}", {"n": number}) for number in range(50)))
    await replicate(source, target, batch_docs=7)
    sizes = [sum(len(one.revs) for one in args[0]) for name, *args in source.calls if name == "fetch"]
    assert max(sizes) == 7
    assert leaves(target) == leaves(source.peer)


def test_a_slow_line_gets_smaller_batches_and_a_quick_one_larger():
    size = BatchSize(1000, 10**9)
    seen = [size.revs]
    for seconds in (0.1, 0.1, 0.1, 0.1, 2, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10, 0.1):
        size.note(size.revs, size.revs, seconds)
        seen.append(size.revs)
    assert seen[:8] == [100, 200, 400, 800, 1000, 1000, 500, 250]
    assert seen[-2:] == [1, 2]


@given(
    st.lists(st.builds(Wanted, st.text(max_size=3), st.lists(st.text(max_size=3), max_size=9))),
    st.integers(1, 12),
    st.integers(1, 10**6),
)
def test_cutting_loses_nothing_and_keeps_order(wanted, docs_max, bytes_max):
    size = BatchSize(docs_max, bytes_max)
    size.note(1, 1000, 2)
    portions = list(size.cut(wanted))
    assert [(one.id, rev) for portion in portions for one in portion for rev in one.revs] == [
        (one.id, rev) for one in wanted for rev in one.revs
    ]
    assert all(0 < sum(len(one.revs) for one in portion) <= size.revs for portion in portions)


# -- What makes it another replication ----------------------------------------------------------------


def even(doc):
    return doc["n"] % 2 == 0


def makes(least):
    return lambda doc: doc["n"] >= least


def test_functions_are_told_apart_by_what_they_do():
    prints = [fingerprint(one) for one in (even, makes(1), makes(2), partial(makes, 1), len, max)]
    assert len(set(prints)) == len(prints)
    assert fingerprint(makes(1)) == fingerprint(makes(1))
    assert fingerprint(makes(object())) == fingerprint(makes(object()))
    assert fingerprint(makes(even)) != fingerprint(makes(len))


def test_how_fast_and_how_long_is_no_other_replication():
    assert Options(live=True, batch_docs=3, use_checkpoints=False, progress=print, skip_deletes=True).facts() == {}


def test_what_is_chosen_is_another_replication():
    chosen: list[dict[str, Any]] = [
        {},
        {"doc_ids": ["a"]},
        {"doc_ids": ["a", "b"]},
        {"selector": {"a": 1}},
        {"filter": "d/a"},
        {"filter": "d/a", "query_params": {"x": "1"}},
        {"filter": even},
        {"filter": makes(1)},
        {"view": "d/a"},
        {"since": 3},
        {"winning_revs_only": True},
    ]
    facts = [repr(Options(**options).facts()) for options in chosen]
    assert len(set(facts)) == len(facts)
    assert Options(doc_ids=["b", "a", "a"]).facts() == Options(doc_ids=["a", "b"]).facts()


def test_another_text_of_the_design_function_is_another_replication():
    options = Options(filter="d/f")
    one, other = ({"filters": {"f": text}} for text in ("function (doc) {}", "function (doc) { return true; }"))
    assert options.facts(one) != options.facts(other)
    assert options.facts({**one, "filters": {**one["filters"], "g": ""}}) == options.facts(one)


@pytest.mark.parametrize(
    "options",
    [
        {"doc_ids": ["a"], "selector": {}},
        {"filter": even, "view": "d/v"},
        {"query_params": {"a": "1"}},
        {"style": "winners"},
        {"style": "all_docs", "winning_revs_only": True},
        {"filter": "even"},
        {"view": "d/"},
        {"doc_ids": "abc"},
        {"doc_ids": [["a"]]},
        {"doc_ids": 5},
        {"batch_docs": 0},
        {"batch_bytes": 0},
        {"live": True, "dry_run": True},
    ],
)
def test_options_that_do_not_go_together_are_refused(options):
    with pytest.raises(BadRequest):
        Options(**options)


def test_options_are_stored_under_couchdb_s_names():
    options = Options(live=True, doc_ids=["a"], since=3, create_target=True, batch_docs=7, winning_revs_only=True)
    stored = options.as_json()
    assert stored == {
        "continuous": True,
        "doc_ids": ["a"],
        "since_seq": 3,
        "create_target": True,
        "worker_batch_size": 7,
        "winning_revs_only": True,
    }
    assert Options.from_json({**stored, "source": "x", "_id": "job"}) == options


@pytest.mark.parametrize("options", [{"filter": even}, {"resolver": keep_winner}])
def test_functions_cannot_be_stored(options):
    with pytest.raises(BadRequest, match="cannot be stored"):
        Options(**options).as_json()
