"""``couchette compact``: a database gives back the room that it does not need."""

from __future__ import annotations

from pathlib import Path

from couchette.cli.files import open_existing, read_key
from couchette.cli.screen import Screen, count, size


def run_compact(screen: Screen, path: str, key_file: str | None) -> None:
    """Compact it and say in a line what that gave."""
    with open_existing(path, read_key(key_file)) as database:
        before = database.info()["sizes"]["file"]
        freed = database.compact()
    # Closing moved the write-ahead log to the file, so this is its whole size.
    after = Path(path).stat().st_size
    attachments = count(freed["attachments"], "unused attachment")
    bodies = count(freed["bodies"], "superseded revision")
    screen.say(f"{path}: dropped {bodies} and {attachments}; {size(before)} are now {size(after)}.")
