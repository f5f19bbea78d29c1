"""An embedded document database that replicates with CouchDB.

>>> import couchette
>>> with couchette.Database(":memory:") as db:
...     db["mittens"] = {"kind": "cat"}
...     db["mittens"]["_rev"]
'1-11bd1f5a8f6c9cd5ad5b4ca2c2b5b2a8'
"""

from __future__ import annotations

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

__version__ = "0.1.0"

__all__ = [
    "TLS",
    "AsyncAttachmentFile",
    "AsyncDatabase",
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
