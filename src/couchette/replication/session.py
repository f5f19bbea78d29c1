"""One replication from its first question to its result, and the two that make a sync."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from couchette import limits
from couchette.errors import BadRequest, DatabaseNotFound
from couchette.replication.checkpoints import Checkpoints
from couchette.replication.peer import Peer
from couchette.replication.pipeline import Pipeline, Tally
from couchette.replication.result import Progress, ReplicationResult, SyncResult
from couchette.wire.checkpoint import Session
from couchette.wire.transfer import PeerInfo

ProgressCallback = Callable[[Progress], None]


async def replicate(
    source: Peer,
    target: Peer,
    *,
    create_target: bool = False,
    batch_docs: int = limits.BATCH_DOCS,
    progress: ProgressCallback | None = None,
    use_checkpoints: bool = True,
) -> ReplicationResult:
    """Bring to ``target`` every leaf revision that ``source`` has and ``target`` lacks.

    It starts after the newest checkpoint that both sides remember (``use_checkpoints``: else at 0, recording
    none), moves ``batch_docs`` changes at a time, and ends when the source has no more. ``create_target``
    creates the target's database if it is missing. ``progress`` is called after each batch, from the task
    that writes, so it must not block.

    What the target refuses document by document is listed in the result's ``errors``; every other failure is
    raised, after which the documents and checkpoints written so far stay and the next call continues from
    them. Cancelling it is the same as a failure.
    """
    if batch_docs < 1:
        raise BadRequest("batch_docs must be at least 1", f"Got {batch_docs}.")
    try:
        async with source, target:
            return await _Replication(source, target, progress).run(create_target, batch_docs, use_checkpoints)
    except BaseExceptionGroup as group:
        failure = _single_failure(group)
    raise failure from failure.__cause__


async def sync(near: Peer, far: Peer, **options: Any) -> SyncResult:
    """Replicate ``near`` to ``far``, then ``far`` to ``near``; ``options`` are those of :func:`replicate`.

    ``create_target`` creates the far database only.
    """
    async with near, far:
        push = await replicate(near, far, **options)
        pull = await replicate(far, near, **{**options, "create_target": False})
    return SyncResult(push, pull)


class _Replication:
    """The state of one run."""

    def __init__(self, source: Peer, target: Peer, progress: ProgressCallback | None) -> None:
        self._source = source
        self._target = target
        self._progress = progress
        self._session_id = uuid.uuid4().hex
        self._start_time = datetime.now(UTC)
        self._start_seq: Any = 0
        self._tally = Tally(0)
        self._checkpoints: Checkpoints | None = None

    async def run(self, create_target: bool, batch_docs: int, use_checkpoints: bool) -> ReplicationResult:
        source_info, target_info = await self._meet(create_target)
        if use_checkpoints:
            self._checkpoints = Checkpoints(self._source, self._target, source_info, target_info)
            resume = await self._checkpoints.read()
            self._start_seq = self._tally.last_seq = resume.seq
        pipeline = Pipeline(
            self._source,
            self._target,
            self._tally,
            batch_docs=batch_docs,
            record=self._record,
            report=self._report,
        )
        await pipeline.run()
        return self._result()

    async def _meet(self, create_target: bool) -> tuple[PeerInfo, PeerInfo]:
        """Ask both sides who they are.

        The source comes first: no target is created for one that is not there. Nor is it tried where the
        target exists, since that takes rights which writing to it does not.
        """
        source_info = await self._source.info()
        try:
            return source_info, await self._target.info()
        except DatabaseNotFound:
            if not create_target:
                raise
        await self._target.create()
        return source_info, await self._target.info()

    async def _record(self) -> None:
        if self._checkpoints is not None:
            await self._checkpoints.record(self._session())

    def _session(self) -> Session:
        """The log entry for what is written now."""
        tally = self._tally
        return Session(
            session_id=self._session_id,
            start_time=self._start_time,
            end_time=datetime.now(UTC),
            start_last_seq=self._start_seq,
            recorded_seq=tally.last_seq,
            missing_checked=tally.missing_checked,
            missing_found=tally.missing_found,
            docs_read=tally.docs_read,
            docs_written=tally.docs_written,
            doc_write_failures=len(tally.refused),
        )

    def _report(self) -> None:
        if self._progress is None:
            return
        tally = self._tally
        self._progress(
            Progress(
                source=self._source.label,
                target=self._target.label,
                pending=tally.pending,
                docs_read=tally.docs_read,
                docs_written=tally.docs_written,
                doc_write_failures=len(tally.refused),
                missing_checked=tally.missing_checked,
                missing_found=tally.missing_found,
                last_seq=tally.last_seq,
            )
        )

    def _result(self) -> ReplicationResult:
        tally = self._tally
        return ReplicationResult(
            source=self._source.label,
            target=self._target.label,
            session_id=self._session_id,
            start_time=self._start_time,
            end_time=datetime.now(UTC),
            start_seq=self._start_seq,
            last_seq=tally.last_seq,
            docs_read=tally.docs_read,
            docs_written=tally.docs_written,
            doc_write_failures=len(tally.refused),
            missing_checked=tally.missing_checked,
            missing_found=tally.missing_found,
            errors=tuple(refusal.as_json() for refusal in tally.refused),
            history=() if self._checkpoints is None else tuple(self._checkpoints.history),
        )


def _single_failure(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first failure in a group: the others are tasks of the same pipeline that met the same trouble.

    A group that holds a cancellation too is left whole, for whoever cancelled must see it.
    """
    if not isinstance(group, ExceptionGroup):
        return group
    failure: BaseException = group
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
