"""What a search asks for: expressions over fields and terms, without any syntax.

Queries in text become these (:mod:`couchette.query.text_syntax`), and these become MATCH and SQL
(:mod:`couchette.index.text_matching`). Terms are analysed already.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from couchette.document.patterns import Pattern


@dataclass(frozen=True)
class Words:
    """A term, or several that stand side by side."""

    field: str
    terms: tuple[str, ...]
    slop: int = 0
    """So many other terms may stand between them, and their order is free; 0 is a phrase."""
    prefix: bool = False
    """The last term is only the beginning of one."""
    weight: float = 1.0


@dataclass(frozen=True)
class Terms:
    """Any term of a field of some shape."""

    field: str
    beginning: str
    """All of them begin so."""
    pattern: re.Pattern[str] | Pattern | None = None
    """Matches the whole of them."""
    near: str | None = None
    """They come from this one in at most ``edits`` edits."""
    edits: int = 0
    weight: float = 1.0


@dataclass(frozen=True)
class Between:
    """A number, or else a term, of a field in a range; None is an open end."""

    field: str
    low: float | str | None
    high: float | str | None
    include_low: bool = True
    include_high: bool = True


@dataclass(frozen=True)
class Everything:
    """All documents."""


@dataclass(frozen=True)
class Clauses:
    """All of ``must`` and none of ``must_not``; without ``must`` any of ``should``, which else only raises the rank."""

    must: tuple[Expression, ...] = ()
    should: tuple[Expression, ...] = ()
    must_not: tuple[Expression, ...] = ()


Expression: TypeAlias = Words | Terms | Between | Everything | Clauses


def any_of(parts: list[Expression]) -> Expression:
    """Any of some expressions; of none, nothing."""
    return parts[0] if len(parts) == 1 else Clauses(should=tuple(parts))


def leaves(expression: Expression) -> Iterator[Expression]:
    """The expressions that count for the rank: all but what must not match."""
    if isinstance(expression, Clauses):
        for part in (*expression.must, *expression.should):
            yield from leaves(part)
    else:
        yield expression
