"""Mango over HTTP: ``_find``, ``_explain`` and ``_index``, which behave as CouchDB's in every case."""

from __future__ import annotations

from starlette.responses import Response

from couchette.database import Database
from couchette.document.partition import check_partition
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.query import find_explain, find_indexes
from couchette.query.find_options import FindOptions, read_options
from couchette.server import answers
from couchette.server.readable import find_readable
from couchette.server.request import Request


def find_documents(request: Request, db: Database) -> Response:
    """``POST /{db}/_find``."""
    return answers.json_answer(find_readable(db, _options(request, db)))


def explain(request: Request, db: Database) -> Response:
    """``POST /{db}/_explain``."""
    return answers.json_answer(find_explain.explain(db._pool, _options(request, db), db.name))


def _options(request: Request, db: Database) -> FindOptions:
    """What is asked for, of the whole database or of the partition that the path or the body names."""
    request.require_json()
    body = request.json_object()
    if not db._partitioned:
        return read_options(body)
    partition = request.query.first("partition") or body.pop("partition", "")
    if not isinstance(partition, str):
        raise BadRequest("Partition must be a string", f"Got {partition!r}.", error="illegal_partition")
    return read_options(body, partition=partition and check_partition(partition))


def get_indexes(request: Request, db: Database) -> Response:
    """``GET /{db}/_index``, of which ``limit`` and ``skip`` show a part."""
    answer = find_indexes.get_indexes(db._pool)
    total = answer["total_rows"]
    skip, limit = _part(request, "skip", 0), _part(request, "limit", total)
    if limit < 1:
        raise _bad_part()
    answer["indexes"] = answer["indexes"][skip : skip + limit]
    return answers.json_answer(answer)


def _part(request: Request, name: str, default: int) -> int:
    text = request.query.first(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdecimal() and len(text) < 19):
        raise _bad_part()
    return int(text)


def _bad_part() -> CouchetteError:
    reason = "Index parameter ranges: limit > 1, skip > 0"
    return CouchetteError(reason, "Give counts, limit at least 1.", error="invalid_list_index_params")


def create_index(request: Request, db: Database) -> Response:
    """``POST /{db}/_index``. As in CouchDB, the index is built by the first query that uses it."""
    request.require_json()
    body = request.json_object()
    if db._partitioned and body.get("partitioned") is True:
        del body["partitioned"]  # An index here serves the queries of partitions as it is.
    return answers.json_answer(find_indexes.create_index(db._pool, body))


def delete_indexes(request: Request, db: Database) -> Response:
    """``POST /{db}/_index/_bulk_delete``."""
    request.require_json()
    return answers.json_answer(find_indexes.delete_indexes(db._pool, request.json_object()))


def delete_index(request: Request, db: Database, path: list[bytes]) -> Response:
    """``DELETE /{db}/_index/{ddoc}/{type}/{name}``, where the design document may be of two segments."""
    parts = [part.decode(errors="replace") for part in path]
    if len(parts) == 4 and parts[0] == "_design":
        parts = parts[1:]
    if len(parts) != 3:
        raise NotFound("missing", "Name a design document, a type and an index.")
    ddoc, kind, name = parts
    return answers.json_answer(find_indexes.delete_index(db._pool, ddoc, name, kind))
