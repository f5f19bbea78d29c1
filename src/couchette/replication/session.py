"""One session of a replication: from the first question to both sides until it has caught up or broken off."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Unpack

from couchette import surroundings, workers
from couchette.errors import DatabaseNotFound
from couchette.merging import Resolver
from couchette.replication.checkpoints import Checkpoints
from couchette.replication.options import Options, ReplicationOptions
from couchette.replication.peer import Peer
from couchette.replication.pipeline import Pipeline
from couchette.replication.result import Progress, ReplicationResult, SyncResult
from couchette.replication.status import Direction, Tally, Tracker
from couchette.wire.checkpoint import Session as LogEntry
from couchette.wire.transfer import PeerInfo


async def replicate(source: Peer, target: Peer, **options: Unpack[ReplicationOptions]) -> ReplicationResult:
    """Bring to ``target`` every leaf revision that ``source`` has and ``target`` lacks; see :class:`Options`.

    It starts after the newest checkpoint that both sides remember and ends when the source has no more.

    What the target refuses document by document is listed in the result's ``errors``; every other failure is
    raised, after which the documents and checkpoints written so far stay and the next call continues from
    them. Cancelling it is the same as a failure.
    """
    return await replicate_once(source, target, Options(**options))


async def replicate_once(
    source: Peer, target: Peer, options: Options, direction: Direction | None = None
) -> ReplicationResult:
    """:func:`replicate` with options that are made already."""
    tracker = Tracker(options.on_event)
    try:
        result = await Session(source, target, options, tracker, direction).run()
    except Exception as exc:
        tracker.became("error", exc)
        raise
    tracker.became("complete")
    return result


async def sync(near: Peer, far: Peer, **options: Unpack[ReplicationOptions]) -> SyncResult:
    """Replicate ``near`` to ``far``, then ``far`` to ``near``; ``options`` are those of :func:`replicate`.

    ``create_target`` creates the far database only.
    """
    return await sync_once(near, far, Options(**options))


async def sync_once(near: Peer, far: Peer, options: Options) -> SyncResult:
    """:func:`sync` with options that are made already."""
    async with near, far:
        push = await replicate_once(near, far, options, "push")
        pull = await replicate_once(far, near, replace(options, create_target=False), "pull")
    return SyncResult(push, pull)


class Session:
    """The state of one session; ``tracker`` is told what it does and outlives it."""

    def __init__(
        self, source: Peer, target: Peer, options: Options, tracker: Tracker, direction: Direction | None = None
    ) -> None:
        self._direction = direction
        self._source = source
        self._target = target
        self._options = options
        self._tracker = tracker
        self._session_id = surroundings.uuid_hex()
        self._start_time = surroundings.now()
        self._start_seq: Any = 0
        self._tally = Tally()
        self._checkpoints: Checkpoints | None = None

    async def run(self) -> ReplicationResult:
        """Replicate. A live session never returns: it is cancelled or raises."""
        try:
            async with self._source, self._target:
                return await self._run()
        except BaseExceptionGroup as group:
            failure = workers.single_failure(group)
        raise failure from failure.__cause__

    async def _run(self) -> ReplicationResult:
        options = self._options
        source_info, target_info = await self._meet()
        direction = self._direction or _direction(source_info, target_info)
        self._tracker.begin(self._tally, direction, self._source.label, self._target.label)
        self._tracker.heard()
        since: Any = 0 if options.since is None else options.since
        if options.use_checkpoints:
            self._checkpoints = Checkpoints(
                (self._source, source_info), (self._target, target_info), await self._facts()
            )
            resume = await self._checkpoints.read()
            self._tracker.refused = self._checkpoints.refusals.rows
            since = since if resume.seq == 0 else resume.seq
        self._start_seq = self._tally.last_seq = since
        pipeline = Pipeline(
            self._source,
            self._target,
            options,
            tally=self._tally,
            tracker=self._tracker,
            refusals=None if self._checkpoints is None else self._checkpoints.refusals,
            source_local=source_info.local,
            target_empty=target_info.empty,
            resolve=await self._resolve(target_info),
            record=self._record,
            check=self._check,
            report=self._report,
        )
        await pipeline.run()
        return self._result()

    async def _meet(self) -> tuple[PeerInfo, PeerInfo]:
        """Ask both sides who they are.

        The source comes first: no target is created for one that is not there. Nor is it tried where the
        target exists, since that takes rights which writing to it does not.
        """
        source_info = await self._source.info()
        try:
            return source_info, await self._target.info()
        except DatabaseNotFound as exc:
            if not self._options.create_target:
                raise
            if self._options.dry_run:
                hint = f"A dry run does not create {self._target.label}; all that the source has would move to it."
                raise DatabaseNotFound(exc.reason, hint) from exc
        await self._target.create(self._options.create_target_params)
        return source_info, await self._target.info()

    async def _facts(self) -> dict[str, Any]:
        """The options that make it another replication, with the code of the function that filters it."""
        doc_id = self._options.design_doc
        return self._options.facts(None if doc_id is None else await self._source.get_checkpoint(doc_id))

    async def _resolve(self, target: PeerInfo) -> Callable[[Resolver, Sequence[str]], Awaitable[None]] | None:
        """How conflicts on the target are ended; those that an earlier session left are, now."""
        resolver = self._options.resolver
        if resolver is None or not target.local or self._options.dry_run:
            return None
        resolve: Callable[..., Awaitable[None]] = self._target.resolve  # type: ignore[attr-defined] # Local peers have it.
        await resolve(resolver)
        return resolve

    async def _record(self) -> None:
        if self._checkpoints is not None and not self._options.dry_run:
            await self._checkpoints.record(self._log_entry())
            self._tracker.heard()

    async def _check(self) -> None:
        if self._checkpoints is not None:
            await self._checkpoints.check()

    def _log_entry(self) -> LogEntry:
        """The log entry for what is written now."""
        tally = self._tally
        return LogEntry(
            session_id=self._session_id,
            start_time=self._start_time,
            end_time=surroundings.now(),
            start_last_seq=self._start_seq,
            recorded_seq=tally.last_seq,
            missing_checked=tally.missing_checked,
            missing_found=tally.missing_found,
            docs_read=tally.docs_read,
            docs_written=tally.docs_written,
            doc_write_failures=len(tally.refused),
        )

    def _report(self) -> None:
        self._tracker.moved()
        if self._options.progress is None:
            return
        tally = self._tally
        self._options.progress(
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
        refusals = () if self._checkpoints is None else self._checkpoints.refusals.rows()
        return ReplicationResult(
            source=self._source.label,
            target=self._target.label,
            session_id=self._session_id,
            start_time=self._start_time,
            end_time=surroundings.now(),
            start_seq=self._start_seq,
            last_seq=tally.last_seq,
            docs_read=tally.docs_read,
            docs_written=tally.docs_written,
            doc_write_failures=len(tally.refused),
            missing_checked=tally.missing_checked,
            missing_found=tally.missing_found,
            errors=tuple(refusal.as_json() for refusal in tally.refused),
            history=() if self._checkpoints is None else self._checkpoints.log(),
            refused=refusals,
            would_move=tuple(tally.would_move),
        )


def _direction(source: PeerInfo, target: PeerInfo) -> Direction:
    return "pull" if target.local and not source.local else "push"
