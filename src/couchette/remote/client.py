"""HTTP to one database or server: requests that are repeated while it is sensible, and answers in our error tree.

Every request of a replication may be repeated: reads, writes with ``new_edits=false``, ``_local`` documents (whose
conflict the caller resolves) and the creation of a database (which then exists). So a network error, 429, 500, 502, 503
or 504 is met with a few repeats after growing pauses, or when the server says (:mod:`couchette.remote.hosts`). One case
is not: a host that has never answered is more likely a wrong address than a weak line, and is reported at once. What a
program asks for itself is repeated less (:class:`Repeats`).

A 401 is given to the authenticator, once; if it knows no better credentials, the answer is our Unauthorized.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from copy import copy
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from ssl import SSLContext
from types import TracebackType
from typing import Any, Final
from urllib.request import getproxies

import anyio
import httpx

from couchette import jsonio, limits
from couchette.access import TLS, Access, Auth, SessionAuth
from couchette.errors import BadRequest, CouchetteError, MissingExtra, NotFound, Unreachable
from couchette.remote import carried
from couchette.remote.answers import proxy_refusal, read_json
from couchette.remote.authentication import Authenticator, Session, authenticator
from couchette.remote.direct import DirectTransport
from couchette.remote.hosts import Host, host_of
from couchette.remote.repeats import FREELY, IN_TROUBLE, Repeats, asked_pause_s
from couchette.remote.request_body import Body, RequestBody
from couchette.remote.straight import LARGE
from couchette.remote.tls import make_context, tls_failure
from couchette.remote.url import DatabaseUrl, origin_of, query

JSON_TYPE: Final = "application/json"
PLAIN_BYTES: Final = {"Accept": "*/*", "Accept-Encoding": "identity"}
"""Headers of a request for content as it is, not compressed for the way."""

Transport = httpx.AsyncBaseTransport
"""What carries requests in place of the network."""

_HEADER_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_HEADER_VALUE: Final = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?|")


@dataclass(frozen=True)
class Request:
    """A request, ready to be sent as often as it takes."""

    method: str
    address: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: Body | None = None
    silence_s: float | None = None
    """Silence after which it is given up, where that is not the client's usual one."""
    waiting: bool = False
    """Whether the server answers when there is something to say, as a live feed does."""
    repeats: Repeats = FREELY
    large: bool = False
    """Whether the answer is so large that it is worth a connection of its own (:mod:`couchette.remote.straight`)."""


@dataclass(frozen=True)
class Answer:
    """An answer whose body is still on its way, in the encoding that its headers name unless it is decoded."""

    status: int
    headers: httpx.Headers
    chunks: AsyncIterator[bytes]


@dataclass
class _Line:
    """Connections to a server and the credentials used on them, which the clients of several databases may share."""

    auth: Auth | None
    authenticator: Authenticator
    http: httpx.AsyncClient | None = None
    uses: int = 0


class Client:
    """Requests to the database, or server, at ``url``.

    An asynchronous context manager, which may be entered again inside itself.

    ``transport`` replaces the network, as in tests: any httpx transport.
    """

    def __init__(
        self, url: DatabaseUrl, access: Access | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        self.url = url.base
        self._session_url = url.server + "/_session"
        self._access = access or Access()
        self._headers = _checked_headers(self._access.headers or {})
        self._transport = transport
        auth = url.auth if self._access.auth is None else self._access.auth
        self._line = _Line(auth, authenticator(auth, self._log_in))

    def at(self, url: str) -> Client:
        """A client of another address of the same server, over the same connections, with the same credentials."""
        other = copy(self)
        other.url = url
        return other

    def apart(self, access: Access | None = None) -> Client:
        """A client of this address with connections of its own, and with what ``access`` says in place of what we do.

        A client belongs to one event loop; this is how the same address is used in another.
        """
        given = {name: value for name, value in vars(access or Access()).items() if value is not None}
        known = replace(self._access, auth=self._line.auth)
        return Client(DatabaseUrl(self.url, None), replace(known, **given), transport=self._transport)

    async def __aenter__(self) -> Client:
        line = self._line
        if line.http is None:
            line.http = self._new_http()
            line.authenticator = authenticator(line.auth, self._log_in)
        line.uses += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        line = self._line
        line.uses -= 1
        if line.uses == 0 and line.http is not None:
            http, line.http = line.http, None
            with anyio.CancelScope(shield=True):
                await http.aclose()

    # -- Requests -------------------------------------------------------------------------------------

    async def request(
        self, method: str, path: str = "", *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        """Send a request below the database and read its JSON answer. A ``body`` of bytes is JSON already."""
        return self.read_json(await self.respond(self.json_request(method, path, params=params, body=body)))

    def json_request(
        self,
        method: str,
        path: str = "",
        *,
        params: Mapping[str, Any] | None = None,
        body: Any = None,
        accept: str = JSON_TYPE,
        **how: Any,
    ) -> Request:
        """A request below the database with a JSON body, or none; ``how`` are further fields of a Request."""
        content = body if isinstance(body, bytes | None) else jsonio.dumps(body)
        headers = {"Accept": accept}
        if method == "POST" or content is not None:
            headers["Content-Type"] = JSON_TYPE
        return Request(method, self.address(path, params), headers, content, **how)

    async def respond(self, request: Request) -> httpx.Response:
        """Send a request and give its whole answer, whatever it says, for :meth:`read_json` or the caller to judge."""
        return await self._answer(request)

    def read_json(self, response: httpx.Response, *, tries: int = limits.HTTP_RETRIES + 1) -> Any:
        """The JSON of a good answer; a bad one is raised. ``tries``: how often a server in trouble was asked."""
        return read_json(response, self.url, self._line.authenticator.remedy, tries)

    async def get_bytes(self, path: str, *, params: Mapping[str, Any] | None = None) -> bytes:
        """GET plain bytes: an attachment's content."""
        response = await self._answer(Request("GET", self.address(path, params), PLAIN_BYTES))
        if response.is_error:
            self.read_json(response)
        return response.content

    @asynccontextmanager
    async def stream(self, request: Request, *, decoded: bool = False) -> AsyncIterator[Answer]:
        """Send a request and give the answer while it arrives, ``decoded`` from the encoding of the way if that is
        wanted; a bad one is raised.

        Repeats end with the answer's head: what breaks in the block is raised as Unreachable, as is silence.
        """
        response = await self._answer(request, stream=True)
        try:
            if response.is_error or response.is_redirect:
                await response.aread()
                self.read_json(response)
            chunks = response.aiter_bytes() if decoded else _chunks(response)
            try:
                yield Answer(response.status_code, response.headers, chunks)
            finally:
                await _abandon(chunks)
        except (httpx.TransportError, httpx.DecodingError) as exc:
            raise self._failure(exc) from exc
        finally:
            with anyio.CancelScope(shield=True):
                await response.aclose()

    def address(self, path: str, params: Mapping[str, Any] | None = None) -> str:
        """The URL of ``path`` below the database."""
        address = f"{self.url}/{path}" if path else self.url
        return f"{address}?{query(params)}" if params else address

    # -- Sessions -------------------------------------------------------------------------------------

    async def log_in(self, auth: SessionAuth) -> Any:
        """Open a session and use it from now on, here and at :meth:`at`; give the server's answer."""
        session = Session(auth, self._log_in)
        answer = self.read_json(await session.open())
        self._line.auth, self._line.authenticator = auth, session
        return answer

    async def log_out(self) -> Any:
        """End the session, and use no credentials from now on; give the server's answer."""
        answer = self.read_json(await self._answer(Request("DELETE", self._session_url, {"Accept": JSON_TYPE})))
        self._line.auth, self._line.authenticator = None, authenticator(None, self._log_in)
        return answer

    # -- How they are sent ----------------------------------------------------------------------------

    async def _answer(self, request: Request, *, stream: bool = False) -> httpx.Response:
        """The answer, whatever its status, after the repeats that make sense and with the best credentials."""
        refused: dict[str, str] | None = None
        while True:
            used = self._line.authenticator
            credentials = await used.headers()
            response = await self._repeated(request, credentials, stream=stream)
            if response.status_code != 401 or refused is not None:
                used.observe(response)
                return response
            refused = credentials
            if not await used.renew(refused):
                return response
            await response.aclose()

    async def _repeated(self, request: Request, credentials: Mapping[str, str], *, stream: bool) -> httpx.Response:
        """Send, and repeat what may be repeated; the last answer is returned whatever its status."""
        host = host_of(origin_of(self.url))
        # A body that is read from elsewhere may wait for this host's slots itself, and must not hold the last one.
        waiting = request.waiting or callable(request.content)
        failures = 0
        while True:
            failures += 1
            try:
                async with host.turn(waiting=waiting) as begun_at:
                    response = await self._send(request, credentials, stream=stream)
            except (httpx.TransportError, httpx.DecodingError, httpx.InvalidURL) as exc:
                if failures > limits.HTTP_RETRIES or not _may_pass(exc, request, host):
                    # A traceback would show the text of a malformed header.
                    raise self._failure(exc, request.repeats.remark) from (
                        None if isinstance(exc, httpx.LocalProtocolError) else exc
                    )
                await host.rest(failures, until_recovered=True)
                continue
            pause = asked_pause_s(response, failures, request.repeats)
            if pause is not None:
                host.throttled(begun_at, pause)
            elif response.status_code not in request.repeats.statuses:
                host.succeeded()
                return response
            if failures > (limits.HTTP_RETRIES if response.status_code in IN_TROUBLE else limits.HTTP_BUSY_RETRIES):
                return response
            await response.aclose()
            if pause is None:
                await host.rest(failures, until_recovered=False)

    async def _send(self, request: Request, credentials: Mapping[str, str], *, stream: bool) -> httpx.Response:
        http = self._line.http
        assert http is not None, "the client is used outside of its context"
        silence_s = request.silence_s or self._access.timeout or limits.HTTP_TIMEOUT_S
        body = RequestBody(request.content)
        built = http.build_request(
            request.method,
            request.address,
            headers={**self._headers, **request.headers, **credentials},
            content=body if callable(request.content) else request.content,
            timeout=httpx.Timeout(silence_s, pool=None),  # It may wait for a connection as long as the others take.
            extensions={LARGE: True} if request.large else {},
        )
        built.stream = body
        try:
            return await http.send(built, stream=stream)
        finally:
            with anyio.CancelScope(shield=True):
                await body.aclose()

    async def _log_in(self, form: bytes) -> httpx.Response:
        """POST the name and password to the server's ``_session``."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        response = await self._repeated(Request("POST", self._session_url, headers, form), {}, stream=False)
        try:
            read_json(response, self.url, Session.remedy)
        except NotFound as exc:
            hint = f"{self._session_url} is not there; use BasicAuth."
            raise BadRequest("The server has no cookie sessions.", hint) from exc
        return response

    def _failure(self, exc: Exception, remark: str = FREELY.remark) -> CouchetteError:
        """What a failed request means. The text of a request that cannot be sent may hold its headers: not shown."""
        if isinstance(exc, httpx.LocalProtocolError):
            return BadRequest("The request cannot be sent.", f"To {self.url}: a header or the address is malformed.")
        if isinstance(exc, httpx.ProxyError) and "407" in str(exc):
            return proxy_refusal()
        failure = tls_failure(exc, self.url)
        if failure is not None:
            return failure
        detail = str(exc) or type(exc).__name__
        return Unreachable(
            "The database cannot be reached.",
            f"{self.url}: {detail}. Check the address and that the server runs{remark and '; '}{remark}.",
        )

    def _new_http(self) -> httpx.AsyncClient:
        tls, proxy = self._access.tls, self._access.proxy
        # Loading the trusted certificates takes longer than a small replication; plain http needs none.
        context = make_context(tls) if self.url.startswith("https:") else None
        try:
            return httpx.AsyncClient(
                auth=self._line.auth if isinstance(self._line.auth, httpx.Auth) else None,
                limits=httpx.Limits(max_connections=limits.HTTP_CONNECTIONS),
                headers={"User-Agent": "couchette"},
                # No cookie of a server is kept but the session's, by its authenticator.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                verify=context or False,
                proxy=None if proxy is None else _proxy(proxy, tls),
                trust_env=not self._is_loopback(),  # A proxy cannot reach this machine's own addresses.
                transport=self._transport or carried.transport() or self._direct(context),
            )
        except (ValueError, httpx.InvalidURL) as exc:
            raise BadRequest("Invalid proxy.", "Give a URL such as http://proxy:3128 (it is not shown).") from exc
        except ImportError as exc:
            raise MissingExtra("A SOCKS proxy needs another package.", "pip install 'couchette[socks]'") from exc

    def _direct(self, context: SSLContext | None) -> DirectTransport | None:
        """The transport where no proxy is between, which httpx would look for in the environment."""
        if self._access.proxy is not None or (getproxies() and not self._is_loopback()):
            return None
        return DirectTransport(context, limits.HTTP_CONNECTIONS)

    def _is_loopback(self) -> bool:
        host = httpx.URL(self.url).host
        return host in ("localhost", "::1") or host.startswith("127.")


def _chunks(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it arrives; a transport other than the network may have given it whole."""
    return response.aiter_bytes() if response.is_stream_consumed else response.aiter_raw()


async def _abandon(chunks: AsyncIterator[bytes]) -> None:
    """End the reading of a body, wherever it stands.

    httpx reads through a chain of generators, of which closing the outer one leaves the others to the garbage
    collector, and trio warns of that. A cancellation that meets them in the innermost wait ends them all.
    """
    with anyio.CancelScope() as scope, suppress(httpx.TransportError, httpx.DecodingError, httpx.StreamError):
        scope.cancel()
        async for _ in chunks:
            continue  # What had arrived already is nobody's any more.


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers that a program gave; those that HTTP cannot carry are named, and their values are not shown."""
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not isinstance(value, str) or not _HEADER_VALUE.fullmatch(value):
            raise BadRequest("Invalid header.", f"The header {name!r} or its value (not shown) cannot be sent.")
    return dict(headers)


def _proxy(url: str, tls: TLS | None) -> httpx.Proxy:
    return httpx.Proxy(url, ssl_context=make_context(tls) if url.startswith("https:") else None)


def _may_pass(exc: Exception, request: Request, host: Host) -> bool:
    """Whether another try may have more luck. The silence of a feed is its reader's to judge."""
    if request.waiting and isinstance(exc, httpx.ReadTimeout):
        return False
    if not request.repeats.unanswered and not isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout):
        return False
    if isinstance(exc, httpx.InvalidURL | httpx.LocalProtocolError | httpx.UnsupportedProtocol | httpx.ProxyError):
        return False
    if isinstance(exc, httpx.ConnectError | httpx.ConnectTimeout) and not host.answered:
        return False
    return tls_failure(exc, "") is None
