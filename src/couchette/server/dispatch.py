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
from couchette.document.docid import check_id
from couchette.document.partition import check_partitioned_id
from couchette.errors import BadRequest, NotFound
from couchette.limits import AT_ONCE_ROWS
from couchette.server import (
    answers,
    attachments,
    bulk,
    changes,
    cluster,
    databases,
    documents,
    edits,
    favicon,
    find,
    listings,
    maintenance,
    node,
    pages,
    partitions,
    replications,
    rewrites,
    search,
    security,
    session,
    shows,
    spatial,
    updates,
    updates_feed,
    uuids,
    views,
)
from couchette.server.request import Request
from couchette.wire import names
from couchette.wire.parameters import Query

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


ROOT: Final = Resource("GET,HEAD", {"GET": databases.welcome})
SERVER: Final = {
    b"_up": Resource("GET,HEAD", {"GET": databases.up}),
    b"_session": Resource("GET,HEAD,POST,DELETE", {"GET": session.get, "POST": session.post, "DELETE": session.delete}),
    b"_search_analyze": Resource("POST", {"POST": search.analyze}),
    b"_all_dbs": Resource("GET,HEAD", {"GET": databases.all_databases}),
    b"_active_tasks": Resource("GET,HEAD", {"GET": replications.active_tasks}),
    b"_db_updates": Resource("GET", {"GET": updates_feed.db_updates}),
    b"_dbs_info": Resource("GET,HEAD,POST", {"GET": databases.databases_info, "POST": databases.databases_info}),
    b"_membership": Resource("GET", {"GET": cluster.membership}),
    b"_cluster_setup": Resource("GET,POST", {"GET": cluster.setup, "POST": cluster.change_setup}),
    b"_uuids": Resource("GET", {"GET": uuids.uuids}),
    b"favicon.ico": Resource("GET,HEAD", {"GET": favicon.favicon}),
    b"_replicate": Resource("POST", dict.fromkeys(("GET", "POST", "PUT", "DELETE", "COPY"), replications.replicate)),
}
SCHEDULER: Final = Resource("GET,HEAD", {"GET": replications.scheduler})
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
    b"_purged_infos_limit": Resource(
        "GET,PUT", {"GET": maintenance.get_purged_infos_limit, "PUT": maintenance.put_purged_infos_limit}
    ),
    b"_revs_diff": Resource("POST", {"POST": bulk.revs_diff}),
    b"_revs_limit": Resource("PUT,GET", {"GET": maintenance.get_revs_limit, "PUT": maintenance.put_revs_limit}),
    b"_index": Resource("GET,POST", {"GET": find.get_indexes, "POST": find.create_index}),
    b"_security": Resource("PUT,GET", {"GET": security.get, "PUT": security.put}),
    b"_view_cleanup": Resource("POST", {"POST": views.cleanup}),
    b"_search_cleanup": Resource("POST", {"POST": views.cleanup}),
    b"_shards": Resource("GET", {"GET": cluster.shards}),
    b"_sync_shards": Resource("POST", {"POST": cluster.sync_shards}),
    b"_temp_view": Resource("POST", dict.fromkeys(("GET", "POST"), views.temporary)),
}
FIND: Final = {
    b"_explain": Resource("POST", {"POST": find.explain}),
    b"_find": Resource("POST", {"POST": find.find_documents}),
}
"""What follows these names in a path is ignored, as in CouchDB."""
INDEXES_DELETION: Final = Resource("POST", {"POST": find.delete_indexes})
INDEX_DELETION: Final = Resource("DELETE", {"DELETE": find.delete_index})
SHARD: Final = Resource("GET", {"GET": cluster.shard_of})
PARTITION: Final = Resource("GET", {"GET": partitions.info})
PARTITION_LISTING: Final = Resource("GET,HEAD,POST", {"GET": partitions.all_docs, "POST": partitions.all_docs})
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
VIEW: Final = Resource("GET,POST,HEAD", {"GET": views.view, "POST": views.view})
SPATIAL: Final = Resource("GET,HEAD", {"GET": spatial.spatial})
VIEW_QUERIES: Final = Resource("POST", {"POST": views.queries})
SEARCHES: Final = {
    b"_search": Resource("GET,HEAD,POST", {"GET": search.search, "POST": search.search}),
    b"_search_info": Resource("GET,HEAD", {"GET": search.info}),
}
DESIGN_INFO: Final = Resource("GET,HEAD", {"GET": views.info})
DESIGN_FUNCTIONS: Final[dict[bytes, Handler]] = {
    b"_show": shows.show,
    b"_list": shows.render_list,
    b"_update": updates.update,
}
"""They decide themselves about methods and about the path that follows."""
LISTING_QUERIES: Final = {
    b"_all_docs": Resource("POST", {"POST": listings.all_docs_queries}),
    b"_design_docs": Resource("POST", {"POST": listings.design_docs_queries}),
    b"_local_docs": Resource("POST", {"POST": listings.local_docs_queries}),
}
ATTACHMENT: Final = Resource(
    "DELETE,GET,HEAD,PUT", {"GET": attachments.get, "PUT": attachments.put, "DELETE": attachments.delete}
)


def authorize(request: Request) -> None:
    """Raise unless the user may use what the path names, and it is there, as far as the body does not matter.

    Raises TooLarge where the body is more than anybody but an administrator may send there.
    """
    segments = request.segments
    request.gate.check(request.user, request.method, segments)
    if request.is_in_database:
        request.database()
    elif segments[:1] != [b"_utils"] or not (request.user.is_admin or request.user.name):
        request.stream.bound(request.body_max)  # The server's own resources need little; pages take files.


def takes_long(method: str, raw_segments: list[bytes], query_string: bytes) -> bool:
    """Whether a request may run functions of users, derive a password, or wait for other writes to its database."""
    if raw_segments[:1] == [b"_utils"]:
        return True
    if len(raw_segments) < 2:
        return method == "POST"
    part = names.unquote(raw_segments[1])
    if part.startswith(b"_design"):
        return method not in _READING or len(raw_segments) > 2 + (part == b"_design")
    if part == b"_changes":
        return b"filter=" in query_string
    return part in _SLOW_PARTS or (method not in _READING and part not in _READ_BY_POST)


def is_small_read(request: Request) -> bool:
    """Whether a request reads one document as it is, or some rows of a view, and no function of anybody is asked."""
    if request.method not in _READING or request.gate.has_rules:
        return False
    match request.segments:
        case [database, *_] if database.startswith(b"_"):
            return False
        case [_, doc_id]:
            return not request.query_string and not doc_id.startswith(b"_")
        case [_, b"_design", _, b"_view", _]:
            return _reads_few(request.query)
    return False


def _reads_few(query: Query) -> bool:
    """Whether what is asked of a view says that it is little."""
    limit = query.first("limit") or ""
    is_little = limit.isdecimal() and len(limit) < 4 and int(limit) <= AT_ONCE_ROWS
    return is_little and _READING_MORE.isdisjoint(name for name, _ in query.pairs)


_READING_MORE: Final = frozenset(("attachments", "conflicts", "include_docs", "keys", "queries", "skip"))


_READING: Final = ("GET", "HEAD")
_SLOW_PARTS: Final = (b"_find", b"_partition")
_READ_BY_POST: Final = (b"_all_docs", b"_bulk_get", b"_missing_revs", b"_revs_diff")


def dispatch(request: Request) -> ASGIApp:
    """The answer to a request. It may block: call it in a worker thread."""
    segments = request.segments
    request.gate.check(request.user, request.method, segments)
    if not segments:
        return ROOT.answer(request)
    if len(segments) == 1:
        if (resource := SERVER.get(segments[0])) is not None:
            return resource.answer(request)
        if request.method == "PUT":
            return databases.create(request)
        if request.method == "DELETE":
            return databases.destroy(request)
    if segments[0] == b"_utils":
        return pages.answer(request)
    if segments[0] == b"_scheduler":
        return SCHEDULER.answer(request, segments[1:])
    if segments[0] == b"_node":
        return node.node(request, segments[1:])
    if len(segments) > 1 and segments[1] == b"_partition":
        return _in_partition(request, segments[2:])
    return _in_database(request, request.database(), segments[1:])


def _in_partition(request: Request, path: list[bytes]) -> ASGIApp:
    """A part of a database, for the documents of one partition."""
    if len(path) < 2:
        return PARTITION.answer(request, request.database(), path)
    inside = partitions.inside(request)
    db = inside.database()
    return PARTITION_LISTING.answer(inside, db) if path[1] == b"_all_docs" else _in_database(inside, db, path[1:])


def _in_database(request: Request, db: Database, path: list[bytes]) -> ASGIApp:
    if not path:
        return DATABASE.answer(request, db)
    if len(path) == 1 and (resource := DATABASE_PARTS.get(path[0])) is not None:
        return resource.answer(request, db)
    if len(path) == 2 and path[1] == b"queries" and (resource := LISTING_QUERIES.get(path[0])) is not None:
        return resource.answer(request, db)
    if (resource := FIND.get(path[0])) is not None:
        return resource.answer(request, db)
    if path[0] == b"_index":
        return (
            INDEXES_DELETION.answer(request, db)
            if path[1:] == [b"_bulk_delete"]
            else INDEX_DELETION.answer(request, db, path[1:])
        )
    if len(path) == 2 and path[0] == b"_shards":
        return SHARD.answer(request, db)
    if len(path) == 2 and path[0] == b"_compact":
        return DESIGN_COMPACTION.answer(request, db, names.decode_id(path[1]))
    if request.method in ("GET", "HEAD") and request.raw_segments[1][:10].lower() == b"_design%2f":
        return _to_design_path(request)
    size = _id_segments(path[0])
    doc_id = names.decode_id(b"/".join(path[:size]))
    if db._partitioned:
        check_partitioned_id(check_id(doc_id))
    if len(path) <= size:
        return DOCUMENT.answer(request, db, doc_id)
    return _in_document(request, db, doc_id, path[size:])


def _id_segments(first: bytes) -> int:
    """Of how many segments an id consists: ``_design/x`` and ``_local/x`` have two, unless their slash is escaped."""
    return 2 if first in (b"_design", b"_local") else 1


def takes_stream(method: str, raw_segments: list[bytes], headers: Mapping[str, str]) -> bool:
    """Whether a large body of this request may be read by its handler: an attachment's, or a document with some."""
    if raw_segments[:1] == [b"_utils"]:
        return method == "POST"  # Everybody may ask for a page, so none may send much to be held.
    if method != "PUT" or len(raw_segments) < 2:
        return False
    first = names.unquote(raw_segments[1])
    begins = 1 + _id_segments(first)
    is_design = first == b"_design" or first.startswith(b"_design/")
    if is_design and len(raw_segments) > begins and names.unquote(raw_segments[begins]).startswith(b"_"):
        return False  # Design functions are given the whole body.
    if headers.get("content-type", "").partition(";")[0].strip().lower() == "multipart/related":
        return True
    return len(raw_segments) > begins


def _in_document(request: Request, db: Database, doc_id: str, path: list[bytes]) -> ASGIApp:
    if doc_id.startswith("_local/"):
        raise BadRequest("_local documents do not accept attachments.", "Put them into another document.")
    if doc_id.startswith("_design/") and path[0] == b"_info" and len(path) == 1:
        return DESIGN_INFO.answer(request, db, doc_id.removeprefix("_design/"))
    if doc_id.startswith("_design/") and path[0] == b"_view" and len(path) > 1:
        return _view(request, db, doc_id.removeprefix("_design/"), path[1:])
    if doc_id.startswith("_design/") and path[0] == b"_spatial" and len(path) > 1:
        name = names.decode_id(b"/".join(path[1:]))
        return SPATIAL.answer(request, db, doc_id.removeprefix("_design/"), name)
    if doc_id.startswith("_design/") and len(path) == 2 and (resource := SEARCHES.get(path[0])) is not None:
        return resource.answer(request, db, doc_id.removeprefix("_design/"), names.decode_id(path[1]))
    if doc_id.startswith("_design/") and path[0] in (*DESIGN_FUNCTIONS, b"_rewrite"):
        return _design_function(request, db, doc_id.removeprefix("_design/"), path)
    if doc_id.startswith("_design/") and path[0].startswith(b"_"):
        raise NotFound("missing", f"{doc_id} has no {path[0].decode(errors='replace')!r}.")
    return ATTACHMENT.answer(request, db, doc_id, names.decode_attachment_name(path))


def _view(request: Request, db: Database, design: str, path: list[bytes]) -> ASGIApp:
    resource = VIEW_QUERIES if len(path) > 1 and path[-1] == b"queries" else VIEW
    name = names.decode_id(b"/".join(path[:-1] if resource is VIEW_QUERIES else path))
    return resource.answer(request, db, design, name)


def _design_function(request: Request, db: Database, design: str, path: list[bytes]) -> ASGIApp:
    parts = [names.decode_id(part) for part in path[1:]]
    if path[0] != b"_rewrite":
        return DESIGN_FUNCTIONS[path[0]](request, db, design, parts)
    instead = rewrites.rewritten(request, db, design, parts)
    return dispatch(instead) if isinstance(instead, Request) else instead


def _to_design_path(request: Request) -> ASGIApp:
    """Redirect ``_design%2Fx`` to ``_design/x``, the rest of the URL as it came."""
    database, design, *rest = request.raw_segments
    path = b"/".join([database, b"_design/" + design[10:], *rest])
    query = b"?" + request.query_string if request.query_string else b""
    return answers.redirect(f"{request.base}/{(path + query).decode('latin-1')}")
