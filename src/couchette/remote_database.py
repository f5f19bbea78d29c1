"""A database on a server, for synchronous programs.

Every method is that of :class:`~couchette.AsyncRemoteDatabase`, run on the event loop that all synchronous remote
objects share (:mod:`couchette.portal`): its logic is there, and so are its signature and its description.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from couchette.access import TLS, Auth
from couchette.async_remote_database import AsyncRemoteDatabase, left_out
from couchette.attachment_file import AttachmentFile
from couchette.errors import BadRequest, DatabaseClosed, NotFound
from couchette.limits import ITERATED_PAGE_DOCS
from couchette.live import Listener
from couchette.portal import Share
from couchette.remote.client import Client, Transport
from couchette.remote.feeds import Wish
from couchette.remote.waiting import AsyncRemoteFeed

P = ParamSpec("P")
T = TypeVar("T")
Doc = dict[str, Any]


def _driven(
    method: Callable[Concatenate[AsyncRemoteDatabase, P], Awaitable[T]],
) -> Callable[Concatenate[RemoteDatabase, P], T]:
    """A method of the asynchronous class, for callers that wait."""

    @wraps(method)
    def call(self: RemoteDatabase, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._share.run(method, self._remote, *args, **kwargs)

    return call


def _with_signature_of(
    method: Callable[Concatenate[AsyncRemoteDatabase, P], Any],
) -> Callable[[Callable[..., T]], Callable[Concatenate[RemoteDatabase, P], T]]:
    """For a method that takes the same arguments and passes them on."""

    def decorate(function: Callable[..., T]) -> Callable[Concatenate[RemoteDatabase, P], T]:
        return wraps(method)(function)

    return decorate


class RemoteDatabase(MutableMapping[str, Doc]):
    """The database at a URL, with the methods of :class:`~couchette.Database`: same names, parameters and results.

    A mapping of ids to documents, too. Nothing is asked before the first call. Each call blocks; one that is
    interrupted is cancelled. One object may be used from many threads. Connections are kept between calls, until
    :meth:`close` or the end of a ``with`` block. Otherwise as :class:`AsyncRemoteDatabase`.

    >>> with RemoteDatabase("http://localhost:5984/pets", ("ada", "secret"), create=True) as pets:
    ...     pets["mittens"] = {"kind": "cat"}
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
        """Name a database; see :class:`AsyncRemoteDatabase` for the arguments."""
        self._remote = AsyncRemoteDatabase(
            url, auth, create=create, tls=tls, proxy=proxy, headers=headers, timeout=timeout, transport=transport
        )
        self._share = Share(self._remote.close)

    @classmethod
    def _of(cls, client: Client, *, create: bool = False) -> Self:
        """The database at the client's URL, over its connections."""
        database = cls.__new__(cls)
        database._remote = AsyncRemoteDatabase._of(client, create=create)
        database._share = Share(database._remote.close)
        return database

    @property
    def name(self) -> str:
        """The database's name."""
        return self._remote.name

    @property
    def url(self) -> str:
        """Its address, without credentials."""
        return self._remote.url

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._remote.closed

    @property
    def _client(self) -> Client:
        return self._remote._client

    put = _driven(AsyncRemoteDatabase.put)
    post = _driven(AsyncRemoteDatabase.post)
    remove = _driven(AsyncRemoteDatabase.remove)
    copy = _driven(AsyncRemoteDatabase.copy)
    history = _driven(AsyncRemoteDatabase.history)
    conflicts = _driven(AsyncRemoteDatabase.conflicts)
    resolve = _driven(AsyncRemoteDatabase.resolve)
    all_docs = _driven(AsyncRemoteDatabase.all_docs)
    local_docs = _driven(AsyncRemoteDatabase.local_docs)
    bulk_docs = _driven(AsyncRemoteDatabase.bulk_docs)
    bulk_get = _driven(AsyncRemoteDatabase.bulk_get)
    revs_diff = _driven(AsyncRemoteDatabase.revs_diff)
    missing_revs = _driven(AsyncRemoteDatabase.missing_revs)
    put_attachment = _driven(AsyncRemoteDatabase.put_attachment)
    get_attachment = _driven(AsyncRemoteDatabase.get_attachment)
    remove_attachment = _driven(AsyncRemoteDatabase.remove_attachment)
    query = _driven(AsyncRemoteDatabase.query)
    view_info = _driven(AsyncRemoteDatabase.view_info)
    view_cleanup = _driven(AsyncRemoteDatabase.view_cleanup)
    find = _driven(AsyncRemoteDatabase.find)
    explain = _driven(AsyncRemoteDatabase.explain)
    create_index = _driven(AsyncRemoteDatabase.create_index)
    get_indexes = _driven(AsyncRemoteDatabase.get_indexes)
    delete_index = _driven(AsyncRemoteDatabase.delete_index)
    search = _driven(AsyncRemoteDatabase.search)
    search_info = _driven(AsyncRemoteDatabase.search_info)
    spatial = _driven(AsyncRemoteDatabase.spatial)
    info = _driven(AsyncRemoteDatabase.info)
    ensure_full_commit = _driven(AsyncRemoteDatabase.ensure_full_commit)
    get_revs_limit = _driven(AsyncRemoteDatabase.get_revs_limit)
    set_revs_limit = _driven(AsyncRemoteDatabase.set_revs_limit)
    get_security = _driven(AsyncRemoteDatabase.get_security)
    set_security = _driven(AsyncRemoteDatabase.set_security)
    compact = _driven(AsyncRemoteDatabase.compact)
    purge = _driven(AsyncRemoteDatabase.purge)
    purged_infos = _driven(AsyncRemoteDatabase.purged_infos)
    get_purged_infos_limit = _driven(AsyncRemoteDatabase.get_purged_infos_limit)
    set_purged_infos_limit = _driven(AsyncRemoteDatabase.set_purged_infos_limit)
    create = _driven(AsyncRemoteDatabase.create)
    request = _driven(AsyncRemoteDatabase.request)

    # -- What is not simply awaited -------------------------------------------------------------------

    def get(  # type: ignore[override]
        self,
        id: str,
        *,
        rev: str | None = None,
        revs: bool = False,
        revs_info: bool = False,
        open_revs: Sequence[str] | Literal["all"] | None = None,
        latest: bool = False,
        conflicts: bool = False,
        deleted_conflicts: bool = False,
        local_seq: bool = False,
        meta: bool = False,
        attachments: bool = False,
        atts_since: Sequence[str] | None = None,
        att_encoding_info: bool = False,
        binary: bool = False,
    ) -> Any:
        """The document as CouchDB shows it; see :meth:`Database.get <couchette.Database.get>`. Raises NotFound."""
        # It is written out, as a dict's ``get`` has another signature, which it would be taken to have.
        return self._share.run(
            self._remote.get,
            id,
            rev=rev,
            revs=revs,
            revs_info=revs_info,
            open_revs=open_revs,
            latest=latest,
            conflicts=conflicts,
            deleted_conflicts=deleted_conflicts,
            local_seq=local_seq,
            meta=meta,
            attachments=attachments,
            atts_since=atts_since,
            att_encoding_info=att_encoding_info,
            binary=binary,
        )

    @_with_signature_of(AsyncRemoteDatabase.changes)
    def changes(self, **options: Any) -> Any:
        if not options.get("live"):
            return self._share.run(self._remote.changes, **options)
        on_change = options.pop("on_change", None)
        asynchronous: AsyncRemoteFeed = self._remote.changes(**options)
        self._share.run(asynchronous.begin)
        feed = RemoteFeed(self._share, asynchronous)
        return feed if on_change is None else Listener(feed, on_change)

    @_with_signature_of(AsyncRemoteDatabase.open_attachment)
    def open_attachment(self, id: str, name: str, *, rev: str | None = None, encoded: bool = False) -> AttachmentFile:
        return self._share.run(self._remote._open_attachment, self._share.run, id, name, rev, encoded)

    def replicate_to(self, target: Any, **options: Any) -> Any:
        """Push to a URL, a path or a database; as :meth:`Database.replicate_to <couchette.Database.replicate_to>`.

        The documents pass through this program; :meth:`RemoteServer.replicate` has the server do it.
        """
        from couchette.endpoints import replicate

        return replicate(self, target, **options)

    def replicate_from(self, source: Any, **options: Any) -> Any:
        """Pull from a URL, a path or a database; otherwise as :meth:`replicate_to`."""
        from couchette.endpoints import replicate

        return replicate(source, self, **options)

    def sync(self, other: Any, **options: Any) -> Any:
        """Push, then pull, or with ``live=True`` both at once; otherwise as :meth:`replicate_to`."""
        from couchette.endpoints import sync

        return sync(self, other, **options)

    def destroy(self) -> None:
        """Delete the database on the server, and close this object. Raises DatabaseNotFound."""
        self._share.run(self._remote.destroy)
        self._share.release()

    def close(self) -> None:
        """Close the connections and end the live feeds. Calling it again does nothing."""
        if not self._remote.closed:
            self._share.run(self._remote.close)
            self._share.release()

    def _feed(self, wish: Wish, *, on_end: Callable[[], None], **where: Any) -> RemoteFeed:
        return RemoteFeed(self._share, AsyncRemoteFeed(self._remote, wish, **where), on_end)

    # -- As a mapping ---------------------------------------------------------------------------------

    def __getitem__(self, id: str) -> Doc:
        """The document. Raises NotFound, which is a KeyError."""
        doc: Doc = self.get(id)
        return doc

    def __setitem__(self, id: str, doc: Doc) -> None:
        """Save the document under this id, and leave ``_id`` and ``_rev`` in it.

        Without a ``_rev`` it replaces the current revision, whichever that is.
        """
        if not isinstance(doc, MutableMapping):
            raise BadRequest("Document must be a JSON object", f"Give a dict, not {type(doc).__name__}.")
        written = self._share.run(self._remote._replace, id, doc)
        doc["_id"], doc["_rev"] = written["id"], written["rev"]

    def __delitem__(self, id: str) -> None:
        """Delete the document's current revision. Raises NotFound, which is a KeyError."""
        self._share.run(self._remote._remove_winner, id)

    def __contains__(self, id: object) -> bool:
        try:
            self[id]  # type: ignore[index]
        except (NotFound, BadRequest):
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        """The ids, in order, in pages; what is written meanwhile is seen if it lies ahead."""
        rows = self.all_docs(limit=ITERATED_PAGE_DOCS)["rows"]
        while rows:
            for row in rows:
                yield row["id"]
            if len(rows) < ITERATED_PAGE_DOCS:
                return
            rows = self.all_docs(start_key=rows[-1]["id"] + "\0", limit=ITERATED_PAGE_DOCS)["rows"]

    def __len__(self) -> int:
        """How many documents there are, deleted ones not counted."""
        count: int = self.info()["doc_count"]
        return count

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

    def __getattr__(self, name: str) -> Any:
        raise left_out(self, name)

    def __repr__(self) -> str:
        return f"<couchette.RemoteDatabase {self.url!r}{' closed' if self.closed else ''}>"


class RemoteFeed:
    """The changes of a database on a server as they happen, for one thread to iterate over.

    The iterator blocks until there is a change. It ends as :class:`AsyncRemoteFeed` does, and any thread may cancel it.
    """

    def __init__(self, share: Share, feed: AsyncRemoteFeed, on_end: Callable[[], None] | None = None) -> None:
        self._share = share
        self._feed = feed
        self._on_end = on_end

    def cancel(self) -> None:
        """End the feed, also one that waits in another thread. May be called from any thread, and again."""
        if not self._feed.ended:
            with suppress(DatabaseClosed):  # Closing the database, in another thread, is as good.
                self._share.run(self._feed.aclose)
        self._end()

    def __iter__(self) -> RemoteFeed:
        return self

    def __next__(self) -> Doc:
        row = None
        try:
            if self._feed.ended:
                self._feed.end()
            else:
                row = self._share.run(self._feed.next_row)
        finally:
            if row is None:
                self._end()
        if row is None:
            raise StopIteration
        return row

    def _end(self) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end()

    def __enter__(self) -> RemoteFeed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()
