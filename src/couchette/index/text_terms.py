"""Terms as FTS5 sees them: one column holds the terms of all fields, each with its field before it.

Fields come and go with documents, and the columns of an FTS5 table cannot; so ``title:fox`` is a term by itself. Any
combination of fields is one MATCH then, and a field costs nothing but a prefix, which FTS5 stores once for neighbours.

The terms are analysed before FTS5 sees them. Its tokenizer ``ascii`` only has to take them apart again, and leave all
characters as they are but those that it would lower or split at: upper case, spaces and control characters are
escaped by ``@`` and ``!``, in such a way that the order of terms stays that of their texts. A tokenizer of our own
would have to be known to each program that opens the file.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Final

from couchette.errors import BadRequest
from couchette.limits import SQLITE_INT_MAX, TEXT_TERM_CHARS

_CONTROL: Final = {code: f"!{'0123456789abcdefghijklmnopqrstuvw'[code]}" for code in range(33)}
_CAPITAL: Final = {code: f"@{chr(code).lower()}" for code in range(ord("A"), ord("Z") + 1)}
_ESCAPES: Final = {**_CONTROL, ord("!"): "!~", ord("@"): "@!", **_CAPITAL, 0x7F: "~~", ord("~"): "~!"}
_UNESCAPES: Final = {escape: chr(code) for code, escape in _ESCAPES.items()}
_ESCAPED: Final = re.compile(r"[!@~].")
_FIELD_ESCAPES: Final = {**_ESCAPES, ord(":"): "!:", ord('"'): "!,", ord("\\"): "!/"}

_PUNCTUATION: Final = "".join(chr(code) for code in range(33, 127) if not chr(code).isalnum())
TOKENIZER: Final = "ascii tokenchars '{}'".format(_PUNCTUATION.replace("'", "''"))
"""The option ``tokenize`` of the table."""


def prefix_of(field: str) -> str:
    """What stands before the terms of a field. It holds no quote and no backslash, so it may be a JSON path, too."""
    return field.translate(_FIELD_ESCAPES) + ":"


def encode(term: str) -> str:
    """A term as FTS5 has it, without its field."""
    return term[:TEXT_TERM_CHARS].translate(_ESCAPES)


def decode(stored: str) -> str:
    """The term that FTS5 has so, without its field."""
    return _ESCAPED.sub(lambda found: _UNESCAPES[found[0]], stored)


def document_text(prefix: str, terms: Iterable[str]) -> str:
    """The terms of a field as they are given to FTS5."""
    return " ".join([prefix + encode(term) for term in terms])


def phrase(prefix: str, terms: Iterable[str]) -> str:
    """Adjacent terms in the language of MATCH."""
    text = " ".join([prefix + encode(term) for term in terms]).replace('"', '""')
    return f'"{text}"'


def number_term(value: float) -> str:
    """The term that a number is found by."""
    return str(int(value)) if value.is_integer() and abs(value) <= SQLITE_INT_MAX else repr(value)


def read_number(text: str) -> float | None:
    """The number that a text shows, or None."""
    if not text or not (text[-1].isdigit() or text.lstrip("+-").lower() == "infinity"):
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) or "_" in text else value


def check_field(name: str) -> str:
    """A field's name that can be used. Raises BadRequest."""
    if not name or len(name) > TEXT_TERM_CHARS:
        raise BadRequest("The name of a field must not be empty, nor very long.", f"Got {name!r:.80}.")
    return name
