"""Discarding documents by their stored text, without parsing them.

Bodies lie in the file as the compact JSON that we wrote, which escapes nothing but quotes, backslashes and control
characters. So a document that has a member ``name`` has ``"name":`` in its text. That makes a necessary condition of
every condition that a selector sets in any case; what passes is parsed and matched as ever. What makes it safe, by
kind of value:

* Any operator but ``{"$exists": false}``: the member's name and colon.
* ``null``, ``true``, ``false``: the literal after the colon; there is no other way to write them.
* An integer between -2**53 and 2**53, but for 0: its digits after the colon. An equal float is written with the same
  digits and ``.0``.
* Text of visible ASCII: the string after the colon. Collation gives each visible ASCII character a weight of its own
  and ignores others, so that ``"a"`` equals ``"a\\u200b"``: such a text holds a byte beyond ASCII, a backslash, or DEL.

Members of ``_id``, ``_rev`` and other names with an underscore are not in the text, and elements of arrays have no
name there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

import orjson

from couchette.document.normal_selector import Normal, conditions
from couchette.document.selector import split_path

MayMatch = Callable[[bytes], object]
_EXACT_MAX: Final = 2**53


def prefilter(selector: Normal) -> MayMatch | None:
    """A function of a stored body, false only where the selector cannot match; None where nothing can be told."""
    found = [
        one for path, operator, value in conditions(selector) if (one := _needle(path, operator, value)) is not None
    ]
    if not found:
        return None
    # The longest is the rarest, as a rule; a second search would seldom discard more than it costs.
    text, pattern = max(found, key=lambda one: len(one[0]))
    if pattern is not None:
        return re.compile(pattern).search
    return lambda body: text in body


def _needle(path: str, operator: str, value: Any) -> tuple[bytes, bytes | None] | None:
    """A text that the body has to hold; and a pattern, where others may stand for it."""
    names = split_path(path) if path else [""]
    if names[0].startswith("_") or names[-1].isdecimal() or not names[-1] or not _is_plain(names[-1]):
        return None
    if operator == "$exists" and value is False:
        return None
    name = orjson.dumps(names[-1]) + b":"
    if operator != "$eq":
        return name, None
    if value is None or isinstance(value, bool):
        return name + orjson.dumps(value), None
    if isinstance(value, int) and value != 0 and abs(value) < _EXACT_MAX:
        return name + orjson.dumps(value), None
    if isinstance(value, str) and _is_plain(value):
        text = orjson.dumps(value)
        return name + text, re.escape(name) + b"(?:" + re.escape(text) + rb'|"[^"\\\x7f-\xff]*[\\\x7f-\xff])'
    return name, None


def _is_plain(text: str) -> bool:
    """Whether it is visible ASCII that JSON writes as it is."""
    return text.isascii() and text.isprintable() and not {'"', "\\"} & set(text)
