"""A Mango selector in CouchDB's normal form, and what a planner asks of it.

In the normal form every condition is ``{path: {operator: argument}}`` under nothing but ``$and`` and ``$or``: fields
have gone down, negations too, a bare value is ``$eq``, and members side by side are an ``$and``. CouchDB keeps partial
filters of indexes in this form, shows it in ``_explain``, and chooses indexes by it.

A normal selector means what the original means: compiling either gives the same function.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from couchette import jsonio
from couchette.document import selector as selectors

Normal = dict[str, Any]
"""A selector in the normal form."""

PARTS: Final = frozenset(("$elemMatch", "$allMatch", "$keyMapMatch"))
"""Operators whose argument is a selector of its own, for parts of the value."""

_OPPOSITE: Final = {"$lt": "$gte", "$lte": "$gt", "$eq": "$ne", "$in": "$nin"}
_OPPOSITES: Final = {**_OPPOSITE, **{right: left for left, right in _OPPOSITE.items()}}


def normalize(selector: Mapping[str, Any]) -> Normal:
    """The normal form. Raises BadRequest, with CouchDB's ``error``, for what :func:`selector.compile` refuses."""
    selectors.compile(selector)
    return normal_form(selector)


def normal_form(selector: Mapping[str, Any]) -> Normal:
    """The normal form of a selector that has been compiled."""
    return _pushed(jsonio.loads(jsonio.dumps(selector)), "", False) if selector else {}


def _pushed(condition: Any, path: str, negated: bool) -> Normal:
    """A condition on the value at a path, with the path and the negation pushed down into it."""
    if not isinstance(condition, dict) or not condition:
        return {path: {"$ne" if negated else "$eq": condition}}
    if len(condition) > 1:
        parts = [_pushed({name: part}, path, negated) for name, part in condition.items()]
        return {"$or" if negated else "$and": parts}
    [(name, argument)] = condition.items()
    if not name.startswith("$"):
        return _pushed(argument, f"{path}.{name}" if path else name, negated)
    if name in ("$and", "$or", "$nor"):
        parts = [_pushed(part, path, negated ^ (name == "$nor")) for part in argument]
        return {"$and" if (name == "$and") ^ (name == "$nor") ^ negated else "$or": parts}
    if name == "$not":
        return _pushed(argument, path, not negated)
    if name == "$exists":
        return {path: {name: argument ^ negated}}
    if name in PARTS:
        argument = _pushed(argument, "", False)
    if not negated:
        return {path: {name: argument}}
    return {path: {_OPPOSITES[name]: argument} if name in _OPPOSITES else {"$not": {name: argument}}}


def required_fields(selector: Normal) -> frozenset[str]:
    """The paths that every matching document has: those with any condition but ``{"$exists": false}``."""
    if not selector:
        return frozenset()
    [(name, argument)] = selector.items()
    if name == "$and":
        return frozenset().union(*map(required_fields, argument))
    if name == "$or":
        parts = [required_fields(part) for part in argument]
        return parts[0].intersection(*parts) if parts else frozenset()
    return frozenset() if argument == {"$exists": False} else frozenset((name,))


def constant_fields(selector: Normal) -> frozenset[str]:
    """The paths at which all matching documents have equal values."""
    if not selector:
        return frozenset()
    [(name, argument)] = selector.items()
    if name == "$and":
        return frozenset().union(*map(constant_fields, argument))
    return frozenset((name,)) if not name.startswith("$") and "$eq" in argument else frozenset()


def all_fields(selector: Normal) -> frozenset[str]:
    """Every path with a condition."""
    if not selector:
        return frozenset()
    [(name, argument)] = selector.items()
    if name in ("$and", "$or"):
        return frozenset().union(*map(all_fields, argument))
    return frozenset((name,))


def conditions(selector: Normal) -> list[tuple[str, str, Any]]:
    """What must hold in any case, as (path, operator, argument): the selector itself, or the parts of its ``$and``."""
    if not selector:
        return []
    [(name, argument)] = selector.items()
    if name == "$and":
        return [condition for part in argument for condition in conditions(part)]
    if name == "$or":
        return []
    [(operator, value)] = argument.items()
    return [(name, operator, value)]
