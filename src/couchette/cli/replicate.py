"""``couchette replicate``: one replication or a live one, told by a bar or by lines, and by an exit code."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import couchette
from couchette import jsonio
from couchette.cli.files import open_existing, read_key
from couchette.cli.screen import Meter, Screen, count, pace
from couchette.cli.usage import UsageError
from couchette.endpoints import is_url
from couchette.errors import BadRequest
from couchette.replication import ReplicationResult, Status

REFUSED: Final = 3

JOIN_S: Final = 1.0
"""How long a live replication is waited for at a time: on some systems no signal ends a longer wait."""


@dataclass(frozen=True)
class Keys:
    """The files that hold the keys of encrypted databases, as they were named."""

    source_file: str | None
    target_file: str | None

    def read(self) -> tuple[bytes | None, bytes | None]:
        """The keys of both sides: of the files named, or else the environment's for both."""
        if self.source_file is None and self.target_file is None:
            key = read_key(None)
            return key, key
        return (
            None if self.source_file is None else read_key(self.source_file),
            None if self.target_file is None else read_key(self.target_file),
        )


def what_travels(
    doc_ids: list[str] | None,
    selector: str | None,
    filter: str | None,
    params: list[str] | None,
    view: str | None,
    since: str | None,
) -> dict[str, Any]:
    """The options that choose documents, as ``couchette.replicate`` takes them. Raises UsageError."""
    chosen: dict[str, Any] = {"doc_ids": doc_ids, "filter": filter, "view": view, "since": since}
    if since is not None and since.isascii() and since.isdecimal():
        chosen["since"] = int(since)
    if selector is not None:
        try:
            chosen["selector"] = jsonio.loads(selector.encode())
        except BadRequest as exc:
            raise UsageError(f"--selector is not JSON. {exc.hint}") from exc
        if not isinstance(chosen["selector"], dict):
            raise UsageError("--selector must be a JSON object.")
    if params is not None:
        if not all("=" in param for param in params):
            raise UsageError("--param has the form name=value.")
        chosen["query_params"] = {name: value for name, _, value in (param.partition("=") for param in params)}
    return {name: value for name, value in chosen.items() if value is not None}


def run_replicate(screen: Screen, source: str, target: str, keys: Keys, *, live: bool, **options: Any) -> int:
    """Replicate, print a summary, list what was refused; return 0, or 3 if something was.

    Raises KeyboardInterrupt when one that is not live was interrupted, after saying what was done.
    """
    source_key, target_key = keys.read()
    with _source(source, source_key) as origin, _target(target, target_key) as destination:
        if live:
            return _run_live(screen, origin, destination, options)
        started = time.perf_counter()
        with screen.progress("Replicating") as meter:
            try:
                result = couchette.replicate(origin, destination, on_event=meter.watch, **options)
            except KeyboardInterrupt:
                screen.say(_interrupted(meter))
                raise
    if options.get("dry_run"):
        return _tell_plan(screen, result)
    screen.say(_summary(result, time.perf_counter() - started))
    return _tell_refused(result.errors)


def _run_live(screen: Screen, origin: Any, destination: Any, options: Mapping[str, Any]) -> int:
    with screen.progress("Live") as meter, _ended_by_sigterm():
        handle = couchette.replicate(origin, destination, live=True, on_event=meter.watch, **options)
        try:
            while not handle.join(JOIN_S):
                pass
        except KeyboardInterrupt:
            handle.cancel()
        status = handle.status
    assert isinstance(status, Status)
    moved = f"{count(status.docs_written, 'document')} replicated from {status.source} to {status.target}"
    last = status.last_error if status.last_contact is None else None
    screen.say(f"Ended: {moved}." if last is None else f"Ended: nothing was replicated. {last}")
    return _tell_refused(status.refused)


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C during the block: it is how a service is told to end."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _source(endpoint: str, key: bytes | None) -> Iterator[str | couchette.Database]:
    """The endpoint; a database file that has a key is opened with it."""
    if key is None or is_url(endpoint):
        yield endpoint
    else:
        with open_existing(endpoint, key) as database:
            yield database


@contextmanager
def _target(endpoint: str, key: bytes | None) -> Iterator[str | couchette.Database]:
    """The same, but the file is made if it is not there. When nothing came then, since it failed, it is gone again."""
    if key is None or is_url(endpoint):
        yield endpoint
        return
    existed = Path(endpoint).exists()
    with couchette.Database(endpoint, key=key) as database:
        try:
            yield database
        except BaseException:
            if not existed and database.info()["update_seq"].startswith("0-"):
                database.destroy()
            raise


def _summary(result: ReplicationResult, seconds: float) -> str:
    """One line for what came of it."""
    if result.errors:
        refused = f" {count(len(result.errors), 'document')} refused by the target."
        return f"Replicated {result.source} to {result.target}, in part: {pace(result.docs_written, seconds)}.{refused}"
    if result.docs_written:
        return f"Replicated {result.source} to {result.target}: {pace(result.docs_written, seconds)}."
    checked = "no changes since the last time"
    if result.missing_checked:
        checked = f"{count(result.missing_checked, 'revision')} compared"
    return f"{result.target} has everything that {result.source} has: {checked}."


def _interrupted(meter: Meter) -> str:
    """One line for what was done until then."""
    done = 0 if meter.status is None else meter.status.docs_written
    return f"Interrupted: {count(done, 'document')} replicated; run it again to continue."


def _tell_plan(screen: Screen, result: ReplicationResult) -> int:
    """List what a dry run found; it is for other programs too, so there is nothing else on the line."""
    for row in result.would_move:
        screen.say(" ".join([row["id"], *row["revs"]]))
    return 0


def _tell_refused(errors: Iterable[Mapping[str, Any]]) -> int:
    """List what the target did not take, and return the exit code that says so."""
    refused = list(errors)
    for error in refused:
        print(f"refused: {error['id']} {error['rev']}: {error['error']}, {error['reason']}", file=sys.stderr)
    return REFUSED if refused else 0
