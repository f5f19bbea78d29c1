"""``couchette dump`` and ``couchette load``: a database to a file of lines, and back."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from couchette.backup import load
from couchette.cli.files import open_existing, read_key
from couchette.cli.screen import Screen, pace, size
from couchette.errors import StoreError


def run_dump(screen: Screen, path: str, output: str | None, key_file: str | None) -> None:
    """Write the dump to a file, which appears when it is whole, or to standard output."""
    with open_existing(path, read_key(key_file)) as database:
        if output is None:
            database.dump(sys.stdout.buffer)
            sys.stdout.buffer.flush()
            return
        target = Path(output)
        partial = target.with_name(f".{target.name}.partial")
        started = time.perf_counter()
        try:
            # Who may not read the database may not read its dump.
            partial.touch(Path(path).stat().st_mode & 0o666)
            with partial.open("wb") as file, screen.progress("Dumping") as meter:
                counts = database.dump(file, progress=lambda done, total: meter.tell(done, total - done))
            partial.replace(target)
        except OSError as exc:
            raise StoreError(f"The dump cannot be written to {output}.", f"{exc.strerror}.") from exc
        finally:
            partial.unlink(missing_ok=True)
    took = pace(counts["documents"], time.perf_counter() - started)
    screen.say(f"Dumped {path} to {output}, {size(target.stat().st_size)}: {took}.")


def run_load(screen: Screen, dump: str, path: str, key_file: str | None) -> None:
    """Restore a dump, from standard input if it is ``-``, to a new file."""
    key = read_key(key_file)
    started = time.perf_counter()
    try:
        with sys.stdin.buffer if dump == "-" else Path(dump).open("rb") as file, screen.progress("Loading") as meter:
            counts = load(file, path, progress=lambda done: meter.tell(done, None), key=key)
    except OSError as exc:
        raise StoreError(f"The dump {dump} cannot be read.", f"{exc.strerror}.") from exc
    screen.say(f"Loaded {dump} to {path}: {pace(counts['documents'], time.perf_counter() - started)}.")
