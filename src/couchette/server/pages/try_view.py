"""A view to try: JavaScript that was typed here, run over all documents, and then kept in a design document or not.

It is for whoever administers the database, as ``_temp_view`` was in CouchDB 1. Each call of a function has the bounds
of any design function's, and all of them together have some time.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Final

from starlette.responses import Response

from couchette.database import Database
from couchette.design.request import security_of
from couchette.document.docid import DESIGN
from couchette.errors import BadRequest, CouchetteError, FunctionFailed, LimitExceeded, NotFound
from couchette.functions import check_written
from couchette.server import security
from couchette.server.pages.rendering import page
from couchette.server.pages.view_rows import PAGE_ROWS, Shown
from couchette.server.pages.views import JAVASCRIPT, crumbs_to, stored_views
from couchette.server.pages.visit import Visit

TRIAL_S: Final = 30.0
"""How long a view to try may take, over all documents. One that needs longer needs an index that is kept."""
HEARD_MAX: Final = 10
"""Messages of functions that are shown."""
EXAMPLE: Final = "function (doc) {\n  emit(doc._id, null);\n}"

log = logging.getLogger("couchette.functions")


@dataclass(frozen=True)
class Trial:
    """A view to try, as it was typed, and where to keep it."""

    map: str
    reduce: str
    design: str
    view: str
    group: bool = True
    """Whether reduced values are those of each key."""


def ask_to_try(visit: Visit) -> Response:
    """An empty view to fill in, or a stored one to change."""
    db = _for_administrators(visit)
    design, view = visit.optional("design"), visit.optional("view")
    chosen = next((one for one in stored_views(db) if (one.design, one.name) == (design, view)), None)
    if chosen is None:
        return _trial(visit, Trial(EXAMPLE, "", design or "", view or ""))
    return _trial(visit, Trial(chosen.map, chosen.reduce or "", chosen.design, chosen.name))


def try_out(visit: Visit) -> Response:
    """Run what was typed, or keep it in a design document. What is wrong is shown beside it."""
    db = _for_administrators(visit)
    fields = visit.form.fields
    map, reduce, design, view = (fields.get(one, "").strip() for one in ("map", "reduce", "design", "view"))
    trial = Trial(map, reduce, design, view, fields.get("group") == "true")
    try:
        if fields.get("act") == "keep":
            kept = _keep(visit, trial)
            return visit.go(visit.link("views", db=visit.given("db"), design=kept, view=view), "Kept it.")
        with _hearing() as heard:
            shown = _tried(db, trial)
        return _trial(visit, trial, shown=shown, heard=heard)
    except CouchetteError as exc:
        # The API has 500 for functions that do not work; here it is the form that was wrong.
        status = 400 if isinstance(exc, FunctionFailed) else exc.status
        return _trial(visit, trial, problem=str(exc), status=status)


def _for_administrators(visit: Visit) -> Database:
    """The database, for whom CouchDB 1 let try views."""
    db = visit.database("POST", "_temp_view")
    security.check_admin(security_of(db), visit.user)
    return db


def _tried(db: Database, trial: Trial) -> Shown:
    """The first rows of a view that is nowhere stored."""
    group = trial.group and bool(trial.reduce)
    functions = {"map": trial.map, "reduce": trial.reduce or None}
    found = db.query(functions, group=group, limit=PAGE_ROWS, progress=_within(TRIAL_S))
    return Shown(found["rows"], bool(trial.reduce), found.get("total_rows"))


def _within(seconds: float) -> Callable[[int, int], None]:
    """Stops the building of an index that takes longer."""
    end = time.monotonic() + seconds

    def check(done: int, total: int) -> None:
        if time.monotonic() > end:
            raise LimitExceeded(
                f"The view took longer than {seconds:g} s, for {done} of {total} changes.",
                "Keep it in a design document: then its index is built once, and kept.",
            )

    return check


class _Hearing(logging.Handler):
    """Hears what functions say that a thread runs: what they raise, above all."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first lines of the first messages."""
        if record.thread == self._thread and len(self.heard) < HEARD_MAX:
            self.heard.append(record.getMessage().partition("\n")[0])


@contextmanager
def _hearing() -> Iterator[Sequence[str]]:
    """What functions of this thread say meanwhile, which otherwise only the log has."""
    hearing = _Hearing()
    log.addHandler(hearing)
    try:
        yield hearing.heard
    finally:
        log.removeHandler(hearing)


def _keep(visit: Visit, trial: Trial) -> str:
    """Write the view into a design document, in place of the one of its name; return the document's name."""
    if not trial.design or not trial.view:
        raise BadRequest("A view is kept under two names.", "Name the design document and the view.")
    doc_id = DESIGN + trial.design.removeprefix(DESIGN)
    reader = visit.database("GET", doc_id)
    try:
        doc = reader.get(doc_id)
    except NotFound:
        doc = {"_id": doc_id, "language": JAVASCRIPT}
    views = doc.get("views", {})
    if doc.get("language", JAVASCRIPT) != JAVASCRIPT or not isinstance(views, dict):
        raise BadRequest(f"{doc_id} holds no views in JavaScript.", "Name another design document.")
    reduces = {"reduce": trial.reduce} if trial.reduce else {}
    doc["views"] = {**views, trial.view: {"map": trial.map, **reduces}}
    check_written(doc, new_edits=True, partitioned=reader._partitioned)
    visit.database("POST", "_bulk_docs").put(doc)
    return doc_id.removeprefix(DESIGN)


def _trial(
    visit: Visit,
    trial: Trial,
    *,
    shown: Shown | None = None,
    heard: Sequence[str] = (),
    problem: str = "",
    status: int = 200,
) -> Response:
    return page(
        visit,
        "try_view.html",
        title="Try a view",
        crumbs=crumbs_to(visit, "Try a view"),
        database=visit.given("db"),
        section="views",
        status=status,
        trial=trial,
        shown=shown,
        heard=heard,
        problem=problem,
        has_engine=find_spec("_quickjs") is not None,
    )


ROUTES: Final = {
    ("GET", "views/try"): ask_to_try,
    ("POST", "views/try"): try_out,
}
