"""How a server is reached: who we say we are, and which servers we believe.

These are plain values, so that a program can name them without loading an HTTP client; ``couchette.remote``
puts them to work. No secret of theirs shows in a ``repr``.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from couchette.errors import BadRequest

Refresh = Callable[[], "str | Awaitable[str]"]
"""Gives a fresh token. A plain function runs in a worker thread, so it may ask another server for it."""


@dataclass(frozen=True)
class BasicAuth:
    """Name and password with each request."""

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class SessionAuth:
    """Name and password for a cookie session (``POST /_session``), which is renewed before it expires.

    The server checks the password once in a session instead of once in a request.
    """

    name: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class BearerAuth:
    """A bearer token, such as a JWT, with each request.

    ``refresh`` gives another one: at first if there is no ``token``, shortly before a JWT expires, and when the
    server refuses the one in use. It may be an async function; it then runs on the replication's event loop, which
    is trio's for the blocking calls and the caller's own otherwise.
    """

    token: str | None = field(default=None, repr=False)
    refresh: Refresh | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if self.token is None and self.refresh is None:
            raise BadRequest("A bearer token is missing.", "Give BearerAuth a token, or a function that gets one.")


Auth = tuple[str, str] | BasicAuth | SessionAuth | BearerAuth | Any
"""Name and password, one of the classes of this module, or any ``httpx.Auth``."""


@dataclass(frozen=True)
class TLS:
    """Which servers are believed, and which certificate is shown to them.

    Attributes:
        ca_file: certificates (PEM) to trust in place of the system's, for instance of a company's own authority.
        client_cert, client_key: our certificate and its key (PEM); one file may hold both.
        client_key_password: for a key that is encrypted.
        verify: False believes any server, and so protects from nobody who is in the way. For tests.
    """

    ca_file: str | os.PathLike[str] | None = None
    client_cert: str | os.PathLike[str] | None = None
    client_key: str | os.PathLike[str] | None = None
    client_key_password: str | None = field(default=None, repr=False)
    verify: bool = True


@dataclass(frozen=True)
class Access:
    """Everything about reaching one server, for which a replication has arguments of these names.

    ``headers`` go with each request. ``proxy`` is a URL; without one the environment's (``HTTPS_PROXY`` ...) is used.
    ``timeout`` is the silence in seconds after which a request is given up.
    """

    auth: Auth | None = field(default=None, repr=False)
    tls: TLS | None = None
    proxy: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    timeout: float | None = None
