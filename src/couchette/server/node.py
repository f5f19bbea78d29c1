"""The server as the one node of a cluster: under ``_node`` its settings, counters and health.

It has CouchDB's name for a node without a cluster, and ``_local`` for whoever asks it.
"""

from __future__ import annotations

import gc
import hashlib
import platform
import threading
import time
from collections import Counter
from typing import Any, Final

from starlette.responses import Response

from couchette.document.collation import COLLATOR
from couchette.environment import Environment
from couchette.errors import BadRequest, NotFound
from couchette.server import answers, metrics
from couchette.server.gate import begin_asking
from couchette.server.policy import Policy
from couchette.server.replications import NODE
from couchette.server.request import Request
from couchette.server.settings import Settings
from couchette.server.updates_log import UpdatesLog
from couchette.server.uuids import Uuids
from couchette.wire import names

LOCAL: Final = "_local"
ADMINS: Final = "admins"
"""The section of the settings that is kept."""


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
        case ["_versions"]:
            return _reading(request, _versions())
        case ["_prometheus"]:
            _allow(request, "GET")
            text = metrics.prometheus(request.node, request.environment)
            return answers.answer(text.encode(), 200, {"Content-Type": metrics.MEDIA_TYPE})
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
            return _reading(request, settings.all() | ({ADMINS: admins} if (admins := _admins(request)) else {}))
        case ["_reload"]:
            _allow(request, "POST")
            request.require_json()  # Which no page of another site can declare without being asked.
            settings.reset()
            return answers.json_answer({"ok": True})
        case [section]:
            return _reading(request, _admins(request) if section == ADMINS else settings.section(section))
        case [section, name] if section == ADMINS:
            return _admin(request, name)
        case [section, key]:
            return _setting(request, settings, section, key)
    raise NotFound("missing", "A setting has a section and a key.")


def _admins(request: Request) -> dict[str, str]:
    """The section ``admins``: names, and passwords as they are derived."""
    return request.gate.authentication.accounts.admins.lines()


def _admin(request: Request, name: str) -> Response:
    """``/_node/{name}/_config/admins/{admin}``: administrators come and go while the server runs, and are kept."""
    _allow(request, "GET", "PUT", "DELETE")
    authentication = request.gate.authentication
    admins = authentication.accounts.admins
    if request.method == "PUT":
        old = admins.set(name, _text(request))
        begin_asking(authentication, request.environment)
        return answers.json_answer(old)
    if request.method == "DELETE":
        return answers.json_answer(admins.remove(name))
    lines = admins.lines()
    if name not in lines:
        raise NotFound("unknown_config_value", f"There is no administrator {name!r}.")
    return answers.json_answer(lines[name])


def _text(request: Request) -> str:
    """The value that a PUT sets."""
    value = request.json()
    if not isinstance(value, str):
        raise BadRequest("The value must be a JSON string", f"It is a JSON {type(value).__name__}.")
    return value.strip()


def _setting(request: Request, settings: Settings, section: str, key: str) -> Response:
    _allow(request, "GET", "PUT", "DELETE")
    if request.method == "PUT":
        return answers.json_answer(settings.set(section, key, _text(request)))
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


def _versions() -> dict[str, Any]:
    """What the server is made of, under CouchDB's names where it has the same."""
    return {
        "python": {"version": platform.python_version(), "supported_hashes": sorted(hashlib.algorithms_guaranteed)},
        "collation_driver": {"name": COLLATOR},
        "javascript_engine": {"name": "quickjs"},
    }


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
