"""Which resource a path names, and which of its methods a request means.

The raw path is split and only then unescaped, since ids hold ``%2F``; so no router of a framework can be
used. HEAD is GET whose answer loses its body on the way out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.types import ASGIApp

from couchette.database import Database
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.server import answers, attachments, bulk, changes, databases, documents, edits, listings, maintenance
from couchette.server.request import Request
from couchette.wire import names

Handler = Callable[..., ASGIApp]


@dataclass(frozen=True)
class Resource:
    """The methods of a resource, and how CouchDB lists them in Allow."""

    allow: str
    handlers: Mapping[str, Handler]

    def answer(self, request: Request, *where: Any) -> ASGIApp:
        """Answer a request to this resource."""
        handler = self.handlers.get("GET" if request.method == "HEAD" else request.method)
        if handler is None:
            raise answers.method_not_allowed(self.allow)
        return handler(request, *where)


def _later(name: str, allow: str) -> Resource:
    """A resource of CouchDB's that is not here yet: it says so, rather than be taken for a document."""

    def refuse(request: Request, db: Database) -> ASGIApp:
        if request.method == "POST":
            request.require_json()
        raise CouchetteError(f"{name} is not served by this version.", status=501, error="not_implemented")

    return Resource(allow, dict.fromkeys(allow.split(","), refuse))


ROOT: Final = Resource("GET,HEAD", {"GET": databases.welcome})
SERVER: Final = {
    b"_up": Resource("GET,HEAD", {"GET": databases.up}),
    b"_all_dbs": Resource("GET,HEAD", {"GET": databases.all_databases}),
}
DATABASE: Final = Resource("DELETE,GET,HEAD,POST", {"GET": databases.info, "POST": edits.post})
DATABASE_PARTS: Final = {
    b"_all_docs": Resource("GET,HEAD,POST", {"GET": listings.all_docs, "POST": listings.all_docs}),
    b"_bulk_docs": Resource("POST", {"POST": bulk.bulk_docs}),
    b"_bulk_get": Resource("POST", {"POST": bulk.bulk_get}),
    b"_changes": Resource("GET,POST,HEAD", {"GET": changes.changes, "POST": changes.changes}),
    b"_compact": Resource("POST", {"POST": maintenance.compact}),
    b"_design_docs": Resource("GET,HEAD,POST", {"GET": listings.design_docs, "POST": listings.design_docs}),
    b"_ensure_full_commit": Resource("POST", {"POST": databases.ensure_full_commit}),
    b"_local_docs": Resource("GET,HEAD,POST", {"GET": listings.local_docs, "POST": listings.local_docs}),
    b"_missing_revs": Resource("POST", {"POST": bulk.missing_revs}),
    b"_purge": Resource("POST", {"POST": maintenance.purge}),
    b"_purged_infos": Resource("GET", {"GET": maintenance.purged_infos}),
    b"_revs_diff": Resource("POST", {"POST": bulk.revs_diff}),
    b"_revs_limit": Resource("PUT,GET", {"GET": maintenance.get_revs_limit, "PUT": maintenance.put_revs_limit}),
    b"_explain": _later("_explain", "POST"),
    b"_find": _later("_find", "POST"),
    b"_index": _later("_index", "GET,POST"),
    b"_security": _later("_security", "PUT,GET"),
    b"_view_cleanup": _later("_view_cleanup", "POST"),
}
DESIGN_COMPACTION: Final = Resource("POST", {"POST": maintenance.compact_design})
DOCUMENT: Final = Resource(
    "DELETE,GET,HEAD,POST,PUT,COPY",
    {
        "GET": documents.get,
        "PUT": edits.put,
        "DELETE": edits.delete,
        "COPY": edits.copy,
        "POST": edits.post_form,
    },
)
ATTACHMENT: Final = Resource(
    "DELETE,GET,HEAD,PUT", {"GET": attachments.get, "PUT": attachments.put, "DELETE": attachments.delete}
)


def dispatch(request: Request) -> ASGIApp:
    """The answer to a request. It may block: call it in a worker thread."""
    segments = request.segments
    if not segments:
        return ROOT.answer(request)
    if len(segments) == 1:
        if (resource := SERVER.get(segments[0])) is not None:
            return resource.answer(request)
        if request.method == "PUT":
            return databases.create(request)
        if request.method == "DELETE":
            return databases.destroy(request)
    return _in_database(request, request.database(), segments[1:])


def _in_database(request: Request, db: Database, path: list[bytes]) -> ASGIApp:
    if not path:
        return DATABASE.answer(request, db)
    if len(path) == 1 and (resource := DATABASE_PARTS.get(path[0])) is not None:
        return resource.answer(request, db)
    if len(path) == 2 and path[0] == b"_compact":
        return DESIGN_COMPACTION.answer(request, db, names.decode_id(path[1]))
    if request.method in ("GET", "HEAD") and request.raw_segments[1][:10].lower() == b"_design%2f":
        return _to_design_path(request)
    # `_design/x` and `_local/x` are ids of two segments, whether or not their slash is escaped.
    size = 2 if path[0] in (b"_design", b"_local") else 1
    doc_id = names.decode_id(b"/".join(path[:size]))
    if len(path) <= size:
        return DOCUMENT.answer(request, db, doc_id)
    return _in_document(request, db, doc_id, path[size:])


def _in_document(request: Request, db: Database, doc_id: str, path: list[bytes]) -> ASGIApp:
    if doc_id.startswith("_local/"):
        raise BadRequest("_local documents do not accept attachments.", "Put them into another document.")
    if doc_id.startswith("_design/") and path[0].startswith(b"_"):
        raise NotFound("missing", f"{doc_id} has no {path[0].decode(errors='replace')!r}.")
    return ATTACHMENT.answer(request, db, doc_id, names.decode_attachment_name(path))


def _to_design_path(request: Request) -> ASGIApp:
    """Redirect ``_design%2Fx`` to ``_design/x``, the rest of the URL as it came."""
    database, design, *rest = request.raw_segments
    path = b"/".join([database, b"_design/" + design[10:], *rest])
    query = b"?" + request.query_string if request.query_string else b""
    return answers.redirect(f"{request.base}/{(path + query).decode('latin-1')}")
