"""Whether a server may be given attachments as gzip. CouchDB and we keep it as such; pouchdb-server as the content."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from couchette.errors import CouchetteError, Unreachable
from couchette.remote.client import Client
from couchette.remote.url import DatabaseUrl


def holds_gzip(doc: Mapping[str, Any]) -> bool:
    """Whether an attachment of a document is sent as gzip, if it travels beside the document."""
    return any(
        isinstance(entry, Mapping) and "data" in entry and entry.get("encoding") == "gzip"
        for entry in doc["_attachments"].values()
    )


async def keeps_gzip(client: Client) -> bool:
    """Whether the server of a database welcomes as CouchDB does. One that cannot be asked is taken for another."""
    try:
        welcome = await client.at(f"{DatabaseUrl(client.url, None).server}/").request("GET")
    except Unreachable:
        raise
    except CouchetteError:
        return False
    return isinstance(welcome, dict) and "couchdb" in welcome
