"""An attachment of 100 MB beside a plain file: the same pieces, and an md5 of all bytes, on both sides.

The file is synced to the disk at its end, since the database has synced nearly all of the content by then, too.
Growth of memory is the process's peak, so it is only taken where nothing larger ran before: in a process of its own.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random

from benchmarks.clock import rate_of
from benchmarks.results import Figure, Measured
from couchette import Database

PIECE_BYTES = 1024 * 1024
PIECES = 100
GROWTH_MAX_MIB = 32


def measure(folder: Path, count: int = PIECES) -> Iterator[Measured | Figure]:
    """Write and read one attachment of ``count`` MiB; rates are in MiB a second."""
    with Database(folder / "attachments.couchette") as db:
        file = rate_of(count, lambda: write_file(folder / "plain", count))
        ours = rate_of(count, lambda: db.put_attachment("a", "x", pieces(count)))
        yield Measured(f"attachment of {count} MB, write", "file with md5 and fsync", 0.50, file, ours)
        file = rate_of(count, lambda: read_file(folder / "plain"))
        ours = rate_of(count, lambda: read_attachment(db, "a"))
        yield Measured(f"attachment of {count} MB, read", "file with md5", 0.70, file, ours)
    command = [sys.executable, "-m", "benchmarks.attachments_ops", str(folder / "grown.couchette"), str(count)]
    grown = float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)
    yield Figure(f"growth of memory, attachment of {count} MB", "MiB", GROWTH_MAX_MIB, grown)


def pieces(count: int) -> Iterator[bytes]:
    """Pieces that are all different, as a source would give them."""
    noise = Random(1).randbytes(PIECE_BYTES + count)
    for number in range(count):
        yield noise[number : number + PIECE_BYTES]


def write_file(path: Path, count: int) -> None:
    """Write a plain file, with the digest that an attachment has."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("wb") as file:
        for piece in pieces(count):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())


def read_file(path: Path) -> None:
    """Read a plain file in pieces, with its digest."""
    digest = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while piece := file.read(PIECE_BYTES):
            digest.update(piece)


def read_attachment(db: Database, doc_id: str) -> None:
    """Read an attachment in pieces, with its digest."""
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in db.open_attachment(doc_id, "x").chunks():
        digest.update(chunk)


def growth_mib(path: str, count: int) -> float:
    """By how much the process's peak grows when it writes and reads an attachment."""
    with Database(path) as db:
        db.put_attachment("small", "x", next(pieces(count)))
        read_attachment(db, "small")
        before = _peak_mib()
        db.put_attachment("a", "x", pieces(count))
        read_attachment(db, "a")
        return _peak_mib() - before


def _peak_mib() -> float:
    """The most memory that this process had, in MiB. (``ru_maxrss`` is no help: it begins with the parent's peak.)"""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    print(growth_mib(sys.argv[1], int(sys.argv[2])))
