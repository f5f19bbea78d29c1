"""The checkpoints of one session: read from both sides at its start, recorded on both as it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import anyio

from couchette.errors import NotFound, ReplicationFailed
from couchette.replication.local_doc import LocalDoc
from couchette.replication.peer import Peer
from couchette.replication.refusals import Refusals
from couchette.wire.checkpoint import Resume, Session, checkpoint_doc, checkpoint_id, common_seq
from couchette.wire.transfer import Document, PeerInfo


class Checkpoints:
    """Keeps the checkpoint documents of replicating ``source`` to ``target``, and the list of what was refused.

    ``facts`` are the options that change what travels (:meth:`couchette.replication.options.Options.facts`).
    """

    def __init__(
        self,
        source: tuple[Peer, PeerInfo],
        target: tuple[Peer, PeerInfo],
        facts: Mapping[str, Any],
    ) -> None:
        self.resume = Resume()
        self.history: Sequence[Mapping[str, Any]] = ()
        self._doc_id = checkpoint_id(source[1].identity, target[1].identity, facts)
        self._sides = (source, target)
        self._stored: list[tuple[Any, Any] | None] = [None, None]
        """The newest session and sequence in each side's document, as we know it."""
        self._lock = anyio.Lock()
        self._logs = [LocalDoc(peer, self._doc_id) for peer, _ in self._sides]
        incarnations = {"source": source[1].incarnation, "target": target[1].incarnation}
        self._incarnations = {side: one for side, one in incarnations.items() if one is not None}
        keeper = source[0] if source[1].local or not target[1].local else target[0]
        self.refusals = Refusals(keeper, f"{self._doc_id}-refused")

    async def read(self) -> Resume:
        """Read both documents and find where to start; the log is continued from there."""
        source, target = [self._ours(await log.read()) for log in self._logs]
        self._stored = [_newest(source), _newest(target)]
        self.resume = common_seq(source, target)
        if self.resume.seq != 0:  # Before the first checkpoint nothing was passed over.
            await self.refusals.read()
        return self.resume

    async def record(self, session: Session) -> None:
        """Note how far the session has come, once both sides say that what they hold is durable."""
        async with self._lock:
            await self._record(session)

    async def check(self) -> None:
        """Look whether both sides are still the databases that they were; raise ReplicationFailed if not.

        While nothing moves nobody would notice that one was made anew, or restored from a copy.
        """
        async with self._lock:
            for (peer, started), log, stored in zip(self._sides, self._logs, self._stored, strict=True):
                now = await peer.info()
                if now.incarnation != started.incarnation or _newest(self._ours(await log.read())) != stored:
                    raise _another(peer)

    async def _record(self, session: Session) -> None:
        for peer, info in self._sides:
            await self._commit(peer, info)
        await self.refusals.record()
        if self.refusals.overflowing:
            return
        doc = {**checkpoint_doc(self._doc_id, session, self.resume), "incarnations": self._incarnations}
        for side, log in enumerate(self._logs):
            await log.write(doc)
            self._stored[side] = _newest(doc)
        self.history = doc["history"]

    def log(self) -> tuple[Mapping[str, Any], ...]:
        """The log as it stands now, newest session first."""
        return tuple(self.history or self.resume.history)

    def _ours(self, doc: Document | None) -> Document | None:
        """The document, unless it speaks of another database that was in one of these places.

        A new database has no checkpoint of its own. But a ``PUT`` meant for the old one, repeated by a client that
        waited for a server to come back, may have reached the new one.
        """
        if doc is None or not isinstance(told := doc.get("incarnations") or {}, Mapping):
            return None
        return None if any(told.get(side, one) != one for side, one in self._incarnations.items()) else doc

    async def _commit(self, peer: Peer, started: PeerInfo) -> None:
        """A database that was deleted or recreated under us has forgotten what the checkpoint would claim."""
        try:
            now = await peer.commit()
        except NotFound as exc:
            raise _another(peer, "The database is gone.") from exc
        if now != started.instance_start_time and "0" not in (now, started.instance_start_time):
            raise _another(peer)


def _newest(doc: Mapping[str, Any] | None) -> tuple[Any, Any] | None:
    return None if doc is None else (doc.get("session_id"), doc.get("source_last_seq"))


def _another(peer: Peer, reason: str = "The database is another one.") -> ReplicationFailed:
    remedy = f"{peer.label} was deleted, recreated or restored while it replicated; start again."
    return ReplicationFailed(reason, remedy, error="checkpoint_commit_failure")
