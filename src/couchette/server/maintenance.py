"""The upkeep of a database: ``_compact``, ``_purge``, ``_purged_infos``, ``_purged_infos_limit``, ``_revs_limit``."""

from __future__ import annotations

import logging

from starlette.background import BackgroundTask
from starlette.responses import Response

from couchette import stopping
from couchette.async_database import AsyncDatabase
from couchette.database import Database
from couchette.document.docid import check_id
from couchette.document.partition import check_partitioned_id
from couchette.errors import CouchetteError, DatabaseClosed
from couchette.server.answers import json_answer
from couchette.server.request import Request

logger = logging.getLogger(__name__)


def compact(request: Request, db: Database) -> Response:
    """``POST /{db}/_compact``: it is answered at once, and done after that."""
    request.require_json()
    answer = json_answer({"ok": True}, 202)
    answer.background = BackgroundTask(_compact, db)
    return answer


async def _compact(db: Database) -> None:
    try:
        await AsyncDatabase(db).compact()
    except DatabaseClosed:
        pass  # It was deleted meanwhile.
    except CouchetteError:
        if not stopping.is_wanted():
            logger.exception("compaction of %s failed", db.name)


def compact_design(request: Request, db: Database, name: str) -> Response:
    """``POST /{db}/_compact/{design}``: a design document keeps nothing that would have to be compacted."""
    request.require_json()
    db.get(f"_design/{name}")
    return json_answer({"ok": True}, 202)


def purge(request: Request, db: Database) -> Response:
    """``POST /{db}/_purge``."""
    request.require_json()
    revs = request.json_object()
    if db._partitioned:
        for doc_id in revs:
            check_partitioned_id(check_id(doc_id))
    return json_answer(db.purge(revs), 201)


def purged_infos(request: Request, db: Database) -> Response:
    """``GET /{db}/_purged_infos``: the log of purges, without its sequences."""
    return json_answer({"purged_infos": [{"id": one["id"], "revs": one["revs"]} for one in db.purged_infos()]})


def get_purged_infos_limit(request: Request, db: Database) -> Response:
    """``GET /{db}/_purged_infos_limit``."""
    return json_answer(db.get_purged_infos_limit())


def put_purged_infos_limit(request: Request, db: Database) -> Response:
    """``PUT /{db}/_purged_infos_limit``; the body is a number, whatever its Content-Type."""
    db.set_purged_infos_limit(request.json())
    return json_answer({"ok": True})


def get_revs_limit(request: Request, db: Database) -> Response:
    """``GET /{db}/_revs_limit``."""
    return json_answer(db.get_revs_limit())


def put_revs_limit(request: Request, db: Database) -> Response:
    """``PUT /{db}/_revs_limit``; the body is a number, whatever its Content-Type."""
    db.set_revs_limit(request.json())
    return json_answer({"ok": True})
