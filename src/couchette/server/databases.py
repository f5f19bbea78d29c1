"""The server itself and its databases: ``/``, ``/_up``, ``/_all_dbs``, ``/_dbs_info`` and ``/{db}``."""

from __future__ import annotations

import re
from hashlib import md5
from typing import Any, Final

from starlette.responses import Response

from couchette import __version__, jsonio
from couchette.database import Database
from couchette.design.request import database_info
from couchette.errors import BadRequest, CouchetteError, DatabaseClosed, DatabaseNotFound, IllegalDatabaseName
from couchette.limits import DBS_INFO_MAX
from couchette.server.answers import json_answer, json_text_answer, quoted, unless_modified
from couchette.server.listings import narrowed
from couchette.server.request import Request
from couchette.wire.parameters import all_docs_options

COUCHDB_VERSION = "3.5.0"
"""The CouchDB whose answers we give; clients decide by it which calls they may make."""

_ENGINE: Final = "couch"
"""CouchDB's word for the way in which a database is stored, of which it has one."""

_POSITIVE: Final = re.compile(r"\+?0*[1-9][0-9]*")


def welcome(request: Request) -> Response:
    """``GET /``: who answers."""
    return json_answer(
        {
            "couchdb": "Welcome",
            "version": COUCHDB_VERSION,
            "git_sha": __version__,
            "uuid": request.environment.uuid,
            "features": [],
            "vendor": {"name": "couchette", "version": __version__},
        }
    )


def up(request: Request) -> Response:
    """``GET /_up``: that the server answers at all."""
    return json_answer({"status": "ok", "seeds": {}})


def all_databases(request: Request) -> Response:
    """``GET /_all_dbs``: the names of the databases, or a range of them."""
    return _listed(request, _names(request))


def databases_info(request: Request) -> Response:
    """``GET /_dbs_info``: the numbers of the databases, or of a range of them; by ``POST`` of those that it names."""
    if request.method == "POST":
        return json_answer([_described(request, name) or _absent(name) for name in _keys(request)])
    return _listed(request, [shown for name in _names(request) if (shown := _described(request, name))])


def _keys(request: Request) -> list[Any]:
    request.require_json()
    body = request.json_object()
    if "keys" not in body:
        raise BadRequest("`keys` member must exist.", "Give {keys: [name, …]}.")
    keys = body["keys"]
    if not isinstance(keys, list):
        raise BadRequest("`keys` member must be an array.", f"Got {keys!r}.")
    if len(keys) > DBS_INFO_MAX:
        raise BadRequest("too_many_keys", f"Got {len(keys)}; ask for at most {DBS_INFO_MAX} at once.")
    return keys


def _names(request: Request) -> list[str]:
    """The names that the range in the query string leaves."""
    rows = [{"id": name} for name in sorted(request.environment)]
    return [row["id"] for row in narrowed(rows, all_docs_options(request.query)) if "id" in row]


def _described(request: Request, name: Any) -> dict[str, Any] | None:
    """A database and its numbers, or why it cannot be opened; None where there is none, or none any more."""
    try:
        return {"key": name, "info": database_info(request.environment.open(name))}
    except (DatabaseNotFound, DatabaseClosed, IllegalDatabaseName):
        return None
    except CouchetteError as exc:
        return {"key": name, "error": exc.error}


def _absent(name: Any) -> dict[str, Any]:
    return {"key": name, "error": "not_found"}


def _listed(request: Request, value: list[Any]) -> Response:
    """A list as an answer that a client may keep until it changes."""
    content = jsonio.dumps(value) + b"\n"
    etag = quoted(md5(content, usedforsecurity=False).hexdigest())
    unchanged = unless_modified(request.headers.get("if-none-match"), etag)
    return unchanged or json_text_answer(content, headers={"ETag": etag})


def create(request: Request) -> Response:
    """``PUT /{db}``. What CouchDB's ``q`` and ``n`` say of shards and copies concerns no single file."""
    name = request.database_name()
    for parameter in ("n", "q"):
        text = request.query.first(parameter, "1") or ""
        if not _POSITIVE.fullmatch(text):
            raise BadRequest(f"The `{parameter}` value should be a positive integer.", f"Got {text!r}.")
    engine = request.query.first("engine", _ENGINE)
    if engine != _ENGINE:
        raise BadRequest("invalid_engine_extension", f"Got {engine!r}; there is one engine, {_ENGINE}.")
    partitioned = request.query.first("partitioned", "false")
    if partitioned not in ("true", "false"):
        raise BadRequest("Invalid `partitioned` parameter", f"Got {partitioned!r}; give true or false.")
    request.environment.create(name, partitioned=partitioned == "true")
    return json_answer({"ok": True}, 201, {"Location": request.url(name)})


def destroy(request: Request) -> Response:
    """``DELETE /{db}``."""
    if request.query.first("rev") is not None:
        raise BadRequest(
            "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?"
        )
    try:
        request.environment.destroy(request.database_name())
    except (IllegalDatabaseName, DatabaseNotFound) as exc:
        raise DatabaseNotFound("Database does not exist.", exc.hint) from exc
    return json_answer({"ok": True})


def info(request: Request, db: Database) -> Response:
    """``GET /{db}``: its numbers. A cluster of one node, as CouchDB describes it."""
    return json_answer(database_info(db))


def ensure_full_commit(request: Request, db: Database) -> Response:
    """``POST /{db}/_ensure_full_commit``: a replicator asks before it records how far it came."""
    request.require_json()
    return json_answer(db.ensure_full_commit(), 201)
