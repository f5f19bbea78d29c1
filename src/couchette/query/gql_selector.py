"""What of a GQL condition a find can do: a selector that every document matches for which the condition holds.

It may match more, for the condition is tried on what is found; so it leaves out whatever Mango understands differently:
moments, negations, computed values, and ids, which it reads in another order.
"""

from __future__ import annotations

from typing import Any, Final

from couchette.query.gql_expressions import Call, Expression, Field, Literal

Selector = dict[str, Any]

_OPERATORS: Final = {"=": "$eq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte", "starts with": "$beginsWith"}
_MIRRORED: Final = {"=": "=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_EXACT_MAX: Final = 2**53


def selector_of(condition: Expression | None) -> Selector:
    """The selector; empty where find can do nothing."""
    match condition:
        case Call("and", args):
            parts = [part for arg in args if (part := selector_of(arg))]
            return {"$and": parts} if parts else {}
        case Call("or", args):
            parts = [selector_of(arg) for arg in args]
            return {"$or": parts} if all(parts) else {}
        case Call("is not null", (Field(names),)):
            return _on(names, "$gt", None)
        case Call(name, (Field(names), Literal(value))) if name in _OPERATORS and _is_plain(value):
            return _on(names, _OPERATORS[name], value)
        case Call(name, (Literal(value), Field(names))) if name in _MIRRORED and _is_plain(value):
            return _on(names, _OPERATORS[_MIRRORED[name]], value)
    return {}


def _is_plain(value: Any) -> bool:
    is_exact = not isinstance(value, (int, float)) or abs(value) <= _EXACT_MAX
    return isinstance(value, (str, int, float)) and is_exact


def _on(names: tuple[str, ...], operator: str, value: Any) -> Selector:
    if names[0].startswith("_") or any("\\" in name or name.startswith("$") for name in names):
        return {}
    path = ".".join(name.replace(".", "\\.") for name in names)
    return {path: {operator: value}}
