"""The revision tree: the laws of its merge, and the answers recorded from CouchDB 3.5.0."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.document.revision import rev_key
from couchette.document.revtree import Leaf, Node, Outcome, RevTree
from couchette.errors import StoreError
from tests.document.strategies import Edit, deliveries, edit_lists, grown, honest_edits, trees


def path(start: int, ids: str) -> list[str]:
    """The revs of ``_revisions``: `ids` are one character each, or words."""
    return [f"{start - depth}-{id}" for depth, id in enumerate(ids.split() if " " in ids else ids)]


def tree_of(*paths: list[str], deleted: tuple[str, ...] = ()) -> RevTree:
    return grown([Edit(tuple(revs), revs[0] in deleted, seq) for seq, revs in enumerate(paths, 1)])


def paths_ascending(tree: RevTree) -> list[list[str]]:
    """What ``open_revs=all&revs=true`` shows."""
    return [tree.path(leaf.rev) for leaf in tree.leaves_ascending()]


def seq_of(tree: RevTree, rev: str) -> int | None:
    node = tree.node(rev)
    assert node is not None
    return node.seq


# -- Laws -----------------------------------------------------------------------------------------


@given(trees, trees)
def test_merge_is_commutative(one, other):
    assert one.merge(other) == other.merge(one)


@given(trees, trees, trees)
def test_merge_is_associative(one, two, three):
    assert one.merge(two).merge(three) == one.merge(two.merge(three))


@given(trees)
def test_merge_is_idempotent_and_the_empty_tree_is_neutral(tree):
    assert tree.merge(tree) == tree == tree.merge(RevTree()) == RevTree().merge(tree)


@given(edit_lists)
def test_merging_paths_one_by_one_is_merging_their_trees(edits):
    union = RevTree()
    for revs, deleted, seq in edits:
        union = union.merge(RevTree.from_path(revs, deleted=deleted, seq=seq))
    assert union == grown(edits)


@given(st.data(), edit_lists)
def test_arrival_order_does_not_matter(data, edits):
    tree = grown(edits)
    again = grown(data.draw(st.permutations(edits)))
    assert again == tree
    assert again.winner == tree.winner
    assert again.leaves() == tree.leaves()


@given(st.data(), honest_edits())
def test_an_honest_history_arrives_whole_in_any_order_and_cut_at_any_root(data, edits):
    tree = grown(data.draw(deliveries(edits)))
    assert tree == grown(edits)
    for edit in edits:
        assert tree.path(edit.path[0]) == list(edit.path)
        assert tree.node(edit.path[0]) == Node(edit.path[1:2], edit.deleted, edit.seq)


@given(trees)
def test_leaves_are_nobodys_parents_and_sorted_best_first(tree):
    parents = {parent for rev in tree for parent in tree.node(rev).parents}
    leaves = tree.leaves()
    assert {leaf.rev for leaf in leaves} == set(tree) - parents
    assert leaves == sorted(leaves, key=lambda leaf: (not leaf.deleted, rev_key(leaf.rev)), reverse=True)
    assert tree.winner == leaves[0].rev
    assert {tree.winner, *tree.conflicts(), *tree.deleted_conflicts()} == {leaf.rev for leaf in leaves}
    assert [leaf.rev for leaf in tree.leaves_ascending()] == sorted((leaf.rev for leaf in leaves), key=rev_key)


@given(trees, st.integers(1, 8))
def test_stemming_never_changes_the_winner_or_the_leaves(tree, limit):
    stemmed = tree.stem(limit)
    assert stemmed.winner == tree.winner
    assert stemmed.leaves() == tree.leaves()


@given(trees, st.integers(1, 8))
def test_stemming_keeps_the_last_revs_of_each_leaf_and_no_others(tree, limit):
    stemmed = tree.stem(limit)
    near = {leaf.rev for leaf in tree.leaves()}
    kept = set(near)
    for _ in range(limit - 1):
        near = {parent for rev in near for parent in tree.node(rev).parents}
        kept |= near
    assert set(stemmed) == kept
    assert all(parent in stemmed for rev in stemmed for parent in stemmed.node(rev).parents)
    assert stemmed.stem(limit) is stemmed
    assert tree.merge(stemmed) == tree


@given(trees)
def test_load_inverts_dump(tree):
    assert RevTree.load(tree.dump()) == tree
    assert RevTree.load(tree.dump().encode()) == tree


@given(st.data(), edit_lists)
def test_equal_trees_dump_to_the_same_text(data, edits):
    assert grown(data.draw(st.permutations(edits))).dump() == grown(edits).dump()


@given(edit_lists)
def test_merging_a_known_history_again_changes_nothing(edits):
    tree = grown(edits)
    for revs, deleted, _ in edits:
        again, outcome = tree.merge_path(revs, deleted=not deleted, seq=999)
        assert again is tree
        assert outcome is Outcome.KNOWN


@given(trees)
def test_latest_leaves_are_the_leaves_whose_history_has_the_rev(tree):
    def ancestors(rev: str) -> set[str]:
        return {rev}.union(*(ancestors(parent) for parent in tree.node(rev).parents))

    for rev in tree:
        assert tree.latest_leaves(rev) == [leaf.rev for leaf in tree.leaves() if rev in ancestors(leaf.rev)]


@given(st.data(), trees)
def test_the_common_ancestor_is_the_newest_rev_on_all_paths(data, tree):
    revs = data.draw(st.lists(st.sampled_from(sorted(tree)), min_size=1))
    common = set.intersection(*(set(tree.path(rev)) for rev in revs))
    assert tree.common_ancestor(revs) == max(common, key=rev_key, default=None)


@given(trees)
def test_children_mirror_the_parents(tree):
    assert {(child, rev) for rev in tree for child in tree.children(rev)} == {
        (rev, parent) for rev in tree for parent in tree.node(rev).parents
    }


@given(st.data(), trees)
def test_trees_differ_when_a_body_moves(data, tree):
    rev = data.draw(st.sampled_from(sorted(tree)))
    moved = tree.with_seq(rev, 12345)
    assert moved != tree
    assert moved.node(rev).seq == 12345
    assert moved.with_seq(rev, tree.node(rev).seq) == tree


# -- Outcomes -------------------------------------------------------------------------------------


BASE = tree_of(path(3, "cba"), path(2, "za"))


@pytest.mark.parametrize(
    ("revs", "outcome"),
    [
        (path(4, "dcba"), Outcome.NEW_LEAF),
        (path(4, "dc"), Outcome.NEW_LEAF),
        (path(6, "fedc"), Outcome.NEW_LEAF),
        (path(3, "yz"), Outcome.NEW_LEAF),
        (path(3, "yb"), Outcome.NEW_BRANCH),
        (path(2, "ya"), Outcome.NEW_BRANCH),
        (path(1, "y"), Outcome.NEW_BRANCH),
        (path(9, "yx"), Outcome.NEW_BRANCH),
        (path(2, "ba"), Outcome.INTERNAL),
        (path(1, "a"), Outcome.INTERNAL),
        (path(3, "cba"), Outcome.KNOWN),
        (path(3, "c"), Outcome.KNOWN),
        (path(2, "za"), Outcome.KNOWN),
    ],
)
def test_merging_a_path_tells_what_became_of_its_newest_revision(revs, outcome):
    tree, became = BASE.merge_path(revs, deleted=False, seq=9)
    assert became is outcome
    assert (tree == BASE) is (outcome is Outcome.KNOWN)


def test_the_first_revision_is_a_new_leaf():
    tree, outcome = RevTree().merge_path(path(1, "a"), deleted=False, seq=1)
    assert outcome is Outcome.NEW_LEAF
    assert tree.leaves() == [Leaf("1-a", deleted=False, seq=1)]


def test_a_longer_history_of_a_known_revision_adds_ancestors():
    tree, outcome = tree_of(path(3, "cb")).merge_path(path(3, "cba"), deleted=False, seq=9)
    assert outcome is Outcome.ANCESTORS
    assert tree == tree_of(path(3, "cba"))


def test_an_ancestor_without_a_body_stays_without_one():
    tree, outcome = BASE.merge_path(path(2, "ba"), deleted=False, seq=None)
    assert tree is BASE
    assert outcome is Outcome.KNOWN


def test_a_compacted_revision_takes_its_body_again_and_stays_deleted():
    tree = tree_of(path(1, "a"), path(2, "ba"), path(3, "cba"), deleted=("2-b",)).with_seq("2-b", None)
    again, outcome = tree.merge_path(path(2, "ba"), deleted=False, seq=9)
    assert outcome is Outcome.INTERNAL
    assert again.node("2-b") == Node(("1-a",), deleted=True, seq=9)


def test_a_rev_with_two_parents_follows_the_greater():
    tree = tree_of(path(3, "cba"), path(3, "cx"))
    assert tree.node("3-c") == Node(("2-x", "2-b"), deleted=False, seq=1)
    assert tree.path("3-c") == ["3-c", "2-x"]
    assert [leaf.rev for leaf in tree.leaves()] == ["3-c"]
    assert tree.latest_leaves("1-a") == ["3-c"]


def test_a_path_with_a_gap_is_the_callers_mistake():
    with pytest.raises(AssertionError, match="not consecutive"):
        RevTree.from_path(["3-c", "1-a"], deleted=False, seq=1)


def test_a_tree_knows_its_revs():
    assert len(BASE) == 4
    assert "2-b" in BASE
    assert "2-q" not in BASE
    assert BASE.node("2-q") is None
    assert BASE.latest_leaves("2-q") == []
    assert BASE.common_ancestor([]) is None
    assert path(3, "cba") != BASE
    assert eval(repr(BASE)) == BASE


# -- Shrinking ------------------------------------------------------------------------------------


@given(trees)
def test_a_compacted_tree_has_the_same_revs_and_bodies_at_its_leaves_only(tree):
    compacted = tree.compacted()
    assert compacted.seqs() == {leaf.seq for leaf in tree.leaves()}
    assert compacted.leaves() == tree.leaves()
    assert paths_ascending(compacted) == paths_ascending(tree)
    assert compacted.compacted() is compacted


@given(trees, st.data())
def test_leaves_go_with_the_ancestors_that_only_they_had(tree, data):
    leaves = [leaf.rev for leaf in tree.leaves()]
    gone = data.draw(st.sets(st.sampled_from(leaves)))
    kept = tree.without_leaves(gone)
    assert [leaf.rev for leaf in kept.leaves()] == [rev for rev in leaves if rev not in gone]
    assert all(kept.node(rev) == tree.node(rev) for rev in kept)
    assert kept.without_leaves(leaves) == RevTree()


def test_an_inner_rev_is_no_leaf_to_go():
    tree = tree_of(path(1, "a"), path(2, "ba"), path(3, "cba"))
    assert tree.without_leaves(["2-b", "9-x"]) == tree
    assert set(tree.without_leaves(["3-c", "2-b"])) == set()


# -- Recorded from CouchDB 3.5.0 --------------------------------------------------------------------


MERGE_PATHS = [path(3, "cba"), path(2, "ba"), path(5, "edc"), path(4, "dd c"), path(1, "a"), path(4, "d2 c2 b a")]


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 0, 4, 1, 3, 5], [3, 2, 5, 1, 0, 4]])
def test_orders_of_arrival_recorded(order):
    tree = tree_of(*[MERGE_PATHS[index] for index in order])
    assert tree.winner == "5-e"
    assert tree.conflicts() == ["4-dd", "4-d2"]
    assert paths_ascending(tree) == [path(4, "d2 c2 b a"), path(4, "dd c b a"), path(5, "edcba")]
    assert [rev for rev in tree.path("5-e") if seq_of(tree, rev) is None] == ["4-d"]


def test_stemming_recorded():
    tree = RevTree()

    def push(start: int, ids: str, limit: int = 3) -> bool:
        """Whether the document changed."""
        nonlocal tree
        before, (merged, _) = tree, tree.merge_path(path(start, ids), deleted=False, seq=len(tree) + 1)
        tree = merged.stem(limit)
        return tree != before

    assert push(6, "fedcba")
    assert paths_ascending(tree) == [path(6, "fed")]
    assert push(4, "qcba")
    assert paths_ascending(tree) == [path(4, "qcb"), path(6, "fed")]
    assert push(8, "hgf")
    assert paths_ascending(tree) == [path(4, "qcb"), path(8, "hgf")]
    asked = path(3, "c") + path(4, "d") + path(5, "e") + path(2, "b") + path(6, "f")
    assert tree.missing(asked) == ["4-d", "5-e"]
    assert tree.possible_ancestors(tree.missing(asked)) == ["4-q"]
    assert push(12, "lkj")
    assert paths_ascending(tree) == [path(4, "qcb"), path(8, "hgf"), path(12, "lkj")]
    assert {rev for rev in tree if (node := tree.node(rev)) and not node.parents} == {"2-b", "6-f", "10-j"}
    assert push(10, "jih"), "the path joins two roots, and 8-h is no leaf any more"
    assert paths_ascending(tree) == [path(4, "qcb"), path(12, "lkj")]
    assert not push(12, "lkjihgf"), "a longer history under the same limit changes nothing"
    assert push(10, "jihg", limit=100), "under a higher limit it restores the ancestors"
    assert paths_ascending(tree) == [path(4, "qcb"), path(12, "lkjihg")]
    assert not push(10, "jihg", limit=100)


DIFF = tree_of(path(3, "cba"), path(2, "z"))


@pytest.mark.parametrize(
    ("asked", "missing", "possible_ancestors"),
    [
        (["3-c"], [], []),
        (["2-b", "1-a"], [], []),
        (["4-d", "3-c", "1-q"], ["1-q", "4-d"], ["3-c", "2-z"]),
        (["1-q"], ["1-q"], []),
        (["2-q"], ["2-q"], []),
        (["3-q"], ["3-q"], ["2-z"]),
        ([], [], []),
        (["4-x", "4-x"], ["4-x", "4-x"], ["3-c", "2-z"]),
    ],
)
def test_revs_diff_recorded(asked, missing, possible_ancestors):
    assert DIFF.missing(asked) == missing
    assert DIFF.possible_ancestors(missing) == possible_ancestors


def test_deleted_leaves_are_possible_ancestors():
    assert tree_of(path(2, "d"), deleted=("2-d",)).possible_ancestors(["3-e"]) == ["2-d"]


@pytest.mark.parametrize(
    ("leaves", "deleted", "best_first"),
    [
        ("3-a 2-z 1-zz", "", "3-a 2-z 1-zz"),
        ("2-a 2-b 2-B 2-10 2-9", "", "2-b 2-a 2-B 2-9 2-10"),
        ("2-a 2-b 3-a", "2-a 2-b 3-a", "3-a 2-b 2-a"),
        ("4-a 3-m 3-n 3-o 5-a 1-q", "4-a 3-o 5-a", "3-n 3-m 1-q 5-a 4-a 3-o"),
        ("1-a 1-aa 1-aaa 1-ab", "", "1-ab 1-aaa 1-aa 1-a"),
        ("9-a 10-a", "", "10-a 9-a"),
        (
            f"1-abc 1-zzz 1-{'f' * 32} 1-{'0' * 32} 1-{'61' * 16} 1-{'77' * 16}",
            "",
            f"1-{'f' * 32} 1-zzz 1-{'77' * 16} 1-abc 1-{'61' * 16} 1-{'0' * 32}",
        ),
    ],
)
def test_winners_recorded(leaves, deleted, best_first):
    tree = tree_of(*([rev] for rev in leaves.split()), deleted=tuple(deleted.split()))
    winner, *others = best_first.split()
    assert tree.winner == winner
    assert tree.conflicts() == [rev for rev in others if rev not in deleted.split()]
    assert tree.deleted_conflicts() == [rev for rev in others if rev in deleted.split()]


# -- The text ---------------------------------------------------------------------------------------


def test_the_text_has_a_column_for_each_thing_known():
    tree = tree_of(path(3, "cba"), path(2, "za"), deleted=("2-z",))
    assert tree.dump() == (
        '{"revs":["3-c","2-b","2-z","1-a"],"parents":[1,3,3,null],"seqs":[1,null,2,null],"deleted":[2]}'
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        "[]",
        "{}",
        '{"revs":["1-a"],"parents":[],"seqs":[1],"deleted":[]}',
        '{"revs":["1-a"],"parents":[0],"seqs":[1],"deleted":[]}',
        '{"revs":["2-b","1-a"],"parents":[1,0],"seqs":[1,2],"deleted":[]}',
        '{"revs":["2-b","1-a"],"parents":[7,null],"seqs":[1,2],"deleted":[]}',
        '{"revs":["2-b","1-a"],"parents":["1-a",null],"seqs":[1,2],"deleted":[]}',
    ],
)
def test_a_damaged_text_is_a_store_error(text):
    with pytest.raises(StoreError, match="damaged"):
        RevTree.load(text)


# -- Size -------------------------------------------------------------------------------------------


def seconds(call) -> float:
    """The best of three runs, in processor time."""

    def once() -> float:
        start = time.process_time()
        call()
        return time.process_time() - start

    return min(once() for _ in range(3))


@pytest.mark.parametrize("leaves", [1, 1000])
def test_ten_thousand_revisions_stay_usable(leaves):
    def id(depth: int, branch: int) -> str:
        return f"{depth}-{branch:016x}{depth:016x}"

    depth = 10_000 // leaves
    nodes: dict[str, Node] = {}
    for branch in range(leaves):
        revs = [id(at, branch) for at in range(depth, 0, -1)]
        nodes |= RevTree.from_path(revs, deleted=False, seq=branch)._nodes
    tree = RevTree(nodes)
    text = tree.dump()

    def write() -> None:
        loaded = RevTree.load(text)
        new = [id(depth + 1, 0), *loaded.path(id(depth, 0))]
        loaded.merge_path(new, deleted=False, seq=99_999)[0].stem(9000).dump()

    assert len(tree) == 10_000
    assert seconds(write) < 1.0


@given(honest_edits())
def test_what_is_a_leaf_and_what_is_deleted_follow_from_the_leaves(edits):
    tree = RevTree()
    for edit in edits:
        tree, _ = tree.merge_path(edit.path, deleted=edit.deleted, seq=edit.seq)
    leaves = {leaf.rev for leaf in tree.leaves()}
    assert {rev for rev in tree if tree.is_leaf(rev)} == leaves
    assert not tree.is_leaf("9-unknown")
    assert tree.is_deleted() == all(leaf.deleted for leaf in tree.leaves())
