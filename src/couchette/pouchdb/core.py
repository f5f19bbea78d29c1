"""What an environment and a database are below their faces: one core for the synchronous and the asynchronous API.

An operation is a plain function ``operation(core, <arguments as in the API>, **options)`` that blocks and raises the
engine's errors. ``core.database`` is a facade with the methods of :class:`couchette.Database`: that class for a name, a
:class:`couchette.RemoteDatabase` for a URL. What is said here once holds for both APIs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from couchette import store
from couchette.errors import BadRequest, DatabaseClosed
from couchette.pouchdb.arguments import options as spelled
from couchette.pouchdb.folders import Folder
from couchette.pouchdb.names import checked, is_url

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.environment import Environment
    from couchette.pouchdb.authentication import LocalSession
    from couchette.remote.url import DatabaseUrl
    from couchette.remote_server import RemoteServer


class Running(Protocol):
    """Something that goes on by itself."""

    def cancel(self) -> None:
        """Have it end. Any thread may call this."""

    def join(self) -> None:
        """Wait until it has ended, for a short while at most."""


class EnvironmentCore:
    """A folder of databases and the servers that this environment talks to.

    Attributes:
        folder: the folder, which other environments may share.
        environment: its databases, under the names of their files.
        on_servers: the databases on servers that were used.
        running: what goes on by itself, and has to end before the program does.
        tell: called with an event, ``created`` or ``destroyed``, and the name of the database, from any thread.
    """

    def __init__(self, folder: Folder, tell: Callable[[str, str], object]) -> None:
        self.folder = folder
        self.environment: Environment = folder.environment
        self.tell = tell
        self.running: set[Running] = set()
        self.on_servers: WeakSet[DatabaseCore] = WeakSet()
        self._servers: dict[tuple[str, Any], RemoteServer] = {}
        self._lock = threading.Lock()
        folder.environments.add(self)

    @cached_property
    def session(self) -> LocalSession:
        """Who is logged in to the local databases of this environment."""
        from couchette.pouchdb.authentication import LocalSession

        return LocalSession(self.environment)

    @property
    def users(self) -> Database:
        """The database of the local users; made if it is not there."""
        return self.environment["_users"]

    def database(self, name: object, options: Mapping[str, Any] | None = None) -> DatabaseCore:
        """A database by its name or URL. It is opened when it is first used. Raises BadRequest for what is no name."""
        return DatabaseCore(self, checked(name), options or {})

    def names(self) -> list[str]:
        """The names of the local databases, in their order."""
        return self.folder.names()

    def destroy(self, name: object, options: Mapping[str, Any] | None = None) -> None:
        """Delete a database, if there is one, here or on its server."""
        self.database(name, options).destroy()

    def server(self, address: str, auth: Any) -> RemoteServer:
        """The server at an address: databases that the same user opens there share its connections and cookies."""
        from couchette.remote_server import RemoteServer

        with self._lock:
            server = self._servers.get((address, auth))
            if server is None:
                server = self._servers[address, auth] = RemoteServer(address, auth)
            return server

    def end(self) -> None:
        """End all that goes on, and hang up: the program is about to end."""
        running = [*self.running]
        for one in running:
            one.cancel()
        for one in running:
            one.join()
        self.close_servers()

    def forget_users(self) -> None:
        """Forget who is logged in, here and on servers: databases there are opened anew, with what they were given."""
        self.__dict__.pop("session", None)
        for core in tuple(self.on_servers):
            if not core.is_gone:
                core.__dict__.pop("database", None)
        self.close_servers()

    def close_servers(self) -> None:
        """Hang up."""
        with self._lock:
            servers, self._servers = [*self._servers.values()], {}
        for server in servers:
            server.close()


class DatabaseCore:
    """One database as one object of a program has it.

    Attributes:
        environment: where it belongs.
        name: the name or URL under which it was asked for.
        options: as given when it was made, in Python's spelling.
        is_remote: whether it is on a server.
    """

    def __init__(self, environment: EnvironmentCore, name: str, options: Mapping[str, Any]) -> None:
        self.environment = environment
        self.name = name
        self.options = spelled(options)
        self.is_remote = is_url(name)
        self.is_gone = False

    @cached_property
    def database(self) -> Any:
        """The facade: it is opened when it is first asked for, and made if it is not there."""
        if self.is_remote:
            self.environment.on_servers.add(self)
            return self._remote()
        self.environment.folder.databases.add(self)
        opened = self.environment.folder.open(self.name)
        if "auto_compaction" in self.options:
            opened._pool.write(store.write_auto_compaction, bool(self.options["auto_compaction"]))
        if "revs_limit" in self.options:
            opened.set_revs_limit(self.options["revs_limit"])
        return opened

    @property
    def server(self) -> RemoteServer:
        """The server of a database that is on one."""
        url = self._url
        given = self.options.get("auth")
        if isinstance(given, Mapping):
            if not {"username", "password"} <= given.keys():
                raise BadRequest("`auth` must have a username and a password.", f"It has {sorted(given)}.")
            given = (given["username"], given["password"])
        return self.environment.server(url.server, given or url.auth)

    @property
    def _url(self) -> DatabaseUrl:
        from couchette.remote.url import DatabaseUrl

        return DatabaseUrl.parse(self.name)

    def _remote(self) -> Any:
        name = self._url.name
        return self.server.database(name) if self.options.get("skip_setup") else self.server[name]

    def destroy(self) -> None:
        """Delete the database, here or on its server; nothing happens if a local one is not there."""
        if self.is_remote:
            self.database.destroy()
            self.gone("database is destroyed")
            self.environment.tell("destroyed", self.name)
        else:
            self.environment.folder.destroy(self.name)
            self.gone("database is destroyed")

    def close(self) -> None:
        """Have done with it: this object does nothing more. The file is closed when no other object has it open."""
        self.gone("database is closed")
        if not self.is_remote:
            self.environment.folder.release(self.name)

    def gone(self, why: str) -> None:
        """From now on every operation raises DatabaseClosed with this reason."""
        self.is_gone = True
        self.__dict__["database"] = _Gone(why)


class _Gone:
    """In the place of a facade that must not be used any more."""

    def __init__(self, why: str) -> None:
        self._why = why

    def _error(self) -> DatabaseClosed:
        return DatabaseClosed(self._why, "Make another object of it with `PouchDB(name)`.")

    def __getattr__(self, name: str) -> Any:
        raise self._error()

    # What an operator needs is looked for in the class.

    def __len__(self) -> int:
        raise self._error()

    def __iter__(self) -> Iterator[str]:
        raise self._error()

    def __setitem__(self, docId: str, doc: Any) -> None:
        raise self._error()

    def __delitem__(self, docId: str) -> None:
        raise self._error()
