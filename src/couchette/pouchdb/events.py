"""Event emitters, with the rules of Node's: listeners are called in their order, in the thread that emits."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Final, Self

Listener = Callable[..., Any]

MAX_LISTENERS: Final = 10
"""Of one event; more are mostly a leak. Node's number, which the package's document names."""


class MaxListenersExceededWarning(UserWarning):
    """An event has so many listeners that some of them were probably forgotten."""


class _Once:
    """A listener that is there for one time only."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener


class EventEmitter:
    """Has listeners to events, and calls them. Each method also has its name in PEP 8's style."""

    def __init__(self) -> None:
        self._listeners: dict[str, list[Listener | _Once]] = {}
        self._max_listeners = MAX_LISTENERS
        self._warned: set[str] = set()
        """Events of whose many listeners it was told: once, for as long as there are some."""

    def addListener(self, event: str, listener: Listener) -> Self:
        """Call ``listener`` at each ``event``, after those that are there already; return the emitter.

        An 11th listener of one event warns with :class:`MaxListenersExceededWarning`; see :meth:`setMaxListeners`.
        """
        return self._add(event, listener, listener)

    def once(self, event: str, listener: Listener) -> Self:
        """Call ``listener`` at the next ``event`` only; return the emitter."""
        return self._add(event, listener, _Once(listener))

    def removeListener(self, event: str, listener: Listener) -> Self:
        """Remove a listener from an event, the newest of them where it was added more than once; return the emitter.

        Lists that :meth:`listeners` gave before are not changed.
        """
        entries = self._listeners.get(event, [])
        for index in reversed(range(len(entries))):
            if _listener(entries[index]) == listener:
                # Who emits goes on with the list that it began with.
                self._set(event, entries[:index] + entries[index + 1 :])
                break
        return self

    def removeAllListeners(self, event: str | None = None) -> Self:
        """Remove all listeners, or those of one event; return the emitter."""
        if event is None:
            self._listeners = {}
            self._warned = set()
        else:
            self._set(event, [])
        return self

    def setMaxListeners(self, n: int) -> Self:
        """Warn of more than so many listeners of one event; with 0 never. Return the emitter."""
        self._max_listeners = n
        return self

    def listeners(self, event: str) -> list[Listener]:
        """The listeners of an event, in their order."""
        return [_listener(entry) for entry in self._listeners.get(event, [])]

    def emit(self, event: str, *args: Any) -> bool:
        """Call each listener of the event with the arguments; return whether there are any.

        A listener that raises is the last that is called, and the error is the caller's.
        """
        listeners = self._taken(event)
        for listener in listeners:
            self._invoke(listener, *args)
        return bool(listeners)

    def _invoke(self, listener: Listener, *args: Any) -> None:
        """Call one listener; a subclass may do so in its own way."""
        listener(*args)

    def _taken(self, event: str) -> list[Listener]:
        """The listeners that are to be called now; those that were there for this one time are there no more."""
        entries = self._listeners.get(event, [])
        self._set(event, [entry for entry in entries if not isinstance(entry, _Once)])
        return [_listener(entry) for entry in entries]

    def _add(self, event: str, listener: Listener, entry: Listener | _Once) -> Self:
        if not callable(listener):
            raise TypeError(f"A listener must be a function, not {type(listener).__name__}.")
        entries = [*self._listeners.get(event, []), entry]
        self._set(event, entries)
        if 0 < self._max_listeners < len(entries) and event not in self._warned:
            self._warned.add(event)
            warnings.warn(
                f"possible EventEmitter memory leak detected. {event!r} has {len(entries)} listeners; "
                "remove those that are not needed, or call setMaxListeners().",
                MaxListenersExceededWarning,
                stacklevel=3,
            )
        return self

    def _set(self, event: str, entries: list[Listener | _Once]) -> None:
        if entries:
            self._listeners[event] = entries
        else:
            self._listeners.pop(event, None)
            self._warned.discard(event)

    on = add_listener = addListener
    remove_listener = removeListener
    remove_all_listeners = removeAllListeners
    set_max_listeners = setMaxListeners


def _listener(entry: Listener | _Once) -> Listener:
    return entry.listener if isinstance(entry, _Once) else entry
