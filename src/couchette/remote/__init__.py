"""A database behind a URL. Importing this package imports httpx, so the others do it when a URL is used."""

from __future__ import annotations

from couchette.remote.peer import RemotePeer
from couchette.remote.url import DatabaseUrl

__all__ = ["DatabaseUrl", "RemotePeer"]
