"""Names of local databases: PouchDB takes any text, and a folder of databases takes CouchDB's names.

A name that CouchDB would take is used as it is. Any other is written with characters that it takes, after a prefix
which tells the two apart: ``Notes 2026`` is ``pouchdb$+4eotes+202026``. So every name has one file, and every file
one name.
"""

from __future__ import annotations

import re
from typing import Final

from couchette.errors import BadRequest, IllegalDatabaseName
from couchette.wire.names import check_database_name

PREFIX: Final = "pouchdb$"
_PLAIN: Final = re.compile(rb"[a-z0-9_-]")
_ESCAPED: Final = re.compile(rb"\+([0-9a-f]{2})")


def is_url(name: str) -> bool:
    """Whether a database's name is the address of one on a server."""
    return name.partition("://")[0].lower() in ("http", "https")


def checked(name: object) -> str:
    """The name of a database. Raises BadRequest for what is none, in PouchDB's words."""
    if not isinstance(name, str) or not name:
        raise BadRequest("Missing/invalid DB name", f"Give a name or an address, not {name!r}.")
    return name


def stored_name(name: str) -> str:
    """The name under which a folder keeps a database. Raises IllegalDatabaseName for one that is too long."""
    if not name.startswith(PREFIX):
        try:
            return check_database_name(name)
        except IllegalDatabaseName:
            pass
    octets = (bytes((octet,)) for octet in name.encode("utf-8", "surrogatepass"))
    escaped = b"".join(octet if _PLAIN.match(octet) else b"+%02x" % octet[0] for octet in octets)
    return check_database_name(PREFIX + escaped.decode())


def shown_name(stored: str) -> str:
    """The name of a database that a folder keeps under this one."""
    if not stored.startswith(PREFIX):
        return stored
    octets = _ESCAPED.sub(lambda found: bytes((int(found[1], 16),)), stored.removeprefix(PREFIX).encode())
    return octets.decode("utf-8", "surrogatepass")
