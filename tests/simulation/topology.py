"""Who replicates with whom, in which direction, at whose place, and once or all the time."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any, Literal

import couchette
from couchette.replication import LiveReplication, LiveSync, ReplicationResult
from tests.simulation.world import Replica

Kind = Literal["pull", "push", "sync", "between"]


@dataclass(frozen=True)
class Edge:
    """A replication between two replicas: ``near``'s program runs it, unless a third party does (``between``)."""

    kind: Kind
    near: Replica
    far: Replica
    batch_docs: int
    is_live: bool

    def __str__(self) -> str:
        arrow = {"pull": "<-", "push": "->", "sync": "<->", "between": "-->"}[self.kind]
        return f"{self.near.name} {arrow} {self.far.name}{' live' if self.is_live else ''}"

    async def live(self) -> LiveReplication | LiveSync:
        """The same replication, going on, not yet running."""
        options: dict[str, Any] = {"batch_docs": self.batch_docs, "create_target": True}
        match self.kind:
            case "pull":
                return await couchette.replicate_async(self.far.url, self.near.db, live=True, **options)
            case "push":
                return await couchette.replicate_async(self.near.db, self.far.url, live=True, **options)
            case "between":
                return await couchette.replicate_async(self.near.url, self.far.url, live=True, **options)
            case "sync":
                return await couchette.sync_async(self.near.db, self.far.url, live=True, **options)

    async def run(self) -> list[ReplicationResult]:
        """Replicate once; what moved, by direction."""
        options: dict[str, Any] = {"batch_docs": self.batch_docs, "create_target": True}
        match self.kind:
            case "pull":
                return [await couchette.replicate_async(self.far.url, self.near.db, **options)]
            case "push":
                return [await couchette.replicate_async(self.near.db, self.far.url, **options)]
            case "between":
                return [await couchette.replicate_async(self.near.url, self.far.url, **options)]
            case "sync":
                both = await couchette.sync_async(self.near.db, self.far.url, **options)
                return [both.push, both.pull]


def draw_edges(replicas: list[Replica], random: Random) -> list[Edge]:
    """Edges by which every replica's documents reach every other: a hub, a ring, or a ring with chords.

    Replicas that are asked over the network get full durability.
    """
    shape = random.choice(["hub", "ring", "chords"])
    live_share = random.choice([0.0, 0.5, 1.0])
    edges = []

    def add(kind: Kind, near: Replica, far: Replica) -> None:
        far.full_durability = True
        near.full_durability = near.full_durability or kind == "between"
        edges.append(Edge(kind, near, far, random.choice([1, 2, 3, 7, 500]), random.random() < live_share))

    if shape == "hub":
        hub, *others = replicas
        for other in others:
            if random.random() < 0.5:
                add("sync", other, hub)
            else:
                add("pull", other, hub)
                add("push", other, hub)
        return edges
    for number, near in enumerate(replicas):
        after = replicas[(number + 1) % len(replicas)]
        kind: Kind = random.choice(["push", "between", "sync"])
        add(kind, near, after)
    if shape == "chords":
        for _ in replicas:
            near, far = random.sample(replicas, 2)
            add(random.choice(["pull", "push", "sync", "between"]), near, far)
    return edges
