"""A program that writes until it is killed: ``writer.py FILE SEED``. It prints each batch that was acknowledged.

A line is a JSON list of ``[id, rev]``, and comes only after the write returned. All that the batch wrote is
in its revisions, so whoever reads the line can hold the database to it.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Sequence
from typing import Any

from couchette import Database


def batches(db: Database, seed: int) -> Any:
    """Write for ever: new documents, edits, branches, deletions and attachments; yield what was acknowledged."""
    chance = random.Random(seed)
    known: list[tuple[str, str]] = []
    for number in range(sys.maxsize):
        kind = chance.choice(["new", "new", "edit", "branch", "attach", "delete"])
        if kind == "new" or len(known) < 50:
            docs = [{"_id": f"{seed}-{number}-{n}", "text": "x" * chance.randrange(2000)} for n in range(20)]
            rows = db.bulk_docs(docs)
        elif kind == "edit":
            rows = db.bulk_docs([{"_id": id, "_rev": rev, "n": number} for id, rev in take(chance, known, 10)])
        elif kind == "delete":
            rows = db.bulk_docs([{"_id": id, "_rev": rev, "_deleted": True} for id, rev in take(chance, known, 5)])
        elif kind == "attach":
            ((id, rev),) = take(chance, known, 1)
            rows = [db.put_attachment(id, "noise", chance.randbytes(chance.randrange(400_000)), rev=rev)]
        else:
            rows = [{"ok": True, "id": id, "rev": f"2-{chance.randbytes(16).hex()}"} for id, _ in known[:3]]
            db.bulk_docs([{"_id": row["id"], "_rev": row["rev"], "side": number} for row in rows], new_edits=False)
            yield [(row["id"], row["rev"]) for row in rows]
            continue
        written = [(row["id"], row["rev"]) for row in rows if row.get("ok")]
        if kind != "delete":
            known += written
        yield written


def take(chance: random.Random, known: list[tuple[str, str]], size: int) -> Sequence[tuple[str, str]]:
    """Some of the known documents, which are then known no more."""
    chance.shuffle(known)
    taken = known[:size]
    del known[:size]
    return taken


if __name__ == "__main__":
    with Database(sys.argv[1]) as database:
        for written in batches(database, int(sys.argv[2])):
            print(json.dumps(written), flush=True)
