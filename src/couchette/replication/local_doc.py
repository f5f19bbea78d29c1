"""One ``_local`` document of one side, in which a replication keeps what it must remember."""

from __future__ import annotations

from couchette import limits
from couchette.errors import Conflict, ReplicationFailed
from couchette.replication.peer import Peer
from couchette.wire.transfer import Document


class LocalDoc:
    """The document ``doc_id`` of ``peer``, read and written over and over."""

    def __init__(self, peer: Peer, doc_id: str) -> None:
        self._peer = peer
        self._doc_id = doc_id
        self._rev: str | None = None

    async def read(self) -> Document | None:
        """What is stored now."""
        doc = await self._peer.get_checkpoint(self._doc_id)
        self._rev = None if doc is None else doc.get("_rev")
        return doc

    async def write(self, doc: Document) -> None:
        """Store the document. A conflict means that this one, or another session's, was stored before."""
        for _ in range(limits.HTTP_RETRIES + 1):
            rev = {} if self._rev is None else {"_rev": self._rev}
            try:
                self._rev = await self._peer.put_checkpoint({**doc, "_id": self._doc_id, **rev})
            except Conflict:
                await self.read()
            else:
                return
        raise ReplicationFailed(
            "The checkpoint cannot be recorded.",
            f"{self._peer.label} reports a conflict again and again: does another program replicate the same two?",
            error="checkpoint_commit_failure",
        )
