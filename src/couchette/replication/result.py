"""What a replication tells: while it runs, and when it has ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from couchette.wire.checkpoint import CHECKPOINT_VERSION, Seq, http_date


@dataclass(frozen=True)
class Progress:
    """How far a replication has come; one is given to the ``progress`` callback after each batch.

    Attributes:
        source, target: the two sides' names, without credentials.
        pending: changes of the source not yet looked at, where the source tells.
        docs_read, docs_written, doc_write_failures: document revisions fetched, stored, refused.
        missing_checked, missing_found: revisions compared with the target, and found missing there.
        last_seq: the source's sequence up to which all is on the target.
    """

    source: str
    target: str
    pending: int | None
    docs_read: int
    docs_written: int
    doc_write_failures: int
    missing_checked: int
    missing_found: int
    last_seq: Seq


@dataclass(frozen=True)
class ReplicationResult:
    """A replication that reached the end of the source's changes.

    Attributes:
        source, target: the two sides' names, without credentials.
        session_id: the session's id in the checkpoint documents.
        start_time, end_time: when it ran, in UTC.
        start_seq: the sequence after which it began: 0, or a checkpoint's.
        last_seq: the sequence that it reached.
        docs_read, docs_written, doc_write_failures: document revisions fetched, stored, refused.
        missing_checked, missing_found: revisions compared with the target, and found missing there.
        errors: the documents refused this time, each ``{"id", "rev", "error", "reason"}``.
        refused: all documents that the target refuses until now, whenever it was, with ``status`` and ``time`` too. The
            next replication offers them again.
        would_move: what a dry run found missing on the target, each ``{"id", "revs"}``.
        history: the log of the checkpoint document, newest session first; empty when none was recorded.
    """

    source: str
    target: str
    session_id: str
    start_time: datetime
    end_time: datetime
    start_seq: Seq
    last_seq: Seq
    docs_read: int
    docs_written: int
    doc_write_failures: int
    missing_checked: int
    missing_found: int
    errors: Sequence[Mapping[str, Any]] = field(default=())
    history: Sequence[Mapping[str, Any]] = field(default=(), repr=False)
    refused: Sequence[Mapping[str, Any]] = field(default=())
    would_move: Sequence[Mapping[str, Any]] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether every document that the target lacked is there now."""
        return not self.errors and not self.would_move

    def as_json(self) -> dict[str, Any]:
        """The result as JSON, under the names of CouchDB's ``_replicate``."""
        return {
            "ok": self.ok,
            "session_id": self.session_id,
            "source_last_seq": self.last_seq,
            "replication_id_version": CHECKPOINT_VERSION,
            "start_time": http_date(self.start_time),
            "end_time": http_date(self.end_time),
            "docs_read": self.docs_read,
            "docs_written": self.docs_written,
            "doc_write_failures": self.doc_write_failures,
            "missing_checked": self.missing_checked,
            "missing_found": self.missing_found,
            "errors": [dict(error) for error in self.errors],
            "history": [dict(entry) for entry in self.history],
        }


@dataclass(frozen=True)
class SyncResult:
    """Both directions of a sync: ``push`` went to the other side, ``pull`` came from it."""

    push: ReplicationResult
    pull: ReplicationResult

    @property
    def ok(self) -> bool:
        """Whether both sides hold all leaves of both."""
        return self.push.ok and self.pull.ok
