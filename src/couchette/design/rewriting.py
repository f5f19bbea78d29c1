"""Rewrites: a request to ``/{db}/_design/{design}/_rewrite/…`` that stands for another one, by rules or by a function.

The other request stays within the database, whatever the rules, the function or the client's path say, so that access
to one database never opens another.
"""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from couchette.design.calls import open_design
from couchette.design.designs import Designs
from couchette.design.request import DesignRequest, request_object
from couchette.errors import BadRequest, FunctionFailed, NotFound
from couchette.functions import Response, checked_response, parse_rules, rewrite_path
from couchette.limits import REWRITES_MAX
from couchette.wire import names

if TYPE_CHECKING:
    from couchette.database import Database

_NOT_FOR_REWRITES = ("info", "form", "uuid", "id")
"""Members of the request object that CouchDB does not give to rewrites."""


def rewritten(
    db: Database, designs: Designs, design: str, path: list[str], asked: DesignRequest, *, binds_rest: bool = False
) -> DesignRequest | Response:
    """The request that this one stands for, or the answer that a function gave at once.

    ``path`` is what follows ``_rewrite``, in parts and unescaped; the first segment of ``asked`` is the database. See
    :func:`couchette.functions.rewrite_path` for ``binds_rest``.

    Raises NotFound where nothing fits, and BadRequest when rewrites lead to rewrites without end.
    """
    if asked.rewrites >= REWRITES_MAX:
        raise BadRequest("Exceeded rewrite recursion limit", f"A request is rewritten {REWRITES_MAX} times at most.")
    rules = db.get(f"_design/{design}").get("rewrites")
    database = f"/{names.quote(names.unquote(asked.raw_segments[0]).decode(errors='backslashreplace'))}"
    base = f"{database}/_design/{names.quote(design)}"
    if isinstance(rules, list):
        target = rewrite_path(
            parse_rules(rules), asked.seen_method, path, asked.query.pairs, base, binds_rest=binds_rest
        )
        if target is None:
            raise NotFound("missing", f"No rule of _design/{design} fits.")
        return _instead(asked, database, target)
    if isinstance(rules, str):
        return _by_function(db, designs, design, asked, database, base)
    raise _nowhere(f"_design/{design} has no rewrites.")


def _by_function(
    db: Database, designs: Designs, design: str, asked: DesignRequest, database: str, base: str
) -> DesignRequest | Response:
    functions = open_design(db, designs, design).functions
    req = request_object(asked, db)
    answer = functions.rewrite({name: value for name, value in req.items() if name not in _NOT_FOR_REWRITES})
    if answer is None:
        raise _nowhere(f"The rewrites function of _design/{design} gave none.")
    if "code" in answer:
        head: dict[str, Any] = {name: answer[name] for name in ("code", "headers") if name in answer}
        return checked_response(head, text=answer.get("body", ""))
    if "path" not in answer:
        raise FunctionFailed("Rewrite result must produce a new path.", "Return its `path`.", error="rewrite_error")
    path, _, own_query = answer["path"].partition("?")
    queries = [own_query, urlencode(answer["query"]) if "query" in answer else ""]
    query = "&".join(filter(None, queries)) if any(queries) or "query" in answer else asked.query_string.decode()
    again = _instead(asked, database, f"{base}/{path}" + (f"?{query}" if query else ""))
    headers = {name.lower(): value for name, value in answer.get("headers", {}).items()}
    return replace(
        again,
        method=answer.get("method", asked.method),
        headers={**asked.headers, **headers},
        body=answer["body"].encode() if "body" in answer else asked.body,
    )


def _instead(asked: DesignRequest, database: str, target: str) -> DesignRequest:
    """The request with another path and query."""
    path, _, query_string = target.partition("?")
    # What a client or a rule escapes is a step up all the same once the path is split and read.
    path = posixpath.normpath(path.replace("%2e", ".").replace("%2E", "."))
    if path != database and not path.startswith(f"{database}/"):
        raise FunctionFailed(
            "too many ../.. segments", f"{target!r} is not in this database.", error="insecure_rewrite_rule"
        )
    return replace(
        asked,
        raw_segments=names.split_path(path.encode()),
        query_string=query_string.encode(),
        requested=asked.requested or asked.target,
        rewrites=asked.rewrites + 1,
    )


def _nowhere(hint: str) -> NotFound:
    return NotFound("Invalid path.", hint, error="rewrite_error")
