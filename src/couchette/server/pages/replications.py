"""The replications of the server: how they stand, how far they are, and the means to begin and to end one.

Those with a document of ``_replicator`` outlast the server; those that ``_replicate`` began are listed beside them.
Statuses and plans are shown without credentials, and no page shows the document that holds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.jobs import JobStatus, Plan
from couchette.server import databases
from couchette.server.pages.documents import parse_object
from couchette.server.pages.rendering import page
from couchette.server.pages.visit import Visit
from couchette.wire.names import REPLICATOR

OVER: Final = ("completed", "failed")
SAME: Final = ("source_seq", "through_seq")
"""Numbers that say what ``checkpointed_source_seq`` says."""
FIELDS: Final = (
    *("id", "source", "source_user", "target", "target_user"),
    *("continuous", "create_target", "selector", "doc_ids"),
)
"""What the form for a new one keeps when something is wrong. Passwords are typed again."""


def show(visit: Visit) -> Response:
    """All replications, and the form for a new one."""
    return _listed(visit)


def _listed(visit: Visit, *, typed: Mapping[str, str] | None = None, problem: str = "", status: int = 200) -> Response:
    visit.require("GET", "_scheduler", "docs")
    visit.require("GET", REPLICATOR, "_all_docs")
    environment = visit.request.environment
    statuses = _statuses(visit)
    return page(
        visit,
        "replications.html",
        title="Replications",
        section="replications",
        status=status,
        statuses=statuses,
        is_live=environment.replications.running and any(one.state not in OVER for one in statuses),
        is_running=environment.replications.running,
        names=sorted(name for name in environment if not name.startswith("_")),
        typed={name: (typed or {}).get(name, "") for name in FIELDS},
        problem=problem,
    )


def _statuses(visit: Visit) -> list[JobStatus]:
    """Those with a document by name, then the others. One whose document goes meanwhile is left out."""
    replications = visit.request.environment.replications
    found = []
    for name in replications:
        try:
            found.append(replications.status(name))
        except NotFound:
            continue
    return found + [status for status in replications.scheduler.all() if status.name is None]


def show_one(visit: Visit) -> Response:
    """What is known of one replication: ``name`` is its document's, ``job`` the id of one without."""
    visit.require("GET", "_scheduler", "docs")
    name, job_id = visit.optional("name"), visit.optional("job")
    replications = visit.request.environment.replications
    if name is not None:
        status = replications.status(name)
    else:
        job = replications.scheduler.transient(job_id or "")
        if job is None:
            raise NotFound("missing", "There is no such replication; one without a document ends with the server.")
        status = job.status
    title = status.name or "Without a document"
    return page(
        visit,
        "replication.html",
        title=title,
        crumbs=[("Replications", visit.link("replications")), (title, None)],
        section="replications",
        one=status,
        numbers={name: value for name, value in status.numbers.items() if name not in SAME},
        options=_options(visit, status),
        is_live=replications.running and status.state not in OVER,
    )


def _options(visit: Visit, status: JobStatus) -> dict[str, Any]:
    """What it was told to do, beside its two sides; of a document that is no plan, nothing."""
    replications = visit.request.environment.replications
    try:
        if status.name is not None:
            plan: Plan | None = Plan.from_json(replications.document(status.name))
        else:
            job = replications.scheduler.transient(status.id or "")
            plan = None if job is None else job.plan
    except CouchetteError:
        return {}
    shown = {} if plan is None else plan.as_json()
    return {name: value for name, value in shown.items() if name not in ("source", "target")}


def start(visit: Visit) -> Response:
    """Write the document of a new replication. What is wrong with it is shown again, without the passwords."""
    fields = visit.form.fields
    try:
        doc = _document(fields)
        Plan.from_json(doc)
        if REPLICATOR not in visit.request.environment:
            databases.create(visit.require("PUT", REPLICATOR))
        db = visit.require("POST", REPLICATOR, "_bulk_docs").database()
        written = db.put(doc) if "_id" in doc else db.post(doc)
    except CouchetteError as exc:
        return _listed(visit, typed=fields, problem=str(exc), status=exc.status)
    return visit.go(visit.link("replications"), f"Began {written['id']}.")


def _document(fields: Mapping[str, str]) -> dict[str, Any]:
    """The document that the form stands for. Raises BadRequest."""
    doc: dict[str, Any] = {side: _side(fields, side) for side in ("source", "target")}
    doc |= {name: True for name in ("continuous", "create_target") if fields.get(name) == "true"}
    if doc_id := fields.get("id", "").strip():
        doc["_id"] = doc_id
    if selector := fields.get("selector", "").strip():
        doc["selector"] = parse_object(selector)
    if ids := [line.strip() for line in fields.get("doc_ids", "").splitlines() if line.strip()]:
        doc["doc_ids"] = ids
    return doc


def _side(fields: Mapping[str, str], side: str) -> str | dict[str, Any]:
    place, user = fields.get(side, "").strip(), fields.get(f"{side}_user", "").strip()
    if not place:
        raise BadRequest(f"The {side} is missing.", "Give the name of a database here, or a URL.")
    if not user:
        return place
    if not place.startswith(("http://", "https://")):
        raise BadRequest("A database of this server needs no password.", f"Leave out the user of the {side}.")
    password = fields.get(f"{side}_password", "")
    return {"url": place, "auth": {"basic": {"username": user, "password": password}}}


def end(visit: Visit) -> Response:
    """Delete the document of a replication, or cancel one without."""
    name, job_id = visit.optional("name"), visit.optional("job")
    replications = visit.request.environment.replications
    if name is not None:
        db = visit.require("POST", REPLICATOR, "_bulk_docs").database()
        db.remove(name, replications.document(name)["_rev"])
        return visit.go(visit.link("replications"), f"Ended {name}. What it moved stays.")
    _require_server_admin(visit)
    job = replications.scheduler.transient(job_id or "")
    if job is None:
        raise NotFound("missing", "There is no such replication; it may have ended.")
    replications.scheduler.end(job)
    return visit.go(visit.link("replications"), "Ended it. What it moved stays.")


def retry(visit: Visit) -> Response:
    """Try now what waits to try again."""
    _require_server_admin(visit)
    name = visit.given("name")
    visit.request.environment.replications[name].retry()
    return visit.go(visit.link("replications/one", name=name), "It tries again now.")


def _require_server_admin(visit: Visit) -> None:
    """Raise Unauthorized unless the user may do what is the server's own."""
    visit.require("GET", "_scheduler", "docs")


ROUTES: Final = {
    ("GET", "replications"): show,
    ("GET", "replications/one"): show_one,
    ("POST", "replications/start"): start,
    ("POST", "replications/end"): end,
    ("POST", "replications/retry"): retry,
}
