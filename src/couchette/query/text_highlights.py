"""Highlights: the parts of a stored text in which a search found its terms, marked up.

The text is analysed again, as it was for the index, and its terms are compared with those of the query. So what is
marked is what matched: a stem marks all its forms, and a word of a phrase only where the phrase is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from couchette.errors import BadRequest
from couchette.index.text_analysis import Analyzer, Place
from couchette.index.text_expressions import Expression, Words, leaves
from couchette.index.text_terms import encode


@dataclass(frozen=True)
class Highlighting:
    """What to mark up, and how."""

    fields: tuple[str, ...]
    pre_tag: str = "<em>"
    post_tag: str = "</em>"
    number: int = 1
    """So many fragments of each field."""
    size: int = 100
    """About so many characters each."""

    def check(self) -> None:
        """Raise BadRequest for what is no number of fragments or characters."""
        for name, value in (("highlight_number", self.number), ("highlight_size", self.size)):
            if type(value) is not int or value < 1:
                raise BadRequest(f"`{name}` must be a positive integer.", f"Got {value!r}.")

    def fragments(self, value: Any, analyzer: Analyzer, wanted: Iterable[Words]) -> list[str]:
        """The best fragments of a stored value, which may be several texts; those with most marks come first."""
        words = list(wanted)
        found: list[tuple[int, str]] = []
        for text in value if isinstance(value, list) else [value]:
            if isinstance(text, str):
                places = analyzer.places(text)
                marked = _marked([place[2] for place in places], words)
                found += [
                    (len(marks), self._tagged(text, begin, end, marks))
                    for begin, end, marks in self._pieces(text, places, marked)
                    if marks
                ]
        found.sort(key=lambda one: -one[0])
        return [text for _, text in found[: self.number]]

    def _pieces(self, text: str, places: list[Place], marked: set[int]) -> Iterator[tuple[int, int, list[Place]]]:
        """The text cut between words into pieces, each with the places of its marks."""
        begin, marks = 0, list[Place]()
        for at, place in enumerate(places):
            if place[1] - begin > self.size and place[0] > begin:
                yield begin, place[0], marks
                begin, marks = place[0], []
            if at in marked:
                marks.append(place)
        yield begin, len(text), marks

    def _tagged(self, text: str, begin: int, end: int, marks: list[Place]) -> str:
        parts = []
        for first, last, _ in marks:
            parts += [text[begin:first], self.pre_tag, text[first:last], self.post_tag]
            begin = last
        return "".join([*parts, text[begin:end]])


def words_of(expression: Expression, field: str) -> list[Words]:
    """What a search looks for in a field."""
    return [leaf for leaf in leaves(expression) if isinstance(leaf, Words) and leaf.field == field]


def _marked(terms: list[str], wanted: list[Words]) -> set[int]:
    """Which terms of a text are found."""
    stored = [encode(term) for term in terms]
    marked: set[int] = set()
    for words in wanted:
        sought = [encode(term) for term in words.terms]
        if words.slop:
            marked.update(at for at, term in enumerate(stored) if term in sought)
            continue
        for at in range(len(stored) - len(sought) + 1):
            part = stored[at : at + len(sought)]
            if part[:-1] == sought[:-1] and (
                part[-1].startswith(sought[-1]) if words.prefix else part[-1] == sought[-1]
            ):
                marked.update(range(at, at + len(sought)))
    return marked
