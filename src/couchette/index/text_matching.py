"""Expressions as SQL: which documents match, and how well.

What is about terms alone becomes one MATCH, which FTS5 evaluates at its own speed. Ranges, and what combines them with
terms, are conditions on the numbers of documents.

The rank is bm25 as FTS5 computes it. It is a sum over the terms of a query, so a query whose terms weigh differently,
or that has terms which need not match, is ranked by the sum of several MATCHes, each times its weight. Smaller is
better, as in FTS5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Final

import apsw

from couchette.errors import BadRequest
from couchette.index.text_expressions import Between, Clauses, Everything, Expression, Terms, Words, any_of, leaves
from couchette.index.text_terms import decode, encode, phrase, prefix_of
from couchette.limits import TEXT_EXPANDED_MAX, TEXT_WEIGHTS_MAX

_ROW: Final = "@row"


@dataclass(frozen=True)
class Select:
    """A part of a statement, and the values of its parameters."""

    sql: str
    values: tuple[Any, ...] = ()


# -- Terms that stand for others ------------------------------------------------------------------


def expand(conn: apsw.Connection, num: int, expression: Expression) -> Expression:
    """The expression with the index's terms in the place of each :class:`Terms`.

    Raises BadRequest when there are too many of them.
    """
    if isinstance(expression, Terms):
        return any_of(
            [Words(expression.field, (term,), weight=expression.weight) for term in _terms(conn, num, expression)]
        )
    if isinstance(expression, Clauses):
        parts = (expression.must, expression.should, expression.must_not)
        return Clauses(*(tuple(expand(conn, num, part) for part in some) for some in parts))
    return expression


def _terms(conn: apsw.Connection, num: int, wanted: Terms) -> list[str]:
    """The terms of an index that an expression stands for, in order."""
    prefix = prefix_of(wanted.field)
    begin = prefix + encode(wanted.beginning)
    sql = f"SELECT term FROM text_{num}_term WHERE term>=? AND term<?"
    fits = _near(wanted.near, wanted.edits) if wanted.near is not None else _matches(wanted)
    found: list[str] = []
    stored: Any = conn.execute(sql, (begin, begin + "\U0010ffff"))
    try:
        for (one,) in stored:
            term = decode(one[len(prefix) :])
            if fits(term):
                found.append(term)
    finally:
        stored.close()  # A statement under way would keep this connection's snapshot alive.
    if len(found) > TEXT_EXPANDED_MAX:
        hint = f"{wanted.field}:{wanted.beginning or wanted.near} stands for {len(found)}; give more of its beginning."
        raise BadRequest(f"A term must not stand for more than {TEXT_EXPANDED_MAX} others.", hint)
    return found


def _matches(wanted: Terms) -> Callable[[str], object]:
    assert wanted.pattern is not None
    return wanted.pattern.fullmatch


def _near(word: str, edits: int) -> Callable[[str], bool]:
    """Whether a term comes from a word in at most so many edits."""
    return lambda term: is_within(word, term, edits)


def is_within(one: str, other: str, edits: int) -> bool:
    """Whether one text comes from another in at most so many edits: insertions, deletions, replacements, and swaps of
    neighbours (optimal string alignment).

    Only the cells near the diagonal of the usual table are computed, and none after a row without hope.
    """
    if abs(len(one) - len(other)) > edits:
        return False
    one, other = _without_common_ends(one, other)
    far, width = edits + 1, len(other)
    before: list[int] = []
    last = list(range(width + 1))
    for i, a in enumerate(one):
        row = [i + 1] + [far] * width
        for j in range(max(0, i - edits), min(width, i + edits + 1)):
            best = min(last[j] + (a != other[j]), last[j + 1] + 1, row[j] + 1)
            if i and j and a == other[j - 1] and one[i - 1] == other[j]:
                best = min(best, before[j - 1] + 1)
            row[j + 1] = best
        if min(row) > edits:
            return False
        before, last = last, row
    return last[-1] <= edits


def _without_common_ends(one: str, other: str) -> tuple[str, str]:
    """Two texts without the beginning and the end that they share: those are matched as they are."""
    size = min(len(one), len(other))
    first = next((at for at in range(size) if one[at] != other[at]), size)
    size -= first
    last = next((at for at in range(size) if one[-1 - at] != other[-1 - at]), size)
    return one[first : len(one) - last], other[first : len(other) - last]


# -- Matching -------------------------------------------------------------------------------------


class Matcher:
    """The statements for one expanded expression on one index."""

    def __init__(self, num: int, expression: Expression, *, boosted: bool = False) -> None:
        """``boosted`` says that documents of the index boost their fields."""
        self.table = f"text_{num}"
        self._expression = expression
        self._boosted = boosted
        self._conditions: tuple[Select, ...] = ()

    def also(self, condition: Select) -> Matcher:
        """The same, of documents that meet another condition, too; that is about ``@row``."""
        narrowed = copy(self)
        narrowed._conditions += (condition,)
        return narrowed

    def condition(self, expression: Expression) -> Select:
        """An expression as such a condition."""
        return _condition(self.table, expression)

    def numbers(self) -> Select:
        """The numbers of the documents that match, in a column ``num``."""
        return self._matching("")

    def ranked(self) -> Select:
        """They and their rank: ``num``, ``score``, of which smaller is better."""
        weights = self._weights()
        if weights is None:
            return self._matching(f", bm25({self.table}) AS score")
        numbers = self.numbers()
        if not weights:
            return Select(f"SELECT num, -1.0 AS score FROM ({numbers.sql})", numbers.values)
        parts = [self._weighted(field, weight, phrases) for (field, weight), phrases in weights.items()]
        scores = " UNION ALL ".join(part.sql for part in parts)
        values = tuple(value for part in parts for value in part.values)
        if not self._conditions and _is_any_of_words(self._expression):
            return Select(f"SELECT num, sum(score) AS score FROM ({scores}) GROUP BY num", values)
        sql = f"""SELECT m.num AS num, ifnull(sum(s.score), 0.0) AS score FROM ({numbers.sql}) AS m
            LEFT JOIN ({scores}) AS s ON s.num=m.num GROUP BY m.num"""
        return Select(sql, numbers.values + values)

    def _matching(self, columns: str) -> Select:
        match, others = _split(self._expression)
        where = [*(_condition(self.table, one) for one in others), *self._conditions]
        values = tuple(value for one in where for value in one.values)
        if match is None:
            text = _joined([one.sql for one in where], "AND")
            return Select(f"SELECT num FROM {self.table}_doc WHERE {text.replace(_ROW, 'num')}", values)
        # The plus keeps SQLite from asking FTS5 for each of the rows by itself.
        text = f" AND {_joined([one.sql for one in where], 'AND')}".replace(_ROW, "+rowid") if where else ""
        # A limit keeps SQLite from merging this into a statement in which bm25() cannot be had.
        sql = f"SELECT rowid AS num{columns} FROM {self.table} WHERE {self.table} MATCH ?{text} LIMIT -1"
        return Select(sql, (match, *values))

    def _weights(self) -> dict[tuple[str | None, float], list[str]] | None:
        """Per weight, the phrases that have it, and per field where documents boost them.

        None where the rank of the one MATCH is all there is to it.
        """
        words = [leaf for leaf in leaves(self._expression) if isinstance(leaf, Words)]
        weights: dict[tuple[str | None, float], list[str]] = {}
        for one in words:
            weights.setdefault((one.field if self._boosted else None, one.weight), []).append(_words(one))
        if len(weights) > TEXT_WEIGHTS_MAX:
            raise BadRequest("The query has too many different boosts.", f"At most {TEXT_WEIGHTS_MAX} are allowed.")
        simple = list(weights) == [(None, 1.0)] and not _has_optional(self._expression)
        return None if simple and _split(self._expression)[0] is not None else weights

    def _weighted(self, field: str | None, weight: float, phrases: list[str]) -> Select:
        match = " OR ".join(phrases)
        table = self.table
        sql = f"SELECT rowid AS num, bm25({table}) * ? AS score FROM {table} WHERE {table} MATCH ? LIMIT -1"
        if field is None:
            return Select(f"SELECT * FROM ({sql})", (weight, match))
        path = f'$."{prefix_of(field)}"'
        boosted = f"""SELECT b.num AS num, b.score * ifnull(json_extract(d.boosts, ?), 1.0) AS score
            FROM ({sql}) AS b JOIN {table}_doc AS d ON d.num=b.num"""
        return Select(boosted, (path, weight, match))


def _is_any_of_words(expression: Expression) -> bool:
    """Whether just those documents match that have a rank."""
    if isinstance(expression, Clauses):
        return not expression.must and not expression.must_not and all(map(_is_any_of_words, expression.should))
    return isinstance(expression, Words)


def _has_optional(expression: Expression) -> bool:
    """Whether it has terms that count without having to match, or whose absence is more than that of one phrase."""
    if not isinstance(expression, Clauses):
        return False
    if expression.must and expression.should:
        return True
    if any(not isinstance(part, Words) for part in expression.must_not):
        return True
    return any(_has_optional(part) for part in (*expression.must, *expression.should))


def _split(expression: Expression) -> tuple[str | None, tuple[Expression, ...]]:
    """The part of an expression that one MATCH decides, or None, and what must be true beside it."""
    match = _match(expression)
    if match is not None:
        return match, ()
    if not isinstance(expression, Clauses) or not expression.must:
        return None, (expression,)
    texts = Clauses(
        must=tuple(part for part in expression.must if _match(part) is not None),
        must_not=tuple(part for part in expression.must_not if _match(part) is not None),
    )
    if not texts.must:
        return None, (expression,)
    others = tuple(part for part in expression.must if _match(part) is None)
    absent = tuple(part for part in expression.must_not if _match(part) is None)
    rest: tuple[Expression, ...] = (*others, *(Clauses(must=(Everything(),), must_not=(part,)) for part in absent))
    return _match(texts), rest


def _match(expression: Expression) -> str | None:
    """An expression in the language of MATCH; None where it takes more than that."""
    if isinstance(expression, Words):
        return _words(expression)
    if not isinstance(expression, Clauses):
        return None
    positive = [_match(part) for part in expression.must or expression.should]
    negative = [_match(part) for part in expression.must_not]
    if not positive or None in positive or None in negative:
        return None
    text = (" AND " if expression.must else " OR ").join(map(str, positive))
    text = f"({text})" if len(positive) > 1 else text
    return f"({text} NOT ({' OR '.join(map(str, negative))}))" if negative else text


def _words(words: Words) -> str:
    prefix = prefix_of(words.field)
    if words.slop and len(words.terms) > 1:
        each = " ".join(phrase(prefix, [term]) for term in words.terms)
        return f"NEAR({each}, {words.slop})"
    return phrase(prefix, words.terms) + (" *" if words.prefix else "")


def _condition(table: str, expression: Expression) -> Select:
    """An expression as a condition on ``@row``, which stands for the number of a document."""
    match = _match(expression)
    if match is not None:
        return Select(f"@row IN (SELECT rowid FROM {table} WHERE {table} MATCH ?)", (match,))
    if isinstance(expression, Everything):
        return Select("1")
    if isinstance(expression, Between):
        return _between(table, expression)
    assert isinstance(expression, Clauses), "terms are expanded before"
    positive = [_condition(table, part) for part in expression.must or expression.should]
    negative = [_condition(table, part) for part in expression.must_not]
    if not positive:
        return Select("0")
    text = _joined([one.sql for one in positive], "AND" if expression.must else "OR")
    if negative:
        text += f" AND NOT {_joined([one.sql for one in negative], 'OR')}"
    return Select(text, tuple(value for one in (*positive, *negative) for value in one.values))


def _joined(conditions: Sequence[str], sign: str) -> str:
    """Conditions joined in halves: SQLite takes expressions of 1000 levels, and a row of ANDs has one for each."""
    if len(conditions) == 1:
        return f"({conditions[0]})"
    half = len(conditions) // 2
    return f"({_joined(conditions[:half], sign)} {sign} {_joined(conditions[half:], sign)})"


def _between(table: str, between: Between) -> Select:
    prefix = prefix_of(between.field)
    bounds = [
        (between.low, ">=" if between.include_low else ">"),
        (between.high, "<=" if between.include_high else "<"),
    ]
    if any(isinstance(bound, str) for bound, _ in bounds):
        texts = [(prefix + encode(str(bound)), sign) for bound, sign in bounds if bound is not None]
        closed = (
            texts + [(prefix, ">=")] * (between.low is None) + [(prefix + "\U0010ffff", "<")] * (between.high is None)
        )
        return Select(f"@row IN (SELECT doc FROM {table}_place WHERE {_bounded('term', closed)})", _values(closed))
    numbers = [(bound, sign) for bound, sign in bounds if bound is not None]
    text = " AND ".join(filter(None, ["field=?", _bounded("value", numbers)]))
    return Select(f"@row IN (SELECT num FROM {table}_number WHERE {text})", (prefix, *_values(numbers)))


def _bounded(column: str, bounds: Iterable[tuple[Any, str]]) -> str:
    return " AND ".join(f"{column}{sign}?" for _, sign in bounds)


def _values(bounds: Iterable[tuple[Any, str]]) -> tuple[Any, ...]:
    return tuple(bound for bound, _ in bounds)
