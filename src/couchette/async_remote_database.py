"""A database on a server, for asynchronous programs: CouchDB's, ours, or one that is like them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, Self

import anyio

from couchette.access import TLS, Access, Auth
from couchette.errors import NotOnServer
from couchette.live import Listener
from couchette.remote.branches import RemoteBranches
from couchette.remote.calls import Doc
from couchette.remote.client import Client, Transport
from couchette.remote.feeds import RemoteFeeds, Wish
from couchette.remote.queries import RemoteQueries
from couchette.remote.upkeep import RemoteUpkeep
from couchette.remote.url import DatabaseUrl

_OF_A_FILE: Final = "It is about a file; use a Database."
_FUNCTIONS: Final = "A server runs functions of design documents; put it into one, or replicate into a Database."
_REPLICATE: Final = "It reads the file itself; replicate into a Database and ask that."

LEFT_OUT: Final[dict[str, str]] = {
    "transaction": "A server has no transactions: write together what belongs together, by bulk_docs.",
    "ack": "Keep the seq of the last change yourself, and give it as `since`.",
    "wait_changes": "Iterate over changes(live=True), with a timeout.",
    "sql": _REPLICATE,
    "gql": _REPLICATE,
    "live": "Iterate over changes(live=True, selector=...), or replicate live into a Database and ask that.",
    "design": "Call them as HTTP has it: request('GET', '_design/shop/_show/page/some-id').",
    "as_user": "Open the database with that user's credentials; the server judges by them.",
    "view": _FUNCTIONS,
    "text_index": _FUNCTIONS,
    "spatial_view": _FUNCTIONS,
    "search_analyze": "Ask the server: RemoteServer.search_analyze.",
    "verify": _OF_A_FILE,
    "dump": "Replicate into a Database and dump that.",
    "path": _OF_A_FILE,
}
"""What a Database has and a database on a server has not, and what to do instead."""


class AsyncRemoteDatabase(RemoteBranches, RemoteFeeds, RemoteQueries, RemoteUpkeep):
    """The database at a URL, with the methods of :class:`~couchette.AsyncDatabase`: same names, parameters and results.

    Nothing is asked before the first call. Connections are kept between calls, until :meth:`close` or the end of
    ``async with``. Every call gives up after ``timeout`` seconds of silence, 30 by default. A read is repeated when the
    line breaks; an edit is not, since it may have been made: Unreachable says so.

    What needs the file or runs Python functions is not there, and says what to do instead (:data:`LEFT_OUT`).
    """

    def __init__(
        self,
        url: str,
        auth: Auth | None = None,
        *,
        create: bool = False,
        tls: TLS | None = None,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        transport: Transport | None = None,
    ) -> None:
        """Name a database. Raises BadRequest for a malformed URL.

        Args:
            url: ``http[s]://[user:password@]host[:port]/[prefix/]database``.
            auth: who we are, where the URL does not say it: name and password, ``BasicAuth``, ``SessionAuth``,
                ``BearerAuth`` or any ``httpx.Auth``.
            create: make the database before the first call where it is not there.
            tls, proxy, headers, timeout: how the server is reached; see :class:`couchette.access.Access`.
            transport: in place of the network: any httpx transport.
        """
        access = Access(auth=auth, tls=tls, proxy=proxy, headers=headers, timeout=timeout)
        super().__init__(Client(DatabaseUrl.parse(url), access, transport=transport), create=create)

    @classmethod
    def _of(cls, client: Client, *, create: bool = False) -> Self:
        """The database at the client's URL, over its connections."""
        database = cls.__new__(cls)
        RemoteFeeds.__init__(database, client, create=create)
        return database

    @property
    def name(self) -> str:
        """The database's name."""
        return DatabaseUrl(self.url, None).name

    async def replicate_to(self, target: Any, **options: Any) -> Any:
        """Push to a URL, a path or a database; as :meth:`AsyncDatabase.replicate_to`.

        The documents pass through this program; :meth:`AsyncRemoteServer.replicate` has the server do it.
        """
        from couchette.endpoints import replicate_async

        return await replicate_async(self, target, **options)

    async def replicate_from(self, source: Any, **options: Any) -> Any:
        """Pull from a URL, a path or a database; otherwise as :meth:`replicate_to`."""
        from couchette.endpoints import replicate_async

        return await replicate_async(source, self, **options)

    async def sync(self, other: Any, **options: Any) -> Any:
        """Push, then pull; otherwise as :meth:`replicate_to`."""
        from couchette.endpoints import sync_async

        return await sync_async(self, other, **options)

    def _listen(self, wish: Wish, on_change: Callable[[Doc], Any], **where: Any) -> Listener:
        from couchette.remote_database import RemoteDatabase

        twin = RemoteDatabase._of(self._client.apart())
        return Listener(twin._feed(wish, on_end=twin.close, **where), on_change)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    def __getattr__(self, name: str) -> Any:
        raise left_out(self, name)

    def __repr__(self) -> str:
        return f"<couchette.{type(self).__name__} {self.url!r}{' closed' if self.closed else ''}>"


def left_out(database: object, name: str) -> AttributeError:
    """The error for a name that a remote database does not have."""
    if name in LEFT_OUT:
        return NotOnServer(f"A database on a server has no {name!r}.", LEFT_OUT[name])
    return AttributeError(f"{type(database).__name__!r} object has no attribute {name!r}")
