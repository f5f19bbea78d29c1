"""What programs do to a replica: edits of every kind, most of few documents, so that they conflict."""

from __future__ import annotations

from base64 import b64encode
from random import Random
from typing import Any

from couchette.errors import CouchetteError
from tests.simulation.world import Replica, World

IDS = ["a", "b/c", "d e", "é", "_design/x"]


class Workload:
    """Draws edits from ``random`` and makes them."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        self._count = 0

    def edit(self, replica: Replica) -> None:
        """One edit of one document, or several documents at once."""
        kind = self._random.choice([self._put, self._put, self._edit_leaf, self._edit_leaf, self._attach, self._delete])
        kind = self._random.choice([kind, kind, self._fork, self._bulk, self._local, self._resolve])
        self._count += 1
        try:
            kind(replica)
        except CouchetteError as exc:
            # A new document that exists, a design document that is malformed: it is not acknowledged.
            self._world.net.note(f"{replica.name} refuses {kind.__name__}: {exc.error}")

    def _id(self) -> str:
        if self._random.random() < 0.3:
            return f"n{self._count}"
        return self._random.choice(IDS)

    def _leaf(self, replica: Replica, doc_id: str) -> dict[str, Any] | None:
        """Any live leaf of the document."""
        try:
            leaves = [leaf["ok"] for leaf in replica.db.get(doc_id, open_revs="all")]
        except CouchetteError:
            return None
        live = sorted((leaf for leaf in leaves if not leaf.get("_deleted")), key=lambda leaf: leaf["_rev"])
        return self._random.choice(live) if live else None

    def _write(self, replica: Replica, doc: dict[str, Any]) -> None:
        answer = replica.db.put(doc)
        self._world.acknowledge((answer["id"], answer["rev"]), doc)
        self._world.net.note(f"{replica.name} has {answer['id']} {answer['rev']}")

    def _put(self, replica: Replica) -> None:
        self._write(replica, {"_id": self._id(), "n": self._count})

    def _edit_leaf(self, replica: Replica) -> None:
        doc = self._leaf(replica, self._id())
        if doc is not None:
            self._write(replica, {**doc, "n": self._count})

    def _delete(self, replica: Replica) -> None:
        doc = self._leaf(replica, self._id())
        if doc is not None:
            self._write(replica, {"_id": doc["_id"], "_rev": doc["_rev"], "_deleted": True})

    def _attach(self, replica: Replica) -> None:
        doc = self._leaf(replica, self._id())
        if doc is not None:
            name = self._random.choice(["x", "y/z"])
            # From nothing to more than fits into one piece of anything that is cut at 20 kB.
            content = self._random.randbytes(int(60_000 ** self._random.random()) - 1)
            entry = {"data": b64encode(content).decode(), "content_type": self._random.choice(["text/plain", "a/b"])}
            self._write(replica, {**doc, "_attachments": {**doc.get("_attachments", {}), name: entry}})

    def _fork(self, replica: Replica) -> None:
        """A revision that some other program made, with a parent that nobody has seen."""
        doc_id, ids = self._id(), [f"{self._random.getrandbits(128):032x}" for _ in range(self._random.randint(1, 3))]
        rev = f"{len(ids)}-{ids[0]}"
        doc = {"_id": doc_id, "_rev": rev, "_revisions": {"start": len(ids), "ids": ids}, "n": self._count}
        replica.db.bulk_docs([doc], new_edits=False)
        self._world.acknowledge((doc_id, rev), {"_id": doc_id, "n": self._count})
        self._world.net.note(f"{replica.name} has {doc_id} {rev}")

    def _bulk(self, replica: Replica) -> None:
        docs = [{"_id": f"b{self._count}-{number}", "n": number} for number in range(self._random.randint(1, 12))]
        for doc, answer in zip(docs, replica.db.bulk_docs(docs), strict=True):
            self._world.acknowledge((answer["id"], answer["rev"]), doc)
        self._world.net.note(f"{replica.name} has {len(docs)} more documents")

    def _local(self, replica: Replica) -> None:
        """A document that no replication may carry."""
        replica.db.put({"_id": "_local/notes", "at": replica.name})

    def _resolve(self, replica: Replica) -> None:
        conflicts = replica.db.conflicts()
        if conflicts:
            doc_id = self._random.choice(conflicts)["id"]
            replica.db.resolve(doc_id)
            self._world.net.note(f"{replica.name} resolves {doc_id}")
