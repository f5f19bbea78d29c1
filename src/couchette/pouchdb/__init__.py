"""PouchDB's API in Python: the package ``pouchdb``, on couchette's engine.

>>> from couchette import pouchdb
>>> environment = pouchdb.setup()
>>> db = environment.PouchDB("example")
>>> db["my_example_doc"] = {"kind": "example"}
>>> db.get("my_example_doc").kind
'example'

An operation is one plain function below both APIs (``documents``, ``views``, ``upkeep`` and the plug-ins), over a core
that has a facade of the engine (``core``). ``databases`` declares the methods once, ``sync_database`` and
``async_database`` call them each in its own way; ``environments`` is what holds the databases. Promises and events
(``promise``, ``events``, ``live``, ``live_replication``) reach the program by its own event loop (``dispatching``,
``loops``). A database's logic is below.
"""

from __future__ import annotations

import os
from typing import Any, Literal, overload

from couchette.errors import StoreError
from couchette.pouchdb.async_database import AsyncPouchDB
from couchette.pouchdb.databases import AbstractPouchDB
from couchette.pouchdb.environments import POUCHDB_VERSION, AbstractEnvironment, AsyncEnvironment, SyncEnvironment
from couchette.pouchdb.errors import BaseError, EnvironmentError, PouchDBError
from couchette.pouchdb.events import EventEmitter, MaxListenersExceededWarning
from couchette.pouchdb.folders import folder_at
from couchette.pouchdb.live import Changes
from couchette.pouchdb.live_replication import Replication, Sync
from couchette.pouchdb.promise import Promise
from couchette.pouchdb.results import Result, Results
from couchette.pouchdb.sync_database import SyncPouchDB

__all__ = [
    "POUCHDB_VERSION",
    "AbstractEnvironment",
    "AbstractPouchDB",
    "AsyncEnvironment",
    "AsyncPouchDB",
    "BaseError",
    "Changes",
    "EnvironmentError",
    "EventEmitter",
    "MaxListenersExceededWarning",
    "PouchDBError",
    "Promise",
    "Replication",
    "Result",
    "Results",
    "Sync",
    "SyncEnvironment",
    "SyncPouchDB",
    "setup",
]

Folder = str | os.PathLike[str] | None


@overload
def setup(storageDir: Folder = None, async_: Literal[False] = False, baseUrl: str = "file:///") -> SyncEnvironment: ...
@overload
def setup(storageDir: Folder, async_: Literal[True], baseUrl: str = "file:///") -> AsyncEnvironment: ...
@overload
def setup(storageDir: Folder = None, *, async_: Literal[True], baseUrl: str = "file:///") -> AsyncEnvironment: ...
@overload
def setup(storageDir: Folder = None, async_: bool = False, baseUrl: str = "file:///", **others: Any) -> Any: ...
def setup(storageDir: Folder = None, async_: bool = False, baseUrl: str = "file:///", **others: Any) -> Any:
    """Set up an environment, which gives access to the rest: a SyncEnvironment, or with ``async_`` an AsyncEnvironment.

    Callbacks of the asynchronous API are called on the thread of the event loop that runs here, of asyncio, trio or a
    Qt application; or of the first of them that an operation is called in. A program without a loop calls
    ``environment.context.run_pending()``.

    Args:
        storageDir: the folder of the databases, which is made if it is not there. None makes a temporary one, which
            is removed when the program ends. There may be several, and several environments on one.
        async_: which API. It is ``async`` in the package's document, which is no name in Python any more; it may be
            given as ``**{"async": True}``.
        baseUrl: kept, and of no effect: no browser is there whose rules it would change.

    Raises:
        EnvironmentError: the folder cannot be used.
    """
    asynchronous = others.pop("async", async_)
    if others:
        raise TypeError(f"setup() got an unexpected keyword argument {next(iter(others))!r}")
    try:
        folder = folder_at(storageDir)
    except StoreError as exc:
        raise EnvironmentError(str(exc)) from exc
    if asynchronous:
        return AsyncEnvironment(folder, AsyncPouchDB, baseUrl)
    return SyncEnvironment(folder, SyncPouchDB, baseUrl)
