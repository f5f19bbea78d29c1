"""Replication between any two databases that speak CouchDB's protocol, one side often being ours.

:func:`replicate` moves one way between two peers, :func:`sync` both ways, :func:`run_sync` runs either for a
caller that is not asynchronous. A peer is a :class:`LocalPeer` or a ``couchette.remote.RemotePeer``.
"""

from __future__ import annotations

from couchette.replication.local import LocalPeer
from couchette.replication.peer import Peer
from couchette.replication.result import Progress, ReplicationResult, SyncResult
from couchette.replication.runner import run_sync
from couchette.replication.session import replicate, sync

__all__ = ["LocalPeer", "Peer", "Progress", "ReplicationResult", "SyncResult", "replicate", "run_sync", "sync"]
