"""A server of databases as one object: its databases by name, who we are to it, and what it can be asked.

As in the other remote objects the asynchronous class does the work, and the synchronous one drives it. The databases
that it gives use its connections and its credentials, so logging in here is logging in for all of them.
"""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import anyio

from couchette.access import TLS, Access, Auth, SessionAuth
from couchette.async_remote_database import AsyncRemoteDatabase
from couchette.errors import DatabaseExists, DatabaseNotFound, IllegalDatabaseName
from couchette.portal import Share
from couchette.remote.calls import Doc, RemoteCalls
from couchette.remote.client import Client, Transport
from couchette.remote.url import DatabaseUrl, quote_segment
from couchette.remote_database import RemoteDatabase
from couchette.wire.names import check_database_name
from couchette.wire.requests import text_of

P = ParamSpec("P")
T = TypeVar("T")


class AsyncRemoteServer(RemoteCalls):
    """The server at a URL: CouchDB, ours, or one that is like them.

    Nothing is asked before the first call. Connections are kept until :meth:`close`, or the end of ``async with``; the
    databases that it gave are closed with it.
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
        transport: Transport | None = None,
    ) -> None:
        """Name a server, ``http[s]://[user:password@]host[:port][/prefix]``; see :class:`AsyncRemoteDatabase`."""
        access = Access(auth=auth, tls=tls, proxy=proxy, headers=headers, timeout=timeout)
        super().__init__(Client(DatabaseUrl.parse_server(url), access, transport=transport))
        self._databases: dict[str, AsyncRemoteDatabase] = {}

    # -- Its databases --------------------------------------------------------------------------------

    def database(self, name: str) -> AsyncRemoteDatabase:
        """A database by its name, without asking whether it is there. Raises IllegalDatabaseName."""
        known = self._databases.get(name)
        if known is None or known.closed:
            known = self._databases[name] = AsyncRemoteDatabase._of(self._client_of(name))
        return known

    async def open(self, name: str) -> AsyncRemoteDatabase:
        """An existing database. Raises DatabaseNotFound."""
        await self._require(name)
        return self.database(name)

    async def create(self, name: str, *, partitioned: bool = False) -> AsyncRemoteDatabase:
        """A new database, as :meth:`Environment.create` makes it. Raises DatabaseExists, IllegalDatabaseName."""
        await self._write("PUT", _path(name), params={"partitioned": True} if partitioned else None)
        return self.database(name)

    async def destroy(self, name: str) -> None:
        """Delete a database. Raises DatabaseNotFound."""
        await self._write("DELETE", _path(name))
        known = self._databases.pop(name, None)
        if known is not None:
            await known.close()

    async def all_dbs(self) -> list[str]:
        """The names of the databases, in order; CouchDB tells its administrators only."""
        names: list[str] = await self._read("GET", "_all_dbs")
        return names

    def _client_of(self, name: str) -> Client:
        return self._client.at(f"{self.url}/{_path(name)}")

    async def _require(self, name: str) -> None:
        """Raise DatabaseNotFound unless there is such a database."""
        await self._object("GET", _path(name))

    async def _ensure(self, name: str) -> None:
        """Make a database unless it is there. Who may use it need not be allowed to make it, so that is asked first."""
        try:
            await self._require(name)
        except DatabaseNotFound:
            try:
                await self._write("PUT", _path(name))
            except DatabaseExists:
                return

    # -- Who we are -----------------------------------------------------------------------------------

    async def session(self) -> Doc:
        """Who the server takes us for: ``{"ok", "userCtx": {"name", "roles"}, "info"}``; name None is nobody."""
        return await self._object("GET", "_session")

    async def log_in(self, name: str, password: str) -> Doc:
        """Begin a session as this user, here and in the databases of this object; return ``{"ok", "name", "roles"}``.

        The cookie is renewed before it expires. Raises Unauthorized, after which everything is as before.
        """
        answer: Doc = await (await self._opened()).log_in(SessionAuth(name, password))
        return answer

    async def log_out(self) -> Doc:
        """End the session: nothing is sent in anybody's name any more. Return ``{"ok"}``."""
        answer: Doc = await (await self._opened()).log_out()
        return answer

    async def sign_up(self, /, name: str, password: str, roles: Sequence[str] = (), **metadata: Any) -> Doc:
        """Make a user, with further members of its document; return ``{"ok", "id", "rev"}``.

        Raises Conflict where there is such a user. Roles are an administrator's to give: Forbidden.
        """
        doc = {**metadata, "name": name, "password": password, "roles": list(roles), "type": "user"}
        written: Doc = await self._write("PUT", _user_path(name), body=doc)
        return written

    async def get_user(self, name: str) -> Doc:
        """A user's document, which it and administrators may see. Raises NotFound."""
        return await self._object("GET", _user_path(name))

    # -- What it can be asked -------------------------------------------------------------------------

    async def info(self) -> Doc:
        """Who answers: ``{"couchdb": "Welcome", "version", "uuid", "vendor", ...}``."""
        return await self._object("GET")

    async def uuids(self, count: int = 1) -> list[str]:
        """New ids, made by the server."""
        ids: list[str] = (await self._object("GET", "_uuids", params={"count": text_of(count)}))["uuids"]
        return ids

    async def active_tasks(self) -> list[Doc]:
        """What the server is doing: compactions, indexing, replications."""
        tasks: list[Doc] = await self._read("GET", "_active_tasks")
        return tasks

    async def replicate(
        self, /, source: str | Mapping[str, Any], target: str | Mapping[str, Any], **options: Any
    ) -> Doc:
        """Have the server replicate; return its answer when it is done, or at once with ``continuous=True``.

        Args:
            source, target: names of its databases, URLs, or ``{"url", "auth", "headers"}``.
            options: members of the request, such as ``continuous``, ``create_target``, ``doc_ids``, ``selector``,
                ``filter``, ``query_params``; and ``cancel=True`` to end one.
        """
        answer: Doc = await self._write("POST", "_replicate", body={"source": source, "target": target, **options})
        return answer

    async def search_analyze(self, analyzer: str | Mapping[str, Any], text: str) -> Doc:
        """The terms that an analyzer makes of a text: ``{"tokens": [...]}``."""
        return await self._object("POST", "_search_analyze", body={"analyzer": analyzer, "text": text})

    async def close(self) -> None:
        """Close the databases that it gave, and the connections. Calling it again does nothing."""
        for database in self._databases.values():
            await database.close()
        await super().close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    def __repr__(self) -> str:
        return f"<couchette.AsyncRemoteServer {self.url!r}{' closed' if self.closed else ''}>"


def _driven(
    method: Callable[Concatenate[AsyncRemoteServer, P], Awaitable[T]],
) -> Callable[Concatenate[RemoteServer, P], T]:
    """A method of the asynchronous class, for callers that wait."""

    @wraps(method)
    def call(self: RemoteServer, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._share.run(method, self._remote, *args, **kwargs)

    return call


class RemoteServer(Mapping[str, RemoteDatabase]):
    """The server at a URL, as a mapping of names to its databases, like :class:`~couchette.Environment`.

    ``server["notes"]`` makes the database if it is not there; as long as it is open it is the same object. ``in``,
    ``len`` and iteration tell of those that exist. Each call blocks; one object may be used from many threads.

    >>> with RemoteServer("http://localhost:5984", ("ada", "secret")) as server:
    ...     server["notes"]["first"] = {"text": "hello"}
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
        transport: Transport | None = None,
    ) -> None:
        """Name a server; see :class:`AsyncRemoteServer`."""
        self._lock = threading.Lock()
        self._databases: dict[str, RemoteDatabase] = {}
        self._remote = AsyncRemoteServer(
            url, auth, tls=tls, proxy=proxy, headers=headers, timeout=timeout, transport=transport
        )
        self._share = Share(self._remote.close)

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self._remote.url

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._remote.closed

    all_dbs = _driven(AsyncRemoteServer.all_dbs)
    session = _driven(AsyncRemoteServer.session)
    log_in = _driven(AsyncRemoteServer.log_in)
    log_out = _driven(AsyncRemoteServer.log_out)
    sign_up = _driven(AsyncRemoteServer.sign_up)
    get_user = _driven(AsyncRemoteServer.get_user)
    info = _driven(AsyncRemoteServer.info)
    uuids = _driven(AsyncRemoteServer.uuids)
    active_tasks = _driven(AsyncRemoteServer.active_tasks)
    replicate = _driven(AsyncRemoteServer.replicate)
    search_analyze = _driven(AsyncRemoteServer.search_analyze)
    request = _driven(AsyncRemoteServer.request)

    def database(self, name: str) -> RemoteDatabase:
        """A database by its name, without asking whether it is there. Raises IllegalDatabaseName."""
        with self._lock:
            known = self._databases.get(name)
            if known is None or known.closed:
                known = self._databases[name] = RemoteDatabase._of(self._remote._client_of(name))
            return known

    def open(self, name: str) -> RemoteDatabase:
        """An existing database. Raises DatabaseNotFound."""
        self._share.run(self._remote._require, name)
        return self.database(name)

    def create(self, name: str, *, partitioned: bool = False) -> RemoteDatabase:
        """A new database, as :meth:`Environment.create` makes it. Raises DatabaseExists, IllegalDatabaseName."""
        self._share.run(self._remote.create, name, partitioned=partitioned)
        return self.database(name)

    def destroy(self, name: str) -> None:
        """Delete a database. Raises DatabaseNotFound."""
        self._share.run(self._remote.destroy, name)
        with self._lock:
            known = self._databases.pop(name, None)
        if known is not None:
            known.close()

    def close(self) -> None:
        """Close the databases that it gave, and the connections. Calling it again does nothing."""
        with self._lock:
            databases = list(self._databases.values())
            self._databases.clear()
        for database in databases:
            database.close()
        if not self._remote.closed:
            self._share.run(self._remote.close)
            self._share.release()

    def __getitem__(self, name: str) -> RemoteDatabase:
        """A database, which is made if it is not there. Raises IllegalDatabaseName."""
        with self._lock:
            known = self._databases.get(name)
        if known is not None and not known.closed:
            return known
        self._share.run(self._remote._ensure, name)
        return self.database(name)

    def __delitem__(self, name: str) -> None:
        self.destroy(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        try:
            self._share.run(self._remote._require, name)
        except (DatabaseNotFound, IllegalDatabaseName):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        return iter(self.all_dbs())

    def __len__(self) -> int:
        return len(self.all_dbs())

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<couchette.RemoteServer {self.url!r}{' closed' if self.closed else ''}>"


def _path(name: str) -> str:
    return quote_segment(check_database_name(name))


def _user_path(name: str) -> str:
    return f"_users/{quote_segment(f'org.couchdb.user:{name}')}"
