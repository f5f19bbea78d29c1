"""Tests in which time passes only while everybody waits, and no thread is used: exact times, and no real waiting."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial, wraps
from random import Random

import anyio
import trio.testing

from couchette import surroundings
from couchette.replication import LiveReplication, LiveSync, Options


async def inline(fn):
    """Call a blocking function here, and let the others have their turn as a thread would."""
    await anyio.lowlevel.checkpoint()
    return fn()


def virtually(test):
    """Run an asynchronous test on trio's virtual clock; it fails if it takes more than a day of that."""

    @wraps(test)
    def run(*args, **kwargs):
        async def limited():
            with anyio.fail_after(86_400):
                await test(*args, **kwargs)

        with surroundings.replaced(surroundings.Surroundings(random=Random(1), call=inline)):
            options = {"clock": trio.testing.MockClock(autojump_threshold=0)}
            anyio.run(limited, backend="trio", backend_options=options)

    return run


class Opener:
    """Two peers that need no opening; ``auths`` are what was set."""

    def __init__(self, first, second):
        self._peers = (first, second)
        self.auths = []

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator:
        yield self._peers

    def set_auth(self, **auths):
        self.auths.append(auths)


def live(source, target, **options):
    """A live replication between two peers."""
    return LiveReplication(Opener(source, target), Options(**options))


def live_sync(near, far, **options):
    """A live sync of two peers."""
    return LiveSync(Opener(near, far), Options(**options))


async def until(condition, *, within=600):
    """Wait until a condition holds; a virtual second costs nothing."""
    with anyio.fail_after(within):
        while not condition():
            await anyio.sleep(0.01)


states = partial(map, lambda event: event.status.state)
