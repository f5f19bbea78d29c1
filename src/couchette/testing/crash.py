"""The death of a program in the middle of what it does, for code that runs on in the same process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import anyio
import anyio.lowlevel

from couchette.surroundings import Incoming, Outgoing, Surroundings


class Crashed(Exception):
    """What a dead program's clean-up gets when it tries to do something, and cannot be cancelled."""


class Crash:
    """Counts the steps of a program, its operations and its requests, and ends it at one of them.

    Attributes:
        happened: whether the program got so far.
        steps: how many it has taken.
        scope: what the program runs in.
        surroundings: where it runs: those given, with the steps counted.
    """

    def __init__(self, step: int, where: Surroundings, *, after: bool) -> None:
        assert where.call is not None, "the block is not inside a simulated network"
        assert where.carrier is not None
        self.happened = False
        self.steps = 0
        self.scope = anyio.CancelScope()
        self.surroundings = replace(where, call=self._call, carrier=self)
        self._inner_call = where.call
        self._inner_carrier = where.carrier
        self._step = step
        self._after = after

    async def carry(self, request: Outgoing) -> Incoming:
        """A request, which is a step."""
        last = await self._begin()
        answer = await self._inner_carrier.carry(request)
        if last:
            await answer.aclose()
            await self._die()
        return answer

    async def _call(self, fn: Callable[[], Any]) -> Any:
        last = await self._begin()
        result = await self._inner_call(fn)
        if last:
            await self._die()
        return result

    async def _begin(self) -> bool:
        """Count a step; whether it is the last one that the program lives to see."""
        if self.happened:
            await self._die()
        self.steps += 1
        if self.steps == self._step and not self._after:
            await self._die()
        return self.steps == self._step

    async def _die(self) -> None:
        self.happened = True
        self.scope.cancel()
        await anyio.lowlevel.checkpoint()
        raise Crashed("The program has crashed in this simulation.")


def from_outside(exc: BaseException) -> BaseException | None:
    """What of an exception is not the dead program's: its errors nobody sees, who cancels it from outside must know.

    None: nothing.
    """
    if isinstance(exc, BaseExceptionGroup):
        return exc.split(Exception)[1]
    return None if isinstance(exc, Exception) else exc
