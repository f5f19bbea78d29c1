"""What happens to the replicas, beside what happens to requests: each at a moment that chance chooses."""

from __future__ import annotations

from random import Random

import anyio

from couchette.testing import Faults
from tests.simulation.world import World

SYNCED_EVERY_S = 10.0
"""How often, in the mean, a file's newest content has reached the disk."""


def draw_faults(random: Random) -> Faults:
    """A line between good and terrible: a few kinds of faults, at most a third of the requests."""
    worst = random.choice([0.0, 0.02, 0.1, 0.3])
    rates = {}
    for kind in ("refused", "lost", "torn", "unanswered", "repeated", "cut", "delayed"):
        rates[kind] = random.choice([0, 0, worst * random.random() / 3])
    answers = {status: random.choice([0, worst * random.random() / 4]) for status in (401, 429, 500, 503)}
    return Faults(**rates, answers=answers, delay_s=(0.1, random.choice([2.0, 60.0])))


class Nemesis:
    """Draws disasters from ``random`` and lets them happen."""

    def __init__(self, world: World, random: Random) -> None:
        self._world = world
        self._random = random
        disasters = [self._restart, self._outage, self._cut_power, self._sleep, self._set_clock, self._new_weather]
        self._disasters = random.sample(disasters, random.randint(0, len(disasters)))

    async def work(self, rounds: int) -> None:
        """Let disasters happen, with pauses, until all have been."""
        for _ in range(rounds):
            await anyio.sleep(self._random.expovariate(1 / 5))
            for replica in self._world.running():
                if self._random.random() < 5 / SYNCED_EVERY_S:
                    self._world.sync_to_disk(replica)
            if self._disasters:
                await self._random.choice(self._disasters)()

    def _note(self, event: str) -> None:
        self._world.net.note(f"-- {event}")

    async def _restart(self) -> None:
        replica = self._random.choice(self._world.replicas)
        self._note(f"{replica.name} is restarted")
        self._world.restart(replica)

    async def _outage(self) -> None:
        replica = self._random.choice(self._world.replicas)
        if replica.folder is None:
            return
        self._note(f"{replica.name} is down")
        replica.server.stop()
        await anyio.sleep(self._random.uniform(0.1, 40))
        replica.server.start()
        self._note(f"{replica.name} is up")

    async def _cut_power(self) -> None:
        replica = self._random.choice(self._world.replicas)
        self._note(f"{replica.name} loses power")
        self._world.cut_power(replica)

    async def _sleep(self) -> None:
        seconds = self._random.choice([1.0, 100.0, 10_000.0])
        self._note(f"everything sleeps for {seconds:g} s")
        self._world.net.clocks.sleep_through(seconds)

    async def _set_clock(self) -> None:
        seconds = self._random.uniform(-1e6, 1e6)
        self._note(f"the clock on the wall is set by {seconds:g} s")
        self._world.net.clocks.set_wall(seconds)

    async def _new_weather(self) -> None:
        server = self._random.choice(self._world.replicas).server
        server.faults = draw_faults(self._random)
        server.body_bytes_max = self._random.choice([None, None, 200_000])
        self._note(f"{server.name} has other faults")
