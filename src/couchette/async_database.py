"""The same database for asynchronous programs, under trio and asyncio."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar

import anyio.lowlevel

from couchette import store, workers
from couchette.attachment_access import AsyncAttachmentAccess
from couchette.change_feeds import AsyncChangeFeeds
from couchette.connecting import Durability
from couchette.database import Database, Doc
from couchette.design.access import AsyncDesignAccess
from couchette.errors import BadRequest
from couchette.find_queries import AsyncFindQueries
from couchette.gql_queries import AsyncGqlQueries
from couchette.live_queries import AsyncLiveQueries
from couchette.pool import Pool
from couchette.spatial_queries import AsyncSpatialQueries
from couchette.sql_queries import AsyncSqlQueries
from couchette.store import UNSET, Freed
from couchette.text_queries import AsyncTextQueries
from couchette.uploads import Uploads, has_streams, take_all_async
from couchette.view_queries import AsyncViewQueries

if TYPE_CHECKING:
    from couchette.merging import MergeFunction
    from couchette.store import SupportsWrite

P = ParamSpec("P")
T = TypeVar("T")


class AsyncDatabase(
    AsyncAttachmentAccess,
    AsyncChangeFeeds,
    AsyncFindQueries,
    AsyncViewQueries,
    AsyncLiveQueries,
    AsyncSqlQueries,
    AsyncGqlQueries,
    AsyncTextQueries,
    AsyncSpatialQueries,
    AsyncDesignAccess,
):
    """A :class:`Database` whose methods are awaited: same names, same parameters, same results.

    Each method is one hop to a worker thread, so the loop never waits for the disk. What has begun is
    finished before a cancellation takes effect, so that it is known whether it happened.
    """

    database: Database

    def __init__(
        self,
        path: str | os.PathLike[str] | Database = ":memory:",
        *,
        name: str | None = None,
        revs_limit: int | None = None,
        durability: Durability = "normal",
        auto_compaction: bool | None = None,
        key: str | bytes | None = None,
    ) -> None:
        """Open a file as :class:`Database` does, or give an open Database to share it. Blocks briefly."""
        if isinstance(path, Database):
            self.database = path
        else:
            self.database = Database(
                path, name=name, revs_limit=revs_limit, durability=durability, auto_compaction=auto_compaction, key=key
            )

    @property
    def name(self) -> str:
        """The database's name."""
        return self.database.name

    @property
    def path(self) -> str:
        """The database's file."""
        return self.database.path

    @property
    def _pool(self) -> Pool:
        return self.database._pool

    @property
    def closed(self) -> bool:
        """Whether the database was closed."""
        return self.database.closed

    async def get(
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
        """Async :meth:`Database.get`."""
        return await _in_thread(
            self.database.get,
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

    async def put(
        self, doc: Mapping[str, Any], *, id: str | None = None, rev: str | None = None, new_edits: bool = True
    ) -> Doc:
        """Async :meth:`Database.put`; an attachment's ``data`` may also be an asynchronous iterable or file."""
        if has_streams(doc):
            async with Uploads(self._pool) as uploads:
                doc = await take_all_async(uploads, doc)
                return await _in_thread(self.database.put, doc, id=id, rev=rev, new_edits=new_edits)
        return await _in_thread(self.database.put, doc, id=id, rev=rev, new_edits=new_edits)

    async def post(self, doc: Mapping[str, Any]) -> Doc:
        """Async :meth:`Database.post`."""
        return await _in_thread(self.database.post, doc)

    async def remove(self, doc: Mapping[str, Any] | str, rev: str | None = None, *, all_leaves: bool = False) -> Doc:
        """Async :meth:`Database.remove`."""
        return await _in_thread(self.database.remove, doc, rev, all_leaves=all_leaves)

    async def copy(self, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None) -> Doc:
        """Async :meth:`Database.copy`."""
        return await _in_thread(self.database.copy, id, new_id, rev=rev, target_rev=target_rev)

    async def history(self, id: str) -> list[Doc]:
        """Async :meth:`Database.history`."""
        return await _in_thread(self.database.history, id)

    async def conflicts(self, *, limit: int | None = None, start_key: str | None = None) -> list[Doc]:
        """Async :meth:`Database.conflicts`."""
        return await _in_thread(self.database.conflicts, limit=limit, start_key=start_key)

    async def resolve(self, id: str, *, keep: str | None = None, merge: MergeFunction | None = None) -> Doc:
        """Async :meth:`Database.resolve`; ``merge`` is an ordinary function and runs in a worker thread."""
        return await _in_thread(self.database.resolve, id, keep=keep, merge=merge)

    async def all_docs(
        self,
        *,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        inclusive_end: bool = True,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        update_seq: bool = False,
        exact_offset: bool = False,
    ) -> Doc:
        """Async :meth:`Database.all_docs`."""
        return await _in_thread(
            self.database.all_docs,
            key=key,
            keys=keys,
            start_key=start_key,
            end_key=end_key,
            inclusive_end=inclusive_end,
            descending=descending,
            skip=skip,
            limit=limit,
            include_docs=include_docs,
            conflicts=conflicts,
            attachments=attachments,
            att_encoding_info=att_encoding_info,
            update_seq=update_seq,
            exact_offset=exact_offset,
        )

    async def local_docs(self, *, include_docs: bool = False) -> list[Doc]:
        """Async :meth:`Database.local_docs`."""
        return await _in_thread(self.database.local_docs, include_docs=include_docs)

    async def bulk_docs(self, docs: Iterable[Mapping[str, Any]], *, new_edits: bool = True) -> list[Doc]:
        """Async :meth:`Database.bulk_docs`."""
        return await _in_thread(self.database.bulk_docs, docs, new_edits=new_edits)

    async def bulk_get(
        self,
        docs: Iterable[Mapping[str, Any]],
        *,
        revs: bool = False,
        latest: bool = False,
        attachments: bool = False,
        binary: bool = False,
    ) -> Doc:
        """Async :meth:`Database.bulk_get`."""
        return await _in_thread(
            self.database.bulk_get, docs, revs=revs, latest=latest, attachments=attachments, binary=binary
        )

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """Async :meth:`Database.revs_diff`."""
        return await _in_thread(self.database.revs_diff, revs)

    async def missing_revs(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """Async :meth:`Database.missing_revs`."""
        return await _in_thread(self.database.missing_revs, revs)

    async def transaction(self, work: Callable[[Database], Any] | None = None) -> Any:
        """Call ``work(database)`` in one transaction, in one worker thread; return what it returns.

        A transaction belongs to a thread, so ``work`` is an ordinary function over the :class:`Database`, and there
        is no context manager: see :meth:`Database.transaction`. What ``work`` raises undoes all of it.
        """
        if work is None:
            hint = "Call `await db.transaction(work)` with a function of the Database; see AsyncDatabase.transaction."
            raise BadRequest("An asynchronous transaction needs a function.", hint)
        return await _in_thread(self.database.transaction, work)

    async def replicate_to(self, target: Any, **options: Any) -> Any:
        """Async :meth:`Database.replicate_to`; with ``live=True`` a :class:`~couchette.LiveReplication` to be run.

        ``async with`` runs it during a block, ``task_group.start_soon(handle.run)`` in a task group.
        """
        from couchette.endpoints import replicate_async

        return await replicate_async(self, target, **options)

    async def replicate_from(self, source: Any, **options: Any) -> Any:
        """Async :meth:`Database.replicate_from`; otherwise as :meth:`replicate_to`."""
        from couchette.endpoints import replicate_async

        return await replicate_async(source, self, **options)

    async def sync(self, other: Any, **options: Any) -> Any:
        """Async :meth:`Database.sync`; with ``live=True`` a :class:`~couchette.LiveSync`; see :meth:`replicate_to`."""
        from couchette.endpoints import sync_async

        return await sync_async(self, other, **options)

    async def info(self) -> Doc:
        """Async :meth:`Database.info`."""
        return await _in_thread(self.database.info)

    async def ensure_full_commit(self) -> Doc:
        """Async :meth:`Database.ensure_full_commit`."""
        return await _in_thread(self.database.ensure_full_commit)

    async def get_revs_limit(self) -> int:
        """Async :meth:`Database.get_revs_limit`."""
        return await _in_thread(self.database.get_revs_limit)

    async def set_revs_limit(self, revs_limit: int) -> None:
        """Async :meth:`Database.set_revs_limit`."""
        await _in_thread(self.database.set_revs_limit, revs_limit)

    async def get_security(self) -> Doc | None:
        """Async :meth:`Database.get_security`."""
        return await _in_thread(self.database.get_security)

    async def set_security(self, security: Mapping[str, Any]) -> None:
        """Async :meth:`Database.set_security`."""
        await _in_thread(self.database.set_security, security)

    async def compact(self, *, progress: Callable[[Freed], object] | None = None) -> Freed:
        """Async :meth:`Database.compact`; it can be cancelled between its transactions, and what is done stays done."""
        freed = Freed(bodies=0, attachments=0, bytes=0)
        steps = store.compaction(self._pool)
        while (step := await _in_thread(next, steps, None)) is not None:
            freed = step
            if progress is not None:
                progress(freed)
        return freed

    async def purge(self, revs: Mapping[str, Sequence[str]]) -> Doc:
        """Async :meth:`Database.purge`."""
        return await _in_thread(self.database.purge, revs)

    async def purged_infos(self, since: int | str = 0) -> list[Doc]:
        """Async :meth:`Database.purged_infos`."""
        return await _in_thread(self.database.purged_infos, since)

    async def get_purged_infos_limit(self) -> int:
        """Async :meth:`Database.get_purged_infos_limit`."""
        return await _in_thread(self.database.get_purged_infos_limit)

    async def set_purged_infos_limit(self, limit: int) -> None:
        """Async :meth:`Database.set_purged_infos_limit`."""
        await _in_thread(self.database.set_purged_infos_limit, limit)

    async def verify(self) -> list[dict[str, str]]:
        """Async :meth:`Database.verify`."""
        return await _in_thread(self.database.verify)

    async def dump(self, file: SupportsWrite, *, progress: Callable[[int, int], None] | None = None) -> dict[str, int]:
        """Async :meth:`Database.dump`; ``file`` and ``progress`` are called in the worker thread."""
        return await _in_thread(self.database.dump, file, progress=progress)

    async def close(self) -> None:
        """Async :meth:`Database.close`."""
        await _in_thread(self.database.close)

    async def destroy(self) -> None:
        """Async :meth:`Database.destroy`."""
        await _in_thread(self.database.destroy)

    async def __aenter__(self) -> AsyncDatabase:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    def __repr__(self) -> str:
        return f"<couchette.AsyncDatabase {self.path!r}{' closed' if self.closed else ''}>"


async def _in_thread(call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await workers.in_thread(call, *args, **kwargs)
