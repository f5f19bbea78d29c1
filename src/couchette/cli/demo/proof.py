"""The proof that replicas are equal: every leaf of every document, its revision and its content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from couchette import jsonio
from couchette.cli.screen import Meter
from couchette.database import Database

PAGE_DOCS: Final = 1000

DIGEST_SHOWN: Final = 16


@dataclass(frozen=True)
class Leaves:
    """What a replica holds.

    Attributes:
        documents: how many documents it has, deleted ones included.
        leaves: how many leaf revisions these have.
        digests: for each document id, a digest of all its leaves.
    """

    documents: int
    leaves: int
    digests: dict[str, bytes]

    @property
    def digest(self) -> str:
        """One digest for the whole replica."""
        whole = hashlib.sha256()
        for doc_id in sorted(self.digests):
            whole.update(jsonio.dumps(doc_id) + self.digests[doc_id])
        return whole.hexdigest()[:DIGEST_SHOWN]


def read_leaves(database: Database, meter: Meter) -> Leaves:
    """Read every leaf of every document, attachments included, and digest it byte for byte."""
    digests: dict[str, bytes] = {}
    leaves = 0
    since: Any = 0
    while True:
        page = database.changes(since=since, limit=PAGE_DOCS, style="all_docs")
        if not page["results"]:
            return Leaves(len(digests), leaves, digests)
        wanted = [{"id": row["id"], "rev": change["rev"]} for row in page["results"] for change in row["changes"]]
        bodies: dict[str, list[bytes]] = {}
        for result in database.bulk_get(wanted, attachments=True)["results"]:
            bodies.setdefault(result["id"], []).extend(jsonio.dumps(entry["ok"]) for entry in result["docs"])
        for doc_id, leaf_bodies in bodies.items():
            digests[doc_id] = hashlib.sha256(b"\n".join(sorted(leaf_bodies))).digest()
        leaves += len(wanted)
        since = page["last_seq"]
        meter.tell(len(digests), page["pending"])


def differing(replicas: Sequence[Leaves]) -> list[str]:
    """The ids of the documents that are not the same everywhere."""
    ids = set().union(*(replica.digests for replica in replicas))
    return sorted(doc_id for doc_id in ids if len({replica.digests.get(doc_id) for replica in replicas}) > 1)
