"""Partial results: which rows bound them, that they cover every range exactly, and that little is computed again."""

from __future__ import annotations

import orjson
import pytest

from couchette import Database, index
from couchette.document.collation import sort_key
from couchette.functions import python_mapper, reducer
from couchette.index import reductions
from couchette.query.catching_up import Functions, bring_up_to_date, reduce_rows

COUNT = 5000


class Counting:
    """Sums, and notes how many values it was given."""

    def __init__(self):
        self.given = 0
        self.sum = reducer("_sum")

    def reduce(self, keys, values):
        self.given += len(values)
        return self.sum.reduce(keys, values)

    def rereduce(self, values):
        self.given += len(values)
        return self.sum.rereduce(values)

    def finalize(self, value):
        return value

    def close(self):
        self.sum.close()


@pytest.fixture(scope="module")
def built():
    with Database() as db:
        db.bulk_docs([{"_id": f"{at:05}", "n": at} for at in range(COUNT)])
        group = index.Group(index.signature_of("test"), (index.IndexedView(reduced=True),))
        counting = Counting()
        functions = Functions(python_mapper([lambda doc: [(doc["n"], doc["n"])]]), [counting])
        state = bring_up_to_date(db._pool, group, functions)
        yield db, group, functions, state, counting


def test_one_row_in_32_is_a_boundary_and_one_in_1024_of_the_next_level():
    levels = [reductions.level_of(f"doc{at}", n) for at in range(5000) for n in range(2)]
    assert 200 < sum(level >= 1 for level in levels) < 450
    assert 2 <= sum(level >= 2 for level in levels) < 30
    assert len({reductions.level_of("one", n) for n in range(2000)}) > 1


@pytest.mark.parametrize(("low", "high"), [(0, COUNT - 1), (10, 20), (100, 4000), (4999, 4999), (0, 2500), (37, 38)])
def test_any_range_is_covered_once_by_few_parts(built, low, high):
    db, _, _, state, counting = built
    span = index.Span(index.before(sort_key(low)), index.after(sort_key(high)))
    parts = db._pool.read(lambda conn: list(index.cover(conn, state.num, 0, span)))
    values = [orjson.loads(part) if isinstance(part, bytes) else reduce_rows(counting, part) for part in parts]
    assert sum(values) == sum(range(low, high + 1))
    rows = sum(len(part.ids) for part in parts if not isinstance(part, bytes))
    assert rows + len(parts) < 500


def test_a_change_computes_one_node_on_each_level_anew(built):
    db, group, functions, _, counting = built
    counting.given = 0
    db.put({**db.get("02500"), "note": "the row stays as it is"})
    bring_up_to_date(db._pool, group, functions)
    assert counting.given == 0
    db.put({**db.get("02500"), "n": 2500.5})
    bring_up_to_date(db._pool, group, functions)
    assert 0 < counting.given < 600


def test_results_computed_for_an_index_that_moved_on_are_not_stored(built):
    db, _, _, state, _ = built
    assert not db._pool.write(index.write_values, state.num, 0, [], position=(1, 0))


def test_a_batch_is_refused_where_the_index_does_not_stand_at_its_beginning(built):
    db, group, _, state, _ = built
    batch = db._pool.read(index.read_batch, group, index.Position(3, 0), 5)
    assert [doc["_id"] for doc in batch.docs] == batch.doc_ids == [f"{at:05}" for at in range(3, 8)]
    assert not db._pool.write(index.write_batch, state.num, group, batch, [[]])
    assert not db._pool.write(index.write_batch, 999, group, batch, [[]])
