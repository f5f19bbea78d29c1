"""The pages for whoever started the program, and for nobody else on this machine.

The server listens on a loopback address, which every user of the machine reaches. So the first address holds a key,
which works once and gives the browser a cookie; without that there is no answer. Should another one be faster with the
key, its owner sees that it does not work any more, and the cookie is the other's, not ours to share.

Beside pages, the API may only be read: a browser sends the cookie with forms of other ports of this host too, and the
API has no token to tell them from ours.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import Receive, Scope, Send

from couchette.environment import Environment
from couchette.server import running
from couchette.server.app import App
from couchette.server.authentication import Authentication
from couchette.server.identity import Identity
from couchette.server.pages.files import OneFile
from couchette.server.pages.visit import ROOT
from couchette.server.policy import Policy
from couchette.users import EVERYONE_IS_ADMIN
from couchette.wire.names import quote
from couchette.wire.parameters import Query

_PATH: Final = f"/{ROOT}"


class _Owner(Authentication):
    """Whoever gets past the key owns the files, and may do everything with them."""

    def __init__(self, authentication: Authentication) -> None:
        super().__init__(authentication.accounts, authentication.secret)

    def identify(self, headers: object, address: str, *, secure: bool) -> Identity:
        """An administrator."""
        return Identity(EVERYONE_IS_ADMIN)


class LocalApp(App):
    """The app for one browser."""

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment, Policy())
        self.gate = replace(self.gate, authentication=_Owner(self.gate.authentication))
        name = environment.name if isinstance(environment, OneFile) else None
        self.first_page = f"{_PATH}/" if name is None else f"{_PATH}/documents?db={quote(name)}"
        """Where the key leads."""
        self._key: str | None = secrets.token_urlsafe(32)
        self._session = secrets.token_urlsafe(32)
        # Cookies are shared by all ports of a host, so by all programs like this one.
        self._cookie = f"couchette-browse-{secrets.token_hex(4)}"

    def link(self, url: str) -> str:
        """The address with the key, at a server with this URL."""
        return f"{url}{_PATH}/?key={self._key}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "http" and (refusal := self._admit(scope)) is not None:
            await refusal(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _admit(self, scope: Scope) -> Response | None:
        """None for a request to be answered by the app; else the answer."""
        key = Query(scope["query_string"]).first("key") if scope["path"] == f"{_PATH}/" else None
        if self._key is not None and key is not None and hmac.compare_digest(key.encode(), self._key.encode()):
            self._key = None
            response = RedirectResponse(
                self.first_page, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
            )
            response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict")
            return response
        if not self._has_session(scope):
            return _refusal("This address is for the browser that the key was opened in. Run couchette browse again.")
        if key is not None:
            return RedirectResponse(self.first_page, 303)
        is_page = scope["path"] == _PATH or scope["path"].startswith(f"{_PATH}/")
        if not is_page and scope["method"] not in ("GET", "HEAD"):
            return _refusal("Here the API can only be read. To write, run couchette serve.")
        return None

    def _has_session(self, scope: Scope) -> bool:
        given = [value.decode("latin-1") for name, value in scope["headers"] if name == b"cookie"]
        pairs = (part.strip().partition("=") for text in given for part in text.split(";"))
        return any(
            name == self._cookie and hmac.compare_digest(value.encode(), self._session.encode())
            for name, _, value in pairs
        )


def serve_locally(environment: Environment, port: int, on_started: Callable[[str], None]) -> None:
    """Serve the pages of an environment on this machine until SIGINT or SIGTERM; port 0 takes a free one.

    ``on_started`` is called with the address that holds the key. Raises CouchetteError (``address_in_use``).
    """
    app = LocalApp(environment)
    running.serve_app(app, port, lambda url: on_started(app.link(url)))


def _refusal(text: str) -> Response:
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'", "Cache-Control": "no-store"}
    return HTMLResponse(
        f'<!doctype html><html lang="en"><title>couchette</title><h1>No</h1><p>{text}</p>', 403, headers
    )
