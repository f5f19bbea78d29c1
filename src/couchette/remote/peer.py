"""A database behind a URL as one side of a replication.

It asks for what CouchDB's own replicator asks, and gets along with the servers that exist: how documents are fetched
is told in :mod:`couchette.remote.fetching`, how they are written in :mod:`couchette.remote.writing`, how a feed stays
open in :mod:`couchette.remote.live`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any

import httpx

from couchette import limits
from couchette.access import TLS, Access, Auth
from couchette.errors import (
    DatabaseExists,
    NotCouchDB,
    NotFound,
)
from couchette.remote.client import Client
from couchette.remote.fetching import Fetcher
from couchette.remote.inclusion import read_with_docs
from couchette.remote.live import LiveFeed
from couchette.remote.url import DatabaseUrl, doc_path
from couchette.remote.writing import Writer
from couchette.wire.checkpoint import Seq
from couchette.wire.selection import EVERYTHING, Selection
from couchette.wire.transfer import (
    ChangesPage,
    Document,
    Fetched,
    PeerInfo,
    Refusal,
    UnreadChanges,
    Wanted,
    read_changes,
    read_revs_diff,
)


class RemotePeer:
    """The database at ``url``; ``auth`` takes the place of credentials in the URL. For the others see :class:`Access`.

    An asynchronous context manager, which may be entered again inside itself. It raises the errors of
    our tree: Unreachable, NotCouchDB, Unauthorized, Forbidden, DatabaseNotFound, RemoteError.
    """

    def __init__(
        self,
        url: str,
        auth: Auth | None = None,
        *,
        tls: TLS | None = None,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        access = Access(auth=auth, tls=tls, proxy=proxy, headers=headers, timeout=timeout)
        self._use(Client(DatabaseUrl.parse(url), access, transport=transport))

    @classmethod
    def of(cls, client: Client) -> RemotePeer:
        """The database at the URL of a client, by that client."""
        peer = cls.__new__(cls)
        peer._use(client)
        return peer

    def _use(self, client: Client) -> None:
        self.label = client.url
        self._client = client
        self._live = LiveFeed(self._client)
        self._fetcher = Fetcher(self._client)
        self._writer = Writer(self._client)

    def __repr__(self) -> str:
        return f"<RemotePeer {self.label}>"

    async def __aenter__(self) -> RemotePeer:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, value, traceback)

    # -- The database ---------------------------------------------------------------------------------

    async def create(self, params: Mapping[str, Any] | None = None) -> None:
        """Create the database unless it exists; ``params`` are those of the request, such as ``partitioned``."""
        try:
            await self._client.request("PUT", params=params)
        except DatabaseExists:
            return

    async def info(self) -> PeerInfo:
        """Ask whether the URL is a database that we may read."""
        answer = await self._client.request("GET")
        if not isinstance(answer, dict) or "db_name" not in answer:
            raise NotCouchDB(
                "The URL does not answer as a CouchDB database.",
                f"{self.label} answers {str(answer)[:100]!r}; the URL must end with the database's name.",
            )
        empty = answer.get("doc_count") == 0 and answer.get("doc_del_count") == 0
        start_time = str(answer.get("instance_start_time", "0"))
        return PeerInfo(self.label, start_time, empty=empty, update_seq=answer.get("update_seq", 0))

    async def commit(self) -> str:
        """Have everything written so far made durable; return the database's ``instance_start_time``."""
        answer = await self._client.request("POST", "_ensure_full_commit")
        return str(answer.get("instance_start_time", "0")) if isinstance(answer, dict) else "0"

    async def get_checkpoint(self, doc_id: str) -> Document | None:
        """The ``_local`` document, or None."""
        try:
            answer = await self._client.request("GET", doc_path(doc_id))
        except NotFound:
            return None
        return answer if isinstance(answer, dict) else None

    async def put_checkpoint(self, doc: Document) -> str:
        """Store the ``_local`` document and return its new rev; Conflict where the server checks revs."""
        answer = await self._client.request("PUT", doc_path(doc["_id"]), body=doc)
        if not isinstance(answer, dict) or not isinstance(answer.get("rev"), str):
            raise NotCouchDB("The answer to a _local document is not what CouchDB sends.", f"From {self.label}.")
        rev: str = answer["rev"]
        return rev

    # -- As a source ----------------------------------------------------------------------------------

    async def changes(self, since: Seq, limit: int, selection: Selection = EVERYTHING) -> ChangesPage | UnreadChanges:
        """The next page of the changes that the server selects."""
        if selection.with_docs and (page := await read_with_docs(self._client, since, limit, selection)) is not None:
            return page
        params = {**selection.parameters(), "since": since, "limit": limit}
        if selection.filtered:
            # A filter may look at many documents before one passes; newlines meanwhile show that it works.
            params["heartbeat"] = int(limits.FEED_HEARTBEAT_S * 1000)
        body = selection.body()
        method = "GET" if body is None else "POST"
        return read_changes(await self._client.request(method, "_changes", params=params, body=body))

    async def live_changes(
        self, since: Seq, limit: int, selection: Selection = EVERYTHING
    ) -> AsyncGenerator[ChangesPage, None]:
        """Pages of changes as they happen, for ever; see :meth:`LiveFeed.pages`."""
        async with aclosing(self._live.pages(since, limit, selection)) as pages:
            async for page in pages:
                yield page

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """Fetch these revisions, or the leaves that followed them; see :meth:`Fetcher.fetch`."""
        async with aclosing(self._fetcher.fetch(wanted)) as portions:
            async for portion in portions:
                yield portion

    # -- As a target ----------------------------------------------------------------------------------

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> list[Wanted]:
        """Which of these revisions the database lacks, with its leaves that may be their ancestors."""
        return read_revs_diff(await self._client.request("POST", "_revs_diff", body=revs))

    async def write(self, docs: Sequence[Document]) -> list[Refusal]:
        """Store the documents under their own revisions; return those refused. See :meth:`Writer.write`."""
        return await self._writer.write(docs)
