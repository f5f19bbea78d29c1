"""What every call of a remote database shares: the open connection, and how reads and edits are sent and judged.

The methods of :class:`couchette.AsyncRemoteDatabase` are spread over the modules beside this one, by subject; each is a
class that knows how to ask (:class:`RemoteCalls`), and together they are one object.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio
import httpx

from couchette import limits
from couchette.errors import DatabaseClosed, DatabaseExists, DatabaseNotFound, NotCouchDB
from couchette.remote.client import JSON_TYPE, Client, Request
from couchette.remote.repeats import READING, WRITING, Repeats

Doc = dict[str, Any]
Params = Mapping[str, Any]
RawAnswer = tuple[int, dict[str, str], bytes]
"""Status, headers by their names in lower case, and body."""


class RemoteCalls:
    """Requests below the URL of ``client``, which is opened with the first of them and closed by :meth:`close`.

    ``create``: the first request is preceded by one that makes the database where it is not there.
    """

    def __init__(self, client: Client, *, create: bool = False) -> None:
        self._client = client
        self._to_create = create
        self._creating: anyio.Lock | None = None
        """Made where it is used: a lock belongs to the loop that it is made in."""
        self._entered = False
        self._closed = False

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self._client.url

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    async def request(
        self,
        method: str,
        path: str = "",
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
    ) -> RawAnswer:
        """Send any request and give any answer: its status, its headers (names in lower case) and its body.

        It is for what has no method here, such as design functions. Errors that the server answers are not raised, and
        redirections are not followed.

        Args:
            path: below this object's URL, escaped: ``"_design/shop/_show/page/a%2Fb"``.
            params: the query string: texts as they are, everything else as JSON.
            content: the body, of which ``headers`` should tell the Content-Type.

        Raises:
            Unreachable, TLSFailed: there is no answer.
        """
        client = await self._opened()
        given = {"Accept": "*/*", **(headers or {})}
        body = content.encode() if isinstance(content, str) else content
        repeats = READING if method in ("GET", "HEAD") else WRITING
        request = Request(method, client.address(path, params), given, body, repeats=repeats)
        response = await client.respond(request)
        return response.status_code, dict(response.headers), response.content

    async def close(self) -> None:
        """Close the connections. Calling it again does nothing."""
        self._closed = True
        if self._entered:
            self._entered = False
            await self._client.__aexit__(None, None, None)

    # -- For the calls --------------------------------------------------------------------------------

    async def _read(
        self, method: str, path: str = "", *, params: Params | None = None, body: Any = None, accept: str = JSON_TYPE
    ) -> Any:
        """The JSON of an answer to a request that changes nothing."""
        response = await self._respond(method, path, params=params, body=body, accept=accept, repeats=READING)
        return self._client.read_json(response, tries=1 if response.status_code == 500 else limits.HTTP_RETRIES + 1)

    async def _write(self, method: str, path: str = "", *, params: Params | None = None, body: Any = None) -> Any:
        """The JSON of an answer to an edit; a ``body`` of bytes is JSON already."""
        response = await self._respond(method, path, params=params, body=body, repeats=WRITING)
        return self._client.read_json(response, tries=1)

    async def _respond(
        self,
        method: str,
        path: str,
        *,
        repeats: Repeats,
        params: Params | None = None,
        body: Any = None,
        accept: str = JSON_TYPE,
    ) -> httpx.Response:
        client = await self._opened()
        request = client.json_request(method, path, params=params, body=body, accept=accept, repeats=repeats)
        return await client.respond(request)

    async def _object(self, method: str, path: str = "", **how: Any) -> Doc:
        """The JSON object that answers a read."""
        answer = await self._read(method, path, **how)
        if not isinstance(answer, dict):
            shown = f"{self.url}/{path}".rstrip("/")
            raise NotCouchDB("The answer is not what CouchDB sends.", f"{shown} answers {str(answer)[:100]!r}.")
        return answer

    async def _opened(self) -> Client:
        """The client, ready for requests. Raises DatabaseClosed."""
        if self._closed:
            raise DatabaseClosed(f"{self.url} is closed.", "Open it again.")
        if not self._entered:
            self._entered = True
            self._creating = anyio.Lock()
            await self._client.__aenter__()
        if self._to_create:
            assert self._creating is not None
            async with self._creating:
                if self._to_create:
                    await self._make_if_missing(self._client)
                    self._to_create = False
        return self._client

    async def _make_if_missing(self, client: Client) -> None:
        """Ask first: who may use a database need not be allowed to make one."""
        try:
            client.read_json(await client.respond(client.json_request("GET", repeats=READING)))
        except DatabaseNotFound:
            await self._make(client)

    async def _make(self, client: Client) -> None:
        try:
            await client.request("PUT")
        except DatabaseExists:
            return
