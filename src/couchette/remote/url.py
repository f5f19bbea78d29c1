"""URLs of databases: credentials taken out, and paths that name documents and attachments exactly.

Credentials leave the URL at once and never return to it, so that whatever shows a URL (a log line, an
error, a checkpoint's id) cannot show them. In paths everything but letters, digits and ``-._~`` is
percent-encoded: CouchDB reads a bare ``+`` as a space, and a bare ``/`` as the end of the id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, quote, unquote, urlsplit

from couchette import jsonio
from couchette.errors import BadRequest

Credentials = tuple[str, str]

DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class DatabaseUrl:
    """A database's address: ``base`` without credentials or trailing slash, and the credentials beside it.

    ``is_server``: it is the address of a server, below which databases are.
    """

    base: str
    auth: Credentials | None
    is_server: bool = False

    @classmethod
    def parse(cls, url: str) -> DatabaseUrl:
        """Read ``http[s]://[user:password@]host[:port]/[prefix/]database``, or raise BadRequest."""
        parts, origin, segments = _taken_apart(url, "http://host:5984/database")
        if not segments:
            shown = without_credentials(url).rstrip("/")
            raise BadRequest("The URL names a server, not a database.", f"Add the database's name: {shown}/name")
        return cls("/".join([origin, *segments]), _credentials(parts))

    @classmethod
    def parse_server(cls, url: str) -> DatabaseUrl:
        """Read ``http[s]://[user:password@]host[:port][/prefix]``, or raise BadRequest."""
        parts, origin, segments = _taken_apart(url, "http://host:5984")
        return cls("/".join([origin, *segments]), _credentials(parts), is_server=True)

    @property
    def server(self) -> str:
        """The address of the server."""
        return self.base if self.is_server else self.base.rpartition("/")[0]

    @property
    def name(self) -> str:
        """The database's name, as it is without escapes."""
        return unquote(self.base.rpartition("/")[2])


def _taken_apart(url: str, form: str) -> tuple[SplitResult, str, list[str]]:
    """The parts of a URL, its origin, and the segments of its path, escaped as we do. Raises BadRequest."""
    shown = without_credentials(url)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise BadRequest("Invalid database URL.", f"{shown!r}: {exc}.") from exc
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise BadRequest("Invalid database URL.", f"{shown!r} is not of the form {form}.")
    if parts.query or parts.fragment:
        raise BadRequest("Invalid database URL.", f"{shown!r} has a query or a fragment; leave it out.")
    segments = [quote_segment(unquote(segment)) for segment in parts.path.split("/") if segment]
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return parts, f"{parts.scheme}://{host}{suffix}", segments


def without_credentials(url: str) -> str:
    """``url`` fit to be shown: without what stands before the ``@`` of its host."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url.rpartition("@")[2]
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def origin_of(url: str) -> str:
    """Scheme, host and port: what addresses of one server have in common."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


def quote_segment(text: str) -> str:
    """``text`` as one segment of a path. A segment of dots would be taken as ``.`` or ``..``: they are encoded."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def doc_path(doc_id: str) -> str:
    """The path of a document below its database; ``_design/`` and ``_local/`` keep their slash."""
    for prefix in ("_design/", "_local/"):
        if doc_id.startswith(prefix):
            return prefix + quote_segment(doc_id.removeprefix(prefix))
    return quote_segment(doc_id)


def attachment_path(doc_id: str, name: str) -> str:
    """The path of an attachment below its database. Raises BadRequest for an empty name: its path is the document's."""
    if not name:
        raise BadRequest("Attachment name must not be empty.", f"It has no URL; read or write {doc_id!r} as a whole.")
    return f"{doc_path(doc_id)}/{quote_segment(name)}"


def query(params: Mapping[str, Any]) -> str:
    """A query string, as CouchDB reads it: strings as they are, everything else as JSON."""
    texts = {name: value if isinstance(value, str) else jsonio.dumps(value).decode() for name, value in params.items()}
    return "&".join(f"{name}={quote(text, safe='')}" for name, text in texts.items())


def _credentials(parts: SplitResult) -> Credentials | None:
    """The user and password of the URL, decoded."""
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
