"""A program that writes until it is killed: ``writer.py FILE SEED``. It prints each step that was acknowledged.

A line is a JSON object ``{"there": [[id, rev], ...], "gone": [[id, rev], ...]}``, and comes only after the writes
returned; so whoever reads it can hold the database to it.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Iterable
from typing import Any

from couchette import Database
from couchette.limits import ATTACHMENT_CHUNK_BYTES

KINDS = ["new", "new", "new", "edit", "branch", "attach", "delete", "resolve", "purge", "compact"]
KNOWN_MIN = 50
Revs = list[tuple[str, str]]


class Writer:
    """Writes for ever; each method is a step, and returns the revisions that are there then, or keeps those gone."""

    def __init__(self, db: Database, seed: int) -> None:
        self.db = db
        self.seed = seed
        self.number = -1
        self.chance = random.Random(seed)
        self.known: Revs = []
        """Leaves of documents that were written here, each document once."""
        self.gone: Revs = []

    def step(self) -> dict[str, Any]:
        """Make the next step."""
        self.number += 1
        kind = self.chance.choice(KINDS)
        self.gone = []
        there = getattr(self, "new" if len(self.known) < KNOWN_MIN else kind)()
        return {"there": there, "gone": self.gone}

    def new(self) -> Revs:
        ids = [f"{self.seed}-{self.number}-{n}" for n in range(20)]
        rows = self.db.bulk_docs([{"_id": id, "text": "x" * self.chance.randrange(2000)} for id in ids])
        return self.remember(rows)

    def edit(self) -> Revs:
        rows = self.db.bulk_docs([{"_id": id, "_rev": rev, "n": self.number} for id, rev in self.take(10)])
        return self.remember(rows)

    def delete(self) -> Revs:
        return written(self.db.bulk_docs([{"_id": id, "_rev": rev, "_deleted": True} for id, rev in self.take(5)]))

    def attach(self) -> Revs:
        ((id, rev),) = self.take(1)
        data = self.chance.randbytes(self.chance.randrange(3 * ATTACHMENT_CHUNK_BYTES))
        return self.remember([self.db.put_attachment(id, "noise", data, rev=rev)])

    def branch(self) -> Revs:
        return self.push([id for id, _ in self.known[:3]])

    def resolve(self) -> Revs:
        id = f"torn-{self.seed}-{self.number}"
        leaves = self.push([id, id])
        return [*leaves, *written([self.db.resolve(id, keep=min(leaves)[1])])]

    def purge(self) -> Revs:
        id = f"forked-{self.seed}-{self.number}"
        left, right = self.push([id, id])
        self.db.purge({id: [right[1]]})
        self.gone = [right]
        return [left]

    def compact(self) -> Revs:
        self.db.compact()
        return []

    def push(self, ids: list[str]) -> Revs:
        """Write a branch of each of the documents, as replication does."""
        revs = [(id, f"2-{self.chance.randbytes(16).hex()}") for id in ids]
        self.db.bulk_docs([{"_id": id, "_rev": rev, "side": self.number} for id, rev in revs], new_edits=False)
        return revs

    def take(self, size: int) -> Revs:
        """Some of the known documents, which are then known no more."""
        self.chance.shuffle(self.known)
        taken = self.known[:size]
        del self.known[:size]
        return taken

    def remember(self, rows: Iterable[dict[str, Any]]) -> Revs:
        revs = written(rows)
        self.known += revs
        return revs


def written(rows: Iterable[dict[str, Any]]) -> Revs:
    return [(row["id"], row["rev"]) for row in rows if row.get("ok")]


if __name__ == "__main__":
    with Database(sys.argv[1]) as database:
        writer = Writer(database, int(sys.argv[2]))
        while True:
            print(json.dumps(writer.step()), flush=True)
