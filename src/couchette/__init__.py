"""An embedded document database that replicates with CouchDB.

>>> import couchette
>>> with couchette.Database(":memory:") as db:
...     db["mittens"] = {"kind": "cat"}
...     db["mittens"]["_rev"]
'1-11bd1f5a8f6c9cd5ad5b4ca2c2b5b2a8'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from couchette.access import TLS, BasicAuth, BearerAuth, SessionAuth
from couchette.async_database import AsyncDatabase
from couchette.attachment_file import AsyncAttachmentFile, AttachmentFile
from couchette.backup import load
from couchette.database import Database
from couchette.document.attachment import Attachment
from couchette.endpoints import replicate, replicate_async, sync, sync_async
from couchette.environment import Environment
from couchette.errors import CouchetteError
from couchette.replication import (
    Event,
    LiveReplication,
    LiveSync,
    Progress,
    ReplicationResult,
    Status,
    SyncResult,
    SyncStatus,
)

if TYPE_CHECKING:
    from couchette.async_remote_database import AsyncRemoteDatabase
    from couchette.remote_database import RemoteDatabase
    from couchette.remote_server import AsyncRemoteServer, RemoteServer

__version__ = "0.1.0"

__all__ = [
    "TLS",
    "AsyncAttachmentFile",
    "AsyncDatabase",
    "AsyncRemoteDatabase",
    "AsyncRemoteServer",
    "Attachment",
    "AttachmentFile",
    "BasicAuth",
    "BearerAuth",
    "CouchetteError",
    "Database",
    "Environment",
    "Event",
    "LiveReplication",
    "LiveSync",
    "Progress",
    "RemoteDatabase",
    "RemoteServer",
    "ReplicationResult",
    "SessionAuth",
    "Status",
    "SyncResult",
    "SyncStatus",
    "load",
    "replicate",
    "replicate_async",
    "sync",
    "sync_async",
]

_REMOTE: Final = {
    "AsyncRemoteDatabase": "couchette.async_remote_database",
    "AsyncRemoteServer": "couchette.remote_server",
    "RemoteDatabase": "couchette.remote_database",
    "RemoteServer": "couchette.remote_server",
}
"""Only who names one of these pays for the import of an HTTP client."""


def __getattr__(name: str) -> Any:
    if name in _REMOTE:
        return getattr(import_module(_REMOTE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
