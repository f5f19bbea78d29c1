"""Partitioned databases: ``/{db}/_partition/{name}``, and what is asked of one partition.

The parts of a partition are those of the database, with ``partition`` as a parameter, as in CouchDB. Views and finds
read that parameter; the list of documents is a range of ids.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from starlette.responses import Response

from couchette import store
from couchette.database import Database
from couchette.document.partition import bounds, check_partition
from couchette.errors import BadRequest, NotFound, QueryParseError
from couchette.server import answers
from couchette.server.request import Request
from couchette.wire import names, parameters
from couchette.wire.parameters import Query

PARAMETER: Final = "partition"
_FINDS: Final = (b"_find", b"_explain", b"_index")


def info(request: Request, db: Database, path: list[bytes]) -> Response:
    """``GET /{db}/_partition/{name}``: a partition in numbers."""
    if not path:
        raise BadRequest("invalid_partition_req", "Name a partition.")
    name = check_partition(names.decode_id(path[0]))
    _require_partitioned(db)
    return answers.json_answer({"db_name": db.name, **db._pool.read(store.partition_numbers, name)})


def inside(request: Request) -> Request:
    """The request to a part of a partition, as one to that part of the database. Raises BadRequest, NotFound."""
    database, _, raw_name, *rest = request.raw_segments
    _require_partitioned(request.database())
    name = check_partition(names.decode_id(names.unquote(raw_name)))
    if request.query.first(PARAMETER, name) != name:
        raise BadRequest("Conflicting value for `partition` in query string", f"The path names {name!r}.")
    part = names.unquote(rest[0])
    is_design_part = part == b"_design" and len(rest) > 2 and names.unquote(rest[2]).startswith(b"_")
    if part not in (b"_all_docs", *_FINDS) and not is_design_part:
        raise NotFound("missing", f"A partition has no {part.decode(errors='replace')!r}.")
    query = Query(request.query_string)
    query.pairs = [(PARAMETER, name), *(pair for pair in query.pairs if pair[0] != PARAMETER)]
    return replace(request, raw_segments=[database, *rest], query=query)


def all_docs(request: Request, db: Database) -> Response:
    """``GET`` or ``POST /{db}/_partition/{name}/_all_docs``, and ``/{db}/_all_docs?partition={name}``."""
    if not db._partitioned:
        raise QueryParseError("`partition` parameter is not supported on this db", "It was not made with partitions.")
    body = None
    if request.method == "POST":
        request.require_json()
        body = request.json_object()
    options = parameters.all_docs_options(request.query, body)
    partition = check_partition(request.query.first(PARAMETER) or "")
    if "key" not in options and "keys" not in options:
        _clip(options, *bounds(partition))
    answer = db.all_docs(**options)
    in_partition = f"{partition}:"
    answer["rows"] = [row for row in answer["rows"] if str(row["key"]).startswith(in_partition)]
    return answers.json_answer({**answer, "offset": answer["offset"] or 0})


def _clip(options: dict[str, Any], first: str, end: str) -> None:
    """Narrow a range of ids to a partition. A key that is no text sorts before all ids, or after them."""
    low, high = ("end_key", "start_key") if options.get("descending") else ("start_key", "end_key")
    asked = options.get(low)
    options[low] = max(asked, first) if isinstance(asked, str) else first
    asked = options.get(high)
    options[high] = min(asked, end) if isinstance(asked, str) else end


def partition_of_view(request: Request, db: Database, design: str) -> str | None:
    """The partition that a view is asked about; None where it is the whole database.

    Raises QueryParseError where the design document is for the one, and the request asks for the other.
    """
    partition = request.query.first(PARAMETER)
    if partition is None and not db._partitioned:
        return None
    options = db.get(f"_design/{design}").get("options")
    wanted = options.get("partitioned", True) if isinstance(options, dict) else True
    is_partitioned = db._partitioned and wanted is True
    if partition is None and is_partitioned:
        raise QueryParseError("`partition` parameter is mandatory for queries to this view.", "Use _partition/{name}.")
    if partition is not None and not is_partitioned:
        raise QueryParseError("`partition` parameter is not supported in this design doc", f"Got {partition!r}.")
    return partition


def _require_partitioned(db: Database) -> None:
    if not db._partitioned:
        raise BadRequest("database is not partitioned", "It was not made with ?partitioned=true.")
