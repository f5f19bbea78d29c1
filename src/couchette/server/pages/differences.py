"""How two texts differ, line beside line. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

AROUND: Final = 3
"""Equal lines shown before and after a difference."""


@dataclass(frozen=True)
class Pair:
    """A line of either text, or of both where they are equal; ``skipped`` counts equal lines left out in its place."""

    left: str | None
    right: str | None
    skipped: int = 0

    @property
    def is_equal(self) -> bool:
        """Whether the texts agree here."""
        return self.left == self.right


def differences(left: str, right: str) -> list[Pair]:
    """The lines of two texts in pairs; None stands where a text has none. Long equal parts are left out."""
    ours, theirs = left.splitlines(), right.splitlines()
    pairs: list[Pair] = []
    codes = SequenceMatcher(None, ours, theirs, autojunk=False).get_opcodes()
    for at, (tag, i, i_end, j, j_end) in enumerate(codes):
        if tag == "equal":
            pairs += _equal(ours[i:i_end], is_first=at == 0, is_last=at == len(codes) - 1)
        else:
            length = max(i_end - i, j_end - j)
            before = [*ours[i:i_end], *[None] * (length - (i_end - i))]
            after = [*theirs[j:j_end], *[None] * (length - (j_end - j))]
            pairs += [Pair(one, other) for one, other in zip(before, after, strict=True)]
    return pairs


def _equal(lines: list[str], *, is_first: bool, is_last: bool) -> list[Pair]:
    """Equal lines, but for those far from any difference."""
    head = 0 if is_first else AROUND
    tail = 0 if is_last else AROUND
    skipped = len(lines) - head - tail
    shown = [Pair(line, line) for line in lines]
    if skipped <= 1:
        return shown
    return [*shown[:head], Pair(None, None, skipped), *shown[len(shown) - tail :]]
