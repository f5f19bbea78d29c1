"""Promises, as JavaScript's, whose functions are called on the program's thread; in asyncio and trio they are awaited.

A promise is settled once, by any thread. Functions given to ``then`` never run within the call of ``then``, nor in the
thread that settles it, but when the program's loop gets to them (:mod:`couchette.pouchdb.dispatching`).
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Generator
from typing import Any, Generic, Literal, TypeVar, cast

import anyio

from couchette.notifier import loop_caller
from couchette.pouchdb.dispatching import Dispatcher, logger

T = TypeVar("T")
U = TypeVar("U")
State = Literal["pending", "fulfilled", "rejected"]


class Promise(Generic[T]):
    """What will come of an operation: its result, or the error that ended it.

    ``promise.then(function)`` calls ``function(result)`` when it is there, ``promise.catch(function)`` calls
    ``function(error)`` if there is none, and ``result = await promise`` waits for it in asyncio and trio. One that
    fails while nobody has asked in any of these ways is logged when it goes.
    """

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._settling = threading.Lock()
        self._state: State = "pending"
        self._outcome: Any = None
        self._followers: list[Callable[[], object]] = []
        self._looked_at = False

    # -- For the program --------------------------------------------------------------------------

    def then(
        self,
        on_fulfilled: Callable[[T], U | Promise[U]] | None = None,
        on_rejected: Callable[[Exception], Any] | None = None,
    ) -> Promise[U]:
        """Have one of two functions called when this is settled; return a promise of what that function returns.

        If it returns a promise, that one's outcome is it; if it raises, the error is. Where the function that would be
        called is missing, the outcome of this promise is handed on.
        """
        derived: Promise[U] = Promise(self._dispatcher)

        def react() -> None:
            function: Any = on_fulfilled if self._state == "fulfilled" else on_rejected
            if function is None:
                derived._follow(self)
                return
            try:
                returned = self._dispatcher.call(function, self._outcome)
            except Exception as exc:
                derived._reject(exc)
            else:
                derived._resolve(returned)

        self._when_settled(lambda: self._dispatcher.post(react))
        return derived

    def catch(self, on_rejected: Callable[[Exception], Any]) -> Promise[Any]:
        """Have a function called with the error, if there is one; return a promise of what it returns."""
        return self.then(None, on_rejected)

    def finally_(self, function: Callable[[], Any]) -> Promise[T]:
        """Have a function called without arguments in either case; the promise returned has this one's outcome.

        It waits for a promise that the function returns. An error there takes the place of the outcome.
        """

        def again(returned: Any) -> Promise[T]:
            if not isinstance(returned, Promise):
                return self
            return returned.then(lambda _: self)

        return self.then(lambda _: again(function()), lambda _: again(function()))

    def __await__(self) -> Generator[Any, Any, T]:
        return self._wait().__await__()

    async def _wait(self) -> T:
        settled = anyio.Event()
        run_soon = loop_caller()
        self._when_settled(lambda: run_soon(settled.set))
        await settled.wait()
        if self._state == "rejected":
            raise self._outcome
        return cast(T, self._outcome)

    # The package's promises were JavaScript objects, whose methods programs also take as items.

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and not name.startswith("_") and hasattr(self, name)

    def __getitem__(self, name: str) -> Any:
        if name not in self:
            raise KeyError(name)
        return getattr(self, name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._state}>"

    def __del__(self) -> None:
        if self._state == "rejected" and not self._looked_at:
            logger.error("An operation failed, and nothing looked at its promise.", exc_info=self._outcome)

    # -- For whoever has promised -----------------------------------------------------------------

    def _resolve(self, value: Any) -> None:
        """Fulfil it with a value; with a promise, take over that one's outcome when it is there."""
        if value is self:
            self._reject(TypeError("A promise cannot wait for itself."))
        elif inspect.iscoroutine(value):
            value.close()
            self._reject(TypeError("A promise calls no asynchronous functions; await the promise instead."))
        elif isinstance(value, Promise):
            value._when_settled(lambda: self._follow(value))
        else:
            self._settle("fulfilled", value)

    def _reject(self, error: Exception) -> None:
        self._settle("rejected", error)

    def _follow(self, other: Promise[Any]) -> None:
        """Take over the outcome of a promise that is settled."""
        self._settle(other._state, other._outcome)

    def _settle(self, state: State, outcome: Any) -> None:
        with self._settling:
            if self._state != "pending":
                return
            self._outcome = outcome
            self._state = state
            followers, self._followers = self._followers, []
        for follower in followers:
            follower()

    def _when_settled(self, follower: Callable[[], object]) -> None:
        """Call a function when this is settled, in the thread that settles it, or now."""
        self._looked_at = True
        with self._settling:
            if self._state == "pending":
                self._followers.append(follower)
                return
        follower()

    def _call_back(self, callback: Callable[[Exception | None, Any], Any]) -> None:
        """Have a callback of PouchDB's kind called: ``callback(error, result)``, one of the two None."""

        def settled() -> None:
            if self._state == "fulfilled":
                self._dispatcher.post(callback, None, self._outcome)
            else:
                self._dispatcher.post(callback, self._outcome, None)

        self._when_settled(settled)
