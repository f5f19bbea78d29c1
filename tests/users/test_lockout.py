"""Who failed too often waits."""

from __future__ import annotations

import pytest

from couchette.errors import Forbidden
from couchette.limits import LOCKOUT_FAILURES, LOCKOUT_S, LOCKOUTS_MAX
from couchette.users.lockout import Lockout

ADA = ("ada", "salt", "192.0.2.1")


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def failed(lockout, times, key=ADA):
    for _ in range(times):
        lockout.check(key)
        lockout.fail(key)


def test_five_failures_lock_a_user_out_at_one_address_until_time_has_passed():
    clock = Clock()
    lockout = Lockout(clock)
    failed(lockout, LOCKOUT_FAILURES)
    with pytest.raises(Forbidden) as caught:
        lockout.check(ADA)
    assert caught.value.reason == "Account is temporarily locked due to multiple authentication failures"
    for other in (("ada", "salt", "192.0.2.2"), ("ada", "new salt", "192.0.2.1"), ("eve", "salt", "192.0.2.1")):
        lockout.check(other)
    clock.now += LOCKOUT_S - 1
    with pytest.raises(Forbidden):
        lockout.check(ADA)
    clock.now += 1
    failed(lockout, LOCKOUT_FAILURES)
    with pytest.raises(Forbidden):
        lockout.check(ADA)


def test_a_right_password_forgets_the_failures_before_it():
    lockout = Lockout(Clock())
    failed(lockout, LOCKOUT_FAILURES - 1)
    lockout.succeed(ADA)
    failed(lockout, LOCKOUT_FAILURES - 1)
    lockout.check(ADA)


def test_what_is_held_is_bounded():
    lockout = Lockout(Clock())
    failed(lockout, LOCKOUT_FAILURES)
    for number in range(LOCKOUTS_MAX):
        lockout.fail((str(number), "", ""))
    lockout.check(ADA)
    assert len(lockout._failures) == LOCKOUTS_MAX
