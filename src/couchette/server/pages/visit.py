"""One request for a page: whom it acts for, what it is about, and what it may use."""

from __future__ import annotations

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote_plus

from starlette.responses import Response

from couchette.database import Database
from couchette.errors import BadRequest, CouchetteError
from couchette.server import answers
from couchette.server.pages.files import OneFile
from couchette.server.pages.forms import TOKEN_COOKIE, Form
from couchette.server.pages.hidden import without_passwords
from couchette.server.request import Request
from couchette.users import User
from couchette.wire import names
from couchette.wire.names import REPLICATOR

ROOT: Final = "_utils"
_SAID_COOKIE: Final = "couchette-said"
_SAID_CHARACTERS: Final = 600
"""So many always fit into a cookie, which may have 4096 bytes."""
_SAID_S: Final = 60
"""How long a browser keeps the result of an act for the page that shows it."""


@dataclass(frozen=True)
class Visit:
    """A request for a page. A form was checked to be one of ours before a handler sees it."""

    request: Request
    form: Form = field(default_factory=Form)

    # -- What it is about -------------------------------------------------------------------------

    @property
    def user(self) -> User:
        """Whom it acts for."""
        return self.request.user

    def optional(self, name: str) -> str | None:
        """A parameter of the address, or else a field of the form; None where it is missing or empty."""
        return self.request.query.first(name) or self.form.fields.get(name) or None

    def given(self, name: str) -> str:
        """The same, where the page makes no sense without it. Raises BadRequest."""
        value = self.optional(name)
        if value is None:
            raise BadRequest(f"`{name}` is missing.", "Begin at the list of databases.")
        return value

    # -- What it may use --------------------------------------------------------------------------

    def require(self, method: str, *path: str) -> Request:
        """The API's request with this method and path, if the server lets the user make it.

        Raises Unauthorized.
        """
        segments = [names.quote(part).encode() for part in path]
        request = replace(self.request, method=method, raw_segments=segments)
        request.gate.check(request.user, request.method, request.segments)
        return request

    def may(self, method: str, *path: str) -> bool:
        """Whether :meth:`require` lets the user pass; for what a page offers, not for what it does."""
        try:
            self.require(method, *path)
        except CouchetteError:
            return False
        return True

    @property
    def may_change_databases(self) -> bool:
        """Whether the user may make and delete databases here."""
        return self.may("PUT", "new") and not isinstance(self.request.environment, OneFile)

    def database(self, method: str, *path: str) -> Database:
        """The database ``db``, as the API opens it for the user for this method and this part of it.

        What it then writes is judged, as for the API: name the part that reads or writes so. Writing is
        ``("POST", "_bulk_docs")`` whatever document it is, reading one is ``("GET", id)``.

        Raises DatabaseNotFound, Unauthorized, Forbidden, NotFound.
        """
        return self.require(method, self.given("db"), *path).database()

    def shown(self, doc: Any) -> Any:
        """A document of the database ``db``, or a part of one, as a page shows it: without passwords."""
        return without_passwords(self.given("db"), doc)

    @property
    def has_passwords(self) -> bool:
        """Whether documents of the database ``db`` may hold passwords that only the editor shows."""
        return self.optional("db") == REPLICATOR

    # -- Where others are -------------------------------------------------------------------------

    @cached_property
    def root(self) -> str:
        """The path of the list of databases; ends in a slash."""
        return f"{self.request.root}/{ROOT}/"

    def link(self, page: str = "", /, **about: object) -> str:
        """The address of a page; of what it is about, None is left out."""
        query = "&".join(f"{name}={quote_plus(str(value))}" for name, value in about.items() if value is not None)
        return f"{self.root}{page}?{query}" if query else f"{self.root}{page}"

    @property
    def here(self) -> str:
        """The address of this page."""
        path = f"{self.root}{'/'.join(segment.decode('latin-1') for segment in self.request.raw_segments[1:])}"
        query = self.request.query_string.decode("latin-1")
        return f"{path}?{query}" if query else path

    def api_link(self, *path: str) -> str:
        """The address of a resource of the API; each part is escaped as one segment."""
        return "/".join([self.request.root, *map(names.quote, path)])

    # -- What is remembered until the next page ---------------------------------------------------

    @cached_property
    def token(self) -> str:
        """The token of this browser's forms; a new one where it has none yet."""
        return self.cookie(TOKEN_COOKIE) or secrets.token_urlsafe(24)

    @property
    def said(self) -> str | None:
        """The result of the last act, shown once on the next page."""
        try:
            return urlsafe_b64decode(self.cookie(_SAID_COOKIE)).decode() or None
        except ValueError:
            return None  # Not ours.

    def cookie(self, name: str) -> str:
        """A cookie's value; empty where there is none."""
        for part in self.request.headers.get("cookie", "").split(";"):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value
        return ""

    def go(self, target: str, text: str | None = None) -> Response:
        """Send the browser to a page of ours, which shows the text as the result of what was done."""
        response = answers.answer(b"", 303, {"Location": target, "Cache-Control": "no-store"})
        if text is not None:
            value = urlsafe_b64encode(text[:_SAID_CHARACTERS].encode(errors="replace")).decode()
            self.set_cookie(response, _SAID_COOKIE, value, _SAID_S)
        return response

    def keep(self, response: Response) -> None:
        """Let the browser keep the token that the page's forms hold, and forget the result that it shows."""
        if not self.cookie(TOKEN_COOKIE):
            self.set_cookie(response, TOKEN_COOKIE, self.token)
        if self.cookie(_SAID_COOKIE):
            self.set_cookie(response, _SAID_COOKIE, "", 0)

    def set_cookie(self, response: Response, name: str, value: str, max_age: int | None = None) -> None:
        """Set a cookie for our pages, which no other site can have sent and no script can read."""
        parts = [f"{name}={value}", f"Path={self.root.rstrip('/')}", "HttpOnly", "SameSite=Strict"]
        parts += [] if max_age is None else [f"Max-Age={max_age}"]
        response.headers.append("Set-Cookie", "; ".join([*parts, "Secure"] if self.request.is_secure else parts))
