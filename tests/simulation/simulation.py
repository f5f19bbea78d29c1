"""One simulation: replicas, a workload, a nemesis and replications between them, all drawn from a seed.

It has two parts. In the storm everything happens at once, and any replication may fail or its program die. Then
everything heals, and what is left to do is done by the same replications, which must not fail; the checkers
judge what came of it.

    python -m tests.simulation.simulation 17        # one seed, with its log

Everything that can lose data by design is drawn too (a power cut, a server that lives in memory): what was
acknowledged and is on no replica afterwards is forgotten, everything else must be everywhere in the end.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import anyio

from couchette import limits
from couchette.errors import CouchetteError
from couchette.testing import Network, network
from tests.simulation.checkers import leaves, problems
from tests.simulation.nemesis import Nemesis, draw_faults
from tests.simulation.topology import Edge, draw_edges
from tests.simulation.workload import Workload
from tests.simulation.world import World

STORM_S_MAX = 1e6
"""Virtual seconds within which the storm must be over: what takes longer is stuck."""

LIVE_S_MAX = 4096.0
"""Virtual seconds within which live replications must have recovered from the storm."""

NEVER = 10**9
"""A step that no program reaches."""


@dataclass(frozen=True)
class Outcome:
    """What came of a simulation."""

    seed: int
    problems: list[str]
    log: list[str]

    def __str__(self) -> str:
        head = f"seed {self.seed}: {len(self.problems)} problems, {len(self.log)} events"
        return "\n".join([head, *self.problems[:20], f"Replay: python -m tests.simulation.simulation {self.seed}"])


def simulate(seed: int) -> Outcome:
    """Run the simulation of this seed."""
    with TemporaryDirectory(prefix="couchette-simulation-") as folder, network(seed) as net:
        found = net.run(_Simulation(net, Path(folder)).run)
        return Outcome(seed, found, net.log)


class _Simulation:
    def __init__(self, net: Network, folder: Path) -> None:
        self._net = net
        random = net.random
        self._world = World(net, folder, [random.random() < 0.7 for _ in range(random.randint(2, 5))])
        self._edges = draw_edges(self._world.replicas, random)
        self._workload = Workload(self._world, Random(f"workload {net.seed}"))
        self._nemesis = Nemesis(self._world, Random(f"nemesis {net.seed}"))

    async def run(self) -> list[str]:
        for replica in self._world.replicas:
            replica.server.faults = draw_faults(self._net.random)
        with self._world.simulated_disks(), self._small_bounds():
            async with anyio.create_task_group() as live:
                for number, edge in enumerate(self._edges):
                    if edge.is_live:
                        live.start_soon(self._keep_alive, edge, Random(f"live {number} {self._net.seed}"))
                with anyio.fail_after(STORM_S_MAX):
                    await self._storm()
                self._net.note("-- quiet")
                self._net.heal()
                # An idle push learns that its target was replaced by an empty one when it next has something to push.
                for replica in self._world.replicas:
                    replica.db.put({"_id": f"last of {replica.name}"})
                stuck = await self._wait_for_live()
                live.cancel_scope.cancel()
            return [*stuck, *await self._settle(), *problems(self._world)]

    @contextmanager
    def _small_bounds(self) -> Iterator[None]:
        """Let small attachments be streamed, and small batches be divided, as only large ones are otherwise."""
        random = self._net.random
        inline_max = random.choice([limits.ATTACHMENT_INLINE_BYTES_MAX, 2000, 50])
        batch_bytes = random.choice([limits.BATCH_BYTES, limits.BATCH_BYTES, 5000])
        with patch.multiple(limits, ATTACHMENT_INLINE_BYTES_MAX=inline_max, BATCH_BYTES=batch_bytes):
            yield

    # -- The storm ------------------------------------------------------------------------------------

    async def _storm(self) -> None:
        random = self._net.random
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._edit, random.randint(5, 40), Random(f"edits {self._net.seed}"))
            tasks.start_soon(self._nemesis.work, random.randint(0, 10))
            for number, edge in enumerate(self._edges):
                chance = Random(f"edge {number} {self._net.seed}")
                if not edge.is_live:
                    tasks.start_soon(self._replicate_again_and_again, edge, random.randint(1, 5), chance)

    async def _edit(self, count: int, random: Random) -> None:
        for _ in range(count):
            await anyio.sleep(random.expovariate(2))
            self._workload.edit(random.choice(self._world.running()))

    async def _replicate_again_and_again(self, edge: Edge, times: int, random: Random) -> None:
        for _ in range(times):
            await anyio.sleep(random.expovariate(1 / 3))
            if not edge.near.server.running or not edge.far.server.running:
                continue
            try:
                if random.random() < 0.3:
                    with self._net.crash(int(60 ** random.random()), after=random.random() < 0.5) as crash:
                        await edge.run()
                    self._net.note(f"{edge} {'crashed' if crash.happened else 'is done'}")
                else:
                    await edge.run()
                    self._net.note(f"{edge} is done")
            except CouchetteError as exc:
                self._net.note(f"{edge} failed: {type(exc).__name__} {exc.error}")

    async def _keep_alive(self, edge: Edge, random: Random) -> None:
        """A program with a live replication, which is started again whenever it or its database has died."""
        lives = 3
        while True:
            await anyio.sleep(random.expovariate(1))
            if not edge.near.server.running:
                continue
            # It dies at most twice, so that the replication comes to its end.
            lives -= 1
            step = int(200 ** random.random()) if lives > 0 else NEVER
            database = edge.near.db
            try:
                with self._net.crash(step, after=random.random() < 0.5):
                    async with await edge.live() as live:
                        while not database.closed and live.status.state != "error":
                            await anyio.sleep(1)
            except CouchetteError as exc:
                self._net.note(f"{edge} ended: {type(exc).__name__} {exc.error}")

    # -- The quiet ------------------------------------------------------------------------------------

    async def _wait_for_live(self) -> list[str]:
        """Let live replications do what is left, and see that they come to an end by themselves."""
        if not any(edge.is_live for edge in self._edges):
            return []
        pause_s = 1.0
        while pause_s < LIVE_S_MAX:
            for _ in self._world.replicas:
                for edge in self._edges:
                    if not edge.is_live:
                        await edge.run()
            await anyio.sleep(pause_s)
            first, *others = (leaves(replica.db) for replica in self._world.replicas)
            if all(other == first for other in others):
                return []
            pause_s *= 2
        return [f"Live replications have not made the replicas agree in {LIVE_S_MAX:g} seconds"]

    async def _settle(self) -> list[str]:
        """Replicate until everything is everywhere, then once more, when nothing is left to do."""
        for _ in self._world.replicas:
            for edge in self._edges:
                results = await edge.run()
                if any(not result.ok for result in results):
                    return [f"{edge} in the quiet: {results}"]
        found = []
        for edge in self._edges:
            for result in await edge.run():
                if result.docs_read or result.missing_checked:
                    found.append(f"{edge} looks again at what it has done: {result}")
        return found


def main() -> int:
    """Run the seeds that are given; the log of a single one is printed."""
    seeds = [int(seed) for seed in sys.argv[1:]]
    outcomes = [simulate(seed) for seed in seeds]
    for outcome in outcomes:
        if len(seeds) == 1:
            print("\n".join(outcome.log))
        print(outcome)
    return 1 if any(outcome.problems for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
