"""Replication between any two databases that speak CouchDB's protocol, one side often being ours.

:func:`replicate` moves one way between two peers, :func:`sync` both ways; :class:`LiveReplication` and
:class:`LiveSync` go on doing so. :func:`run_sync` and :class:`Background` run them for a caller that is not
asynchronous. A peer is a :class:`LocalPeer` or a ``couchette.remote.RemotePeer``.
"""

from __future__ import annotations

from couchette.replication.live import Live, LiveReplication, LiveSync, SyncStatus
from couchette.replication.local import LocalPeer
from couchette.replication.options import Options, ReplicationOptions
from couchette.replication.peer import Peer
from couchette.replication.result import Progress, ReplicationResult, SyncResult
from couchette.replication.runner import Background, run_sync
from couchette.replication.session import replicate, replicate_once, sync, sync_once
from couchette.replication.status import Event, Status

__all__ = [
    "Background",
    "Event",
    "Live",
    "LiveReplication",
    "LiveSync",
    "LocalPeer",
    "Options",
    "Peer",
    "Progress",
    "ReplicationOptions",
    "ReplicationResult",
    "Status",
    "SyncResult",
    "SyncStatus",
    "replicate",
    "replicate_once",
    "run_sync",
    "sync",
    "sync_once",
]
