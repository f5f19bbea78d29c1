"""Spatial views of design documents: ``_spatial``, as GeoCouch serves them."""

from __future__ import annotations

from starlette.responses import Response

from couchette.database import Database
from couchette.server import answers
from couchette.server.request import Request
from couchette.wire.spatial import spatial_options


def spatial(request: Request, db: Database, design: str, name: str) -> Response:
    """``GET /{db}/_design/{design}/_spatial/{name}``."""
    return answers.json_answer(db.spatial((design, name), **spatial_options(request.query)))
