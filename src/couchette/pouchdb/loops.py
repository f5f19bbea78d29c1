"""The program's event loop, whichever it is: how a function is called on its thread.

A loop is found, never made and never imported: asyncio's or trio's where one runs in the calling thread, else that
of a Qt application if the program has one. Callbacks are few and the queue before them is ours, so all that is asked
of a loop is to wake up: to call one function soon, from any thread.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Any, Final, Protocol

QT_BINDINGS: Final = ("PySide6", "PyQt6", "PySide2", "PyQt5")


class Loop(Protocol):
    """A loop that can be woken up."""

    name: str

    def wake(self, function: Callable[[], object]) -> bool:
        """Have the loop's thread call a function soon; False if the loop has ended. Any thread may call this."""

    def is_alive(self) -> bool:
        """Whether the loop has not ended."""


class AsyncioLoop:
    """A running loop of asyncio."""

    name = "asyncio"

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def wake(self, function: Callable[[], object]) -> bool:
        """See :class:`Loop`."""
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:
            return False
        return True

    def is_alive(self) -> bool:
        """See :class:`Loop`."""
        return not self._loop.is_closed()


class TrioLoop:
    """A running loop of trio."""

    name = "trio"

    def __init__(self, trio: Any) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._ended = trio.RunFinishedError

    def wake(self, function: Callable[[], object]) -> bool:
        """See :class:`Loop`."""
        try:
            self._token.run_sync_soon(function)
        except self._ended:
            return False
        return True

    def is_alive(self) -> bool:
        """See :class:`Loop`. A loop of trio says so only when it is asked for something."""
        return self.wake(_nothing)


class QtLoop:
    """The loop of a Qt application, woken by an event that is posted to an object in the application's thread."""

    name = "qt"

    def __init__(self, core: Any, application: Any) -> None:
        functions: list[Callable[[], object]] = []

        class Receiver(core.QObject):  # type: ignore[misc]
            def event(self, event: Any) -> bool:
                if event.type() != core.QEvent.Type.User:
                    return bool(super().event(event))
                functions.pop(0)()
                return True

        self._core = core
        self._functions = functions
        self._receiver = Receiver()
        self._receiver.moveToThread(application.thread())

    def wake(self, function: Callable[[], object]) -> bool:
        """See :class:`Loop`."""
        if not self.is_alive():
            return False
        self._functions.append(function)
        self._core.QCoreApplication.postEvent(self._receiver, self._core.QEvent(self._core.QEvent.Type.User))
        return True

    def is_alive(self) -> bool:
        """See :class:`Loop`."""
        return self._core.QCoreApplication.instance() is not None


def _nothing() -> None:
    """Called by a loop that was asked whether it runs."""


def current_loop() -> Loop | None:
    """The loop that runs in the calling thread, or the Qt application's; None where there is neither."""
    trio: Any = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        return TrioLoop(trio)
    try:
        return AsyncioLoop(asyncio.get_running_loop())
    except RuntimeError:  # There is none in this thread.
        return _qt_loop()


def _qt_loop() -> Loop | None:
    for binding in QT_BINDINGS:
        core: Any = sys.modules.get(f"{binding}.QtCore")
        if core is not None and (application := core.QCoreApplication.instance()) is not None:
            return QtLoop(core, application)
    return None
