"""Who has failed too often: after five wrong passwords for one user from one address, neither is heard for a while.

CouchDB's of 3.4. It counts by user, salt and address, so that an attacker elsewhere does not lock the user out, and a
new password starts again. A right password while locked out is refused as well, or the guessing would go on.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from couchette.errors import Forbidden
from couchette.limits import LOCKOUT_FAILURES, LOCKOUT_S, LOCKOUTS_MAX

Key = tuple[str, str, str]
"""User, salt, address."""


class Lockout:
    """Counts failures. Safe to use from many threads; what it holds is bounded."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """``clock`` gives seconds that never go back."""
        self._clock = clock
        self._lock = threading.Lock()
        self._failures: OrderedDict[Key, tuple[int, float]] = OrderedDict()
        """How many failures, and when the last one was; the oldest first."""

    def check(self, key: Key) -> None:
        """Raise Forbidden if this user is locked out at this address."""
        with self._lock:
            count, last = self._failures.get(key, (0, 0.0))
            if count and self._clock() - last >= LOCKOUT_S:
                del self._failures[key]
                return
        if count >= LOCKOUT_FAILURES:
            raise Forbidden(
                "Account is temporarily locked due to multiple authentication failures",
                f"Try again in {LOCKOUT_S} seconds.",
            )

    def fail(self, key: Key) -> None:
        """Count a wrong password."""
        with self._lock:
            count, _ = self._failures.pop(key, (0, 0.0))
            self._failures[key] = (count + 1, self._clock())
            if len(self._failures) > LOCKOUTS_MAX:
                self._failures.popitem(last=False)

    def succeed(self, key: Key) -> None:
        """Forget the failures before a right password."""
        with self._lock:
            self._failures.pop(key, None)


class Turns:
    """One attempt at a time for each user and address: else many that come at once would all pass :class:`Lockout`."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._taken: set[Key] = set()

    @contextmanager
    def of(self, key: Key) -> Iterator[None]:
        """Wait for the turn of this one, and have it within the block."""
        with self._condition:
            self._condition.wait_for(lambda: key not in self._taken)
            self._taken.add(key)
        try:
            yield
        finally:
            with self._condition:
                self._taken.discard(key)
                self._condition.notify_all()
