"""Drawing and resolving a conflict, and proving replicas equal."""

from __future__ import annotations

import pytest
from rich.console import Console

from couchette import Database
from couchette.cli.demo.conflict import both_texts, draw, fields_changed
from couchette.cli.demo.proof import differing, read_leaves
from couchette.cli.screen import Meter
from couchette.merging import three_way


@pytest.fixture
def pair():
    """Two replicas with one conflict, as replication leaves it."""
    with Database(":memory:") as here, Database(":memory:") as there:
        here["doc"] = {"a": 1, "text": "Old."}
        here.replicate_to(there)
        here["doc"] = {"a": 2, "text": "New."}
        here["doc"] = {"a": 3, "text": "New."}
        there["doc"] = {"a": 1, "b": 4, "text": "Other."}
        here.sync(there)
        yield here, there


def drawn(database, notes=None):
    console = Console(width=80, color_system=None)
    with console.capture() as capture:
        console.print(draw("doc", database.history("doc"), notes or {}))
    return [line.rstrip() for line in capture.get().splitlines()]


SILENT = Meter(lambda done, total, text: None)


def test_winner_losing_leaf_and_common_ancestor_are_marked(pair):
    here, there = pair
    winner = here.get("doc", conflicts=True)
    lines = drawn(here, {winner["_rev"]: "mine"})
    assert lines == drawn(there, {winner["_rev"]: "mine"})
    assert lines[0] == "doc"
    assert lines[1].startswith("└── 1-")
    assert lines[1].endswith("  common ancestor")
    assert f"{winner['_rev'][:10]}  winner  mine" in "\n".join(lines)
    assert f"{winner['_conflicts'][0][:10]}  losing leaf" in "\n".join(lines)


def test_a_resolved_conflict_has_a_deleted_leaf(pair):
    here, _ = pair
    here.resolve("doc", merge=three_way(both_texts))
    resolved = here.get("doc", conflicts=True)
    assert (resolved["a"], resolved["b"], resolved["text"]) == (3, 4, "New. Other.")
    assert "_conflicts" not in resolved
    assert sum("deleted leaf" in line for line in drawn(here)) == 1


def test_a_document_without_a_conflict_is_a_line_of_revisions():
    with Database(":memory:") as database:
        database["doc"] = {}
        database["doc"] = {"a": 1}
        lines = drawn(database)
    assert len(lines) == 3
    assert [line.endswith("  winner") for line in lines] == [False, False, True]


def test_the_fields_that_a_leaf_changed_are_told():
    base = {"_rev": "1-x", "a": 1, "b": 1, "text": "old"}
    assert fields_changed(base, {"_rev": "2-y", "a": 2, "b": 1, "text": "old", "d": 3}) == {"a": 2, "d": 3}


def test_both_texts_are_kept_and_of_other_values_the_winners():
    assert both_texts("note", "old", ["One.", "Two."]) == "One. Two."
    assert both_texts("note", "old", [1, "Two."]) == 1


def test_replicas_that_synced_are_proved_equal(pair):
    leaves = [read_leaves(database, SILENT) for database in pair]
    assert [(one.documents, one.leaves) for one in leaves] == [(1, 2), (1, 2)]
    assert leaves[0].digest == leaves[1].digest
    assert differing(leaves) == []


@pytest.mark.parametrize("change", ["edit", "delete", "new", "attach"])
def test_any_difference_is_found(pair, change):
    here, there = pair
    rev = there["doc"]["_rev"]
    match change:
        case "edit":
            there["doc"] = {}
        case "delete":
            del there["doc"]
        case "new":
            there["new"] = {}
        case "attach":
            there.put_attachment("doc", "file", b"data", rev=rev)
    leaves = [read_leaves(database, SILENT) for database in (here, there)]
    assert leaves[0].digest != leaves[1].digest
    assert differing(leaves) == ["new" if change == "new" else "doc"]
