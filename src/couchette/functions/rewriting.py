"""Rewrite rules: which other path a request to ``/db/_design/x/_rewrite/…`` stands for. Pure, as CouchDB's
``chttpd_rewrite``.

A rule is ``{"from", "to", "method", "query", "formats"}``. ``from`` matches the path after ``_rewrite`` part by part:
a part is text, ``:name``, which binds what stands there, or, as the last one, ``*``, which takes the rest. In ``to``
and in the values of ``query`` ``:name`` is replaced by what was bound or by the query parameter of that name, and
``*`` in ``to`` by the rest. All bindings and parameters go into the new query; ``query`` of the rule wins. The first
rule that matches counts.

``to`` is relative to the design document, and may climb two levels: up to the database and no further, so that a rule
cannot reach another one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote_plus, urlencode

from couchette import jsonio
from couchette.errors import FunctionFailed

JSON_PARAMETERS: Final = frozenset({"key", "keys", "startkey", "start_key", "endkey", "end_key"})
"""Parameters whose values are JSON in a query string, texts too."""
_CLIMBS_MAX: Final = 2


@dataclass(frozen=True)
class Rule:
    """One rule, its paths in parts."""

    method: str | None  # None fits every method.
    source: tuple[str, ...]
    target: tuple[str, ...]
    query: Mapping[str, Any]
    formats: Mapping[str, str]  # "int" or "bool" by name of a binding


def parse_rules(rules: Sequence[Any]) -> list[Rule]:
    """The rules of a design document's ``rewrites`` array.

    Raises FunctionFailed, for all of them as soon as one is wrong: ``insecure_rewrite_rule`` for a path that climbs
    out of the database, ``invalid_rewrite_target`` for a rule without ``to``, ``invalid_rewrite_rule`` for wrong types.
    """
    return [_parse_rule(rule) for rule in rules if isinstance(rule, Mapping)]


def rewrite_path(
    rules: Sequence[Rule],
    method: str,
    parts: Sequence[str],
    query: Sequence[tuple[str, str]],
    base: str,
    *,
    binds_rest: bool = False,
) -> str | None:
    """The path and query that a request stands for, encoded; None when no rule fits (404 not_found).

    Args:
        method: of the request; ``"*"`` in a rule fits any.
        parts: of the path after ``_rewrite``, decoded.
        query: parameters of the request, decoded; those that CouchDB reads as JSON must be JSON.
        base: the encoded path of the design document: ``/db/_design/x``.
        binds_rest: whether ``*`` in a rule's query stands for the first part that ``*`` took, as before CouchDB 2.
    """
    given = {name: jsonio.loads(value) if name in JSON_PARAMETERS else value for name, value in query}
    for rule in rules:
        if rule.method not in (None, method):
            continue
        matched = _match(rule.source, parts)
        if matched is None:
            continue
        rest, bound = matched
        known = {**given, **bound, **({"*": rest[0]} if binds_rest and rest else {})}
        own = {name: _replaced(value, known, rule.formats) for name, value in rule.query.items()}
        final = {**known, **own}
        path = _normalized(f"{base}/{'/'.join(_target(rule.target, final, rest))}")
        shown = {name: _parameter(name, value) for name, value in final.items() if name != "*"}
        return f"{path}?{urlencode(shown)}" if shown else path
    return None


def _parse_rule(rule: Mapping[str, Any]) -> Rule:
    if not isinstance(rule.get("to"), str):
        raise FunctionFailed("invalid_rewrite_target", f"A rule needs a `to`: {rule!r}.", error="error")
    method, source = rule.get("method", "*"), rule.get("from", "*")
    query, formats = rule.get("query", {}), rule.get("formats", {})
    if not (isinstance(source, str) and isinstance(query, Mapping) and isinstance(formats, Mapping)):
        raise FunctionFailed("invalid_rewrite_rule", f"A member has the wrong type: {rule!r}.", error="error")
    return Rule(
        method=None if method == "*" else method,
        source=_parse_path(source),
        target=_parse_path(rule["to"]),
        query=query,
        formats=formats,
    )


def _parse_path(path: str) -> tuple[str, ...]:
    parts = tuple(part for part in path.split("/") if part)
    if parts.count("..") > _CLIMBS_MAX:
        raise FunctionFailed("too many ../.. segments", f"{path!r} leaves the database.", error="insecure_rewrite_rule")
    return parts


def _match(source: tuple[str, ...], parts: Sequence[str]) -> tuple[Sequence[str], dict[str, Any]] | None:
    """The rest that ``*`` took, and what was bound; None if the path does not fit."""
    bound: dict[str, Any] = {}
    for index, expected in enumerate(source):
        if expected == "*" and index == len(source) - 1:
            return parts[index:], bound
        if index == len(parts):
            return None
        if expected == "*":
            bound["*"] = parts[index]
        elif expected.startswith(":"):
            bound[expected[1:]] = parts[index]
        elif expected != parts[index]:
            return None
    return ((), bound) if len(source) == len(parts) else None


def _replaced(value: Any, known: Mapping[str, Any], formats: Mapping[str, str]) -> Any:
    """A value of the rule's query with its variables filled in; one that is not bound stays as written."""
    if isinstance(value, list):
        return [
            _replaced(element, known, formats) if isinstance(element, str) and element != "*" else element
            for element in value
        ]
    if not isinstance(value, str) or not (value == "*" or value.startswith(":")):
        return value
    name = value.removeprefix(":")
    return _formatted(known.get(name, value), formats.get(name))


def _formatted(value: Any, format: str | None) -> Any:
    if format == "int" and isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,300}", value):
        return int(value)
    if format == "bool" and isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    return value


def _target(target: tuple[str, ...], known: Mapping[str, Any], rest: Sequence[str]) -> list[str]:
    """The parts of the new path, encoded."""
    parts: list[str] = []
    for part in target:
        if part == "*":
            return [*parts, *map(quote_plus, rest)]
        if part.startswith(":"):
            value = known.get(part[1:], "undefined")
            part = value if isinstance(value, str) else jsonio.dumps(value).decode()
        parts.append(quote_plus(part))
    return parts


def _parameter(name: str, value: Any) -> str:
    if name in JSON_PARAMETERS or not isinstance(value, str):
        return jsonio.dumps(value).decode()
    return value


def _normalized(path: str) -> str:
    """The path without empty parts and ``.``, each ``..`` taken back with the part before it."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == ".." and parts:
            parts.pop()
        elif part not in ("", ".", ".."):
            parts.append(part)
    return "/" + "/".join(parts)
