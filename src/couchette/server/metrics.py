"""What a server counts, in the text format of Prometheus: ``/_node/{name}/_prometheus``.

The names are CouchDB's for what we have; what it measures beyond that is not here.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final

from couchette.environment import Environment

if TYPE_CHECKING:
    from couchette.server.node import Node

MEDIA_TYPE: Final = "text/plain; version=2.0"
"""As CouchDB's."""

_JOB_STATES: Final = ("running", "pending", "crashing")

Samples = Iterable[tuple[Mapping[str, str], float]]


def prometheus(node: Node, environment: Environment) -> str:
    """The metrics of a server. Reads no database."""
    methods, statuses = node.methods.copy(), node.statuses.copy()
    opened = environment.opened()
    tasks = [task.kind for db in opened.values() for task in db._pool.tasks.all()]
    states = [status.state for status in environment.replications.scheduler.all()]
    parts = [
        _metric("couchdb_uptime_seconds", "counter", "couchdb uptime", [({}, node.uptime_s)]),
        _metric("couchdb_httpd_requests_total", "counter", "number of HTTP requests", [({}, sum(methods.values()))]),
        _metric(
            "couchdb_httpd_request_methods",
            "counter",
            "number of HTTP requests by method",
            [({"method": name}, number) for name, number in sorted(methods.items())],
        ),
        _metric(
            "couchdb_httpd_status_codes",
            "counter",
            "number of HTTP responses by status",
            [({"code": str(status)}, number) for status, number in sorted(statuses.items())],
        ),
        _metric("couchdb_open_databases_total", "gauge", "number of open databases", [({}, len(opened))]),
        _metric(
            "couchette_tasks",
            "gauge",
            "number of active tasks by type",
            [({"type": kind}, tasks.count(kind)) for kind in sorted(set(tasks))],
        ),
        *(
            _metric(
                f"couchdb_couch_replicator_jobs_{state}",
                "gauge",
                f"replicator {state} jobs",
                [({}, states.count(state))],
            )
            for state in _JOB_STATES
        ),
        _metric("couchette_threads", "gauge", "number of threads", [({}, threading.active_count())]),
    ]
    return "".join(parts)


def _metric(name: str, kind: str, text: str, samples: Samples) -> str:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        shown = ",".join(f'{label}="{found}"' for label, found in labels.items())
        lines.append(f"{name}{{{shown}}} {value}" if shown else f"{name} {value}")
    return "\n".join(lines) + "\n"
