"""Mango selectors: which documents a JSON condition describes.

A selector is compiled once into a function. Fields go down and negations too, as in CouchDB: under
``{"a": {"$not": {"b": 1}}}`` there is one condition, ``a.b`` is not 1, on one path. What follows from that:

* A condition looks at a value that is there. A missing field satisfies ``{"$exists": false}`` and nothing
  else, not even ``$ne``, ``$nin``, ``$not`` or ``$nor``.
* A nested object names sub-fields, and matches a document that has more of them; ``$eq`` takes it whole.
* Comparisons use the collation of views, across types: ``{"$lt": 5}`` takes null and booleans. ``_id`` alone
  is compared by its bytes.

``$regex`` is that of the package regex with ASCII classes, which is near to CouchDB's PCRE, and bounded in time
(:mod:`couchette.document.patterns`). The operators: https://docs.couchdb.org/en/stable/api/database/find.html#selector-syntax.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from couchette import jsonio
from couchette.document.collation import compare
from couchette.document.patterns import Pattern
from couchette.errors import BadRequest
from couchette.limits import SELECTOR_NESTING_MAX

Matcher = Callable[[Any], bool]

NOT_THERE: Final = object()
"""The field is not there."""
_NO_PATH: Final = object()
"""The path leads through something that is no object: then not even ``{"$exists": false}`` holds."""

_UNSUPPORTED: Final = frozenset(("$where", "$geoWithin", "$geoIntersects", "$near", "$nearSphere"))
_DOT: Final = re.compile(r"(?<!\\)\.")


def compile(selector: Mapping[str, Any]) -> Matcher:
    """A function that tells whether a document matches. Raises BadRequest, with CouchDB's ``error``."""
    if not isinstance(selector, Mapping):
        reason = f"Selector must be a JSON object, not: {erlang_text(selector)}"
        raise BadRequest(reason, "An empty one matches everything.", error="invalid_selector_json")
    if not selector:
        return lambda doc: True
    # A copy of plain JSON values: what the caller changes later has no effect.
    matcher = _compile(jsonio.loads(jsonio.dumps(selector)), "", False, 0)
    if len(selector) == 1 and next(iter(selector)) in _NEED_A_FIELD:
        reason = "One or more conditions is missing a field name."
        raise BadRequest(reason, f"Got {selector!r:.80}.", error="invalid_selector")
    return matcher


def _compile(condition: Any, path: str, negated: bool, depth: int) -> Matcher:
    """The matcher of a condition on the value at the path; `negated` turns it around."""
    if depth > SELECTOR_NESTING_MAX:
        hint = f"At most {SELECTOR_NESTING_MAX} levels are allowed."
        raise BadRequest("The selector is nested too deeply.", hint, error="invalid_selector")
    if not isinstance(condition, dict) or not condition:
        return _at(path, _OPERATORS["$eq"](condition), negated)
    if len(condition) > 1:
        parts = [_compile({name: part}, path, negated, depth + 1) for name, part in condition.items()]
        return _any(parts) if negated else _all(parts)
    [(name, argument)] = condition.items()
    if not name.startswith("$"):
        return _compile(argument, f"{path}.{name}" if path else name, negated, depth + 1)
    if name in ("$and", "$or", "$nor"):
        _require(isinstance(argument, list), name, argument)
        parts = [_compile(part, path, negated ^ (name == "$nor"), depth + 1) for part in argument]
        return _all(parts) if (name == "$and") ^ (name == "$nor") ^ negated else _any(parts)
    if name == "$not":
        _require(isinstance(argument, dict), name, argument)
        return _compile(argument, path, not negated, depth + 1)
    if name in ("$elemMatch", "$allMatch", "$keyMapMatch"):
        _require(isinstance(argument, dict), name, argument)
        return _at(path, _PARTS[name](_compile(argument, "", False, depth + 1)), negated)
    if name == "$exists":
        _require(isinstance(argument, bool), name, argument)
        return _exists(path, argument ^ negated)
    if path == "_id" and name in ("$in", "$nin") and isinstance(argument, list) and argument:
        holds = (name == "$in") ^ negated
        parts = [_compile({"$eq": one}, path, not holds, depth + 1) for one in argument]
        return _any(parts) if holds else _all(parts)
    if path == "_id" and name in _RAW and isinstance(argument, str):
        return _at(path, _RAW[name](argument), negated)
    return _at(path, _operator(name, argument), negated)


def _operator(name: str, argument: Any) -> Matcher:
    """An operator that only looks at the value."""
    if name in _OPERATORS:
        return _OPERATORS[name](argument)
    if name == "$text":
        reason = f"Invalid field normalization on selector: {erlang_text({'$default': {name: argument}})}"
        hint = "It stands at the top of the selector of a find, or in an $and there."
        raise BadRequest(reason, hint, error="bad_field")
    if name in _UNSUPPORTED:
        raise BadRequest(f"Unsupported operator: {name}", "CouchDB has none either.", error="not_supported")
    raise _invalid_operator(name, "There is no such operator.")


# -- Fields ---------------------------------------------------------------------------------------


def _all(parts: list[Matcher]) -> Matcher:
    """All parts hold. Without any part nothing matches, as CouchDB's ``_find`` answers it."""
    return lambda value: bool(parts) and all(part(value) for part in parts)


def _any(parts: list[Matcher]) -> Matcher:
    return lambda value: any(part(value) for part in parts)


def _at(path: str, matches: Matcher, negated: bool) -> Matcher:
    """A condition on a field that must be there; no path means the value itself."""
    if not path:
        return lambda value: matches(value) != negated
    names = split_path(path)

    def matches_field(value: Any) -> bool:
        found = _find(value, names)
        return found is not NOT_THERE and found is not _NO_PATH and matches(found) != negated

    return matches_field


def _exists(path: str, wanted: bool) -> Matcher:
    if not path:
        return lambda value: wanted
    names = split_path(path)

    def matches_field(value: Any) -> bool:
        found = _find(value, names)
        return found is not _NO_PATH and (found is not NOT_THERE) == wanted

    return matches_field


def split_path(path: str) -> list[str]:
    """The names on a path: dots part them, and a backslash makes the next character an ordinary one."""
    names = _DOT.split(path)
    if "" in names:
        raise BadRequest(
            f"Invalid field name: {path}", "A name on a path must not be empty.", error="invalid_field_name"
        )
    return [name.replace("\\", "") for name in names]


def field_getter(path: str) -> Callable[[Any], Any]:
    """A function that gives what a document has at the path, or :data:`NOT_THERE`."""
    names = split_path(path)
    if len(names) == 1:
        [name] = names
        return lambda doc: doc.get(name, NOT_THERE)

    def value_at(doc: Any) -> Any:
        found = _find(doc, names)
        return NOT_THERE if found is _NO_PATH else found

    return value_at


def _find(value: Any, names: list[str]) -> Any:
    """What is at the path: members of objects by name, elements of arrays by number."""
    for name in names:
        if isinstance(value, dict):
            value = value.get(name, NOT_THERE)
            if value is NOT_THERE:
                return NOT_THERE
        elif isinstance(value, list) and name.isascii() and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return _NO_PATH
    return value


# -- Operators ------------------------------------------------------------------------------------


def _comparison(holds: Callable[[Any, Any], bool]) -> Callable[[Any], Matcher]:
    """An operator by the collation. ``holds`` is Python's: of two numbers, or of their order and zero."""

    def of_any(argument: Any) -> Matcher:
        if type(argument) in _NUMBERS:
            # Numbers compare by value in Python too, and it takes a tenth of the time.
            return lambda value: (
                holds(value, argument) if type(value) in _NUMBERS else holds(compare(value, argument), 0)
            )
        return lambda value: holds(compare(value, argument), 0)

    return of_any


def _equals(argument: Any) -> Matcher:
    """``$eq``. Visible ASCII texts are equal only when they are the same; others may hold what collation ignores."""
    slowly = _comparison(operator.eq)(argument)
    if not (isinstance(argument, str) and _is_visible_ascii(argument)):
        return slowly
    return lambda value: value == argument or (not (type(value) is str and _is_visible_ascii(value)) and slowly(value))


def _is_visible_ascii(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _raw_comparison(holds: Callable[[Any, Any], bool]) -> Callable[[str], Matcher]:
    """The same for ids, by their bytes."""

    def of_ids(argument: str) -> Matcher:
        wanted = argument.encode()

        def matches(value: Any) -> bool:
            if not isinstance(value, str):
                return holds(compare(value, argument), 0)
            return holds(value.encode(), wanted)

        return matches

    return of_ids


def _in(argument: Any, name: str = "$in") -> Matcher:
    """One of the values, or an array that has one of them as an element."""
    _require(isinstance(argument, list), name, argument)

    def matches(value: Any) -> bool:
        candidates = value if isinstance(value, list) else [value]
        return any(compare(candidate, wanted) == 0 for candidate in candidates for wanted in argument)

    return matches


def _nin(argument: Any) -> Matcher:
    matches = _in(argument, "$nin")
    return lambda value: not matches(value)


def _all_of(argument: Any) -> Matcher:
    """An array with all of the values, exactly those; or the only one of them, when that is an array."""
    _require(isinstance(argument, list), "$all", argument)
    wanted = {jsonio.dumps(part) for part in argument}
    whole = argument[0] if len(argument) == 1 and isinstance(argument[0], list) else None

    def matches(value: Any) -> bool:
        if not isinstance(value, list) or not wanted:
            return False
        return wanted <= {jsonio.dumps(part) for part in value} or (whole is not None and compare(value, whole) == 0)

    return matches


def _size(argument: Any) -> Matcher:
    _require(type(argument) is int and argument >= 0, "$size", argument)
    return lambda value: isinstance(value, list) and len(value) == argument


def _mod(argument: Any) -> Matcher:
    """The remainder has the sign of the value, as in Erlang."""
    proper = isinstance(argument, list) and [type(part) for part in argument] == [int, int] and argument[0] != 0
    _require(proper, "$mod", argument)
    divisor, remainder = argument

    def matches(value: Any) -> bool:
        if type(value) is not int:
            return False
        rest = abs(value) % abs(divisor)
        return bool((rest if value >= 0 else -rest) == remainder)

    return matches


def _type(argument: Any) -> Matcher:
    _require(isinstance(argument, str), "$type", argument)
    return lambda value: _TYPES[type(value)] == argument


def _regex(argument: Any) -> Matcher:
    if not isinstance(argument, str):
        raise _invalid_operator("$regex", f"It takes a string, not {argument!r:.80}.")
    try:
        pattern = Pattern.compile(argument, ascii_only=True)
    except ValueError as exc:
        raise _bad_argument("$regex", argument, f"{exc}.") from exc
    return lambda value: isinstance(value, str) and pattern.search(value)


def _begins_with(argument: Any) -> Matcher:
    if not isinstance(argument, str):
        raise _invalid_operator("$beginsWith", f"It takes a string, not {argument!r:.80}.")
    return lambda value: isinstance(value, str) and value.startswith(argument)


_TYPES: Final[Mapping[type, str]] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
_NUMBERS: Final = frozenset((int, float))
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "$lt": operator.lt,
    "$lte": operator.le,
    "$eq": operator.eq,
    "$ne": operator.ne,
    "$gte": operator.ge,
    "$gt": operator.gt,
}
_RAW: Final = {name: _raw_comparison(holds) for name, holds in _COMPARISONS.items()}
_OPERATORS: Final[Mapping[str, Callable[[Any], Matcher]]] = {
    **{name: _comparison(holds) for name, holds in _COMPARISONS.items()},
    "$eq": _equals,
    "$in": _in,
    "$nin": _nin,
    "$all": _all_of,
    "$size": _size,
    "$mod": _mod,
    "$type": _type,
    "$regex": _regex,
    "$beginsWith": _begins_with,
}
_PARTS: Final[Mapping[str, Callable[[Matcher], Matcher]]] = {
    "$elemMatch": lambda holds: lambda value: isinstance(value, list) and any(map(holds, value)),
    "$allMatch": lambda holds: lambda value: isinstance(value, list) and bool(value) and all(map(holds, value)),
    "$keyMapMatch": lambda holds: lambda value: isinstance(value, dict) and any(map(holds, value)),
}
_NEED_A_FIELD: Final = frozenset(("", "$exists", *_OPERATORS, *_PARTS))


# -- Errors ---------------------------------------------------------------------------------------


def _require(proper: bool, name: str, argument: Any) -> None:
    if not proper:
        raise _bad_argument(name, argument, "See the operator's description.")


def _bad_argument(name: str, argument: Any, hint: str) -> BadRequest:
    return BadRequest(f"Bad argument for operator {name}: {erlang_text(argument)}", hint, error="bad_arg")


def _invalid_operator(name: str, hint: str) -> BadRequest:
    return BadRequest(f"Invalid operator: {name}", hint, error="invalid_operator")


def erlang_text(value: Any) -> str:
    """A JSON value as Erlang prints it, for CouchDB's sentences."""
    if isinstance(value, str):
        return f"<<{','.join(map(str, value.encode(errors='replace')))}>>"
    if isinstance(value, Mapping):
        members = ",".join(f"{{{erlang_text(name)},{erlang_text(part)}}}" for name, part in value.items())
        return f"{{[{members}]}}"
    if isinstance(value, (list, tuple)):
        return f"[{','.join(map(erlang_text, value))}]"
    return "null" if value is None else str(value).lower()
