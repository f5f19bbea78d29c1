"""Lucene's query syntax: text becomes an expression.

The syntax is that of Lucene's classic parser, which CouchDB's search has
(https://docs.couchdb.org/en/stable/ddocs/search.html#query-syntax); luqum parses it. Clauses side by side need not all
match, and rank higher the more do. What differs from Lucene: a word that the analyzer takes apart is a phrase, and AND
binds more tightly than OR.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import ModuleType
from typing import Any, Final

from couchette.document.patterns import Pattern
from couchette.errors import BadRequest, MissingExtra
from couchette.index.text_analysis import Analyzers
from couchette.index.text_expressions import Between, Clauses, Everything, Expression, Terms, Words, any_of
from couchette.index.text_terms import check_field, number_term, read_number
from couchette.limits import TEXT_NESTING_MAX, TEXT_QUERY_CHARS

DEFAULT_FIELD: Final = "default"

_SIGNS: Final = re.compile(
    r"""
    "(?:\\.|[^"\\])*" | \\. | (?<![^\s(:+\-!])/(?:\\.|[^/\\])*/  # what stays as it is: phrases, escapes, patterns
    | (?<![^\s()"])(?:&&|\|\|)(?![^\s()"])  # within a word they are part of it
    | !(?=[\w("'])
    | (?<![^\s(])[-+](?=\s)  # before a space they are words
    | (?<!\w)'  # luqum lets no word begin so
    """,
    re.DOTALL | re.VERBOSE,
)
_FOR_SIGNS: Final = {"&&": " AND ", "||": " OR ", "!": " NOT ", "-": r"\-", "+": r"\+", "'": r"\'"}
_POSITION: Final = re.compile(r"at position (\d+)")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_WILDCARD: Final = re.compile(r"\\(.)|([*?])|([^\\*?]+)|\\$", re.DOTALL)
_EDITS_MAX: Final = 2
"""As in Lucene, where it is also what ``~`` alone means: with three edits short words come from nearly all others."""


def read_query(text: str, analyzers: Analyzers, fields: Sequence[str] = (DEFAULT_FIELD,)) -> Expression:
    """The expression of a query. Terms without a field are looked for in ``fields``.

    Raises BadRequest, whose reason shows the place, for what is no query, and MissingExtra.
    """
    if not isinstance(text, str):
        raise BadRequest("A search query must be a string.", f"Got {text!r:.80}.")
    if len(text) > TEXT_QUERY_CHARS:
        raise BadRequest("The query is too long.", f"It has {len(text)} characters, {TEXT_QUERY_CHARS} are allowed.")
    reader = _Reader(analyzers, _parser())
    return reader.read(_parse(reader.luqum, text), tuple(fields), 1.0, 0) or Clauses()


def _parse(luqum: ModuleType, text: str) -> Any:
    prepared = _SIGNS.sub(lambda found: _FOR_SIGNS.get(found[0], found[0]), text)
    try:
        return luqum.thread.parse(prepared)
    except (ValueError, ArithmeticError) as exc:
        hint = "Quote phrases, close parentheses, and escape special characters by a backslash."
        raise BadRequest(f"Cannot parse the query {text!r:.200}: {_place(exc, prepared)}.", hint) from exc


def _place(exc: Exception, text: str) -> str:
    """What is wrong, and where: luqum says it in its message, but for numbers that are none."""
    if isinstance(exc, ArithmeticError):
        return "a number after ^ or ~ is none"
    found = _POSITION.search(str(exc))
    at = int(found[1]) if found else len(text)
    return (
        f"syntax error at character {at + 1}, before {text[at : at + 20]!r}"
        if text[at:].strip()
        else ("syntax error at its end")
    )


def _parser() -> ModuleType:
    try:
        import luqum.thread
        import luqum.tree
    except ImportError as exc:
        raise MissingExtra("Search queries need luqum.", "Run `pip install 'couchette[search]'`.") from exc
    return luqum  # type: ignore[no-any-return]


class _Reader:
    """Turns luqum's tree into an expression."""

    def __init__(self, analyzers: Analyzers, luqum: ModuleType) -> None:
        self._analyzers = analyzers
        self.luqum = luqum

    def read(self, node: Any, fields: tuple[str, ...], weight: float, depth: int) -> Expression | None:
        """The expression of a node; None of one without terms, such as lone punctuation."""
        tree = self.luqum.tree
        if depth > TEXT_NESTING_MAX:
            raise BadRequest("The query nests too deeply.", f"At most {TEXT_NESTING_MAX} levels are allowed.")
        match node:
            case tree.SearchField():
                name = _unescape(node.name)
                if name == "*" and str(node.expr).strip() == "*":
                    return Everything()
                if isinstance(node.expr, tree.Not | tree.Prohibit | tree.Plus | tree.SearchField):
                    hint = r"A sign stands before the field, -n:5; of a value it is escaped, n:\-5, and so is a colon."
                    raise BadRequest(f"Cannot parse the query: {name!r:.80} must be followed by a value.", hint)
                return self.read(node.expr, (check_field(name),), weight, depth + 1)
            case tree.Group() | tree.FieldGroup() | tree.Plus():
                return self.read(node.children[0], fields, weight, depth + 1)
            case tree.Boost():
                return self.read(node.expr, fields, weight * float(node.force), depth + 1)
            case tree.Not() | tree.Prohibit() | tree.BaseOperation():
                return self._clauses(node, fields, weight, depth)
            case tree.NoneItem():
                return None
        parts = [self._leaf(node, field, weight) for field in fields]
        known = [part for part in parts if part is not None]
        return any_of(known) if known else None

    def _clauses(self, node: Any, fields: tuple[str, ...], weight: float, depth: int) -> Expression | None:
        tree = self.luqum.tree
        must: list[Expression] = []
        should: list[Expression] = []
        must_not: list[Expression] = []
        for part in node.children if isinstance(node, tree.BaseOperation) else [node]:
            negated = isinstance(part, tree.Not | tree.Prohibit)
            inner = self.read(part.children[0] if negated else part, fields, weight, depth + 1)
            if inner is None:
                continue
            if negated:
                must_not.append(inner)
            elif isinstance(node, tree.AndOperation) or isinstance(part, tree.Plus):
                must.append(inner)
            else:
                should.append(inner)
        if must_not or (must and should) or len(must) > 1 or len(should) > 1:
            return Clauses(tuple(must), tuple(should), tuple(must_not))
        return next(iter(must or should), None)

    # -- Terms ------------------------------------------------------------------------------------

    def _leaf(self, node: Any, field: str, weight: float) -> Expression | None:
        tree = self.luqum.tree
        match node:
            case tree.Range():
                return _range(field, node.low, node.high, node.include_low, node.include_high)
            case tree.From():
                return _range(field, node.a, None, node.include, True)
            case tree.To():
                return _range(field, None, node.a, True, node.include)
            case tree.Proximity():
                return self._words(field, _unescape(node.term.value[1:-1]), weight, slop=int(node.degree))
            case tree.Phrase():
                return self._words(field, _unescape(node.value[1:-1]), weight)
            case tree.Fuzzy():
                degree = _EDITS_MAX if str(node).endswith("~") else float(node.degree)
                return self._fuzzy(field, _unescape(node.term.value), degree, weight)
            case tree.Regex():
                return _regex(field, node.value[1:-1], weight)
        return self._word(field, node.value, weight)

    def _words(self, field: str, text: str, weight: float, *, slop: int = 0) -> Expression | None:
        terms = tuple(self._analyzers.of(field).terms(text))
        return Words(field, terms, slop, weight=weight) if terms else None

    def _word(self, field: str, written: str, weight: float) -> Expression | None:
        wildcard = self._wildcard(field, written, weight)
        if wildcard is not None:
            return wildcard
        text = _unescape(written)
        words = self._words(field, text, weight)
        number = read_number(text)
        if number is None:
            return words
        as_number = Words(field, (number_term(number),), weight=weight)
        return as_number if words is None or words == as_number else Clauses(should=(words, as_number))

    def _wildcard(self, field: str, written: str, weight: float) -> Expression | None:
        """A word with ``*`` or ``?``; None of one without."""
        parts = [(sign, escaped or plain or "") for escaped, sign, plain in _WILDCARD.findall(written)]
        if not any(sign for sign, _ in parts):
            return None
        normal = self._analyzers.of(field).normal
        literal = [(sign, normal(text)) for sign, text in parts]
        first = next(at for at, (sign, _) in enumerate(literal) if sign)
        beginning = "".join(text for _, text in literal[:first])
        if first == len(literal) - 1 and literal[first][0] == "*":
            return Words(field, (beginning,), prefix=True, weight=weight)
        return Terms(field, beginning, _wildcard_pattern(literal), weight=weight)

    def _fuzzy(self, field: str, text: str, degree: float, weight: float) -> Expression | None:
        terms = self._analyzers.of(field).terms(text)
        if len(terms) != 1:
            return self._words(field, text, weight)
        edits = int(degree) if degree >= 1 else int((1 - degree) * len(terms[0]))
        if not edits:
            return Words(field, tuple(terms), weight=weight)
        return Terms(field, "", near=terms[0], edits=min(edits, _EDITS_MAX), weight=weight)


def _wildcard_pattern(parts: Sequence[tuple[str, str]]) -> re.Pattern[str]:
    """The pattern of a term. What follows a star is looked for once, at its first place, and never again: so no term
    and pattern take longer than the product of their lengths.
    """
    pieces = [""]
    for sign, text in parts:
        if sign == "*":
            pieces.append("")
        else:
            pieces[-1] += "." if sign == "?" else re.escape(text)
    first, *rest = pieces
    if not rest:
        return re.compile(first, re.DOTALL)
    middle = "".join(f"(?>.*?{piece})" for piece in rest[:-1] if piece)
    return re.compile(f"{first}{middle}.*{rest[-1]}", re.DOTALL)


def _regex(field: str, source: str, weight: float) -> Expression:
    try:
        pattern = Pattern.compile(source.replace(r"\/", "/"), dotall=True)
    except ValueError as exc:
        raise BadRequest(
            f"The regular expression /{source}/ is not valid: {exc}.", "It is one of the package regex."
        ) from exc
    return Terms(field, "", pattern, weight=weight)


def _range(field: str, low: Any, high: Any, include_low: bool, include_high: bool) -> Expression:
    """A range: of numbers where both of its ends are, else of terms."""
    ends = [None if end is None else _end_text(end) for end in (low, high)]
    texts = [None if text == "*" else text for text in ends]
    if texts == [None, None]:
        return Words(field, ("",), prefix=True)
    first, last = texts
    numbers = [None if text is None else read_number(text) for text in texts]
    if all(number is not None or text is None for number, text in zip(numbers, texts, strict=True)):
        return Between(field, numbers[0], numbers[1], include_low, include_high)
    return Between(field, first, last, include_low, include_high)


def _end_text(end: Any) -> str:
    text = str(end).strip()
    return _unescape(text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text)


def _unescape(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)


def read_range(field: str, text: str) -> Expression:
    """A range by itself, such as ``[0 TO 100}``. Raises BadRequest."""
    luqum = _parser()
    node = _parse(luqum, text) if isinstance(text, str) else None
    if not isinstance(node, luqum.tree.Range):
        raise BadRequest("A range is written [low TO high], or with braces to leave out an end.", f"Got {text!r:.80}.")
    return _range(field, node.low, node.high, node.include_low, node.include_high)
