"""What the server is busy with, and the settings that it runs with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.responses import Response

from couchette.server.pages.rendering import page
from couchette.server.pages.visit import Visit

KINDS: Final = {
    "database_compaction": "Compaction",
    "indexer": "Building of views",
    "search_indexer": "Building of a text index",
}


@dataclass(frozen=True)
class Work:
    """Work on a database."""

    database: str
    kind: str
    owner: str
    done: int
    total: int


def show(visit: Visit) -> Response:
    """Tasks under way, and settings."""
    visit.require("GET", "_active_tasks")
    visit.require("GET", "_node", "_local", "_config")
    environment, node = visit.request.environment, visit.request.node
    works = [
        Work(name, KINDS.get(task.kind, task.kind), task.owner, task.done, task.total)
        for name, db in sorted(environment.opened().items())
        for task in db._pool.tasks.all()
    ]
    return page(
        visit,
        "server.html",
        title="Server",
        section="server",
        works=works,
        uptime_s=node.uptime_s,
        requests=sum(node.methods.copy().values()),
        settings=sorted(node.settings.all().items()),
    )


ROUTES: Final = {("GET", "server"): show}
