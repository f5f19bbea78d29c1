"""What each resource asks of the user. Documents have rules of their own, where they are written (``guard``).

The server's own resources and some of a database's are for the server's administrators; the upkeep of a database for
its own; everything else in a database for its members. Of ``_users`` everybody has its own document, and nothing that
would show another's.
"""

from __future__ import annotations

from typing import Final

from couchette.errors import NotFound, Unauthorized
from couchette.server import security
from couchette.server.security import Security
from couchette.users import PREFIX, User, rules
from couchette.wire.names import USERS

OPEN: Final = frozenset({b"_session", b"_up", b"_uuids", b"_utils", b"_replicate", b"favicon.ico"})
"""The server's resources for everybody; they ask for themselves what they need. The others are administrators'."""

SERVER_ADMIN_PARTS: Final = frozenset({b"_purge", b"_purged_infos", b"_purged_infos_limit", b"_sync_shards"})
DATABASE_ADMIN_PARTS: Final = frozenset({b"_compact", b"_view_cleanup", b"_search_cleanup"})
WRITTEN_BY_ADMINS: Final = frozenset({b"_security", b"_revs_limit"})
"""Members may read them."""

WITHOUT_DOCUMENTS: Final = frozenset(
    {
        *(b"_all_docs", b"_bulk_get", b"_changes", b"_compact", b"_design_docs", b"_ensure_full_commit", b"_explain"),
        *(b"_find", b"_index", b"_local_docs", b"_missing_revs", b"_purge", b"_purged_infos", b"_revs_diff"),
        *(b"_purged_infos_limit", b"_revs_limit", b"_search_cleanup", b"_security", b"_shards", b"_sync_shards"),
        *(b"_temp_view", b"_view_cleanup"),
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


def is_public_user(user: User, secured: Security, method: str, name: str, path: list[bytes]) -> bool:
    """Whether a request reads another user's document, of which there may be public members."""
    if name != USERS or method not in _READING or len(path) != 1 or security.is_admin(secured, user):
        return False
    return path[0].startswith(PREFIX.encode()) and path[0] != f"{PREFIX}{user.name}".encode()


def check_database(
    user: User, secured: Security, method: str, name: str, path: list[bytes], *, is_public: bool = False
) -> None:
    """Raise unless the user may use this part of a database. Raises Unauthorized, Forbidden, NotFound.

    ``is_public`` says that only public members of a user's document will be shown.
    """
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
    if name == USERS and path and not is_public:
        _check_own(user, method, path)


def writes_documents(method: str, path: list[bytes]) -> bool:
    """Whether a request to this part of a database may write documents, and must so be guarded."""
    if method in _READING or (path and path[0] in WITHOUT_DOCUMENTS):
        return False
    return _design_part(path) not in DESIGN_READERS


def _design_part(path: list[bytes]) -> bytes:
    """What a path names of a design document; empty where it names none, or a whole one.

    The slash of its id may be escaped, or not. Others that are escaped are the id's: ``_design%2Fx%2F_view`` is a
    document.
    """
    if not path:
        return b""
    begins = 2 if path[0] == b"_design" else 1
    is_design = path[0] == b"_design" or path[0].startswith(b"_design/")
    return path[begins] if is_design and len(path) > begins else b""


def _shows_users(path: list[bytes]) -> bool:
    """Whether this part of ``_users`` is no single document."""
    return path[0].startswith(b"_") and path[0] not in (b"_design", b"_local", b"_security", b"_bulk_docs")


def _check_own(user: User, method: str, path: list[bytes]) -> None:
    """Raise unless a path in ``_users`` names the user's own document, or shows nobody's."""
    if path[0] in (b"_security", b"_bulk_docs"):
        return
    try:
        doc_id = b"/".join(path[: 2 if path[0] in (b"_design", b"_local") else 1]).decode()
    except UnicodeDecodeError as exc:
        raise NotFound("missing", "No user's id is like this.") from exc
    if user.name is None and method == "PUT" and len(path) == 1 and doc_id.startswith(PREFIX):
        return  # Nobody known signs up. For a name that is taken it is a conflict, as in CouchDB.
    rules.check_reader(doc_id, user, is_admin=False)
