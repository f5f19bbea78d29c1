"""The server itself and its databases: ``/``, ``/_up``, ``/_all_dbs`` and ``/{db}``."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from couchette import __version__
from couchette.database import Database
from couchette.errors import BadRequest, DatabaseNotFound, IllegalDatabaseName
from couchette.server.answers import json_answer
from couchette.server.request import Request

COUCHDB_VERSION = "3.5.0"
"""The CouchDB whose answers we give; clients decide by it which calls they may make."""


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
    """``GET /_all_dbs``: the names of the databases."""
    return json_answer(sorted(request.environment))


def create(request: Request) -> Response:
    """``PUT /{db}``."""
    name = request.database_name()
    request.environment.create(name)
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


def database_info(db: Database) -> dict[str, Any]:
    """A database's numbers as CouchDB shows them."""
    numbers = db.info()
    del numbers["uuid"], numbers["conflict_count"]
    return {**numbers, "props": {}, "compact_running": False, "cluster": {"q": 1, "n": 1, "w": 1, "r": 1}}


def ensure_full_commit(request: Request, db: Database) -> Response:
    """``POST /{db}/_ensure_full_commit``: a replicator asks before it records how far it came."""
    request.require_json()
    return json_answer(db.ensure_full_commit(), 201)
