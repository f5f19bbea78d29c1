"""Credentials at work: what each request carries, and what is done when a server refuses it.

An authenticator is asked for headers before each request, and told when they were refused; it may then have better
ones, once. Sessions and tokens are renewed by one task while the others wait for it, however many requests found out
together. Any ``httpx.Auth`` is left to httpx.
"""

from __future__ import annotations

import base64
import inspect
import logging
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Protocol
from urllib.parse import urlencode

import anyio
import httpx

from couchette import jsonio, limits, surroundings, workers
from couchette.access import Auth, BasicAuth, BearerAuth, SessionAuth
from couchette.errors import BadRequest, CouchetteError, NotCouchDB, Unauthorized

LogIn = Callable[[bytes], Awaitable[httpx.Response]]
"""Posts a form to the server's ``_session`` and gives a good answer, or raises."""

_SESSION_COOKIE = re.compile(r"AuthSession=[^;'\"\s]+")


class Authenticator(Protocol):
    """What the client asks of credentials."""

    remedy: str
    """What to look at when they were refused."""

    async def headers(self) -> dict[str, str]:
        """The headers for a request that is sent now."""

    async def renew(self, refused: Mapping[str, str]) -> bool:
        """Get better headers than these, which were answered by 401; whether there are any."""

    def observe(self, response: httpx.Response) -> None:
        """Look at an answer, with which the server may have renewed a session."""


def authenticator(auth: Auth | None, log_in: LogIn) -> Authenticator:
    """The authenticator for credentials as a program gives them; raises BadRequest for what is none."""
    if auth is None:
        return _Fixed({}, "No credentials were given")
    if isinstance(auth, SessionAuth):
        return Session(auth, log_in)
    if isinstance(auth, BearerAuth):
        return _Bearer(auth)
    if isinstance(auth, httpx.Auth):
        return _Fixed({}, "The credentials given were refused")
    if isinstance(auth, tuple) and len(auth) == 2:
        auth = BasicAuth(*auth)
    if isinstance(auth, BasicAuth):
        pair = f"{auth.name}:{auth.password}".encode()
        return _Fixed({"Authorization": "Basic " + base64.b64encode(pair).decode()}, "The credentials were refused")
    raise BadRequest("Invalid credentials.", f"Give (name, password) or one of couchette's classes, not {type(auth)}.")


class _Fixed:
    """The same headers for ever."""

    def __init__(self, headers: dict[str, str], refusal: str) -> None:
        self._headers = headers
        self.remedy = f"{refusal}; check user and password."

    async def headers(self) -> dict[str, str]:
        return self._headers

    async def renew(self, refused: Mapping[str, str]) -> bool:
        return False

    def observe(self, response: httpx.Response) -> None:
        """Nothing is renewed."""


class Session:
    """A cookie that is good for a while. CouchDB takes an expired one for no credentials at all, and a database that
    anyone may read then answers as if nothing were wrong: it is renewed by the clock, and not only after a 401."""

    remedy = "The session was refused; check user and password."

    def __init__(self, auth: SessionAuth, log_in: LogIn) -> None:
        self._form = urlencode({"name": auth.name, "password": auth.password}).encode()
        self._log_in = log_in
        self._lock = anyio.Lock()
        self._cookie = ""
        self._renewed_at = math.inf
        _hide_cookies_in_logs()

    async def headers(self) -> dict[str, str]:
        if not self._cookie or anyio.current_time() >= self._renewed_at:
            await self._replace(self._cookie)
        return {"Cookie": f"AuthSession={self._cookie}"}

    async def renew(self, refused: Mapping[str, str]) -> bool:
        await self._replace(refused["Cookie"].removeprefix("AuthSession="))
        return True

    async def open(self) -> httpx.Response:
        """Log in; give the server's answer. Raises Unauthorized."""
        self._cookie = ""
        response = await self._log_in(self._form)
        self.observe(response)
        if not self._cookie:
            raise NotCouchDB("The answer to _session holds no session cookie.", "Use BasicAuth for this server.")
        return response

    async def _replace(self, old: str) -> None:
        """Log in, unless another task has done so while we waited for it."""
        async with self._lock:
            if self._cookie == old:
                await self.open()

    def observe(self, response: httpx.Response) -> None:
        for line in response.headers.get_list("set-cookie"):
            try:
                cookie = SimpleCookie(line).get("AuthSession")
            except CookieError:
                continue  # Another's cookie, which need not please Python.
            if cookie is not None and cookie.value:
                self._cookie = cookie.value
                life = float(cookie["max-age"]) if cookie["max-age"].isdecimal() else limits.SESSION_LIFE_S
                self._renewed_at = anyio.current_time() + life * limits.SESSION_RENEWED_AT


class _Bearer:
    """A token that may be replaced by a fresh one."""

    remedy = "The token was refused; check its claims, or give BearerAuth(refresh=...) if it has expired."

    def __init__(self, auth: BearerAuth) -> None:
        self._refresh = auth.refresh
        self._token = "" if auth.token is None else _checked_token(auth.token)
        self._lock = anyio.Lock()

    async def headers(self) -> dict[str, str]:
        if self._refresh is not None and (not self._token or _expires_soon(self._token)):
            await self._replace(self._token)
        return {"Authorization": f"Bearer {self._token}"}

    async def renew(self, refused: Mapping[str, str]) -> bool:
        if self._refresh is None:
            return False
        await self._replace(refused["Authorization"].removeprefix("Bearer "))
        return True

    async def _replace(self, old: str) -> None:
        """Get a fresh token, unless another task has done so while we waited for it."""
        async with self._lock:
            if self._token != old:
                return
            assert self._refresh is not None
            try:
                self._token = _checked_token(await _result_of(self._refresh))
            except CouchetteError:
                raise
            except Exception as exc:
                raise Unauthorized(
                    "No fresh token could be got.", f"BearerAuth's refresh raised {type(exc).__name__}."
                ) from exc

    def observe(self, response: httpx.Response) -> None:
        """Tokens do not come with answers."""


async def _result_of(function: Callable[[], Any]) -> Any:
    """What a plain or async function returns; a plain one may block."""
    if inspect.iscoroutinefunction(function):
        return await function()
    result = await workers.in_thread(function)
    return await result if inspect.isawaitable(result) else result


def _checked_token(token: Any) -> str:
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or not token or " " in token:
        raise BadRequest("Invalid bearer token.", "It must be text without spaces or line breaks (it is not shown).")
    return token


def _expires_soon(token: str) -> bool:
    """Whether a JWT says (RFC 7519, ``exp``) that its time is over or nearly so. Other tokens do not tell."""
    try:
        claims = token.split(".")[1]
        expires_at = jsonio.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
        return float(expires_at) - surroundings.now().timestamp() < limits.TOKEN_RENEWED_BEFORE_S
    except (IndexError, KeyError, TypeError, ValueError, CouchetteError):
        return False


class _CookieFilter(logging.Filter):
    """Takes session cookies out of what httpcore logs of an answer's headers at the level DEBUG."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "AuthSession=" in message:
            record.msg, record.args = _SESSION_COOKIE.sub("AuthSession=...", message), ()
        return True


_cookie_filter = _CookieFilter()


def _hide_cookies_in_logs() -> None:
    for name in ("httpcore.http11", "httpcore.http2"):
        logging.getLogger(name).addFilter(_cookie_filter)  # Adding it again changes nothing.
