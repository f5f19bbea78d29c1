"""The server as the one node of a cluster: ``_membership``, and under ``_node`` its settings, counters and health.

It has CouchDB's name for a node without a cluster, and ``_local`` for whoever asks it.
"""

from __future__ import annotations

import gc
import threading
import time
from collections import Counter
from typing import Any, Final

from starlette.responses import Response

from couchette.environment import Environment
from couchette.errors import BadRequest, NotFound
from couchette.server import answers
from couchette.server.policy import Policy
from couchette.server.replications import NODE
from couchette.server.request import Request
from couchette.server.settings import Settings
from couchette.server.updates_log import UpdatesLog
from couchette.server.uuids import Uuids
from couchette.wire import names

LOCAL: Final = "_local"


class Node:
    """What an app keeps from its start to its end beside the databases."""

    def __init__(self, environment: Environment, policy: Policy) -> None:
        self.settings = Settings(environment, policy)
        self.uuids = Uuids()
        self.updates = UpdatesLog(environment)
        self.methods: Counter[str] = Counter()
        """How many requests came with each method. Counted in the event loop alone, as the answers are."""
        self.statuses: Counter[int] = Counter()
        """How many answers had each status."""
        self._started = time.monotonic()

    @property
    def uptime_s(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self._started)


def membership(request: Request) -> Response:
    """``GET /_membership``: the nodes of the cluster."""
    return answers.json_answer({"all_nodes": [NODE], "cluster_nodes": [NODE]})


def node(request: Request, path: list[bytes]) -> Response:
    """``/_node/{name}/…``."""
    if not path:
        raise BadRequest("Incomplete path to _node request", "Name a node: _local.")
    name, *parts = (names.decode_id(part) for part in path)
    if name not in (LOCAL, NODE):
        raise NotFound(f"no such node: {name}", "The only one is _local.")
    match parts:
        case []:
            return _reading(request, {"name": NODE})
        case ["_config", *rest]:
            return _config(request, rest)
        case ["_stats", *rest]:
            return _reading(request, _picked(_stats(request), rest))
        case ["_system"]:
            return _reading(request, _system(request))
    raise NotFound("missing", f"A node has no {'/'.join(parts)!r}.")


def _reading(request: Request, value: Any) -> Response:
    _allow(request, "GET")
    return answers.json_answer(value)


def _allow(request: Request, *methods: str) -> None:
    """Raise MethodNotAllowed for other methods. HEAD is GET."""
    if request.method not in methods and (request.method, methods[0]) != ("HEAD", "GET"):
        raise answers.method_not_allowed(",".join(methods))


def _config(request: Request, path: list[str]) -> Response:
    settings = request.node.settings
    match path:
        case []:
            return _reading(request, settings.all())
        case ["_reload"]:
            _allow(request, "POST")
            settings.reset()
            return answers.json_answer({"ok": True})
        case [section]:
            return _reading(request, settings.section(section))
        case [section, key]:
            return _setting(request, settings, section, key)
    raise NotFound("missing", "A setting has a section and a key.")


def _setting(request: Request, settings: Settings, section: str, key: str) -> Response:
    _allow(request, "GET", "PUT", "DELETE")
    if request.method == "PUT":
        value = request.json()
        if not isinstance(value, str):
            raise BadRequest("The value must be a JSON string", f"Got {value!r}.")
        return answers.json_answer(settings.set(section, key, value.strip()))
    old = settings.get(section, key)
    if request.method == "DELETE":
        settings.set(section, key, None)
    return answers.json_answer(old)


def _stats(request: Request) -> dict[str, Any]:
    """The counters that we have, nested as CouchDB nests its own. What it measures beyond them is not here."""
    methods, statuses = request.node.methods.copy(), request.node.statuses.copy()
    return {
        "couchdb": {
            "httpd": {"requests": _counter(sum(methods.values()), "number of HTTP requests")},
            "httpd_request_methods": {
                name: _counter(number, f"number of HTTP {name} requests") for name, number in sorted(methods.items())
            },
            "httpd_status_codes": {
                str(status): _counter(number, f"number of HTTP {status} responses")
                for status, number in sorted(statuses.items())
            },
        }
    }


def _counter(value: int, desc: str) -> dict[str, Any]:
    return {"value": value, "type": "counter", "desc": desc}


def _picked(stats: Any, path: list[str]) -> Any:
    for name in path:
        if not isinstance(stats, dict) or name not in stats:
            raise NotFound("missing", f"There is no counter {'/'.join(path)!r}.")
        stats = stats[name]
    return stats


def _system(request: Request) -> dict[str, Any]:
    """What CouchDB tells of its runtime, as far as ours has it."""
    return {
        "uptime": request.node.uptime_s,
        "process_count": threading.active_count(),
        "garbage_collection_count": sum(generation["collections"] for generation in gc.get_stats()),
        "message_queues": {},
        "internal_replication_jobs": 0,
        "distribution": {},
    }
