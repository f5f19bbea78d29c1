"""Whether a map function plainly changes nothing: then its documents need not be frozen, which takes as long as the
function.

CouchDB freezes each document before a view sees it, so that no view changes what another sees. The same holds for a
function that has no way to change anything: no assignment to a member, no ``delete``, and no calls but of functions
that are known to change nothing. That is told from the tokens of its source, without understanding it, and in doubt
the answer is no: what cannot be told apart at a glance (a regular expression from a division) or is unusual (a
template, ``new``, ``this``, helpers, modules) counts as doubt. Who takes pains can deceive this, by a computed member
name that is passed as a callback; all it gains is that its own views see a changed document.
"""

from __future__ import annotations

import re
from typing import Final

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n\r\u2028\u2029]*|/\*.*?\*/)
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>[A-Za-z_$][\w$]*)
    |(?P<number>\.?[0-9][\w.]*)
    |(?P<mark>=>|===|!==|==|!=|<=|>=|\?\.|\.\.\.|(?:\*\*|&&|\|\||\?\?|>>>|>>|<<|[-+*%&|^])?=|\+\+|--|&&|\|\||\?\?
        |[-+*%&|^~!<>?:;,.(){}\[\]])""",
    re.VERBOSE | re.DOTALL | re.ASCII,
)

_DOUBTFUL_NAMES: Final = """
    Function Proxy Reflect arguments async await class delete eval globalThis import new require super this
    with yield
"""
"""Words that change something, or whose meaning is not in the source."""

_HARMLESS_NAMES: Final = """
    Boolean Number String abs at ceil charAt charCodeAt concat emit endsWith entries every filter find
    findIndex flat flatMap floor forEach getDate getDay getFullYear getHours getMinutes getMonth getSeconds
    getTime getUTCDate getUTCDay getUTCFullYear getUTCHours getUTCMinutes getUTCMonth getUTCSeconds
    hasOwnProperty includes index indexOf isArray isFinite isInteger isNaN join keys lastIndexOf localeCompare log
    map max min now padEnd padStart parse parseFloat parseInt pow reduce repeat round slice some split sqrt
    startsWith stringify substr substring sum toFixed toISOString toJSON toLowerCase toString toUpperCase trim
    trunc UTC values
"""
"""Functions and methods that change neither their arguments nor what they are called on."""

_DOUBTFUL: Final = frozenset(_DOUBTFUL_NAMES.split())
_HARMLESS: Final = frozenset(_HARMLESS_NAMES.split())
_BEFORE_PARENTHESIS: Final = frozenset(
    {"catch", "for", "function", "if", "in", "of", "return", "switch", "typeof", "while"}
)
_ASSIGNMENTS: Final = frozenset(
    {"=", "+=", "-=", "*=", "%=", "**=", "&=", "|=", "^=", "&&=", "||=", "??=", "<<=", ">>=", ">>>="}
)
_COUNTINGS: Final = frozenset({"++", "--"})
_LINKS: Final = frozenset({".", "?."})


def is_plain(source: str) -> bool:
    """Whether a map function's source shows that it changes nothing."""
    tokens = _tokens(source)
    if tokens is None:
        return False
    # What is beyond the ends is a mark that permits nothing.
    padded = [";", ";", *tokens, ";", ";"]
    return all(_is_harmless(padded, index) for index in range(2, len(padded) - 2))


def _tokens(source: str) -> list[str] | None:
    """The names and marks of a source; a string or number is ``0``. None where a glance does not suffice."""
    if "<!--" in source or "-->" in source:
        return None
    tokens = []
    position = 0
    while position < len(source):
        match = _TOKEN.match(source, position)
        if match is None:
            return None
        position = match.end()
        if match.lastgroup in ("name", "mark"):
            tokens.append(match[0])
        elif match.lastgroup != "space":
            tokens.append("0")
    return tokens


def _is_harmless(tokens: list[str], index: int) -> bool:
    """Whether a token, seen with its neighbours, changes nothing."""
    token, before, after = tokens[index], tokens[index - 1], tokens[index + 1]
    if token in _ASSIGNMENTS:
        return _is_variable(tokens, index - 1)
    if token in _COUNTINGS:
        if _is_variable(tokens, index - 1):
            return True
        return before in "(,;{}" and _is_variable(tokens, index + 1) and tokens[index + 2] not in (".", "?.", "[", "(")
    if token == "(":
        return not (_is_name(before) or before in (")", "]", "}", "0", "?.")) or _may_be_called(tokens, index - 1)
    if token in ("in", "of") and before not in _LINKS:
        return before == "0" or _is_variable(tokens, index - 1)
    return token not in _DOUBTFUL or (before in _LINKS or (token == "new" and after == "Date"))


def _may_be_called(tokens: list[str], index: int) -> bool:
    """Whether a call of what ends here, or a parenthesis after a keyword, changes nothing."""
    name, before = tokens[index], tokens[index - 1]
    if before in _LINKS:
        return name in _HARMLESS
    return name in _BEFORE_PARENTHESIS or name in _HARMLESS or before == "function" or (name, before) == ("Date", "new")


def _is_variable(tokens: list[str], index: int) -> bool:
    return _is_name(tokens[index]) and tokens[index - 1] not in _LINKS


def _is_name(token: str) -> bool:
    return token[0].isalpha() or token[0] in "_$"
