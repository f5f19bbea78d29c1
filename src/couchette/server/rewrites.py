"""Rewrites: a request to ``/{db}/_design/{design}/_rewrite/…`` that stands for another one, by rules or by a function.

The other request is answered as if it had come from the client. It stays within the database, whatever the rules, the
function or the client's path say, so that access to one database never opens another.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest, FunctionFailed, NotFound
from couchette.functions import parse_rules, rewrite_path
from couchette.limits import REWRITES_MAX
from couchette.server.request import Request
from couchette.server.request_object import function_method, request_object
from couchette.server.shows import function_answer, open_design
from couchette.wire import names
from couchette.wire.parameters import Query

_NOT_FOR_REWRITES = ("info", "form", "uuid", "id")
"""Members of the request object that CouchDB does not give to rewrites."""


def rewritten(request: Request, db: Database, design: str, path: list[str]) -> Request | Response:
    """The request that this one stands for, or the answer that a function gave at once.

    Raises NotFound where nothing fits, and BadRequest when rewrites lead to rewrites without end.
    """
    if request.rewrites >= REWRITES_MAX:
        raise BadRequest("Exceeded rewrite recursion limit", f"A request is rewritten {REWRITES_MAX} times at most.")
    rules = db.get(f"_design/{design}").get("rewrites")
    database = f"/{names.quote(request.database_name())}"
    base = f"{database}/_design/{names.quote(design)}"
    if isinstance(rules, list):
        target = rewrite_path(parse_rules(rules), function_method(request), path, request.query.pairs, base)
        if target is None:
            raise NotFound("missing", f"No rule of _design/{design} fits.")
        return _instead(request, database, target)
    if isinstance(rules, str):
        return _by_function(request, db, design, database, base)
    raise _nowhere(f"_design/{design} has no rewrites.")


def _by_function(request: Request, db: Database, design: str, database: str, base: str) -> Request | Response:
    _, functions = open_design(request, db, design)
    req = request_object(request, db)
    answer = functions.rewrite({name: value for name, value in req.items() if name not in _NOT_FOR_REWRITES})
    if answer is None:
        raise _nowhere(f"The rewrites function of _design/{design} gave none.")
    if "code" in answer:
        head: dict[str, Any] = {name: answer[name] for name in ("code", "headers") if name in answer}
        return function_answer(head, {}, text=answer.get("body", ""))
    if "path" not in answer:
        raise FunctionFailed("Rewrite result must produce a new path.", "Return its `path`.", error="rewrite_error")
    path, _, own_query = answer["path"].partition("?")
    queries = [own_query, urlencode(answer["query"]) if "query" in answer else ""]
    query = "&".join(filter(None, queries)) if any(queries) or "query" in answer else request.query_string.decode()
    again = _instead(request, database, f"{base}/{path}" + (f"?{query}" if query else ""))
    return replace(again, **_other_parts(request, answer))


def _other_parts(request: Request, answer: Mapping[str, Any]) -> dict[str, Any]:
    """Method, headers and body, as far as the function gives them."""
    parts: dict[str, Any] = {"method": answer.get("method", request.method)}
    if "headers" in answer:
        parts["headers"] = {**request.headers, **{name.lower(): value for name, value in answer["headers"].items()}}
    if "body" in answer:
        parts["body"] = answer["body"].encode()
    return parts


def _instead(request: Request, database: str, target: str) -> Request:
    """The request with another path and query."""
    path, _, query_string = target.partition("?")
    # What a client or a rule escapes is a step up all the same once the path is split and read.
    path = posixpath.normpath(path.replace("%2e", ".").replace("%2E", "."))
    if path != database and not path.startswith(f"{database}/"):
        raise FunctionFailed(
            "too many ../.. segments", f"{target!r} is not in this database.", error="insecure_rewrite_rule"
        )
    return replace(
        request,
        raw_segments=names.split_path(path.encode()),
        query_string=query_string.encode(),
        query=Query(query_string.encode()),
        original=request.original or request,
        rewrites=request.rewrites + 1,
    )


def _nowhere(hint: str) -> NotFound:
    return NotFound("Invalid path.", hint, error="rewrite_error")
