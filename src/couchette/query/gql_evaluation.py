"""Computing GQL's expressions: an expression becomes a function of a row.

A row is a document, or of a grouped query the tuple of what is known of the group: its keys, then its aggregates. What
is known is not looked into any further, so ``upper(name)`` grouped by may be selected, and ``name`` may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from couchette.query.gql_expressions import Call, Expression, Field, Literal
from couchette.query.gql_functions import AGGREGATES, NOW, OPERATORS, SCALARS
from couchette.query.gql_grammar import refuse

Value = Callable[[Any], Any]
Known = Mapping[Expression, int]
"""Expressions by their places in a group's tuple."""


class Compiler:
    """Makes functions of the expressions of one query, to which ``now`` is one moment."""

    def __init__(self, source: str, now: datetime) -> None:
        self._source = source
        self._now = now

    def of_document(self, expression: Expression) -> Value:
        """A function of a document. Aggregates are refused."""
        return self._compile(expression, None)

    def of_group(self, expression: Expression, known: Known) -> Value:
        """A function of a group's tuple. A field that is not known is refused."""
        return self._compile(expression, known)

    def _compile(self, expression: Expression, known: Known | None) -> Value:
        if known is not None and expression in known:
            place = known[expression]
            return lambda row: row[place]
        match expression:
            case Literal(value):
                return lambda row: value
            case Field(names):
                if known is not None:
                    hint = "Group by it, or use it in avg, count, max, min or sum."
                    refuse(self._source, expression.at, f"{expression.text} has many values in a group", hint)
                return _getter(names)
            case Call(name, args):
                if name in AGGREGATES:
                    hint = "Aggregates are selected and ordered by, and not nested."
                    refuse(self._source, expression.at, f"{expression.text} cannot be computed here", hint)
                return self._applied(name, [self._compile(arg, known) for arg in args])

    def _applied(self, name: str, args: list[Value]) -> Value:
        if name == NOW:
            now = self._now
            return lambda row: now
        if name == "and":
            return lambda row: all(arg(row) is True for arg in args)
        if name == "or":
            return lambda row: any(arg(row) is True for arg in args)
        function = OPERATORS.get(name) or SCALARS[name.lower()].function
        if len(args) == 1:
            [only] = args
            return lambda row: function(only(row))
        left, right = args
        return lambda row: function(left(row), right(row))


def _getter(names: tuple[str, ...]) -> Value:
    if len(names) == 1:
        [name] = names
        return lambda doc: doc.get(name)

    def value_at(doc: Any) -> Any:
        for name in names:
            if not isinstance(doc, dict):
                return None
            doc = doc.get(name)
        return doc

    return value_at


def aggregates_in(expression: Expression) -> Iterator[Call]:
    """The aggregates of an expression, the outermost ones."""
    if isinstance(expression, Call):
        if expression.name in AGGREGATES:
            yield expression
        else:
            for arg in expression.args:
                yield from aggregates_in(arg)
