"""Grouped GQL queries: aggregates, ``group by`` and ``pivot``.

Documents with the same keys are one group, whose tuple is its keys and then its aggregates. A pivot parts each group by
its own keys, and makes columns of the parts: each selected expression with an aggregate has one for each combination of
the pivot's values that there is, in their order, and null where a group has no such documents.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from couchette.query.gql_evaluation import Compiler, Known, Value, aggregates_in
from couchette.query.gql_expressions import Expression, Query
from couchette.query.gql_format import plain_text
from couchette.query.gql_functions import AGGREGATES
from couchette.query.gql_grammar import refuse
from couchette.query.gql_values import OrderKey, order_key

Doc = dict[str, Any]
Keys = tuple[OrderKey, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the answer."""

    expression: Expression
    prefix: str
    """The pivot's values, before the label."""
    value: Value


def is_grouped(query: Query) -> bool:
    """Whether the rows of an answer are groups of documents."""
    used = [*query.select, *(expression for expression, _ in query.order_by)]
    return bool(query.group_by or query.pivot) or any(True for each in used for _ in aggregates_in(each))


class Grouping:
    """A checked plan of grouping; :meth:`table` carries it out."""

    def __init__(self, query: Query, compiler: Compiler) -> None:
        self._query, self._compiler = query, compiler
        self._keys = [compiler.of_document(key) for key in query.group_by]
        self._pivots = [compiler.of_document(key) for key in query.pivot]
        ordered = [expression for expression, _ in query.order_by]
        self._aggregates = list(
            dict.fromkeys(found for each in [*query.select, *ordered] for found in aggregates_in(each))
        )
        self._arguments = [compiler.of_document(call.args[0]) for call in self._aggregates]
        self._known = _places([*query.group_by, *self._aggregates])
        self._check()

    def _check(self) -> None:
        query = self._query
        if not query.select:
            refuse(
                query.source, 0, "A grouped query selects what to show of the groups: SELECT * fails", "Name columns."
            )
        for key in query.pivot:
            if key in query.group_by:
                refuse(query.source, key.at, f"{key.text} is grouped by already", "Pivot by something else.")
        for expression, _ in query.order_by:
            if query.pivot and any(True for _ in aggregates_in(expression)):
                hint = "With a pivot it has many values in a row; order by what is grouped by."
                refuse(query.source, expression.at, f"{expression.text} cannot be ordered by", hint)
            self.of_group(expression)
        for expression in query.select:
            self.of_group(expression)

    def of_group(self, expression: Expression) -> Value:
        """What computes an expression of a row of :meth:`table`; with a pivot, one without aggregates."""
        return self._compiler.of_group(expression, self._known)

    def table(self, docs: Iterable[Doc]) -> tuple[list[Column], list[Any]]:
        """The columns and the rows, in the order of their keys. A row is what the columns' values are computed of."""
        groups = self._groups(docs)
        if not self._query.pivot:
            columns = [Column(each, "", self.of_group(each)) for each in self._query.select]
            return columns, [parts[()][1] for _, parts in groups]
        return self._pivoted(groups)

    def _groups(self, docs: Iterable[Doc]) -> list[tuple[Keys, dict[Keys, tuple[list[Any], tuple[Any, ...]]]]]:
        """Each group's keys, and by the pivot's keys the pivot's values and the group's tuple."""
        parted: dict[Keys, dict[Keys, tuple[list[Any], list[Any], list[list[Any]]]]] = {}
        for doc in docs:
            keys, pivots = [get(doc) for get in self._keys], [get(doc) for get in self._pivots]
            parts = parted.setdefault(tuple(map(order_key, keys)), {})
            part = parts.get(pivot := tuple(map(order_key, pivots)))
            if part is None:
                part = parts[pivot] = (pivots, keys, [[] for _ in self._arguments])
            for values, get in zip(part[2], self._arguments, strict=True):
                if (value := get(doc)) is not None:
                    values.append(value)
        if not parted and not self._query.group_by and not self._query.pivot:
            parted[()] = {(): ([], [], [[] for _ in self._arguments])}
        return [
            (keys, {pivot: (names, self._tuple(*part)) for pivot, (names, *part) in parts.items()})
            for keys, parts in sorted(parted.items(), key=lambda group: group[0])
        ]

    def _tuple(self, keys: list[Any], values: list[list[Any]]) -> tuple[Any, ...]:
        computed = [AGGREGATES[call.name](each) for call, each in zip(self._aggregates, values, strict=True)]
        return (*keys, *computed)

    def _pivoted(self, groups: list[Any]) -> tuple[list[Column], list[Any]]:
        """Rows begin with the group's keys, so that what is grouped by is found in the same place; then come cells."""
        names: dict[Keys, list[Any]] = {}
        for _, parts in groups:
            names.update((pivot, shown) for pivot, (shown, _) in parts.items())
        pivots = sorted(names)
        cells: list[tuple[Keys, Value]] = []
        columns: list[Column] = []
        for expression in self._query.select:
            compute = self.of_group(expression)
            if not any(True for _ in aggregates_in(expression)):
                columns.append(Column(expression, "", compute))
                continue
            for pivot in pivots:
                prefix = ",".join(map(plain_text, names[pivot])) + " "
                place = len(self._keys) + len(cells)
                cells.append((pivot, compute))
                columns.append(Column(expression, prefix, _at(place)))
        rows = []
        for _, parts in groups:
            keys = next(iter(parts.values()))[1][: len(self._keys)]
            shown = (compute(parts[pivot][1]) if pivot in parts else None for pivot, compute in cells)
            rows.append((*keys, *shown))
        return columns, rows


def _places(expressions: Sequence[Expression]) -> Known:
    return {expression: place for place, expression in enumerate(expressions)}


def _at(place: int) -> Callable[[Any], Any]:
    return lambda row: row[place]
