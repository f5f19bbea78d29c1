"""Weights of text in the order of ICU's root collation, by which CouchDB sorts strings.

A text has three strings of weights, compared one after the other: primary (which letters), secondary (which
accents), tertiary (which case). :func:`levels` gives them as bytes that compare as ICU compares the texts.

The data is the Unicode collation table that pyuca carries, read when the first non-ASCII text comes. CouchDB's
order is CLDR's root, which differs in places: numerals other than digits sort after the currencies, U+FFFE is the
least character and U+FFFF the greatest. Punctuation counts. Combining marks count in the order they have.

All primary weights share one space. ASCII characters take one byte in it, so that ASCII text needs no more than
``bytes.translate``. A primary weight is one of:

    02                             U+FFFE
    04..96, even                   an ASCII character (letters without case)
    03..97, odd, then 2 bytes      2 * its weight in the table: a character between two ASCII ones, or after "z"
    the same, then 3 bytes         2 * another's weight + 1, then its code point: one the table does not know,
                                   which follows that other
    E0..E3, then 3 bytes           its code point: Tangut and its like, Han, rare Han, all others
    FD, FE                         U+FFFD, U+FFFF

No weight is the beginning of another, and none begins with 00 or 01: those end and separate.

Known differences from ICU 72: Han sorts by code point, not by radical and strokes; letters newer than the table
sort after all others; a dozen letters of Latin, Arabic, Kharoshthi and others are some places off.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

WEIGHTS: Final = "ducet-10.0+cldr"
"""Names the table and the changes made to it; another name is another order."""


class Levels(NamedTuple):
    """The weights of a text; texts with equal levels count as equal. A level without a mark on it is empty."""

    primary: bytes
    secondary: bytes
    tertiary: bytes


def levels(text: str) -> Levels:
    """The weights of `text`, which may be any text."""
    return Levels(*text_key(text).split(_SEPARATOR)) if text.isascii() else _table().levels(text)


def text_key(text: str) -> bytes:
    """The levels of `text` with 01 between them: one string of bytes that compares as they do."""
    if not text.isascii():
        return _SEPARATOR.join(_table().levels(text))
    raw = text.encode()
    key = raw.translate(_ASCII_PRIMARY, _ASCII_IGNORED) + _SEPARATOR + _SEPARATOR
    return key if raw == raw.lower() else key + raw.translate(_ASCII_TERTIARY, _ASCII_IGNORED)


# -- ASCII ----------------------------------------------------------------------------------------

_ASCII_ORDER: Final = "\t\n\v\f\r _-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$0123456789abcdefghijklmnopqrstuvwxyz"
_ASCII_LEAD: Final = {char: 2 * rank + 4 for rank, char in enumerate(_ASCII_ORDER)}

_SEPARATOR: Final = b"\x01"

# The least weights of their levels. They are so common that a level of nothing else is left out.
_SECONDARY_COMMON: Final = b"\x02"
_TERTIARY_COMMON: Final = b"\x02"
_TERTIARY_UPPER: Final = b"\x08"

_ASCII: Final = [chr(code) for code in range(128)]
# The other controls have no weight: "\0" equals "".
_ASCII_IGNORED: Final = "".join(char for char in _ASCII if char.lower() not in _ASCII_LEAD).encode()
_ASCII_PRIMARY: Final = bytes(_ASCII_LEAD.get(char.lower(), 0) for char in _ASCII).ljust(256, b"\0")
_ASCII_TERTIARY: Final = b"".join(
    _TERTIARY_UPPER if char.isupper() else _TERTIARY_COMMON for char in map(chr, range(256))
)

# -- Where CLDR differs from the table --------------------------------------------------------------

_SPECIAL: Final = {"\ufffe": b"\x02", "\ufffd": b"\xfd", "\uffff": b"\xfe"}

# Weights of the table, in its order: numerals, then modifier letters and currencies, then the digits.
# CLDR has the numerals between the currencies and the digits.
_NUMERALS: Final = range(0x1AFA, 0x1C5C)
_CURRENCIES: Final = range(0x1C5C, 0x1CA3)

# Two signs that CLDR takes for currencies, behind the last one, while the table spells them in letters.
_MORE_CURRENCIES: Final = "\u20a8\ufdfc"
_LAST_CURRENCY: Final = "\u20bf"

# Symbols newer than the table follow the nearest older one, the new pieces of chess the playing cards.
_SYMBOLS: Final = (range(0x2B00, 0x2C00), range(0x1F300, 0x1FB00))
_CHESS: Final = range(0x1FA00, 0x1FA70)
_LAST_CARD: Final = "\U0001f0f5"

_BY_CODE_POINT: Final[tuple[tuple[int, tuple[range, ...]], ...]] = (
    (0xE0, (range(0x17000, 0x18D80), range(0x1B170, 0x1B300))),
    (0xE1, (range(0x4E00, 0xA000), range(0xFA0E, 0xFA2A))),
    (0xE2, (range(0x3400, 0x4DC0), range(0x20000, 0x32400))),
)
_BY_CODE_POINT_LAST: Final = 0xE3


def _in_cldr_order(weight: int) -> int:
    """The place of a weight of the table among the others."""
    if weight in _NUMERALS:
        return weight + len(_CURRENCIES)
    return weight - len(_NUMERALS) if weight in _CURRENCIES else weight


def _by_code_point(code: int) -> bytes:
    lead = next((lead for lead, ranges in _BY_CODE_POINT if any(code in part for part in ranges)), _BY_CODE_POINT_LAST)
    return bytes([lead]) + code.to_bytes(3, "big")


# -- The table ------------------------------------------------------------------------------------

_LINE: Final = re.compile(r"^([0-9A-F][0-9A-F ]*?) *; *(\[\S+\])", re.MULTILINE)
_ELEMENT: Final = re.compile(r"\[[.*]([0-9A-F]{4})\.([0-9A-F]{4})\.([0-9A-F]{4})\]")

# Primary weights of the table from here on are the first half of a code point; the next holds the rest.
_IMPLICIT: Final = 0xFB00


class _Table(dict[str, Levels]):
    """The weights of characters, worked out as they are met, and of those that have others together.

    Such a contraction is a Cyrillic letter and its breve, or a Thai vowel and its consonant. A search for them
    is needed only in texts that hold a later character of one.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._elements = {
            "".join(chr(int(code, 16)) for code in codes.split()): elements for codes, elements in _LINE.findall(text)
        }
        contractions = [chars for chars in self._elements if len(chars) > 1]
        self._longest: dict[str, int] = {}
        for chars in contractions:
            self._longest[chars[0]] = max(len(chars), self._longest.get(chars[0], 0))
        followers = {char for chars in contractions for char in chars[1:]}
        followers |= {char for char in self._elements if len(char) == 1 and _decomposed(char)[0] in followers}
        self._may_contract = re.compile(f"[{re.escape(''.join(sorted(followers)))}]")
        # The weights of the ASCII characters, between which all others find their place.
        self._ascii = [_in_cldr_order(self._parsed(char)[0][0]) for char in _ASCII_ORDER]

    def levels(self, text: str) -> Levels:
        """The weights of `text`, ASCII or not."""
        pieces = self._pieces(text) if self._may_contract.search(text) else text
        primary, secondary, tertiary = self._joined(pieces)
        return Levels(
            primary,
            secondary if secondary.strip(_SECONDARY_COMMON) else b"",
            tertiary if tertiary.strip(_TERTIARY_COMMON) else b"",
        )

    def _joined(self, pieces: Iterable[str]) -> Levels:
        return Levels(*map(b"".join, zip(*map(self.__getitem__, pieces), strict=True)))

    def __missing__(self, chars: str) -> Levels:
        """The full weights of a character or contraction."""
        if chars in self._elements and chars not in _SPECIAL and chars not in _MORE_CURRENCIES:
            found = self._from_elements(self._parsed(chars))
        elif (parts := _decomposed(chars)) != chars:
            found = self._joined(parts)
        else:
            found = Levels(self._unlisted(chars), _SECONDARY_COMMON, _TERTIARY_COMMON)
        self[chars] = found
        return found

    def _parsed(self, chars: str) -> list[tuple[int, int, int]]:
        return [(int(a, 16), int(b, 16), int(c, 16)) for a, b, c in _ELEMENT.findall(self._elements[chars])]

    def _from_elements(self, elements: list[tuple[int, int, int]]) -> Levels:
        """The weights of a table entry, zeros left out."""
        primary, halves = b"", iter(weight for weight, _, _ in elements if weight)
        for weight in halves:
            if weight >= _IMPLICIT:
                primary += _by_code_point((weight & 0x3F) << 15 | next(halves) & 0x7FFF)
            else:
                primary += self._listed(_in_cldr_order(weight))
        # A secondary weight, 20 to 115, takes one byte above the separators.
        secondary = bytes(weight - 0x1E for _, weight, _ in elements if weight)
        return Levels(primary, secondary, bytes(weight for _, _, weight in elements if weight))

    def _listed(self, weight: int) -> bytes:
        """The primary weight of something in the table."""
        below = bisect_right(self._ascii, weight)
        if below and self._ascii[below - 1] == weight:
            return bytes([2 * below + 2])
        return bytes([2 * below + 3]) + (2 * weight).to_bytes(2, "big")

    def _unlisted(self, char: str) -> bytes:
        """The primary weight of a character that the table does not know, or places elsewhere than CLDR."""
        code = ord(char)
        if char in _SPECIAL:
            return _SPECIAL[char]
        if char in _MORE_CURRENCIES:
            return self._behind(_LAST_CURRENCY, code)
        if code in _CHESS:
            return self._behind(_LAST_CARD, code)
        if any(code in part for part in _SYMBOLS):
            older = next(chr(older) for older in range(code, 0, -1) if chr(older) in self._elements)
            return self._behind(older, code)
        return _by_code_point(code)

    def _behind(self, char: str, code: int) -> bytes:
        place = self[char].primary
        return place[:-1] + bytes([place[-1] + 1]) + code.to_bytes(3, "big")

    def _pieces(self, text: str) -> Iterator[str]:
        """The characters and contractions of a text: the longest at each place (UTS 10, S2.1)."""
        # The next one last: a list is shortened there, and nowhere else without moving the rest of it.
        chars = [part for char in reversed(text) for part in reversed(_decomposed(char))]
        while chars:
            piece = chars.pop()
            longest = self._longest.get(piece, 1)
            for more in range(min(longest - 1, len(chars)), 0, -1):
                if (joined := piece + "".join(chars[: -more - 1 : -1])) in self._elements:
                    piece = joined
                    del chars[-more:]
                    break
            if longest > 1:
                piece = self._with_marks(piece, chars)
            yield piece

    def _with_marks(self, piece: str, chars: list[str]) -> str:
        """Take further marks of `piece` out of those that follow it, over marks that do not block them."""
        highest, at = 0, -1
        while at >= -len(chars) and (combining := unicodedata.combining(chars[at])):
            if combining > highest and piece + chars[at] in self._elements:
                piece += chars.pop(at)
            else:
                highest = max(highest, combining)
                at -= 1
        return piece


def _decomposed(char: str) -> str:
    return unicodedata.normalize("NFD", char)


@cache
def _table() -> _Table:
    return _Table(files("pyuca").joinpath("allkeys-10.0.0.txt").read_text("utf-8"))
