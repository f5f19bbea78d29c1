"""The checkpoints of one session: read from both sides at its start, recorded on both as it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from couchette import limits
from couchette.errors import Conflict, NotFound, ReplicationFailed
from couchette.replication.peer import Peer
from couchette.wire.checkpoint import Resume, Session, checkpoint_doc, checkpoint_id, common_seq
from couchette.wire.transfer import Document, PeerInfo


class Checkpoints:
    """Keeps the checkpoint documents of replicating ``source`` to ``target``."""

    def __init__(self, source: Peer, target: Peer, source_info: PeerInfo, target_info: PeerInfo) -> None:
        self.resume = Resume()
        self.history: Sequence[Mapping[str, Any]] = ()
        self._doc_id = checkpoint_id(source_info.identity, target_info.identity)
        self._sides = ((source, source_info), (target, target_info))
        self._revs: dict[Peer, str | None] = {}

    async def read(self) -> Resume:
        """Read both documents and find where to start; the log is continued from there."""
        docs: list[Document | None] = []
        for peer, _ in self._sides:
            doc = await peer.get_checkpoint(self._doc_id)
            self._revs[peer] = None if doc is None else doc.get("_rev")
            docs.append(doc)
        self.resume = common_seq(*docs)
        return self.resume

    async def record(self, session: Session) -> None:
        """Note how far the session has come, once both sides say that what they hold is durable."""
        for peer, info in self._sides:
            await self._commit(peer, info)
        doc = checkpoint_doc(self._doc_id, session, self.resume)
        for peer, _ in self._sides:
            await self._put(peer, doc)
        self.history = doc["history"]

    async def _commit(self, peer: Peer, started: PeerInfo) -> None:
        """A database that was deleted or recreated under us has forgotten what the checkpoint would claim."""
        remedy = f"{peer.label} was deleted or recreated while it replicated; start again."
        try:
            now = await peer.commit()
        except NotFound as exc:
            raise ReplicationFailed("The database is gone.", remedy, error="checkpoint_commit_failure") from exc
        if now != started.instance_start_time and "0" not in (now, started.instance_start_time):
            raise ReplicationFailed("The database is another one.", remedy, error="checkpoint_commit_failure")

    async def _put(self, peer: Peer, doc: Document) -> None:
        """Store the document. A conflict means that this one, or another session's, was stored before."""
        for _ in range(limits.HTTP_RETRIES + 1):
            rev = self._revs[peer]
            try:
                self._revs[peer] = await peer.put_checkpoint(doc if rev is None else {**doc, "_rev": rev})
            except Conflict:
                stored = await peer.get_checkpoint(self._doc_id)
                self._revs[peer] = None if stored is None else stored.get("_rev")
            else:
                return
        raise ReplicationFailed(
            "The checkpoint cannot be recorded.",
            f"{peer.label} reports a conflict again and again: does another program replicate the same two databases?",
            error="checkpoint_commit_failure",
        )
