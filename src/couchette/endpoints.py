"""Replication between whatever a program names: URLs, files, open databases.

The network lives on an event loop; for a caller that has none, one is run on a background thread.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, Literal, Unpack, overload

from couchette import replication
from couchette.access import TLS, Access, Auth
from couchette.errors import BadRequest, DatabaseNotFound, StoreError
from couchette.pool import Pool
from couchette.replication import (
    Background,
    LiveReplication,
    LiveSync,
    LocalPeer,
    Options,
    Peer,
    ReplicationOptions,
    ReplicationResult,
    SyncResult,
)

_HOST_AND_PORT: Final = re.compile(r"[\w.-]+:\d+(/|$)")

Endpoint = Any
"""``http(s)://host/database``, the path of a file, any of our databases, remote ones too; or a replication's Peer."""


class AccessOptions(ReplicationOptions, total=False):
    """The keyword arguments of ``replicate`` and ``sync`` but for ``live`` and each side's own credentials."""

    auth: Auth | None
    tls: TLS | None
    proxy: str | None
    headers: Mapping[str, str] | None
    timeout: float | None


@overload
def replicate(
    source: Endpoint,
    target: Endpoint,
    *,
    live: Literal[False] = False,
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> ReplicationResult: ...
@overload
def replicate(
    source: Endpoint,
    target: Endpoint,
    *,
    live: Literal[True],
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> Background: ...
def replicate(
    source: Endpoint,
    target: Endpoint,
    *,
    live: bool = False,
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> ReplicationResult | Background:
    """Bring to ``target`` every leaf revision that ``source`` has and ``target`` lacks; block until it is done.

    Source and target are each a URL of a CouchDB database, a file's path, or an open database; a target's file is made
    if it is not there. Progress is recorded on both sides as CouchDB does it, so a later call goes on where this one
    ended or broke off.

    With ``live`` it goes on in the background and returns at once, with a handle: its ``status``,
    ``wait_until_synced(timeout)``, ``retry()``, ``set_auth(...)`` and ``cancel()``; the handle is a context manager.
    What passes, such as a cut line, is then waited for and never raised.

    Args:
        auth: who we are to a URL: name and password, ``BasicAuth``, ``SessionAuth``, ``BearerAuth`` or any
            ``httpx.Auth``, where the URL does not say it; ``source_auth`` and ``target_auth`` are for one side.
        tls, proxy, headers, timeout: how servers are reached; see :class:`couchette.access.Access`.
        options: what is moved and how; see :class:`couchette.replication.Options` for all of them.

    Raises:
        BadRequest: options that do not go together.
        Unreachable, NotCouchDB, Unauthorized, DatabaseNotFound: a side cannot be used.
        ReplicationFailed: it stopped; what was written stays.

    Documents that the target refuses one by one do not stop it: they are the result's ``errors``.
    """
    pair = _Pair({"source": source, "target": target}, {"source": source_auth, "target": target_auth}, options)
    if live:
        return Background(LiveReplication(pair, pair.options))
    return replication.run_sync(_replicate, pair)


@overload
async def replicate_async(
    source: Endpoint,
    target: Endpoint,
    *,
    live: Literal[False] = False,
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> ReplicationResult: ...
@overload
async def replicate_async(
    source: Endpoint,
    target: Endpoint,
    *,
    live: Literal[True],
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> LiveReplication: ...
async def replicate_async(
    source: Endpoint,
    target: Endpoint,
    *,
    live: bool = False,
    source_auth: Auth | None = None,
    target_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> ReplicationResult | LiveReplication:
    """Async :func:`replicate`. Cancelling it leaves what was written, as a failure does.

    With ``live`` it returns a :class:`LiveReplication` that does not run yet: ``async with`` runs it during a block,
    ``task_group.start_soon(handle.run)`` in a task group.
    """
    pair = _Pair({"source": source, "target": target}, {"source": source_auth, "target": target_auth}, options)
    return LiveReplication(pair, pair.options) if live else await _replicate(pair)


@overload
def sync(
    near: Endpoint,
    far: Endpoint,
    *,
    live: Literal[False] = False,
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> SyncResult: ...
@overload
def sync(
    near: Endpoint,
    far: Endpoint,
    *,
    live: Literal[True],
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> Background: ...
def sync(
    near: Endpoint,
    far: Endpoint,
    *,
    live: bool = False,
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> SyncResult | Background:
    """Replicate ``near`` to ``far``, then back, or with ``live`` both ways at once; otherwise as :func:`replicate`."""
    pair = _Pair({"near": near, "far": far}, {"near": near_auth, "far": far_auth}, options)
    return Background(LiveSync(pair, pair.options)) if live else replication.run_sync(_sync, pair)


@overload
async def sync_async(
    near: Endpoint,
    far: Endpoint,
    *,
    live: Literal[False] = False,
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> SyncResult: ...
@overload
async def sync_async(
    near: Endpoint,
    far: Endpoint,
    *,
    live: Literal[True],
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> LiveSync: ...
async def sync_async(
    near: Endpoint,
    far: Endpoint,
    *,
    live: bool = False,
    near_auth: Auth | None = None,
    far_auth: Auth | None = None,
    **options: Unpack[AccessOptions],
) -> SyncResult | LiveSync:
    """Async :func:`sync`; with ``live`` it returns a :class:`LiveSync` that does not run yet."""
    pair = _Pair({"near": near, "far": far}, {"near": near_auth, "far": far_auth}, options)
    return LiveSync(pair, pair.options) if live else await _sync(pair)


class _Pair:
    """Two endpoints and how they are reached; called, it opens their peers. ``options`` are the other options.

    Raises StoreError inside a transaction of either: a replication writes from threads of its own, which would
    wait for this one's transaction, and it for them.
    """

    def __init__(
        self, endpoints: Mapping[str, Endpoint], auths: Mapping[str, Auth | None], given: AccessOptions
    ) -> None:
        options: dict[str, Any] = dict(given)
        reach = {name: options.pop(name) for name in Access.__dataclass_fields__ if name in options}
        self.options = Options(**options)
        self._endpoints = dict(endpoints)
        shared = reach.pop("auth", None)
        self._access = {
            name: Access(None if has_credentials(endpoint) else shared, **reach) for name, endpoint in endpoints.items()
        }
        self.set_auth(**{name: auth for name, auth in auths.items() if auth is not None})
        for endpoint in endpoints.values():
            pool = getattr(endpoint, "_pool", None)
            if isinstance(pool, Pool) and pool.in_transaction:
                raise StoreError("A database cannot be replicated inside its transaction.", "Leave the block first.")

    def set_auth(self, **auths: Any) -> None:
        """Use these credentials from the next opening on. Raises BadRequest for a side that there is not."""
        for name, auth in auths.items():
            if name not in self._access:
                raise BadRequest("There is no such side of the replication.", f"{name!r} is none of {[*self._access]}.")
            self._access[name] = replace(self._access[name], auth=auth)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[tuple[Peer, Peer]]:
        """Open the peers. The first must exist, and must answer before a file is made for the second."""
        (first, second), (first_access, second_access) = self._endpoints.values(), self._access.values()
        async with _peer(first, first_access, must_exist=True) as origin:
            made = _would_be_made(second)
            if made:
                async with origin:
                    await origin.info()
            async with _peer(second, second_access, must_exist=made and self.options.dry_run) as destination:
                yield origin, destination


async def _replicate(pair: _Pair) -> ReplicationResult:
    async with pair() as (source, target):
        return await replication.replicate_once(source, target, pair.options)


async def _sync(pair: _Pair) -> SyncResult:
    async with pair() as (near, far):
        return await replication.sync_once(near, far, pair.options)


def _would_be_made(endpoint: Endpoint) -> bool:
    return isinstance(endpoint, (str, os.PathLike)) and not is_url(endpoint) and not Path(endpoint).exists()


def is_url(endpoint: Endpoint) -> bool:
    """Whether it is a database behind HTTP."""
    return isinstance(endpoint, str) and endpoint.startswith(("http://", "https://"))


def has_credentials(endpoint: Endpoint) -> bool:
    """Whether it is a URL that says who we are."""
    return is_url(endpoint) and "@" in endpoint.partition("://")[2].partition("/")[0]


@asynccontextmanager
async def _peer(endpoint: Endpoint, access: Access, *, must_exist: bool = False) -> AsyncIterator[Peer]:
    """The peer for an endpoint; a file that is opened here is closed again."""
    pool = getattr(endpoint, "_pool", None)
    remote: Any = getattr(endpoint, "_remote", endpoint)  # What a RemoteDatabase drives.
    if isinstance(endpoint, Peer):
        yield endpoint
    elif (client := getattr(remote, "_client", None)) is not None:
        from couchette.remote import RemotePeer

        peer = RemotePeer.of(client.apart(access))
        if remote._to_create:
            async with peer:
                await peer.create()
        yield peer
    elif isinstance(pool, Pool):
        yield LocalPeer(pool, label=endpoint.name)
    elif is_url(endpoint):
        from couchette.remote import RemotePeer  # Only a URL pays for the import of an HTTP client.

        yield RemotePeer(
            endpoint,
            access.auth,
            tls=access.tls,
            proxy=access.proxy,
            headers=access.headers,
            timeout=access.timeout,
        )
    elif isinstance(endpoint, (str, os.PathLike)):
        path = os.fspath(endpoint)
        if "://" in path:
            raise BadRequest("Invalid database URL.", f"{path.partition('://')[0]}:// is not http:// or https://.")
        if _HOST_AND_PORT.match(path) and not Path(path).exists():
            raise BadRequest("Invalid database URL.", f"{path} lacks its beginning, http:// or https://.")
        if must_exist and not Path(path).exists():
            raise DatabaseNotFound("Database does not exist.", f"There is no file {path}.")
        opened = Pool(path)
        try:
            yield LocalPeer(opened, label=Path(path).name)
        finally:
            opened.close()
    else:
        raise BadRequest("Invalid endpoint.", f"Give a URL, a path or a database, not {type(endpoint).__name__}.")
