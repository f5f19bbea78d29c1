"""What a benchmark yields, and the tables that are made of it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple


class Measured(NamedTuple):
    """Our rate beside another's, both in operations a second and taken in the same round.

    ``beside`` says what the other does; ``least`` is the ratio of ours to it that must be reached, where one is set.
    """

    name: str
    beside: str
    least: float | None
    other: float
    ours: float


class Figure(NamedTuple):
    """A quantity that stands alone, such as growth of memory, and the most that it may be."""

    name: str
    unit: str
    most: float | None
    value: float


@dataclass
class Results:
    """What the rounds of one suite gave, by name."""

    measured: dict[str, list[Measured]] = field(default_factory=dict)
    figures: dict[str, list[Figure]] = field(default_factory=dict)

    def add(self, one: Measured | Figure) -> None:
        """Note one round's result."""
        if isinstance(one, Measured):
            self.measured.setdefault(one.name, []).append(one)
        else:
            self.figures.setdefault(one.name, []).append(one)

    def missed(self) -> list[str]:
        """The names of those that do not reach what is set for them."""
        slow = [name for name, rounds in self.measured.items() if ratio(rounds) < (rounds[0].least or 0)]
        bounded = {name: rounds for name, rounds in self.figures.items() if rounds[0].most is not None}
        large = [name for name, rounds in bounded.items() if value(rounds) > (rounds[0].most or 0)]
        return slow + large

    def tables(self) -> Iterator[str]:
        """The results in Markdown: medians over the rounds."""
        missed = set(self.missed())
        if self.measured:
            yield "| operation | couchette /s | other /s | ratio | wanted | the other |"
            yield "|---|---|---|---|---|---|"
        for name, rounds in self.measured.items():
            one, verdict = rounds[0], " **missed**" if name in missed else ""
            ours = statistics.median(each.ours for each in rounds)
            other = statistics.median(each.other for each in rounds)
            least = "" if one.least is None else f"≥ {one.least:.2f}"
            yield f"| {name} | {ours:,.0f} | {other:,.0f} | {ratio(rounds):.2f}{verdict} | {least} | {one.beside} |"
        if self.figures:
            yield "\n| figure | value | wanted |\n|---|---|---|"
        for name, figures in self.figures.items():
            most = "" if figures[0].most is None else f"≤ {figures[0].most:g} {figures[0].unit}"
            verdict = " **missed**" if name in missed else ""
            yield f"| {name} | {value(figures):.3g} {figures[0].unit}{verdict} | {most} |"


def ratio(rounds: list[Measured]) -> float:
    """The median of the rounds' ratios: a noisy machine moves both sides of a round."""
    return statistics.median(one.ours / one.other for one in rounds)


def value(rounds: list[Figure]) -> float:
    """The median of the rounds' values."""
    return statistics.median(one.value for one in rounds)
