"""Run the benchmarks and print a table of ratios.

Each round measures raw apsw and couchette in turn on the same documents and disk; a ratio is taken
within its round, and the median over the rounds is shown, so that a noisy machine moves both sides.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from benchmarks import changing_ops, store_ops


class Line(NamedTuple):
    """One row of the table: operations a second, ours and raw, for each round."""

    name: str
    raw_name: str
    target: float | None
    raw: list[float]
    ours: list[float]

    @property
    def ratio(self) -> float:
        """The median of the rounds' ratios."""
        return statistics.median(ours / raw for ours, raw in zip(self.ours, self.raw, strict=True))

    @property
    def reached(self) -> bool:
        """Whether the ratio is what it must be at least, where that is set."""
        return self.target is None or self.ratio >= self.target


def main() -> int:
    """Print the table; 0 if every ratio reaches its target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--docs", type=int, default=100_000, help="documents (default 100000)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds; the median counts (default 5)")
    options = parser.parse_args()
    lines: dict[str, Line] = {}
    for number in range(1, options.rounds + 1):
        print(f"round {number} of {options.rounds}", file=sys.stderr, flush=True)
        folder = Path(tempfile.mkdtemp(prefix="couchette-bench-"))
        try:
            measured = itertools.chain(
                store_ops.measure(folder, options.docs), changing_ops.measure(folder, options.docs)
            )
            for name, raw_name, target, raw, ours in measured:
                line = lines.setdefault(name, Line(name, raw_name, target, [], []))
                line.raw.append(raw)
                line.ours.append(ours)
        finally:
            shutil.rmtree(folder)
    for text in table(list(lines.values())):
        print(text)
    return 0 if all(line.reached for line in lines.values()) else 1


def table(lines: list[Line]) -> Iterator[str]:
    """The results as a Markdown table."""
    yield "| operation | couchette /s | raw apsw /s | ratio | target | raw apsw does |"
    yield "|---|---|---|---|---|---|"
    for line in lines:
        ours, raw = (f"{statistics.median(rates):,.0f}" for rates in (line.ours, line.raw))
        verdict = "" if line.reached else " **missed**"
        target = "" if line.target is None else f"≥ {line.target:.2f}"
        yield f"| {line.name} | {ours} | {raw} | {line.ratio:.2f}{verdict} | {target} | {line.raw_name} |"


if __name__ == "__main__":
    sys.exit(main())
