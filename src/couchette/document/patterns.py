"""Regular expressions that somebody sends: they may not take longer than the one who asked may keep a processor busy.

An expression such as ``(a|aa)+$`` takes twice as long for each more letter of a text, and Python's :mod:`re` cannot be
stopped, nor does another thread run meanwhile. The package regex can do both, and knows what CouchDB's PCRE does
(``[[:alpha:]]``, ``\\p{Lu}``, possessive and atomic groups).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from couchette.errors import BadRequest
from couchette.limits import PATTERN_S


@dataclass(frozen=True)
class Pattern:
    """A regular expression, compiled by :meth:`compile`. Its methods raise BadRequest for one that takes too long."""

    source: str
    _compiled: Any = field(compare=False, repr=False)

    @classmethod
    def compile(cls, source: str, *, ascii_only: bool = False, dotall: bool = False) -> Pattern:
        """``ascii_only``: ``\\w`` and the like are ASCII's. Raises ValueError that says what is wrong with it."""
        import regex  # Only who uses expressions pays for the import.

        flags = (regex.ASCII if ascii_only else 0) | (regex.DOTALL if dotall else 0)
        try:
            return cls(source, regex.compile(source, flags))
        except (regex.error, OverflowError, RecursionError) as exc:
            raise ValueError(str(exc)) from exc

    def search(self, text: str) -> bool:
        """Whether a part of the text is like this."""
        return self._is_found(self._compiled.search, text)

    def fullmatch(self, text: str) -> bool:
        """Whether the whole text is like this."""
        return self._is_found(self._compiled.fullmatch, text)

    def _is_found(self, find: Any, text: str) -> bool:
        try:
            return find(text, timeout=PATTERN_S, concurrent=True) is not None
        except TimeoutError as exc:
            hint = f"{self.source!r:.80} needs more than {PATTERN_S} s for one text; avoid repetitions of repetitions."
            raise BadRequest("A regular expression takes too long.", hint) from exc
