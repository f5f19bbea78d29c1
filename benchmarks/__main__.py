"""Run the benchmarks and print tables of ratios.

Each round measures the other and couchette in turn on the same documents and disk; a ratio is taken
within its round, and the median over the rounds is shown, so that a noisy machine moves both sides.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks import (
    attachments_ops,
    changing_ops,
    find_ops,
    peer_ops,
    pouchdb_ops,
    replication_ops,
    server_ops,
    shape_ops,
    spatial_ops,
    statement_ops,
    store_ops,
    text_ops,
    view_ops,
)
from benchmarks.documents import KINDS, Kind
from benchmarks.results import Figure, Measured, Results

Measure = Callable[[Path, int], Iterator[Measured | Figure]]


class Suite(NamedTuple):
    """Benchmarks that are run and shown together, with their usual amount and rounds."""

    title: str
    measure: Measure
    amount: int
    rounds: int
    unit: str = "documents"


def _documents(folder: Path, count: int, kind: Kind) -> Iterator[Measured]:
    yield from store_ops.measure(folder, count, kind)
    yield from changing_ops.measure(folder, count, kind)
    yield from statement_ops.measure(folder, count, kind)


SUITES = {
    **{
        name: Suite(f"Documents of {kind.name}", partial(_documents, kind=kind), 50_000 if kind.long else 100_000, 5)
        for name, kind in zip(("documents", "random-ids", "long", "long-random-ids"), KINDS, strict=True)
    },
    "attachments": Suite("A large attachment", attachments_ops.measure, attachments_ops.PIECES, 5, unit="MiB"),
    "shapes": Suite("Long histories, large databases", shape_ops.measure, 1_000_000, 3),
    "views": Suite("Views", view_ops.measure, 100_000, 3),
    "text": Suite("Full text", text_ops.measure, 100_000, 3),
    "find": Suite("Find", find_ops.measure, 100_000, 3),
    "spatial": Suite("Space", spatial_ops.measure, 100_000, 3, unit="points"),
    "replication": Suite("Replication", replication_ops.measure, 100_000, 3),
    "pouchdb": Suite("The API of pouchdb", pouchdb_ops.measure, 20_000, 5),
    "server": Suite("Server", server_ops.measure, 100_000, 3),
    "peers": Suite("Others, at the same work", peer_ops.measure, 20_000, 3),
}


def main() -> int:
    """Print the tables; 0 if everything reaches what is set for it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"any of {', '.join(SUITES)} (default documents)")
    parser.add_argument("--all", action="store_true", help="every suite")
    parser.add_argument("--docs", type=int, help="documents (or MiB), in place of the suite's number")
    parser.add_argument("--rounds", type=int, help="rounds, in place of the suite's; the median counts")
    options = parser.parse_args()
    if unknown := set(options.suites) - set(SUITES):
        parser.error(f"there is no suite {', '.join(sorted(unknown))}; there are {', '.join(SUITES)}")
    missed = []
    for name in SUITES if options.all else options.suites or ["documents"]:
        results = _run(SUITES[name], options.docs, options.rounds)
        missed += results.missed()
    return 1 if missed else 0


def _run(suite: Suite, amount: int | None, rounds: int | None) -> Results:
    results = Results()
    amount, rounds = amount or suite.amount, rounds or suite.rounds
    for number in range(1, rounds + 1):
        print(f"{suite.title}: round {number} of {rounds}", file=sys.stderr, flush=True)
        folder = Path(tempfile.mkdtemp(prefix="couchette-bench-"))
        try:
            for one in suite.measure(folder, amount):
                results.add(one)
        finally:
            shutil.rmtree(folder)
    print(f"\n## {suite.title}\n\n{amount:,} {suite.unit}, median of {rounds} rounds.\n")
    for text in results.tables():
        print(text)
    return results


if __name__ == "__main__":
    sys.exit(main())
