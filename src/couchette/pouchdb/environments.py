"""The environments of both APIs: where databases are made, found, replicated and destroyed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, KeysView, Mapping
from typing import Any, ClassVar, Final, Generic, Literal, TypeVar, overload

from couchette.errors import CouchetteError
from couchette.pouchdb.async_database import AsyncPouchDB
from couchette.pouchdb.context import Context
from couchette.pouchdb.core import EnvironmentCore
from couchette.pouchdb.databases import AbstractPouchDB
from couchette.pouchdb.errors import from_couchette
from couchette.pouchdb.events import EventEmitter, Listener
from couchette.pouchdb.folders import Folder
from couchette.pouchdb.live_replication import Replication, Sync, begun, replicate, sync
from couchette.pouchdb.promise import Promise
from couchette.pouchdb.results import Result, Results
from couchette.pouchdb.sync_database import SyncPouchDB

POUCHDB_VERSION: Final = "9.0.0"
"""The version of PouchDB whose semantics, results and events these are."""

DB = TypeVar("DB", bound=AbstractPouchDB)


class AbstractEnvironment(EventEmitter, Generic[DB]):
    """A folder of databases: what its methods do in both APIs.

    It is an event emitter: ``created`` with the name of a database that was created, ``destroyed`` and ``destroy`` with
    the name of one that was destroyed, also by another environment of this process on the same folder.

    Never make one yourself: :func:`setup` does.
    """

    _api: ClassVar[str]
    POUCHDB_VERSION: Final = POUCHDB_VERSION

    def __init__(self, folder: Folder, kind: type[DB], baseUrl: str) -> None:
        super().__init__()
        self._core = EnvironmentCore(folder, self._tell)
        self._context = Context(self._core, self._api)
        self.baseUrl = baseUrl
        self.PouchDB: type[DB] = type(
            "PouchDB",
            (kind,),
            {
                "__module__": __name__,
                "__doc__": kind.__doc__,
                "_environment_core": self._core,
                "_context": self._context,
                "version": POUCHDB_VERSION,
            },
        )
        """The class that makes the databases of this environment: ``PouchDB(name, **options)``."""

    @property
    def context(self) -> Context:
        """The internals; only useful for debugging, and to call callbacks in a program without an event loop."""
        return self._context

    def __getitem__(self, dbName: str) -> DB:
        """The same as ``PouchDB(dbName)``."""
        return self.PouchDB(dbName)

    @abstractmethod
    def allDbs(self, *args: Any) -> Any:
        """A list of the names of all local databases."""

    @abstractmethod
    def resetAllDbs(self, *args: Any) -> Any:
        """Forget the list of all databases, which is none here: the folder is the list. So nothing happens."""

    @abstractmethod
    def destroy(self, name_: Any = None, *args: Any, **options: Any) -> Any:
        """Destroy a database without making an object of it first; nothing comes of one that is not there.

        The name may be the option ``name`` too. Without one it is an error.
        """

    @abstractmethod
    def replicate(self, source: Any, target: Any, *args: Any, **options: Any) -> Any:
        """Replicate from source to target, each a name, a URL, or a database object.

        The result is ``{"ok", "docs_read", "docs_written", "doc_write_failures", "errors", "last_seq", "start_time",
        "end_time", "status"}``. With ``live`` or ``continuous`` it goes on until ``cancel()`` of what this returns.

        Options: ``filter`` (``"design/name"`` or a Python function), ``query_params``, ``doc_ids``, ``selector``,
        ``view``, ``since``, ``style``, ``batch_size``, ``checkpoint``, ``onChange``, ``complete``, and of a live one
        ``retry``.
        """

    @abstractmethod
    def sync(self, source: Any, target: Any, *args: Any, **options: Any) -> Any:
        """Replicate from source to target, and from target to source; the result is ``{"push", "pull"}``.

        Options are those of :meth:`replicate`; ``push`` and ``pull`` may have some of their own.
        """

    all_dbs = allDbs
    reset_all_dbs = resetAllDbs

    def _tell(self, event: str, name: str) -> None:
        """Emit an event of a database, from whatever thread it comes."""
        for shown in (event, "destroy") if event == "destroyed" else (event,):
            self._dispatch(shown, name)

    @abstractmethod
    def _dispatch(self, event: str, name: str) -> None:
        """Emit an event in the way of the API."""

    def _call_listeners(self, event: str, name: str) -> None:
        for listener in self._taken(event):
            self._context.dispatcher.call_safely(listener, name)

    def _invoke(self, listener: Listener, *args: Any) -> None:
        self._context.dispatcher.call(listener, *args)

    def __repr__(self) -> str:
        kind = next(one for one in type(self).__mro__ if one.__module__ == __name__)
        return f"<pouchdb.{kind.__name__} object at {id(self):#x}>"


class Names(KeysView[str]):
    """The names of an environment's databases, which are shown as a list of them."""

    def __repr__(self) -> str:
        return repr([*self])


class SyncEnvironment(AbstractEnvironment[SyncPouchDB], Mapping[str, SyncPouchDB]):
    """An environment whose methods block; it is a mapping of names to databases too.

    ``in``, ``len`` and iteration tell of the databases that there are; ``environment[name]`` creates one that is not.
    """

    _api = "synchronous"

    def __delitem__(self, dbName: str) -> None:
        """The same as ``destroy(dbName)``."""
        self.destroy(dbName)

    def __iter__(self) -> Iterator[str]:
        return iter(self._core.names())

    def __len__(self) -> int:
        return len(self._core.names())

    def __contains__(self, dbName: object) -> bool:
        return dbName in self._core.names()

    def keys(self) -> KeysView[str]:
        """The names of the databases that there are."""
        return Names(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def allDbs(self) -> Results:
        """See :meth:`AbstractEnvironment.allDbs`."""
        return Results(self._core.names())

    def resetAllDbs(self) -> None:
        """See :meth:`AbstractEnvironment.resetAllDbs`."""

    def destroy(self, name_: str | None = None, **options: Any) -> None:
        """See :meth:`AbstractEnvironment.destroy`. Raises PouchDBError where there is no name."""
        try:
            self._core.destroy(name_ if name_ is not None else options.get("name"), options)
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    @overload
    def replicate(self, source: Any, target: Any, *, live: Literal[True], **options: Any) -> Replication: ...
    @overload
    def replicate(self, source: Any, target: Any, *, continuous: Literal[True], **options: Any) -> Replication: ...
    @overload
    def replicate(self, source: Any, target: Any, **options: Any) -> Result: ...
    def replicate(self, source: Any, target: Any, **options: Any) -> Any:
        """See :meth:`AbstractEnvironment.replicate`; with ``live`` it returns a :class:`Replication` at once."""
        return replicate(self._context, self._core, source, target, options)

    @overload
    def sync(self, source: Any, target: Any, *, live: Literal[True], **options: Any) -> Sync: ...
    @overload
    def sync(self, source: Any, target: Any, *, continuous: Literal[True], **options: Any) -> Sync: ...
    @overload
    def sync(self, source: Any, target: Any, **options: Any) -> Result: ...
    def sync(self, source: Any, target: Any, **options: Any) -> Any:
        """See :meth:`AbstractEnvironment.sync`; with ``live`` it returns a :class:`Sync` at once."""
        return sync(self._context, self._core, source, target, options)

    def _dispatch(self, event: str, name: str) -> None:
        self._call_listeners(event, name)

    all_dbs = allDbs
    reset_all_dbs = resetAllDbs


class AsyncEnvironment(AbstractEnvironment[AsyncPouchDB]):
    """An environment whose methods return promises, and call ``callback(error, result)`` if they are given one."""

    _api = "asynchronous"

    def allDbs(self, callback: Listener | None = None) -> Promise[Results]:
        """See :meth:`AbstractEnvironment.allDbs`."""
        return self._promise("", self._core.names, callback)

    def resetAllDbs(self, callback: Listener | None = None) -> Promise[None]:
        """See :meth:`AbstractEnvironment.resetAllDbs`."""
        return self._promise("", lambda: None, callback)

    def destroy(self, name_: Any = None, *args: Any, **options: Any) -> Promise[None]:
        """See :meth:`AbstractEnvironment.destroy`; it waits for what was asked of the database before."""
        if callable(name_):
            name_, args = None, (name_, *args)
        callback = options.pop("callback", args[-1] if args else None)
        name = name_ if name_ is not None else options.get("name")
        return self._promise(str(name), lambda: self._core.destroy(name, options), callback)

    def replicate(self, source: Any, target: Any, *args: Any, **options: Any) -> Replication:
        """See :meth:`AbstractEnvironment.replicate`; an object with events, ``cancel()``, a promise of the result."""
        return begun(Replication, self._context, self._core, source, target, args, options)

    def sync(self, source: Any, target: Any, *args: Any, **options: Any) -> Sync:
        """See :meth:`AbstractEnvironment.sync`; an object with events, ``cancel()``, and a promise of the result."""
        return begun(Sync, self._context, self._core, source, target, args, options)

    def _promise(self, key: str, job: Callable[[], Any], callback: Listener | None) -> Promise[Any]:
        promise = self._context.promise(key, job)
        if callback is not None:
            promise._call_back(callback)
        return promise

    def _dispatch(self, event: str, name: str) -> None:
        self._context.dispatcher.post(self._call_listeners, event, name)

    all_dbs = allDbs
    reset_all_dbs = resetAllDbs
