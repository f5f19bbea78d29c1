"""Replication between whatever a program names: URLs, files, open databases.

The network lives on an event loop; for a caller that has none, one is run on a background thread.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from couchette import limits, replication
from couchette.errors import BadRequest, DatabaseNotFound, StoreError
from couchette.pool import Pool
from couchette.replication import LocalPeer, Peer, Progress, ReplicationResult, SyncResult

Endpoint = Any
"""``http(s)://host/database``, the path of a file, a Database or an AsyncDatabase."""
Auth = tuple[str, str]


def replicate(
    source: Endpoint,
    target: Endpoint,
    *,
    create_target: bool = False,
    batch_docs: int = limits.BATCH_DOCS,
    progress: Callable[[Progress], None] | None = None,
    use_checkpoints: bool = True,
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
) -> ReplicationResult:
    """Bring to ``target`` every leaf revision that ``source`` has and ``target`` lacks; block until it is done.

    Source and target are each a URL of a CouchDB database, a file's path, or an open database. Progress is
    recorded on both sides as CouchDB does it, so a later call goes on where this one ended or broke off.

    Args:
        create_target: create the database behind a target URL if it is missing; a file is always made.
        batch_docs: changes looked at in one batch.
        progress: called with a :class:`Progress` after each batch, on the thread that replicates.
        use_checkpoints: look for recorded progress, and record it.
        source_auth, target_auth: name and password, where the URL does not hold them.

    Raises:
        Unreachable, NotCouchDB, Unauthorized, DatabaseNotFound: a side cannot be used.
        ReplicationFailed: it stopped; what was written stays.

    Documents that the target refuses one by one do not stop it: they are the result's ``errors``.
    """
    _check_outside_transactions(source, target)
    options = _options(create_target, batch_docs, progress, use_checkpoints)
    return replication.run_sync(partial(_replicate, source, target, source_auth, target_auth, options))


async def replicate_async(
    source: Endpoint,
    target: Endpoint,
    *,
    create_target: bool = False,
    batch_docs: int = limits.BATCH_DOCS,
    progress: Callable[[Progress], None] | None = None,
    use_checkpoints: bool = True,
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
) -> ReplicationResult:
    """Async :func:`replicate`. Cancelling it leaves what was written, as a failure does."""
    _check_outside_transactions(source, target)
    options = _options(create_target, batch_docs, progress, use_checkpoints)
    return await _replicate(source, target, source_auth, target_auth, options)


def sync(
    near: Endpoint,
    far: Endpoint,
    *,
    create_target: bool = False,
    batch_docs: int = limits.BATCH_DOCS,
    progress: Callable[[Progress], None] | None = None,
    use_checkpoints: bool = True,
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
) -> SyncResult:
    """Replicate ``near`` to ``far``, then ``far`` to ``near``; otherwise as :func:`replicate`."""
    _check_outside_transactions(near, far)
    options = _options(create_target, batch_docs, progress, use_checkpoints)
    return replication.run_sync(partial(_sync, near, far, near_auth, far_auth, options))


async def sync_async(
    near: Endpoint,
    far: Endpoint,
    *,
    create_target: bool = False,
    batch_docs: int = limits.BATCH_DOCS,
    progress: Callable[[Progress], None] | None = None,
    use_checkpoints: bool = True,
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
) -> SyncResult:
    """Async :func:`sync`."""
    _check_outside_transactions(near, far)
    options = _options(create_target, batch_docs, progress, use_checkpoints)
    return await _sync(near, far, near_auth, far_auth, options)


def _check_outside_transactions(*endpoints: Endpoint) -> None:
    """A replication writes from threads of its own, which would wait for this one's transaction, and it for them."""
    for endpoint in endpoints:
        pool = getattr(endpoint, "_pool", None)
        if pool is not None and pool.in_transaction:
            raise StoreError("A database cannot be replicated inside its transaction.", "Leave the block first.")


def _options(
    create_target: bool, batch_docs: int, progress: Callable[[Progress], None] | None, use_checkpoints: bool
) -> dict[str, Any]:
    return {
        "create_target": create_target,
        "batch_docs": batch_docs,
        "progress": progress,
        "use_checkpoints": use_checkpoints,
    }


async def _replicate(
    source: Endpoint, target: Endpoint, source_auth: Auth | None, target_auth: Auth | None, options: dict[str, Any]
) -> ReplicationResult:
    async with _pair(source, target, source_auth, target_auth) as (origin, destination):
        return await replication.replicate(origin, destination, **options)


async def _sync(
    near: Endpoint, far: Endpoint, near_auth: Auth | None, far_auth: Auth | None, options: dict[str, Any]
) -> SyncResult:
    async with _pair(near, far, near_auth, far_auth) as (here, there):
        return await replication.sync(here, there, **options)


@asynccontextmanager
async def _pair(
    first: Endpoint, second: Endpoint, first_auth: Auth | None, second_auth: Auth | None
) -> AsyncIterator[tuple[Peer, Peer]]:
    """The peers of two endpoints. The first must exist, and must answer before a file is made for the second."""
    async with _peer(first, first_auth, must_exist=True) as origin:
        if _would_be_made(second):
            async with origin:
                await origin.info()
        async with _peer(second, second_auth) as destination:
            yield origin, destination


def _would_be_made(endpoint: Endpoint) -> bool:
    return isinstance(endpoint, (str, os.PathLike)) and not _is_url(endpoint) and not Path(endpoint).exists()


def _is_url(endpoint: Endpoint) -> bool:
    return isinstance(endpoint, str) and endpoint.partition("://")[0] in ("http", "https")


@asynccontextmanager
async def _peer(endpoint: Endpoint, auth: Auth | None, *, must_exist: bool = False) -> AsyncIterator[Peer]:
    """The peer for an endpoint; a file that is opened here is closed again."""
    pool = getattr(endpoint, "_pool", None)
    if isinstance(pool, Pool):
        yield LocalPeer(pool, label=endpoint.name)
    elif _is_url(endpoint):
        from couchette.remote import RemotePeer  # Only a URL pays for the import of an HTTP client.

        yield RemotePeer(endpoint, auth)
    elif isinstance(endpoint, (str, os.PathLike)):
        path = os.fspath(endpoint)
        if "://" in path:
            raise BadRequest("Invalid database URL.", f"{path.partition('://')[0]}:// is not http:// or https://.")
        if must_exist and not Path(path).exists():
            raise DatabaseNotFound("Database does not exist.", f"There is no file {path}.")
        opened = Pool(path)
        try:
            yield LocalPeer(opened, label=Path(path).name)
        finally:
            opened.close()
    else:
        raise BadRequest("Invalid endpoint.", f"Give a URL, a path or a database, not {type(endpoint).__name__}.")
