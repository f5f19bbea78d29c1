"""Replications in PouchDB's words: its options as the engine's, and the engine's results as its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from couchette.database import Database
from couchette.endpoints import replicate
from couchette.pouchdb.arguments import known
from couchette.pouchdb.arguments import options as spelled
from couchette.pouchdb.core import DatabaseCore, EnvironmentCore
from couchette.pouchdb.documents import sequence
from couchette.pouchdb.errors import from_word
from couchette.pouchdb.filters import named_view, with_request
from couchette.pouchdb.results import Result
from couchette.replication import Event, ReplicationResult, Status

Doc = dict[str, Any]

OPTIONS: Final = ("doc_ids", "selector", "filter", "query_params", "view", "since", "style")


def endpoint(environment: EnvironmentCore, given: Any) -> Any:
    """A side of a replication as the engine takes it: a name, a URL, one of our database objects, or a facade."""
    if isinstance(given, str):
        return environment.database(given).database
    core = getattr(given, "_core", None)
    return core.database if isinstance(core, DatabaseCore) else given


def engine_options(given: Mapping[str, Any]) -> Doc:
    """PouchDB's options of a replication as the engine's; those that only steer PouchDB's own engine are left out."""
    chosen = known(given, OPTIONS)
    others = known(given, ("batch_size", "checkpoint"))
    named_view(chosen)
    if callable(chosen.get("filter")):
        chosen["filter"] = with_request(chosen["filter"], chosen.get("query_params"))
        chosen.pop("query_params", None)
    if "batch_size" in others:
        chosen["batch_docs"] = others["batch_size"]
    if others.get("checkpoint") is False:
        chosen["use_checkpoints"] = False
    return chosen


# -- Once, for the synchronous API --------------------------------------------------------------------


def replicate_once(environment: EnvironmentCore, source: Any, target: Any, given: Mapping[str, Any]) -> Doc:
    """Replicate, and return PouchDB's result; then ``on_change`` was called with each step. Raises what ended it."""
    origin, destination = endpoint(environment, source), endpoint(environment, target)
    is_remote = not isinstance(origin, Database)
    events: list[Event] = []
    options = engine_options(given)
    result = replicate(origin, destination, create_target=True, on_event=events.append, **options)
    on_change = known(given, ("on_change",)).get("on_change")
    if on_change is not None:
        for event in events:
            if event.kind == "batch":
                on_change(Result(progress(event.status, result.start_time, (), is_remote=is_remote)))
    return completed(result, is_remote=is_remote)


def sync_once(environment: EnvironmentCore, near: Any, far: Any, given: Mapping[str, Any]) -> Doc:
    """Push, then pull; the results are ``{"push", "pull"}``."""
    push, pull = both_ways(given)
    for direction, way in (("push", push), ("pull", pull)):
        if "on_change" in way:
            way["on_change"] = partial(_told, way["on_change"], direction)
    return {
        "push": replicate_once(environment, near, far, push),
        "pull": replicate_once(environment, far, near, pull),
    }


def _told(on_change: Callable[[Result], object], direction: str, change: Result) -> None:
    on_change(Result(direction=direction, change=change))


def both_ways(given: Mapping[str, Any]) -> tuple[Doc, Doc]:
    """The options of the two directions of a sync: ``push`` and ``pull`` are of one, the others of both."""
    shared = spelled(given)
    push, pull = shared.pop("push", None) or {}, shared.pop("pull", None) or {}
    return {**shared, **spelled(push)}, {**shared, **spelled(pull)}


# -- Results --------------------------------------------------------------------------------------


def completed(result: ReplicationResult, *, is_remote: bool) -> Doc:
    """PouchDB's result for a replication that came to its end; ``is_remote`` is said of its source."""
    counts = progress(result, result.start_time, [refusal(error) for error in result.errors], is_remote=is_remote)
    return {**counts, "ok": result.ok, "status": "complete", "end_time": moment(result.end_time)}


def progress(
    status: Status | ReplicationResult, start_time: datetime, errors: Sequence[Doc], *, is_remote: bool
) -> Doc:
    """What PouchDB tells of a replication while it goes on."""
    return {
        "ok": True,
        "start_time": moment(start_time),
        "docs_read": status.docs_read,
        "docs_written": status.docs_written,
        "doc_write_failures": status.doc_write_failures,
        "errors": [*errors],
        "last_seq": sequence(status.last_seq, is_remote=is_remote),
    }


def refusal(row: Mapping[str, Any]) -> Doc:
    """A document that the target does not take, ``{"id", "rev", "error", "reason"}``, as PouchDB lists it."""
    return {**from_word(row["error"], row["reason"]).as_json(), "id": row["id"]}


def moment(time: datetime) -> str:
    """A time as JavaScript's ``toJSON`` writes it."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
