"""What each resource asks of the user. Documents have rules of their own, where they are written (``guard``).

The server's own resources and some of a database's are for the server's administrators; the upkeep of a database for
its own; everything else in a database for its members. Of ``_users`` everybody has its own document, and nothing that
would show another's.
"""

from __future__ import annotations

from typing import Final

from couchette.errors import NotFound, Unauthorized
from couchette.server import security, users
from couchette.server.identity import User
from couchette.server.security import Security
from couchette.wire.names import USERS

OPEN: Final = frozenset({b"_session", b"_up", b"_uuids", b"_utils", b"_replicate", b"favicon.ico"})
"""The server's resources for everybody; they ask for themselves what they need. The others are administrators'."""

SERVER_ADMIN_PARTS: Final = frozenset({b"_purge", b"_purged_infos", b"_purged_infos_limit"})
DATABASE_ADMIN_PARTS: Final = frozenset({b"_compact", b"_view_cleanup"})
WRITTEN_BY_ADMINS: Final = frozenset({b"_security", b"_revs_limit"})
"""Members may read them."""

WITHOUT_DOCUMENTS: Final = frozenset(
    {
        *(b"_all_docs", b"_bulk_get", b"_changes", b"_compact", b"_design_docs", b"_ensure_full_commit", b"_explain"),
        *(b"_find", b"_index", b"_local_docs", b"_missing_revs", b"_purge", b"_purged_infos", b"_revs_diff"),
        *(b"_purged_infos_limit", b"_revs_limit", b"_security", b"_view_cleanup"),
    }
)
"""Parts of a database that write no documents by the user's leave. All others are guarded, known or not, since an id
may be written in more than one way."""

DESIGN_READERS: Final = frozenset({b"_info", b"_search", b"_search_info", b"_spatial", b"_view", b"_show", b"_list"})
"""Parts of a design document that write no documents. They keep engines with the database, not with a guarded view of
it that ends with the request."""

_READING: Final = ("GET", "HEAD")
_INDEXES: Final = b"_index"


def check_server(user: User, method: str, segments: list[bytes]) -> None:
    """Raise Unauthorized unless the user may use what these segments of a path name, as far as the server decides."""
    if user.is_admin or not segments:
        return
    name, *path = segments
    is_own_resource = name.startswith(b"_") and name != USERS.encode()
    if (
        (is_own_resource and name not in OPEN)
        or (not path and method in ("PUT", "DELETE") and not is_own_resource)
        or (path and path[0] in SERVER_ADMIN_PARTS)
        or (name == USERS.encode() and path and _shows_users(path))
    ):
        raise Unauthorized("You are not a server admin.", "Log in as one.")


def check_database(user: User, secured: Security, method: str, name: str, path: list[bytes]) -> None:
    """Raise unless the user may use this part of a database. Raises Unauthorized, Forbidden, NotFound."""
    if user.is_admin:
        return
    security.check_member(secured, user)
    part = path[0] if path else b""
    if part in DATABASE_ADMIN_PARTS:
        security.check_admin(secured, user)
    if security.is_admin(secured, user):
        return
    if part in WRITTEN_BY_ADMINS and method not in _READING:
        raise Unauthorized("You are not a db or server admin.", "Log in as one.")
    if part == _INDEXES and method not in _READING:
        raise security.design_refusal(user)
    if name == USERS and path:
        _check_own(user, path)


def writes_documents(method: str, path: list[bytes]) -> bool:
    """Whether a request to this part of a database may write documents, and must so be guarded."""
    if method in _READING or (path and path[0] in WITHOUT_DOCUMENTS):
        return False
    parts = b"/".join(path).split(b"/")  # The slash of a design document's id may be escaped, or not.
    return not (len(parts) > 2 and parts[0] == b"_design" and parts[2] in DESIGN_READERS)


def _shows_users(path: list[bytes]) -> bool:
    """Whether this part of ``_users`` is no single document."""
    return path[0].startswith(b"_") and path[0] not in (b"_design", b"_local", b"_security", b"_bulk_docs")


def _check_own(user: User, path: list[bytes]) -> None:
    """Raise unless a path in ``_users`` names the user's own document, or shows nobody's."""
    if path[0] in (b"_security", b"_bulk_docs"):
        return
    try:
        doc_id = b"/".join(path[: 2 if path[0] in (b"_design", b"_local") else 1]).decode()
    except UnicodeDecodeError as exc:
        raise NotFound("missing", "No user's id is like this.") from exc
    users.check_reader(doc_id, user, is_admin=False)
