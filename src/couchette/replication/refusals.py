"""Documents that the target refused: remembered until it takes them, in a ``_local`` document beside the checkpoint.

A checkpoint passes over a refused document, since the others must not wait for it. So this list is stored before
the checkpoint is, and each session begins by offering what is on it: a user who got the right to write, a rule that
was changed, a limit that was raised then cost nobody a document. What the source has no more is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from couchette import limits, surroundings
from couchette.errors import BY_ERROR, BY_STATUS
from couchette.replication.local_doc import LocalDoc
from couchette.replication.peer import Peer
from couchette.wire.transfer import Document, Refusal

_STATUSES: Final = {
    **{kind.default_error: kind.default_status for kind in BY_STATUS.values()},
    **{word: kind.default_status for word, kind in BY_ERROR.items()},
    "document_too_large": 413,
    "attachment_too_large": 413,
}
"""The HTTP status that an error word of a ``_bulk_docs`` row would have had alone."""

_TEXTS: Final = ("id", "rev", "error", "reason")
"""Members without which a row is none."""


class Refusals:
    """The list of one replication; ``keeper`` is the side that stores it, under ``doc_id``."""

    def __init__(self, keeper: Peer, doc_id: str) -> None:
        self._doc = LocalDoc(keeper, doc_id)
        self._rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._ids: dict[str, int] = {}
        """How many rows a document has."""
        self._changed = False

    async def read(self) -> None:
        """Read what earlier sessions left. A row in another form than ours, whoever wrote it, is none."""
        doc = await self._doc.read()
        rows = None if doc is None else doc.get("refused")
        for row in rows if isinstance(rows, list) else ():
            if isinstance(row, Mapping) and all(isinstance(row.get(name), str) for name in _TEXTS):
                self._insert(row)

    async def record(self) -> None:
        """Store the list if it changed; nothing is lost if a checkpoint is stored only after it."""
        if not self._changed:
            return
        self._changed = False
        try:
            await self._doc.write({"refused": list(self._rows.values())})
        except BaseException:
            self._changed = True
            raise

    def rows(self) -> tuple[dict[str, Any], ...]:
        """The refused documents: ``{"id", "rev", "status", "error", "reason", "time"}`` each."""
        return tuple(self._rows.values())

    def wanted(self) -> dict[str, list[str]]:
        """What to offer again, as ``{id: [rev, ...]}``."""
        wanted: dict[str, list[str]] = {}
        for doc_id, rev in self._rows:
            wanted.setdefault(doc_id, []).append(rev)
        return wanted

    @property
    def overflowing(self) -> bool:
        """Whether there are more than can be remembered, so that no checkpoint may pass over them."""
        return len(self._rows) > limits.REFUSED_KEPT_MAX

    def add(self, refusal: Refusal) -> None:
        """Remember a refusal, with the newest reason."""
        if refusal.rev is None:
            return
        self._insert(
            {
                "id": refusal.id,
                "rev": refusal.rev,
                "status": _STATUSES.get(refusal.error, 500),
                "error": refusal.error,
                "reason": refusal.reason[: limits.REFUSED_REASON_CHARS],
                "time": surroundings.now().isoformat(),
            }
        )
        self._changed = True

    def settle(self, doc: Document) -> None:
        """Forget a document's revision and those before it: the target has taken it."""
        if doc["_id"] in self._ids:
            revisions = doc["_revisions"]
            for index, rev in enumerate(revisions["ids"]):
                self.forget(doc["_id"], f"{revisions['start'] - index}-{rev}")

    def forget(self, doc_id: str, rev: str) -> None:
        """Forget a revision: the target has it, or the source has it no more."""
        if self._rows.pop((doc_id, rev), None) is not None:
            self._changed = True
            self._ids[doc_id] -= 1
            if self._ids[doc_id] == 0:
                del self._ids[doc_id]

    def _insert(self, row: Mapping[str, Any]) -> None:
        key = (row["id"], row["rev"])
        if key not in self._rows:
            self._ids[key[0]] = self._ids.get(key[0], 0) + 1
        self._rows[key] = dict(row)
