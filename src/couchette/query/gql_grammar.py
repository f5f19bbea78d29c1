"""GQL's grammar: text becomes a :class:`~couchette.query.gql_expressions.Query`.

The language is that of the Visualization API (https://developers.google.com/chart/interactive/docs/querylanguage), with
names that have dots for what is inside of objects. lark makes an LALR parser of the grammar, and the expressions are
made as it reads, so that no nesting is beyond it. Conditions are expressions like others: else a parenthesis could
begin either, and one token would not tell. The clauses are a chain of rules: one rule of eleven optional parts would be
two thousand to lark.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime, time
from functools import cache
from typing import Any, Final, NoReturn

from couchette.errors import MissingExtra, QueryParseError
from couchette.limits import GQL_NESTING_MAX, GQL_QUERY_CHARS
from couchette.query.gql_expressions import RESERVED, Expression, Field, Literal, Query, call
from couchette.query.gql_functions import AGGREGATES, NOW, SCALARS
from couchette.query.gql_values import without_zone

_DIGITS_MAX: Final = 300
"""Of a number in a query: all of them are within a double."""

_GRAMMAR: Final = r"""
query: select? _from_where
_from_where: where? _from_group
_from_group: group_by? _from_pivot
_from_pivot: pivot? _from_order
_from_order: order_by? _from_skipping
_from_skipping: skipping? _from_limit
_from_limit: limit? _from_offset
_from_offset: offset? _from_label
_from_label: label? _from_format
_from_format: format? options?

select: _SELECT (ALL | expressions)
where: _WHERE condition
group_by: _GROUP_BY expressions
pivot: _PIVOT expressions
order_by: _ORDER_BY direction ("," direction)*
direction: condition (ASC | DESC)?
skipping: _SKIPPING NUMBER
limit: _LIMIT NUMBER
offset: _OFFSET NUMBER
label: _LABEL named ("," named)*
format: _FORMAT named ("," named)*
named: condition STRING
options: _OPTIONS OPTION (","? OPTION)*
expressions: condition ("," condition)*

?condition: both (_OR both)*                 -> any_of
?both: negation (_AND negation)*             -> all_of
?negation: NOT negation                      -> prefixed
    | comparison
?comparison: sum
    | sum (ORDER | TEST) sum                 -> infix
    | sum PATTERN STRING                     -> pattern
    | sum (NULL | NOT_NULL)                  -> postfixed
?sum: product | sum (PLUS | MINUS) product       -> infix
?product: signed | product (ALL | SLASH) signed  -> infix
?signed: MINUS signed                            -> prefixed
    | atom
?atom: NUMBER                                -> number
    | STRING                                 -> string
    | (TRUE | FALSE)                         -> boolean
    | (DATE | DATETIME | TIMEOFDAY) STRING   -> moment
    | NAME "(" [expressions] ")"             -> function
    | (NAME | QUOTED) ("." (NAME | QUOTED))* -> field
    | "(" condition ")"

_SELECT: /select\b/i
_WHERE: /where\b/i
_GROUP_BY: /group\s+by\b/i
_PIVOT: /pivot\b/i
_ORDER_BY: /order\s+by\b/i
_SKIPPING: /skipping\b/i
_LIMIT: /limit\b/i
_OFFSET: /offset\b/i
_LABEL: /label\b/i
_FORMAT: /format\b/i
_OPTIONS: /options\b/i
ASC: /asc\b/i
DESC: /desc\b/i
_AND: /and\b/i
_OR: /or\b/i
NOT: /not\b/i
NULL: /is\s+null\b/i
NOT_NULL: /is\s+not\s+null\b/i
TEST: /contains\b|starts\s+with\b|ends\s+with\b/i
PATTERN: /matches\b|like\b/i
TRUE: /true\b/i
FALSE: /false\b/i
DATE: /date\b/i
DATETIME: /(datetime|timestamp)\b/i
TIMEOFDAY: /timeofday\b/i
OPTION: /no_format\b|no_values\b/i
ORDER: /[<>]=|<>|!=|[<>=]/
ALL: "*"
PLUS: "+"
MINUS: "-"
SLASH: "/"
NUMBER: /\d+(\.\d*)?|\.\d+/
STRING: /'[^']*'|"[^"]*"/
QUOTED: /`[^`]+`/
NAME: /(?!(RESERVED)\b)[^\W\d]\w*/i
%ignore /\s+/
""".replace("RESERVED", "|".join(sorted(RESERVED)))

_SEEN: Final = {
    "NAME": "a name", "QUOTED": "a name in backquotes", "NUMBER": "a number", "STRING": "a string", "$END": "its end",
    "LPAR": "'('", "RPAR": "')'", "COMMA": "','", "DOT": "'.'", "ORDER": "'='", "ALL": "'*'",
    "PLUS": "'+'", "MINUS": "'-'", "SLASH": "'/'", "NULL": "IS NULL", "NOT_NULL": "IS NOT NULL", "TEST": "CONTAINS",
    "PATTERN": "LIKE",
}  # fmt: skip
"""Terminals by what a reader calls them; the others are words."""


def read_query(text: str) -> Query:
    """The query that a text is.

    Raises:
        QueryParseError: it is none; the reason has the line and the column.
        MissingExtra: lark is not installed.
    """
    if not isinstance(text, str):
        raise QueryParseError("A GQL query is text or a mapping of clauses.", f"Got {text!r:.80}.")
    if len(text) > GQL_QUERY_CHARS:
        raise QueryParseError(
            "The query is too long.", f"It has {len(text)} characters, {GQL_QUERY_CHARS} are allowed."
        )
    lark, parser = _parser()
    try:
        clauses: dict[str, Any] = parser.parse(text)
    except lark.UnexpectedInput as exc:
        _refuse_syntax(text, exc)
    except _Wrong as exc:
        refuse(text, *exc.args)
    return Query(text, **clauses)


def refuse(source: str, at: int, what: str, hint: str) -> NoReturn:
    """Raise QueryParseError that tells a place in the query."""
    raise QueryParseError(f"{what} at {place(source, at)}.", hint)


def place(source: str, at: int) -> str:
    """A place as a reader counts it, from 1."""
    before = source[:at]
    return f"line {before.count(chr(10)) + 1}, column {at - before.rfind(chr(10))}"


@cache
def _parser() -> tuple[Any, Any]:
    """lark and the parser, which holds nothing of a query: threads share it."""
    try:
        import lark
    except ImportError as exc:
        raise MissingExtra("GQL needs lark.", "Run `pip install 'couchette[gql]'`.") from exc
    return lark, lark.Lark(_GRAMMAR, parser="lalr", start="query", transformer=_Reader())


def _refuse_syntax(text: str, exc: Any) -> NoReturn:
    token = getattr(exc, "token", None)
    if token is not None and token.type == "$END":
        at, found = len(text.rstrip()), "the query ends too early"
    else:
        at = exc.pos_in_stream
        found = f"{text[at : at + 20]!r} is not expected"
    expected = sorted({_SEEN.get(name) or name.strip("_").replace("_", " ") for name in _expected(exc)})
    refuse(text, at, f"Cannot parse the query: {found}", f"There could be {', '.join(expected)}.")


def _expected(exc: Any) -> set[str]:
    """The terminals that could stand there: lark's two errors call them differently."""
    names: set[str] = (exc.allowed if hasattr(exc, "allowed") else exc.accepts or exc.expected) or set()
    return names


class _Wrong(Exception):
    """What follows the grammar and is wrong all the same: place, reason and hint."""


_MOMENTS: Final[dict[str, Any]] = {"DATE": date, "DATETIME": datetime, "TIMEOFDAY": time}


class _Reader:
    """Makes what the grammar's rules stand for; a method for each."""

    def query(self, parts: list[tuple[str, Any]]) -> dict[str, Any]:
        return dict(parts)

    def select(self, parts: list[Any]) -> tuple[str, Any]:
        return "select", parts[0] if isinstance(parts[0], tuple) else ()

    def where(self, parts: list[Expression]) -> tuple[str, Any]:
        return "where", parts[0]

    def group_by(self, parts: list[Any]) -> tuple[str, Any]:
        return "group_by", parts[0]

    def pivot(self, parts: list[Any]) -> tuple[str, Any]:
        return "pivot", parts[0]

    def order_by(self, parts: list[Any]) -> tuple[str, Any]:
        return "order_by", tuple(parts)

    def direction(self, parts: list[Any]) -> tuple[Expression, bool]:
        return parts[0], len(parts) > 1 and parts[1].type == "DESC"

    def skipping(self, parts: list[Any]) -> tuple[str, Any]:
        count = _whole(parts[0])
        if not count:
            raise _Wrong(parts[0].start_pos, "SKIPPING takes a number above 0, which is not", "1 leaves out no row.")
        return "skipping", count

    def limit(self, parts: list[Any]) -> tuple[str, Any]:
        return "limit", _whole(parts[0])

    def offset(self, parts: list[Any]) -> tuple[str, Any]:
        return "offset", _whole(parts[0])

    def label(self, parts: list[Any]) -> tuple[str, Any]:
        return "label", tuple(parts)

    def format(self, parts: list[Any]) -> tuple[str, Any]:
        return "format", tuple(parts)

    def named(self, parts: list[Any]) -> tuple[Expression, str]:
        return parts[0], parts[1][1:-1]

    def options(self, parts: list[Any]) -> tuple[str, Any]:
        return "options", frozenset(option.lower() for option in parts)

    def expressions(self, parts: list[Expression]) -> tuple[Expression, ...]:
        return tuple(parts)

    def any_of(self, parts: list[Expression]) -> Expression:
        return parts[0] if len(parts) == 1 else _call("or", parts, parts[0].at)

    def all_of(self, parts: list[Expression]) -> Expression:
        return parts[0] if len(parts) == 1 else _call("and", parts, parts[0].at)

    def prefixed(self, parts: list[Any]) -> Expression:
        sign, operand = parts
        if sign.type == "NOT":
            return _call("not", [operand], sign.start_pos)
        if isinstance(operand, Literal) and type(operand.value) in (int, float):
            return Literal(-operand.value, sign.start_pos)
        return _call("negate", [operand], sign.start_pos)

    def infix(self, parts: list[Any]) -> Expression:
        left, operator, right = parts
        name = " ".join(operator.lower().split())
        return _call("!=" if name == "<>" else name, [left, right], operator.start_pos)

    def pattern(self, parts: list[Any]) -> Expression:
        left, operator, right = parts
        if operator.lower() == "matches":
            try:
                re.compile(right[1:-1])
            except (re.error, OverflowError, RecursionError) as exc:
                hint = f"Python's re says: {exc}."
                raise _Wrong(right.start_pos, f"{right[:80]} is no regular expression", hint) from exc
        return _call(operator.lower(), [left, Literal(right[1:-1], right.start_pos)], operator.start_pos)

    def postfixed(self, parts: list[Any]) -> Expression:
        operand, operator = parts
        return _call("is null" if operator.type == "NULL" else "is not null", [operand], operator.start_pos)

    def number(self, parts: list[Any]) -> Expression:
        text = parts[0]
        if len(text) > _DIGITS_MAX:
            raise _Wrong(text.start_pos, "A number is too long", f"{_DIGITS_MAX} digits are allowed.")
        return Literal(float(text) if "." in text else int(text), text.start_pos)

    def string(self, parts: list[Any]) -> Expression:
        return Literal(parts[0][1:-1], parts[0].start_pos)

    def boolean(self, parts: list[Any]) -> Expression:
        return Literal(parts[0].type == "TRUE", parts[0].start_pos)

    def moment(self, parts: list[Any]) -> Expression:
        word, text = parts
        try:
            value = _MOMENTS[word.type].fromisoformat(text[1:-1])
            value = value if word.type == "DATE" else without_zone(value)
        except (ValueError, OverflowError) as exc:
            hint = "Write date 'yyyy-mm-dd', datetime 'yyyy-mm-dd hh:mm:ss' or timeofday 'hh:mm:ss'."
            raise _Wrong(text.start_pos, f"{text} is no {word.lower()}", hint) from exc
        return Literal(value, word.start_pos)

    def function(self, parts: list[Any]) -> Expression:
        word, args = parts[0], parts[1] or ()
        name, arity = word.lower(), 1
        if name in SCALARS:
            name, arity = SCALARS[name].name, SCALARS[name].arity
        elif name == NOW:
            arity = 0
        elif name not in AGGREGATES:
            known = sorted([*AGGREGATES, NOW, *(scalar.name for scalar in SCALARS.values())])
            raise _Wrong(word.start_pos, f"There is no function {word}", f"There are {', '.join(known)}.")
        if len(args) != arity:
            raise _Wrong(word.start_pos, f"{name} takes {arity} arguments and has {len(args)}", "Count its commas.")
        return _call(name, args, word.start_pos)

    def field(self, parts: list[Any]) -> Expression:
        return Field(tuple(part.strip("`") for part in parts), parts[0].start_pos)


def _call(name: str, args: Sequence[Expression], at: int) -> Expression:
    made = call(name, tuple(args), at)
    if made.depth > GQL_NESTING_MAX:
        raise _Wrong(at, "The query nests too deeply", f"{GQL_NESTING_MAX} levels are allowed.")
    return made


def _whole(text: Any) -> int:
    if not text.isdecimal() or len(text) > _DIGITS_MAX:
        raise _Wrong(text.start_pos, f"{text[:80]} is no whole number", "LIMIT, OFFSET and SKIPPING take those.")
    return int(text)
