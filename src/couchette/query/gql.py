"""GQL: the query language of the Visualization API over documents.

A query is read, checked, and answered from one snapshot. Its condition narrows what find reads, through an index where
one serves, and is then tried on what came. Documents are taken in the order of their ids, groups in that of their keys;
then come order, skipping, offset and limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from functools import cached_property
from typing import Any, Final, overload

from couchette import surroundings
from couchette.errors import QueryParseError
from couchette.pool import Pool
from couchette.query.find import find
from couchette.query.find_options import read_options
from couchette.query.gql_evaluation import Compiler, Value
from couchette.query.gql_expressions import Expression, Field, Query
from couchette.query.gql_format import Formatter, formatter, plain_text
from couchette.query.gql_grammar import read_query, refuse
from couchette.query.gql_grouping import Column, Grouping, is_grouped
from couchette.query.gql_selector import selector_of
from couchette.query.gql_values import order_key

Doc = dict[str, Any]
Row = tuple[Any, ...]

_CLAUSES: Final = {
    "select": "select", "where": "where", "group_by": "group by", "pivot": "pivot", "order_by": "order by",
    "skipping": "skipping", "limit": "limit", "offset": "offset", "label": "label", "format": "format",
    "options": "options",
}  # fmt: skip
_ALIASES: Final = {"groupBy": "group_by", "orderBy": "order_by"}


@dataclass(frozen=True, eq=False)
class GqlRows(Sequence[dict[str, Any]]):
    """The rows of an answer, as a sequence of dictionaries by label; ``rows`` has the same as tuples.

    Where two columns have one label, a dictionary has the later one's value.
    """

    columns: tuple[str, ...]
    """Labels, in order."""
    ids: tuple[str, ...]
    """What the columns show, such as ``max(age)``: their names where they have no label."""
    rows: list[Row]
    """Values: JSON, and ``date``, ``datetime`` and ``time``. With ``options no_values`` texts."""
    formatters: tuple[Formatter, ...]

    @cached_property
    def formatted(self) -> list[tuple[str, ...]]:
        """The rows as texts, by the patterns of ``format``; null is empty."""
        return [tuple(write(value) for write, value in zip(self.formatters, row, strict=True)) for row in self.rows]

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> list[dict[str, Any]]: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | list[dict[str, Any]]:
        if isinstance(at, slice):
            return [dict(zip(self.columns, row, strict=True)) for row in self.rows[at]]
        return dict(zip(self.columns, self.rows[at], strict=True))

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return (dict(zip(self.columns, row, strict=True)) for row in self.rows)


def run_gql(pool: Pool, query: str | Mapping[str, Any]) -> GqlRows:
    """The answer to a query. See :meth:`couchette.Database.gql`."""
    return _Run(read_query(_text_of(query) if isinstance(query, Mapping) else query)).answer(pool)


def _text_of(clauses: Mapping[str, Any]) -> str:
    """The text of a query that is given by its clauses, each on a line of its own."""
    given = {_ALIASES.get(name, name): clause for name, clause in clauses.items()}
    for name, clause in given.items():
        if name not in _CLAUSES:
            raise QueryParseError(f"There is no clause {name!r:.80}.", f"There are {', '.join(_CLAUSES)}.")
        if not isinstance(clause, (str, int)) or isinstance(clause, bool):
            raise QueryParseError(f"The clause {name!r} must be text or a number.", f"Got {clause!r:.80}.")
    return "\n".join(f"{word} {given[name]}" for name, word in _CLAUSES.items() if name in given)


class _Run:
    """A query, checked and compiled, before any document is read."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._check_columns()
        now = surroundings.now().astimezone(UTC).replace(tzinfo=None)
        self._compiler = compiler = Compiler(query.source, now)
        self._where = None if query.where is None else compiler.of_document(query.where)
        self._grouping = Grouping(query, compiler) if is_grouped(query) else None
        of_row = self._grouping.of_group if self._grouping else compiler.of_document
        self._order = [(of_row(expression), descends) for expression, descends in query.order_by]
        self._select = [] if self._grouping else [self._column(each) for each in query.select]
        self._labels = dict(query.label)
        formats = {each: self._formatter(each, pattern) for each, pattern in query.format}
        self._formatters = {} if "no_format" in query.options else formats

    def _check_columns(self) -> None:
        query = self._query
        clauses = (query.select, query.group_by, query.pivot, [each for each, _ in query.order_by])
        named = ([each for each, _ in query.label], [each for each, _ in query.format])
        for clause in (*clauses, *named):
            seen: set[Expression] = set()
            for each in clause:
                if each in seen:
                    refuse(query.source, each.at, f"{each.text} is there twice in one clause", "Leave one out.")
                seen.add(each)
        for each in (*named[0], *named[1]):
            if query.select and each not in query.select:
                hint = f"Selected are {', '.join(each.text for each in query.select)}."
                refuse(query.source, each.at, f"{each.text} is not selected", hint)
        if len(query.options) > 1:
            raise QueryParseError("no_values and no_format together leave nothing.", "Give one of them.")

    def _formatter(self, expression: Expression, pattern: str) -> Formatter:
        try:
            return formatter(pattern)
        except ValueError:
            hint = "Patterns are such as '#,##0.00', 'yyyy-MM-dd' and 'yes:no'."
            refuse(self._query.source, expression.at, f"The pattern {pattern!r} of {expression.text} is none", hint)

    def answer(self, pool: Pool) -> GqlRows:
        query, where = self._query, self._where
        docs = _read(pool, query, self._grouping is not None)
        if where is not None:
            docs = [doc for doc in docs if where(doc) is True]
        columns, rows = (
            self._grouping.table(docs) if self._grouping else (self._select or self._all_members(docs), docs)
        )
        for value, descends in reversed(self._order):
            rows = sorted(rows, key=_sorting_by(value), reverse=descends)
        rows = rows[:: query.skipping or 1][query.offset :]
        rows = rows if query.limit is None else rows[: query.limit]
        found = GqlRows(
            tuple(column.prefix + self._labels.get(column.expression, column.expression.title) for column in columns),
            tuple(column.prefix + column.expression.title for column in columns),
            [tuple(column.value(row) for column in columns) for row in rows],
            tuple(self._formatters.get(column.expression, plain_text) for column in columns),
        )
        return replace(found, rows=found.formatted) if "no_values" in query.options else found

    def _all_members(self, docs: Sequence[Doc]) -> list[Column]:
        """The columns of ``select *``: the id, the revision and every member that a document has, as they come."""
        names = dict.fromkeys(["_id", "_rev"])
        for doc in docs:
            names.update(dict.fromkeys(doc))
        return [self._column(Field((name,))) for name in names]

    def _column(self, expression: Expression) -> Column:
        return Column(expression, "", self._compiler.of_document(expression))


def _sorting_by(value: Value) -> Any:
    return lambda row: order_key(value(row))


def _read(pool: Pool, query: Query, grouped: bool) -> list[Doc]:
    """The documents that may be in the answer, by id; no more of them than can, where each is a row in that order."""
    options = replace(read_options({"selector": selector_of(query.where)}), limit=None)
    if not (query.where or query.order_by or query.skipping or grouped) and query.limit is not None:
        options = replace(options, limit=query.offset + query.limit)
    docs: list[Doc] = find(pool, options, strict=False)["docs"]
    return sorted(docs, key=lambda doc: doc["_id"])
