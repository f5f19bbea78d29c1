"""The asynchronous API's databases: methods that promise, and call back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from couchette.errors import CouchetteError
from couchette.pouchdb.arguments import snapshot
from couchette.pouchdb.databases import AbstractPouchDB
from couchette.pouchdb.dispatching import logger
from couchette.pouchdb.live import Changes
from couchette.pouchdb.live_replication import Replication, Sync, begun
from couchette.pouchdb.operations import Asynchronous, operation, with_methods
from couchette.pouchdb.promise import Promise


def _promising(declared: operation[Any, Any]) -> Callable[..., Any]:
    def method(self: AsyncPouchDB, *args: Any, **keywords: Any) -> Promise[Any]:
        args, callback = declared.callback(args, keywords)
        return self._promise(declared.function, callback, args, declared.options(keywords))

    return method


@with_methods(_promising, AbstractPouchDB)
class AsyncPouchDB(AbstractPouchDB, Asynchronous):
    """A database whose methods return promises at once, and call ``callback(error, result)`` if they are given one.

    The callback is the last positional argument or the keyword ``callback``. Operations on one database are done in the
    order in which they were called.
    """

    _face = "AsyncPouchDB"

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        self._context.submit(self._core.name, self._open)

    def changes(self, *args: Any, **options: Any) -> Changes:
        """See :meth:`AbstractPouchDB.changes`; an object with events, ``cancel()``, and a promise of how it ends."""
        callback = options.pop("callback", args[-1] if args else None)
        changes = Changes(self._context, self._core, options, callback)
        self._context.submit(self._core.name, changes.begin)
        return changes

    def replicateTo(self, remoteDB: Any, *args: Any, **options: Any) -> Replication:
        """Replicate to another database; see :meth:`AbstractEnvironment.replicate`."""
        return begun(Replication, self._context, self._core.environment, self, remoteDB, args, options)

    def replicateFrom(self, remoteDB: Any, *args: Any, **options: Any) -> Replication:
        """Replicate from another database; see :meth:`AbstractEnvironment.replicate`."""
        return begun(Replication, self._context, self._core.environment, remoteDB, self, args, options)

    def sync(self, remoteDB: Any, *args: Any, **options: Any) -> Sync:
        """Replicate to another database and from it; see :meth:`AbstractEnvironment.sync`."""
        return begun(Sync, self._context, self._core.environment, self, remoteDB, args, options)

    replicate_to = replicateTo
    replicate_from = replicateFrom

    def _open(self) -> None:
        """Have the database opened, or created, before anybody asks it for something."""
        try:
            self._core.database  # noqa: B018
        except CouchetteError as exc:
            # Each operation tries again, and its promise is rejected with this error.
            logger.debug("The database %s cannot be opened: %s", self._core.name, exc)

    def _promise(
        self, function: Callable[..., Any], callback: Callable[..., Any] | None, args: Any, options: Any
    ) -> Promise[Any]:
        core = self._core
        args, options = snapshot(args), snapshot(options)
        promise = self._context.promise(core.name, lambda: function(core, *args, **options))
        if callback is not None:
            promise._call_back(callback)
        return promise
