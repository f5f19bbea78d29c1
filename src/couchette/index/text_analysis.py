"""Analyzers: how a text becomes the terms that it is found by.

Their names are CouchDB's (https://docs.couchdb.org/en/stable/ddocs/search.html#analyzers). ``standard`` splits by
Unicode's rules for words (UAX #29) and lowers case; a language's also reduces words to their stems, by Snowball. No
words are left out unless ``stopwords`` names them: ranking makes little of common ones, and phrases stay exact.

An analyzer gives the places of its terms, too, so that a result can be marked up. Only the rows that are shown are
analysed again for that; to store the places of all terms of all documents would double an index.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Final

from apsw import unicode

from couchette.errors import BadRequest, MissingExtra

Place = tuple[int, int, str]
"""Where a word begins and ends in a text, and the word."""
Splitter = Callable[[str], Iterable[Place]]

_EMAIL: Final = re.compile(r"[\w.+%-]+@[\w-]+(?:\.[\w-]+)+")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_NO_SPACES: Final = re.compile(r"\S+")


def _words(text: str) -> Iterable[Place]:
    return unicode.word_iter_with_offsets(text)  # type: ignore[return-value]  # apsw's annotation has it wrong.


def _words_and_addresses(text: str) -> Iterator[Place]:
    """Words, and addresses of mail whole."""
    done = 0
    for found in (*_EMAIL.finditer(text), None):
        end = len(text) if found is None else found.start()
        yield from ((done + first, done + last, word) for first, last, word in _words(text[done:end]))
        if found is not None:
            yield (*found.span(), found[0])
            done = found.end()


def _matching(pattern: re.Pattern[str]) -> Splitter:
    return lambda text: [(*found.span(), found[0]) for found in pattern.finditer(text)]


def _whole(text: str) -> list[Place]:
    return [(0, len(text), text)] if text else []


_PLAIN: Final[dict[str, tuple[Splitter, bool]]] = {
    "standard": (_words, True),
    "classic": (_words, True),
    "email": (_words_and_addresses, True),
    "keyword": (_whole, False),
    "simple": (_matching(_LETTERS), True),
    "whitespace": (_matching(_NO_SPACES), False),
}
"""By name: how words are told apart, and whether their case is lowered."""

_SNOWBALL: Final = """
    arabic armenian basque catalan danish dutch english finnish french german greek hindi hungarian indonesian irish
    italian lithuanian norwegian portuguese romanian russian spanish swedish turkish
"""
_LANGUAGES: Final = {
    **{name: name for name in _SNOWBALL.split()},
    "brazilian": "portuguese",
    "porter": "porter",
}
"""By the name of an analyzer: Snowball's algorithm."""

_stemmers = threading.local()
"""A stemmer has a cache that threads must not share."""


@dataclass(frozen=True)
class Analyzer:
    """How the texts of one field are analysed."""

    name: str
    stopwords: frozenset[str] = field(default=frozenset())

    def terms(self, text: str) -> list[str]:
        """The terms of a text, in order."""
        return [term for _, _, term in self.places(text)]

    def places(self, text: str) -> list[Place]:
        """The terms of a text and where they stand in it. Raises MissingExtra for a language without stemmers."""
        language = _LANGUAGES.get(self.name)
        split, lowers = _PLAIN["standard"] if language else _PLAIN[self.name]
        found = list(split(text))
        if lowers:
            found = [(first, last, word.lower()) for first, last, word in found]
        if self.stopwords:
            found = [place for place in found if place[2] not in self.stopwords]
        if language:
            stems = _stemmer(language).stemWords([word for _, _, word in found])
            return [(first, last, stem) for (first, last, _), stem in zip(found, stems, strict=True)]
        return found

    def normal(self, part: str) -> str:
        """A part of a term as it would be in the index: for wildcards, which are not analysed."""
        return part.lower() if self.name in _LANGUAGES or _PLAIN[self.name][1] else part


STANDARD: Final = Analyzer("standard")


@dataclass(frozen=True)
class Analyzers:
    """The analyzers of an index: one for each field."""

    default: Analyzer = STANDARD
    fields: Mapping[str, Analyzer] = field(default_factory=dict)

    def of(self, name: str) -> Analyzer:
        """The analyzer of a field."""
        return self.fields.get(name, self.default)


def read_analyzers(given: Any) -> Analyzers:
    """The analyzers that a design document or a program names.

    That is a name, ``{"name", "stopwords"?}``, or ``{"name": "perfield", "default"?, "fields": {field: analyzer}}``.
    Raises BadRequest for another one.
    """
    if isinstance(given, Mapping) and given.get("name") == "perfield":
        fields = given.get("fields", {})
        if not isinstance(fields, Mapping):
            raise BadRequest("The fields of a perfield analyzer must be an object.", f"Got {fields!r}.")
        one_each = {name: read_analyzer(analyzer) for name, analyzer in fields.items()}
        return Analyzers(read_analyzer(given.get("default", "standard")), one_each)
    return Analyzers(STANDARD if given is None else read_analyzer(given))


def read_analyzer(given: Any) -> Analyzer:
    """One analyzer, by its name or ``{"name", "stopwords"?}``. Raises BadRequest."""
    name, stopwords = (given.get("name"), given.get("stopwords", ())) if isinstance(given, Mapping) else (given, ())
    if not isinstance(name, str) or (name not in _PLAIN and name not in _LANGUAGES):
        raise BadRequest(f"There is no analyzer {name!r}.", f"There are {', '.join(sorted([*_PLAIN, *_LANGUAGES]))}.")
    if isinstance(stopwords, str) or not all(isinstance(word, str) for word in stopwords):
        raise BadRequest("The stopwords of an analyzer must be an array of strings.", f"Got {stopwords!r}.")
    return Analyzer(name, frozenset(stopwords))


def _stemmer(language: str) -> Any:
    known = _stemmers.__dict__
    if language not in known:
        known[language] = _import_stemmers().Stemmer(language)
    return known[language]


def _import_stemmers() -> ModuleType:
    try:
        import Stemmer
    except ImportError as exc:
        hint = "Run `pip install 'couchette[search]'`, or use the standard analyzer."
        raise MissingExtra("Analyzers by language need pystemmer.", hint) from exc
    return Stemmer  # type: ignore[no-any-return]
