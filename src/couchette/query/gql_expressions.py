"""What a GQL query is made of: expressions, and the clauses that hold them.

Expressions are plain values. Two that mean the same are equal wherever in the query they stand, so that a label, a
group or an order finds the column that it speaks of. ``text`` is how one is written in a query, and ``title`` what a
column of it is called that has no label.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Final, TypeAlias

_RESERVED: Final = (
    "and asc by date datetime desc false format group is label limit not null offset options or order pivot select "
    "skipping timeofday timestamp true where"
)
RESERVED: Final = frozenset(_RESERVED.split())
"""Words that are no names unless they are in backquotes."""

INFIX: Final = frozenset(
    [*"+-*/=<>", "!=", "<=", ">=", "and", "or", "contains", "starts with", "ends with", "matches", "like"]
)
_WORD: Final = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True, slots=True)
class Field:
    """A member of the documents, or one inside of it."""

    names: tuple[str, ...]
    at: int = field(default=0, compare=False)
    """Where in the query it begins; so of the others."""

    @property
    def depth(self) -> int:
        return 1

    @property
    def text(self) -> str:
        return ".".join(map(_quoted_name, self.names))

    @property
    def title(self) -> str:
        """What a column of it is called."""
        return ".".join(self.names)


@dataclass(frozen=True, slots=True, eq=False)
class Literal:
    """A value that the query has in it. Those of one text are equal: not 1 and true, which Python takes for equal."""

    value: Any
    at: int = 0

    @property
    def title(self) -> str:
        return self.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def depth(self) -> int:
        return 1

    @property
    def text(self) -> str:
        value = self.value
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str):
            return f'"{value}"' if "'" in value else f"'{value}'"
        if isinstance(value, datetime):
            return f"datetime '{value.isoformat(sep=' ')}'"
        if isinstance(value, (int, float)):
            return str(value)
        return f"{'date' if isinstance(value, date) else 'timeofday'} '{value.isoformat()}'"


@dataclass(frozen=True, slots=True)
class Call:
    """An operator or a function, and what it is applied to."""

    name: str
    args: tuple[Expression, ...]
    at: int = field(default=0, compare=False)
    depth: int = field(default=1, compare=False)
    text: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        return self.text


Expression: TypeAlias = Field | Literal | Call


def call(name: str, args: tuple[Expression, ...], at: int) -> Call:
    """A call, with its text and how deep it nests."""
    return Call(name, args, at, 1 + max((arg.depth for arg in args), default=0), _call_text(name, args))


def _call_text(name: str, args: tuple[Expression, ...]) -> str:
    if name in INFIX:
        return f" {name} ".join(map(_operand, args))
    if name in ("is null", "is not null"):
        return f"{_operand(args[0])} {name}"
    if name == "not":
        return f"not {_operand(args[0])}"
    if name == "negate":
        return f"-{_operand(args[0])}"
    return f"{name}({', '.join(arg.text for arg in args)})"


def _operand(arg: Expression) -> str:
    is_operator = isinstance(arg, Call) and not arg.text.startswith(f"{arg.name}(")
    return f"({arg.text})" if is_operator else arg.text


def _quoted_name(name: str) -> str:
    return name if _WORD.fullmatch(name) and name.lower() not in RESERVED else f"`{name}`"


@dataclass(frozen=True, slots=True)
class Query:
    """The clauses of a query; what it does not have is empty or None."""

    source: str
    """Its text, of which the places in it are told."""
    select: tuple[Expression, ...] = ()
    """Empty for all members."""
    where: Expression | None = None
    group_by: tuple[Expression, ...] = ()
    pivot: tuple[Expression, ...] = ()
    order_by: tuple[tuple[Expression, bool], ...] = ()
    """Each with whether it descends."""
    skipping: int | None = None
    limit: int | None = None
    offset: int = 0
    label: tuple[tuple[Expression, str], ...] = ()
    format: tuple[tuple[Expression, str], ...] = ()
    options: frozenset[str] = frozenset()
