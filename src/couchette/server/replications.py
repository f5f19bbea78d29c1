"""Replications that the server runs: ``_replicate``, what ``_scheduler`` tells of them, and ``_active_tasks``.

Those with a document are run by the environment's replications, whoever writes the document; ``_replicate`` runs its
own beside them. A one-time one is run by the task of its request, and goes on if the client leaves, as in CouchDB.
A database of this server is used without asking whether the caller might, so naming one is for the server's
administrators; what is written to it is judged as what they write themselves. Between two URLs whoever is logged in may
replicate, with the credentials that the URLs have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from couchette.errors import BadRequest, CouchetteError, DatabaseNotFound, NotFound, ReplicationFailed, Unauthorized
from couchette.jobs import JobStatus, Plan
from couchette.jobs.job import TargetView, timestamp
from couchette.replication import ReplicationResult
from couchette.server import answers
from couchette.server.request import Request
from couchette.tasks import Task
from couchette.wire import names
from couchette.wire.names import REPLICATOR

NODE: Final = "nonode@nohost"
"""The name of CouchDB's single node."""

ID_MEMBERS: Final = ("replication_id", "_local_id", "id")
"""Members that name the replication to cancel."""

COUNTS: Final = ("missing_checked", "missing_found", "docs_read", "docs_written", "doc_write_failures")


def replicate(request: Request) -> ASGIApp:
    """``POST /_replicate``: run a replication once and answer what it did, begin a continuous one, or cancel one."""
    user = request.user
    if not user.is_admin and user.name is None:
        raise Unauthorized("You are not an authenticated user", "Log in.")
    if not request.body:
        raise BadRequest("Missing request body", "POST a JSON object with `source` and `target`.")
    if request.method != "POST":
        raise answers.method_not_allowed("POST")
    body = request.json_object()
    # Another site's page may send JSON under a type of forms without being asked whether it may. CouchDB, too, looks at
    # the type only when it has read the body.
    request.require_json()
    if body.get("cancel", False) is not False:
        return _cancel(request, body)
    plan = Plan.from_json(body)
    if not user.is_admin and not (plan.source.is_url and plan.target.is_url):
        raise Unauthorized("You are not a server admin.", "Give the URLs of both databases, with your credentials.")
    if not plan.continuous:
        return _OneTime(request, plan)
    job = request.environment.replications.begin(plan, user.name, _as_target(request))
    return answers.json_answer({"ok": True, "_local_id": job.status.id}, 202)


def _as_target(request: Request) -> TargetView:
    """How a database of this server is written to for whoever asked."""
    return partial(request.gate.as_target, request.user, request.node.settings)


def _cancel(request: Request, body: Mapping[str, Any]) -> Response:
    if body["cancel"] is not True:
        raise BadRequest("parameter `cancel` must be a boolean", f"Got {body['cancel']!r}.")
    named = next((body[name] for name in ID_MEMBERS if name in body), None)
    job_id = Plan.from_json(body).id if named is None else named
    scheduler = request.environment.replications.scheduler
    job = scheduler.transient(job_id) if isinstance(job_id, str) else None
    if job is None:
        raise NotFound("missing", "There is no such replication without a document; it may have ended.")
    if not request.user.is_admin and job.status.user != request.user.name:
        raise Unauthorized("You are not a server admin.", "Another user began this replication.")
    scheduler.end(job)
    return answers.json_answer({"ok": True, "_local_id": job_id})


class _OneTime:
    """The answer to a one-time replication: an ASGI app, since the replication is asynchronous."""

    def __init__(self, request: Request, plan: Plan) -> None:
        self._request = request
        self._plan = plan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Replicate, then answer."""
        await (await self._answer())(scope, receive, send)

    async def _answer(self) -> Response:
        try:
            result = await self._request.environment.replications.scheduler.replicate(
                self._plan, self._request.user.name, _as_target(self._request)
            )
            if result is None:
                raise ReplicationFailed("The replication was cancelled.", error="cancelled")
            return answers.json_answer(_told(result))
        except DatabaseNotFound as exc:
            return answers.json_answer({"error": "db_not_found", "reason": self._not_found(exc)}, 500)
        except BadRequest as exc:
            return answers.error_answer(exc)
        except CouchetteError as exc:
            # Whatever the other side answered, it is no answer to this request.
            reason = str(answers.told(exc, self._request.environment))
            return answers.json_answer({"error": exc.error, "reason": reason}, 500)
        except Exception as exc:
            return answers.failure(exc, self._request)

    def _not_found(self, exc: DatabaseNotFound) -> str:
        """CouchDB's sentence, which names the database by its URL."""
        for side in (self._plan.source, self._plan.target):
            if not side.is_url and side.place not in self._request.environment:
                return "/".join(filter(None, (f"could not open {self._request.base}", side.place))) + "/"
        return f"could not open a database. {exc.hint}"


def _told(result: ReplicationResult) -> dict[str, Any]:
    """A replication's result as ``_replicate`` answers it."""
    told = result.as_json()
    shown = {name: told[name] for name in ("session_id", "source_last_seq", "replication_id_version")}
    history = _cumulative(result.history)
    if not history or result.missing_checked or result.history[0]["session_id"] == result.session_id:
        return {"ok": True, **shown, "history": history or _cumulative([_entry(told)])}
    return {"ok": True, "no_changes": True, **shown, "session_id": history[0]["session_id"], "history": history}


def _entry(told: Mapping[str, Any]) -> dict[str, Any]:
    """The log entry of a session that recorded nothing."""
    members = ("session_id", "start_time", "end_time", *COUNTS)
    seq = told["source_last_seq"]
    seqs = dict.fromkeys(("start_last_seq", "end_last_seq", "recorded_seq"), seq)
    return {**{name: told[name] for name in members}, **seqs}


def _cumulative(history: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The log as CouchDB 3 shows it: each session counts the earlier ones too. We fetch by ``_bulk_get`` alone."""
    totals = dict.fromkeys(COUNTS, 0)
    shown = []
    for entry in reversed(history):
        for name in COUNTS:
            totals[name] += entry[name] if isinstance(entry.get(name), int) else 0
        fetched = dict.fromkeys(("bulk_get_docs", "bulk_get_attempts"), totals["docs_read"])
        shown.append({**entry, **totals, **fetched})
    return shown[::-1]


# -- What is running ----------------------------------------------------------------------------------


def scheduler(request: Request, path: list[bytes]) -> Response:
    """``GET /_scheduler/jobs[/{id}]`` and ``GET /_scheduler/docs[/{db}[/{id}]]``."""
    match [names.decode_id(segment) for segment in path]:
        case ["jobs"]:
            jobs = [_job(status) for status in _scheduled(request)]
            return _page(request, "jobs", jobs)
        case ["jobs", *parts]:
            # A bare plus in a path is a space, but ids have one that clients do not escape.
            wanted = "/".join(parts).replace(" ", "+")
            for status in _scheduled(request):
                if status.id == wanted:
                    return answers.json_answer(_job(status))
        case ["docs"] | ["docs", "_replicator"]:
            return _page(request, "docs", _docs(request))
        case ["docs", "_replicator", *parts]:
            return answers.json_answer(_doc(request.environment.replications.status("/".join(parts))))
    raise NotFound("missing", "There is `_scheduler/jobs` and `_scheduler/docs`, and what they list.")


def active_tasks(request: Request) -> Response:
    """``GET /_active_tasks``: the replications, compactions and builds of indexes under way."""
    tasks = [_work(name, task) for name, db in request.environment.opened().items() for task in db._pool.tasks.all()]
    running = [status for status in _scheduled(request) if status.state in ("running", "crashing")]
    return answers.json_answer([*tasks, *(_task(status) for status in running)])


def _scheduled(request: Request) -> list[JobStatus]:
    """The jobs that run, or try to. What is through, or cannot be done, is no job any more."""
    everything = request.environment.replications.scheduler.all()
    return [status for status in everything if status.state not in ("completed", "failed")]


def _docs(request: Request) -> list[dict[str, Any]]:
    replications = request.environment.replications
    wanted = request.query.first("states")
    shown = [_doc(replications.status(name)) for name in replications]
    return shown if wanted is None else [doc for doc in shown if doc["state"] in wanted.split(",")]


def _page(request: Request, member: str, rows: list[dict[str, Any]]) -> Response:
    skip, limit = _number(request, "skip", 0), _number(request, "limit", len(rows))
    return answers.json_answer({"total_rows": len(rows), "offset": skip, member: rows[skip : skip + limit]})


def _number(request: Request, name: str, default: int) -> int:
    text = request.query.first(name)
    if text is None:
        return default
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise BadRequest(f"Invalid value for {name}: {text}", "It must be a whole number, 0 or more.")
    return int(text)


def _shown(status: JobStatus) -> dict[str, Any]:
    """What all listings tell of a job."""
    return {
        "database": None if status.name is None else REPLICATOR,
        "doc_id": status.name,
        "id": status.id,
        "node": NODE,
        "source": status.source,
        "target": status.target,
        "start_time": None if status.start_time is None else timestamp(status.start_time),
        "info": _info(status),
    }


def _info(status: JobStatus) -> dict[str, Any] | None:
    return (status.numbers or None) if status.error is None else {"error": status.error}


def _job(status: JobStatus) -> dict[str, Any]:
    return {**_shown(status), "history": list(status.history), "pid": None, "user": status.user}


def _doc(status: JobStatus) -> dict[str, Any]:
    updated = None if status.last_updated is None else timestamp(status.last_updated)
    return {
        **_shown(status),
        "state": status.state,
        "error_count": status.error_count,
        "last_updated": updated,
        "source_proxy": None,
        "target_proxy": None,
    }


def _work(name: str, task: Task) -> dict[str, Any]:
    """Work on a database. A thread does it, but tools look for a process id in Erlang's form."""
    own = {"design_document": task.owner} if task.owner else {"phase": "document_copy"}
    return {
        "type": task.kind,
        "database": name,
        **own,
        "node": NODE,
        "pid": f"<0.{task.number}.0>",
        "progress": task.percent,
        "changes_done": task.done,
        "total_changes": task.total,
        "started_on": int(task.started.timestamp()),
        "updated_on": int(task.updated.timestamp()),
    }


def _task(status: JobStatus) -> dict[str, Any]:
    assert status.start_time is not None
    assert status.last_updated is not None
    shown = {name: value for name, value in _shown(status).items() if name not in ("id", "info", "start_time")}
    return {
        **shown,
        **status.numbers,
        "type": "replication",
        "replication_id": status.id,
        "continuous": status.continuous,
        "pid": None,
        "user": status.user,
        "started_on": int(status.start_time.timestamp()),
        "updated_on": int(status.last_updated.timestamp()),
    }
