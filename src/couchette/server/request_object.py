"""CouchDB's request object: what a design function is told of the request, as its second argument.

Members and their quirks are those of CouchDB (https://docs.couchdb.org/en/stable/json-structure.html#request-object):
a GET has the body ``"undefined"``, ``requested_path`` ends in the query string, and of the query's values only those of
keys are JSON. Header names are written as in ``Content-Type``. What proves who the client is stays out, which is a
difference: a function is told the user by ``userCtx``, and has no use for passwords and session cookies.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie
from typing import Any, Final

from couchette import jsonio, surroundings
from couchette.database import Database
from couchette.errors import TooLarge
from couchette.limits import FUNCTION_BATCH_BYTES
from couchette.server.databases import database_info
from couchette.server.request import Request
from couchette.server.security import security_of
from couchette.wire import names
from couchette.wire.parameters import Query

_JSON_PARAMETERS: Final = frozenset({"key", "startkey", "endkey", "descending"})
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-couchdb-token"})
_SECRET_COOKIE: Final = "AuthSession"
_FORM: Final = "application/x-www-form-urlencoded"

RequestObject = dict[str, Any]


def request_object(request: Request, db: Database, doc_id: str | None = None) -> RequestObject:
    """The request object for a function that may be about the document ``doc_id``. Raises TooLarge for a large body."""
    if len(request.body) > FUNCTION_BATCH_BYTES:
        raise TooLarge(
            "the request entity is too large",
            f"It has {len(request.body)} bytes; a design function takes {FUNCTION_BATCH_BYTES}.",
        )
    return {
        "info": database_info(db),
        "uuid": surroundings.uuid_hex(),
        "id": doc_id,
        "method": function_method(request),
        "requested_path": _parts(_target(request.original or request)),
        "path": [segment.decode(errors="replace") for segment in request.segments],
        "raw_path": _target(request).decode("latin-1"),
        "query": _query(request.query),
        "headers": _headers(request),
        "body": _body(request),
        "peer": request.peer,
        "form": _form(request),
        "cookie": _cookies(request),
        "userCtx": user_ctx(request, db),
        "secObj": security_of(db),
    }


def function_method(request: Request) -> str:
    """The method as functions see it: a HEAD is a GET."""
    return "GET" if request.method == "HEAD" else request.method


def user_ctx(request: Request, db: Database) -> dict[str, Any]:
    """Who asks, as functions of this database see it."""
    return request.user.context(db.name)


def _target(request: Request) -> bytes:
    path = b"/" + b"/".join(request.raw_segments)
    return path + b"?" + request.query_string if request.query_string else path


def _parts(target: bytes) -> list[str]:
    return [names.unquote(part).decode(errors="replace") for part in names.split_path(target)]


def _query(query: Query) -> dict[str, Any]:
    return {name: jsonio.loads(value) if name in _JSON_PARAMETERS else value for name, value in query.pairs}


def _headers(request: Request) -> dict[str, str]:
    return {name.title(): value for name, value in request.headers.items() if name not in _SECRET_HEADERS}


def _body(request: Request) -> str:
    if not request.body and request.method in ("GET", "HEAD"):
        return "undefined"
    return request.body.decode(errors="replace")


def _form(request: Request) -> dict[str, str]:
    if request.media_type() != _FORM or request.method not in ("POST", "PUT"):
        return {}
    return dict(Query(request.body).pairs)


def _cookies(request: Request) -> dict[str, str]:
    try:
        cookies = SimpleCookie(request.headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: cookie.value for name, cookie in cookies.items() if name != _SECRET_COOKIE}
