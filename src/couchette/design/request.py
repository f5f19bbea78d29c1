"""What a design function is asked, and CouchDB's request object, which tells it of that.

Members and their quirks are those of CouchDB (https://docs.couchdb.org/en/stable/json-structure.html#request-object):
a GET has the body ``"undefined"``, ``requested_path`` ends in the query string, and of the query's values only those of
keys are JSON. Header names are written as in ``Content-Type``. What proves who the client is stays out, which is a
difference: a function is told the user by ``userCtx``, and has no use for passwords and session cookies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote_plus

from couchette import jsonio, surroundings
from couchette.errors import BadRequest, TooLarge
from couchette.functions import JSON_PARAMETERS
from couchette.limits import FUNCTION_BATCH_BYTES
from couchette.wire import names
from couchette.wire.parameters import Query

if TYPE_CHECKING:
    from couchette.database import Database

FORM_TYPE: Final = "application/x-www-form-urlencoded"
LOOPBACK: Final = "127.0.0.1"
ADMIN_ROLE: Final = "_admin"
ADMINS_ONLY: Final[dict[str, Any]] = {"members": {"roles": [ADMIN_ROLE]}, "admins": {"roles": [ADMIN_ROLE]}}
"""The security object of a database for which nothing was set, as in CouchDB since 3.0."""

_JSON_PARAMETERS: Final = frozenset({"key", "startkey", "endkey", "descending"})
"""Parameters whose values functions see as JSON."""
_SECRET_HEADERS: Final = frozenset({"authorization", "cookie", "proxy-authorization", "x-auth-couchdb-token"})
_SECRET_COOKIE: Final = "AuthSession"

RequestObject = dict[str, Any]


@dataclass(frozen=True)
class DesignRequest:
    """A request to a path of a database, whether HTTP brought it or a program."""

    method: str
    raw_segments: Sequence[bytes]
    """The path's segments, still escaped; the first one is the database's name."""
    user_ctx: Mapping[str, Any]
    sec_obj: Mapping[str, Any]
    query_string: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    """By names in lower case."""
    body: bytes = b""
    peer: str = ""
    requested: bytes | None = None
    """The path and query that were asked for first, if a rewrite made this of them."""
    rewrites: int = 0
    told: Mapping[str, Any] = field(default_factory=dict)
    """Members of the request object that a program gives as they are."""

    @property
    def seen_method(self) -> str:
        """The method as functions see it: a HEAD is a GET."""
        return "GET" if self.method == "HEAD" else self.method

    @property
    def target(self) -> bytes:
        """Path and query, escaped."""
        path = b"/" + b"/".join(self.raw_segments)
        return path + b"?" + self.query_string if self.query_string else path

    @property
    def segments(self) -> list[bytes]:
        """The path's segments, unescaped."""
        return [names.unquote(segment) for segment in self.raw_segments]

    @cached_property
    def query(self) -> Query:
        """The parameters. Raises BadRequest for a query string that is not UTF-8."""
        return Query(self.query_string)

    def header(self, name: str) -> str | None:
        """The value of a header, whose name is given in lower case."""
        return self.headers.get(name)

    @property
    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case; empty when there is none."""
        return (self.header("content-type") or "").partition(";")[0].strip().lower()


def ask(
    path: Sequence[str],
    *,
    user_ctx: Mapping[str, Any],
    sec_obj: Mapping[str, Any],
    method: str | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    body: str | bytes | None = None,
    form: Mapping[str, Any] | None = None,
) -> DesignRequest:
    """The request that a program makes; it comes from this machine.

    Args:
        path: its segments, as they are; the first one is the database's name.
        method: POST without it where there is a body or a form, else GET.
        query: the parameters, see :func:`write_query`.
        form: fields, in the place of a body.

    Raises BadRequest when there are a body and a form.
    """
    named = {name.lower(): value for name, value in (headers or {}).items()}
    content = body.encode() if isinstance(body, str) else body
    if form is not None:
        if content is not None:
            raise BadRequest("A request has a body or a form.", "Give one of them.")
        content = write_query(form)
        named = {"content-type": FORM_TYPE, "content-length": str(len(content)), **named}
    return DesignRequest(
        method=method or ("GET" if content is None else "POST"),
        raw_segments=[names.quote(part).encode() for part in path],
        user_ctx=user_ctx,
        sec_obj=sec_obj,
        query_string=write_query(query),
        headers=named,
        body=content or b"",
        peer=LOOPBACK,
    )


def request_object(asked: DesignRequest, db: Database, doc_id: str | None = None) -> RequestObject:
    """The request object for a function that may be about the document ``doc_id``. Raises TooLarge for a large body."""
    if len(asked.body) > FUNCTION_BATCH_BYTES:
        raise TooLarge(
            "the request entity is too large",
            f"It has {len(asked.body)} bytes; a design function takes {FUNCTION_BATCH_BYTES}.",
        )
    return {
        "info": asked.told.get("info") or database_info(db),
        "uuid": surroundings.uuid_hex(),
        "id": doc_id,
        "method": asked.seen_method,
        "requested_path": _parts(asked.requested or asked.target),
        "path": [segment.decode(errors="replace") for segment in asked.segments],
        "raw_path": asked.target.decode("latin-1"),
        "query": _query(asked.query),
        "headers": _headers(asked),
        "body": _body(asked),
        "peer": asked.peer,
        "form": _form(asked),
        "cookie": _cookies(asked),
        "userCtx": dict(asked.user_ctx),
        "secObj": dict(asked.sec_obj),
        **asked.told,
    }


def database_info(db: Database) -> dict[str, Any]:
    """A database's numbers as CouchDB shows them: a cluster of one node."""
    numbers = db.info()
    del numbers["uuid"], numbers["conflict_count"]
    props = {"partitioned": True} if db._partitioned else {}
    compacting = any(task.kind == "database_compaction" for task in db._pool.tasks.all())
    return {**numbers, "props": props, "compact_running": compacting, "cluster": {"q": 1, "n": 1, "w": 1, "r": 1}}


def security_of(db: Database) -> dict[str, Any]:
    """The security object that holds for a database."""
    stored = db.get_security()
    return ADMINS_ONLY if stored is None else stored


def admin_context(database: str) -> dict[str, Any]:
    """The ``userCtx`` of a program that has the database open: it may do everything."""
    return {"db": database, "name": None, "roles": [ADMIN_ROLE]}


def write_query(query: Mapping[str, Any] | None) -> bytes:
    """The query string, or the form, of Python values: texts as they are, all others and all keys as JSON."""
    pairs = [(name, _written(name, value)) for name, value in (query or {}).items()]
    return "&".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in pairs).encode()


def _written(name: str, value: Any) -> str:
    return value if isinstance(value, str) and name not in JSON_PARAMETERS else jsonio.dumps(value).decode()


def _parts(target: bytes) -> list[str]:
    return [names.unquote(part).decode(errors="replace") for part in names.split_path(target)]


def _query(query: Query) -> dict[str, Any]:
    return {name: jsonio.loads(value) if name in _JSON_PARAMETERS else value for name, value in query.pairs}


def _headers(asked: DesignRequest) -> dict[str, str]:
    return {name.title(): value for name, value in asked.headers.items() if name not in _SECRET_HEADERS}


def _body(asked: DesignRequest) -> str:
    if not asked.body and asked.seen_method == "GET":
        return "undefined"
    return asked.body.decode(errors="replace")


def _form(asked: DesignRequest) -> dict[str, str]:
    if asked.media_type != FORM_TYPE or asked.method not in ("POST", "PUT"):
        return {}
    return dict(Query(asked.body).pairs)


def _cookies(asked: DesignRequest) -> dict[str, str]:
    try:
        cookies = SimpleCookie(asked.header("cookie") or "")
    except CookieError:
        return {}
    return {name: cookie.value for name, cookie in cookies.items() if name != _SECRET_COOKIE}
