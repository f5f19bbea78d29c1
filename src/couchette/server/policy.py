"""What a program says about who may use its server. Plain values, that need no server to be named."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from couchette.functions.python import Validate
from couchette.limits import PBKDF2_ITERATIONS

MayRead = Callable[[Mapping[str, Any], str], bool]
"""(userCtx, database name) -> whether this user may use this database at all."""


MayReadDocument = Callable[[Mapping[str, Any], str, Mapping[str, Any]], bool]
"""(userCtx, database name, document) -> whether this user may read this document."""


@dataclass(frozen=True)
class Cors:
    """Which pages of other sites may use a server from a browser; the defaults are CouchDB's.

    Attributes:
        origins: such as ``https://app.example``; ``*`` is all of them.
        credentials: whether they may send the cookies and passwords that the browser has for the server. PouchDB asks
            for it. With ``*`` any page that a user visits may then act as the user: name the origins.
        methods: that they may use.
        headers: that they may send.
        exposed_headers: of answers, that they may read.
        max_age: seconds for which a browser need not ask again.
    """

    origins: tuple[str, ...] = ("*",)
    credentials: bool = False
    methods: tuple[str, ...] = ("CONNECT", "COPY", "DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT", "TRACE")
    headers: tuple[str, ...] = (
        *("accept", "accept-language", "authorization", "content-length", "content-range", "content-type"),
        *("destination", "expires", "if-match", "last-modified", "origin", "pragma", "x-couch-full-commit"),
        *("x-couch-id", "x-couch-persist", "x-couchdb-www-authenticate", "x-http-method-override", "x-requested-with"),
        "x-couchdb-vhost-path",
    )
    exposed_headers: tuple[str, ...] = (
        *("accept-ranges", "etag", "server", "x-couch-request-id", "x-couch-update-newrev", "x-couchdb-body-time"),
    )
    max_age: int = 600


@dataclass(frozen=True)
class Certificate:
    """What a server shows that it is with TLS.

    Attributes:
        file: PEM: the certificate, those that vouch for it, and the key, if it has no file of its own.
        key_file: PEM: the key.
        password: of the key, if it is encrypted.
    """

    file: str | os.PathLike[str]
    key_file: str | os.PathLike[str] | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Policy:
    """Who may use a server, and for what. No secret of it shows in its ``repr``.

    Attributes:
        admins: names of the server's administrators with their passwords, plain or as a line of CouchDB's ``[admins]``.
            Those that were added by ``_config`` are kept in the environment's folder, and count too.
            Without any, everybody may do everything, and the server listens on loopback addresses only.
        require_valid_user: refuse all requests of nobody known, but for ``/``, ``/_up`` and ``/_session``.
        may_read: called for each request to a database with CouchDB's ``userCtx`` and the database's name; False keeps
            the user out, whatever ``_security`` says. Administrators are asked about too.
        may_read_document: called for each ordinary document that an answer would show or list, with ``userCtx``, the
            database's name and the document (one revision of it; a deleted one has ``_deleted``); where it is False,
            the document is missing, and has no rows. See :mod:`couchette.server.readable` for what tells of it still.
            Administrators are asked about too, and what replicates the database must be one that may read all.
        validate_doc_update: called for each edit of an ordinary document with ``(edited, old, userCtx, secObj)``,
            before the functions of the same name in design documents; ``userCtx["db"]`` is the database. It raises
            :class:`couchette.errors.Forbidden` or :class:`~couchette.errors.Unauthorized` to refuse the edit.
        jwt_keys: keys of those whose tokens are believed, ``{"hmac:KID": secret, "rsa:KID": pem, "ec:KID": pem}``,
            where KID may be ``_default``. Needs ``couchette[jwt]``.
        jwt_required_claims: claims that a token must have, such as ``exp``.
        proxy_secret: shared with a proxy that vouches for users by the headers ``X-Auth-CouchDB-UserName``,
            ``-Roles`` and ``-Token``, the HMAC of the name.
        password_iterations: of PBKDF2, for passwords set from now on.
        cors: which pages of other sites may use the server; none, where it is None. ``_config`` changes it at runtime.
        settings: values of ``_config`` to begin with, ``{"section/key": value}``; only what can be changed there.
    """

    admins: Mapping[str, str] = field(default_factory=dict, repr=False)
    require_valid_user: bool = False
    may_read: MayRead | None = None
    may_read_document: MayReadDocument | None = None
    validate_doc_update: Validate | None = None
    jwt_keys: Mapping[str, str | bytes] = field(default_factory=dict, repr=False)
    jwt_required_claims: tuple[str, ...] = ()
    proxy_secret: str | None = field(default=None, repr=False)
    password_iterations: int = PBKDF2_ITERATIONS
    cors: Cors | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
