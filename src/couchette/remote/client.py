"""HTTP to one database: requests that are repeated while it is sensible, and answers in our error tree.

Every request here may be repeated: reads, writes with ``new_edits=false``, ``_local`` documents (whose
conflict the caller resolves) and the creation of a database (which then exists). So a network error, 429,
500, 502, 503 or 504 is met with a few repeats after growing pauses. One case is not: a host that has never
answered is more likely a wrong address than a weak line, and is reported at once.

httpx is imported in this package only.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final

import anyio
import httpx

from couchette import jsonio, limits
from couchette.errors import (
    CouchetteError,
    DatabaseNotFound,
    Forbidden,
    NotCouchDB,
    RemoteError,
    Unauthorized,
    Unreachable,
    from_answer,
)
from couchette.remote.url import DatabaseUrl, query, without_credentials

REPEATED_STATUSES: Final = frozenset({429, 500, 502, 503, 504})
"""Answers that a later try may better: too many requests, and a server or proxy in trouble."""

DATABASE_MISSING: Final = "Database does not exist."
"""CouchDB's words for it, by which our tree knows it; PouchDB's server says ``no_db_file``, as CouchDB 1 did."""


class Client:
    """Requests to the database at ``url``. An asynchronous context manager, which may be entered again inside itself.

    ``transport`` replaces the network, as in tests: any httpx transport.
    """

    def __init__(self, url: DatabaseUrl, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.url = url.base
        self._auth = url.auth
        self._transport = transport
        self._http: httpx.AsyncClient | None = None
        self._uses = 0
        self._answered = False

    async def __aenter__(self) -> Client:
        if self._http is None:
            self._http = self._new_http()
        self._uses += 1
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._uses -= 1
        if self._uses == 0 and self._http is not None:
            http, self._http = self._http, None
            with anyio.CancelScope(shield=True):
                await http.aclose()

    async def request(
        self, method: str, path: str = "", *, params: Mapping[str, Any] | None = None, body: Any = None
    ) -> Any:
        """Send a request below the database and read its JSON answer. A ``body`` of bytes is JSON already."""
        content = body if isinstance(body, bytes | None) else jsonio.dumps(body)
        headers = {"Accept": "application/json"}
        if method == "POST" or content is not None:
            headers["Content-Type"] = "application/json"
        response = await self._send(method, self._address(path, params), headers, content)
        return self._read_json(response)

    async def get_bytes(self, path: str, *, params: Mapping[str, Any] | None = None) -> bytes:
        """GET plain bytes: an attachment's content."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        response = await self._send("GET", self._address(path, params), headers, None)
        if response.is_error:
            self._read_json(response)
        return response.content

    def _new_http(self) -> httpx.AsyncClient:
        # Loading the trusted certificates takes longer than a small replication; plain http needs none.
        return httpx.AsyncClient(
            auth=self._auth,
            # A request may wait for a connection as long as the others take.
            timeout=httpx.Timeout(limits.HTTP_TIMEOUT_S, pool=None),
            limits=httpx.Limits(max_connections=limits.HTTP_CONNECTIONS),
            headers={"User-Agent": "couchette"},
            verify=self.url.startswith("https:"),
            trust_env=not self._is_loopback(),  # A proxy cannot reach this machine's own addresses.
            transport=self._transport,
        )

    def _is_loopback(self) -> bool:
        host = httpx.URL(self.url).host
        return host in ("localhost", "::1") or host.startswith("127.")

    def _address(self, path: str, params: Mapping[str, Any] | None) -> str:
        address = f"{self.url}/{path}" if path else self.url
        return f"{address}?{query(params)}" if params else address

    async def _send(self, method: str, address: str, headers: dict[str, str], content: bytes | None) -> httpx.Response:
        """Send, and repeat what may be repeated; the last answer is returned whatever its status."""
        assert self._http is not None, "the client is used outside of its context"
        for attempt in range(limits.HTTP_RETRIES + 1):
            final = attempt == limits.HTTP_RETRIES
            try:
                response = await self._http.request(method, address, headers=headers, content=content)
            except (httpx.TransportError, httpx.DecodingError) as exc:
                if final or (not self._answered and isinstance(exc, httpx.ConnectError)):
                    raise self._unreachable(exc) from exc
            except httpx.InvalidURL as exc:
                raise self._unreachable(exc) from exc
            else:
                self._answered = True
                if final or response.status_code not in REPEATED_STATUSES:
                    return response
            await anyio.sleep(limits.HTTP_RETRY_PAUSE_S * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _unreachable(self, exc: Exception) -> Unreachable:
        detail = str(exc) or type(exc).__name__
        return Unreachable(
            "The database cannot be reached.",
            f"{self.url}: {detail}. Check the address and that the server runs; what was replicated is kept.",
        )

    def _read_json(self, response: httpx.Response) -> Any:
        """The body of a good answer; a bad one is raised as the error it means."""
        if response.is_redirect:
            target = without_credentials(response.headers.get("location", ""))
            raise NotCouchDB("The URL redirects.", f"{self.url} answers that it is at {target}; give that URL.")
        try:
            body = jsonio.loads(response.content)
        except CouchetteError as exc:
            body = self._body_of_error_without_json(response, exc)
        if not response.is_error:
            return body
        if not isinstance(body, dict):
            body = {}
        error, reason = str(body.get("error", "unknown_error")), str(body.get("reason") or response.reason_phrase)
        if reason == "no_db_file":
            reason = DATABASE_MISSING
        kind = type(from_answer(response.status_code, error, reason))
        raise from_answer(response.status_code, error, reason, self._hint(kind))

    def _body_of_error_without_json(self, response: httpx.Response, cause: CouchetteError) -> dict[str, Any]:
        """A proxy may refuse or fail in its own words; any other answer without JSON is not CouchDB's."""
        if response.status_code in (401, 403, 413) or response.status_code >= 500:
            return {}
        kind = response.headers.get("content-type", "no content type")
        raise NotCouchDB(
            "The URL does not answer as CouchDB.",
            f"{self.url} answered {response.status_code} with {kind} instead of JSON; check the address.",
        ) from cause

    def _hint(self, kind: type[CouchetteError]) -> str:
        """What to do about an error of this kind, with the URL that gave it."""
        if issubclass(kind, Unauthorized):
            given = "The credentials given were refused" if self._auth else "No credentials were given"
            return f"{given} for {self.url}; check user and password."
        if issubclass(kind, Forbidden):
            return f"The user may not do this at {self.url}; ask for the right in the database's _security."
        if issubclass(kind, DatabaseNotFound):
            return f"There is no database at {self.url}; create it, or replicate with create_target."
        if issubclass(kind, RemoteError):
            return f"{self.url} failed {limits.HTTP_RETRIES + 1} times; try again later."
        return f"From {self.url}."
