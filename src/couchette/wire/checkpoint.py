"""Checkpoints: the ``_local`` documents in which both sides of a replication note how far it came.

A replication keeps the same document on the source and on the target, in CouchDB's form: a log of
sessions, newest first, each with the source's sequence that was safely on the target when it was
recorded. The next session finds its start by comparing the two logs (:func:`common_seq`): what only one
side remembers is worth nothing, since the other may have been restored from a backup or recreated.

One session records many checkpoints, so the two documents may carry the same session with different
sequences: a crash fell between the two writes, or one side lost its last writes (a database with
``durability="normal"`` may, at a power cut). CouchDB then believes the source. We believe whichever is
lower, which costs a comparison of revisions and never a document. Sequences are opaque, but each
implementation begins them with a number that grows; where that cannot be read, the target's counts,
for it is written last and holds the data.

PouchDB's documents differ in two names (``last_seq`` for ``source_last_seq`` and ``recorded_seq``); both are
read, CouchDB's are written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any, Final

from couchette import jsonio, limits

Seq = int | str | list[Any]
"""A source's sequence, opaque: a string nowadays, a number from PouchDB, an array from old clusters."""

CHECKPOINT_VERSION: Final = 4
"""``replication_id_version`` of the documents that we write: CouchDB's current form."""


@dataclass(frozen=True)
class Resume:
    """Where a session starts: the sequence to ask changes after, and the log that it continues."""

    seq: Seq = 0
    history: Sequence[Mapping[str, Any]] = field(default=())


@dataclass(frozen=True)
class Session:
    """One entry of the log: a session as far as it has come.

    The counts are CouchDB's: revisions compared and found missing on the target, documents read from
    the source, written to the target, and refused.
    """

    session_id: str
    start_time: datetime
    end_time: datetime
    start_last_seq: Seq
    recorded_seq: Seq
    missing_checked: int = 0
    missing_found: int = 0
    docs_read: int = 0
    docs_written: int = 0
    doc_write_failures: int = 0

    def as_json(self) -> dict[str, Any]:
        """The entry as CouchDB writes it."""
        return {
            "session_id": self.session_id,
            "start_time": http_date(self.start_time),
            "end_time": http_date(self.end_time),
            "start_last_seq": self.start_last_seq,
            "end_last_seq": self.recorded_seq,
            "recorded_seq": self.recorded_seq,
            "missing_checked": self.missing_checked,
            "missing_found": self.missing_found,
            "docs_read": self.docs_read,
            "docs_written": self.docs_written,
            "doc_write_failures": self.doc_write_failures,
        }


def checkpoint_id(source: str, target: str, options: Mapping[str, Any] | None = None) -> str:
    """The id of the document that keeps the checkpoints of replicating ``source`` to ``target``.

    ``source`` and ``target`` are the peers' lasting identities (a database's uuid, a URL without
    credentials); ``options`` are those that decide which documents travel, and only when they are set.
    The id is the same after a restart and after a change of password.
    """
    facts = [source, target, dict(sorted((options or {}).items()))]
    return "_local/" + hashlib.md5(jsonio.dumps(facts), usedforsecurity=False).hexdigest()


def common_seq(source: Mapping[str, Any] | None, target: Mapping[str, Any] | None) -> Resume:
    """Compare the two sides' checkpoint documents and find where the next session starts.

    The newest session that both remember counts, with the lower of the two sequences. Without one the
    replication starts at 0 with an empty log; documents that are not checkpoints are as good as none.
    """
    target_seqs: dict[str, Seq] = {}
    for session_id, seq, _ in _sessions(target):
        target_seqs.setdefault(session_id, seq)
    for session_id, seq, older in _sessions(source):
        if session_id in target_seqs:
            return Resume(_lower(seq, target_seqs[session_id]), older)
    return Resume()


def checkpoint_doc(doc_id: str, session: Session, resume: Resume) -> dict[str, Any]:
    """The document that records ``session``, which began at ``resume``; the same for both sides."""
    older = [entry for entry in resume.history if entry.get("session_id") != session.session_id]
    return {
        "_id": doc_id,
        "session_id": session.session_id,
        "source_last_seq": session.recorded_seq,
        "replication_id_version": CHECKPOINT_VERSION,
        "history": [session.as_json(), *older][: limits.CHECKPOINT_HISTORY_MAX],
    }


def http_date(moment: datetime) -> str:
    """The date as CouchDB writes it in a log: ``Sat, 21 Nov 2026 03:58:48 GMT``."""
    return format_datetime(moment.astimezone(UTC), usegmt=True)


def _sessions(doc: Mapping[str, Any] | None) -> Iterator[tuple[str, Seq, list[Mapping[str, Any]]]]:
    """The sessions of a checkpoint document, newest first: id, sequence, log entries from there on."""
    if doc is None:
        return
    history = doc.get("history")
    entries: list[Mapping[str, Any]] = []
    if isinstance(history, list):
        entries = [entry for entry in history if isinstance(entry, dict)]
    newest: Mapping[str, Any] = {**doc, "recorded_seq": doc.get("source_last_seq", doc.get("last_seq"))}
    for index, entry in enumerate([newest, *entries]):
        session_id, seq = entry.get("session_id"), entry.get("recorded_seq", entry.get("last_seq"))
        if isinstance(session_id, str) and isinstance(seq, int | str | list):
            yield session_id, seq, entries[max(0, index - 1) :]


def same_place(one: Seq, other: Seq) -> bool:
    """Whether two sequences of one source are of the same change, as far as can be told: their texts may differ."""
    number = _number(one)
    return one == other if number is None else number == _number(other)


def _lower(source_seq: Seq, target_seq: Seq) -> Seq:
    """The lower of two sequences of one source; the target's where that cannot be told."""
    source_number, target_number = _number(source_seq), _number(target_seq)
    if source_number is None or target_number is None:
        return target_seq
    return source_seq if source_number < target_number else target_seq


def _number(seq: Seq) -> int | None:
    """The number that a sequence begins with: 12 of ``12``, ``"12-g1AAA"`` and ``[12, "g1AAA"]``."""
    head = seq[0] if isinstance(seq, list) and seq else seq
    if isinstance(head, str):
        digits = head.partition("-")[0]
        return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
    return head if isinstance(head, int) else None
