"""The synchronous API's databases: methods that block, and the mapping of ids to documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Any, Literal, overload

from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.pouchdb import documents
from couchette.pouchdb.databases import AbstractPouchDB
from couchette.pouchdb.errors import PouchDBError, from_couchette
from couchette.pouchdb.live import Changes, page_with_callbacks
from couchette.pouchdb.live_replication import Replication, Sync, replicate, sync
from couchette.pouchdb.operations import Synchronous, operation, with_methods
from couchette.pouchdb.results import Result, wrapped


def _blocking(declared: operation[Any, Any]) -> Callable[..., Any]:
    function, options = declared.function, declared.options

    def method(self: SyncPouchDB, *args: Any, **keywords: Any) -> Any:
        try:
            result = function(self._core, *args, **(options(keywords) if keywords else keywords))
        except CouchetteError as exc:
            raise from_couchette(exc) from exc
        return wrapped(result)

    return method


@with_methods(_blocking, AbstractPouchDB)
class SyncPouchDB(AbstractPouchDB, MutableMapping[str, Any], Synchronous):  # type: ignore[misc]
    """A database whose methods block and return their results; it is a mapping of ids to documents too."""

    _face = "SyncPouchDB"

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        if self._core.is_remote:
            return  # It is created, if need be, when it is first used: as PouchDB does, and nobody has to be there yet.
        try:
            self._core.database  # noqa: B018 - it is opened, or created, now
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    # -- The mapping ------------------------------------------------------------------------------

    def __getitem__(self, docId: str) -> Any:
        """The document. An error 404 is a KeyError with the error's text; others are PouchDBErrors."""
        return self._item(documents.get, docId)

    def __setitem__(self, docId: str, doc: Any) -> None:
        """Save a document, without a ``_rev`` over the current revision; ``doc`` gets its ``_id`` and ``_rev``."""
        saved = self._item(documents.save, docId, doc)
        if isinstance(doc, MutableMapping):
            doc["_id"], doc["_rev"] = saved["_id"], saved["_rev"]

    def __delitem__(self, docId: str) -> None:
        """Delete the document's current revision. An error 404 is a KeyError with the error's text."""
        self._item(documents.remove_current, docId)

    def __contains__(self, docId: object) -> bool:
        try:
            self[docId]  # type: ignore[index]
        except KeyError:
            return False
        except PouchDBError as exc:
            if exc["status"] == BadRequest.default_status:  # No document can have such an id.
                return False
            raise
        return True

    def __iter__(self) -> Iterator[str]:
        """The ids, in order; those of deleted documents are not among them."""
        try:
            yield from self._core.database
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    def __len__(self) -> int:
        """How many documents there are."""
        try:
            return len(self._core.database)
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

    def get_(self, *args: Any, **kwargs: Any) -> Any:
        """The document, or the default: ``get`` of a mapping, whose own name is PouchDB's here."""
        return MutableMapping.get(self, *args, **kwargs)

    def update(self, *args: Any, **options: Any) -> Any:
        """Call an update function, as a request to ``_update`` does in CouchDB: ``db.update("design/name/id", ...)``.

        With a mapping, or pairs, it is a mapping's ``update`` instead, and saves these documents.
        """
        if args and isinstance(args[0], str):
            return self._update(*args, **options)
        return MutableMapping.update(self, *args, **options)

    def _item(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return wrapped(function(self._core, *args))
        except NotFound as exc:
            raise KeyError(str(from_couchette(exc))) from exc
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    # -- What may go on ---------------------------------------------------------------------------

    @overload
    def changes(self, *, live: Literal[True], **options: Any) -> Changes: ...
    @overload
    def changes(self, *, continuous: Literal[True], **options: Any) -> Changes: ...
    @overload
    def changes(self, **options: Any) -> Result: ...
    def changes(self, **options: Any) -> Any:
        """See :meth:`AbstractPouchDB.changes`; the result is ``{"results", "last_seq"}``.

        With ``live`` or ``continuous`` it returns a :class:`Changes` at once: an object with events and ``cancel()``,
        whose functions are called as those of the asynchronous API.
        """
        if options.get("live") or options.get("continuous"):
            changes = Changes(self._context, self._core, options)
            changes.begin()
            return changes
        try:
            return page_with_callbacks(self._context, self._core, options)
        except CouchetteError as exc:
            raise from_couchette(exc) from exc

    @overload
    def replicateTo(self, remoteDB: Any, *, live: Literal[True], **options: Any) -> Replication: ...
    @overload
    def replicateTo(self, remoteDB: Any, *, continuous: Literal[True], **options: Any) -> Replication: ...
    @overload
    def replicateTo(self, remoteDB: Any, **options: Any) -> Result: ...
    def replicateTo(self, remoteDB: Any, **options: Any) -> Any:
        """Replicate to another database; see :meth:`AbstractEnvironment.replicate`."""
        return replicate(self._context, self._core.environment, self, remoteDB, options)

    @overload
    def replicateFrom(self, remoteDB: Any, *, live: Literal[True], **options: Any) -> Replication: ...
    @overload
    def replicateFrom(self, remoteDB: Any, *, continuous: Literal[True], **options: Any) -> Replication: ...
    @overload
    def replicateFrom(self, remoteDB: Any, **options: Any) -> Result: ...
    def replicateFrom(self, remoteDB: Any, **options: Any) -> Any:
        """Replicate from another database; see :meth:`AbstractEnvironment.replicate`."""
        return replicate(self._context, self._core.environment, remoteDB, self, options)

    @overload
    def sync(self, remoteDB: Any, *, live: Literal[True], **options: Any) -> Sync: ...
    @overload
    def sync(self, remoteDB: Any, *, continuous: Literal[True], **options: Any) -> Sync: ...
    @overload
    def sync(self, remoteDB: Any, **options: Any) -> Result: ...
    def sync(self, remoteDB: Any, **options: Any) -> Any:
        """Replicate to another database and from it; see :meth:`AbstractEnvironment.sync`."""
        return sync(self._context, self._core.environment, self, remoteDB, options)

    replicate_to = replicateTo
    replicate_from = replicateFrom
