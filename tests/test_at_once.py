"""What is done at once, and what is left to a thread that may wait."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial

import pytest

from couchette import Environment, at_once
from couchette.at_once import AtOnce, MustWait
from couchette.limits import AT_ONCE_REST, AT_ONCE_S


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def env(tmp_path):
    with Environment(tmp_path / "dbs") as environment:
        environment["db"]["a"] = {"n": 1}
        _ = environment["db"]["a"]
        yield environment


def test_what_need_not_wait_is_done(env):
    assert AtOnce().call(lambda: env.open("db").get("a"))["n"] == 1


def test_what_would_wait_is_told_from_what_fails():
    with pytest.raises(MustWait):
        AtOnce().call(at_once.would_wait)
    with pytest.raises(ZeroDivisionError):
        AtOnce().call(lambda: 1 // 0)
    assert not issubclass(MustWait, Exception)


def test_elsewhere_everybody_may_wait():
    seen = []

    def wait():
        at_once.would_wait()
        seen.append("waited")

    def start_another():
        other = threading.Thread(target=wait)
        other.start()
        other.join()

    AtOnce().call(start_another)
    at_once.would_wait()
    with suppress(MustWait):
        AtOnce().call(at_once.would_wait)
    at_once.would_wait()
    assert seen == ["waited"]


@pytest.fixture
def take(clock):
    """Work that takes so many seconds by the clock."""

    def work(seconds, failing=False):
        clock.now += seconds
        if failing:
            raise ValueError(seconds)
        return seconds

    return work


def test_slow_reads_rest_for_a_hundred_times_as_long(clock, take):
    tried, slow = AtOnce(clock), 10 * AT_ONCE_S
    done = [tried.call(lambda: take(slow)) for _ in range(2)]
    assert done == [slow, slow]
    clock.now += slow * AT_ONCE_REST * 0.99
    with pytest.raises(MustWait):
        tried.call(lambda: take(0))
    clock.now += slow * AT_ONCE_REST * 0.02
    assert [tried.call(lambda: take(0)) for _ in range(20)] == [0] * 20


@pytest.mark.parametrize("slow", [2 * AT_ONCE_S, 1000 * AT_ONCE_S])
def test_what_others_wait_is_a_hundredth_of_the_time(clock, take, slow):
    tried, begun, waited = AtOnce(clock), clock.now, 0.0
    for _ in range(10_000):
        try:
            waited += tried.call(lambda: take(slow))
        except MustWait:
            clock.now += slow
    assert waited / (clock.now - begun) < 1.5 / AT_ONCE_REST


def test_one_slow_read_among_many_quick_ones_means_nothing(clock, take):
    tried, quick = AtOnce(clock), AT_ONCE_S / 10
    for _ in range(50):
        for seconds in [*[quick] * 19, 4 * AT_ONCE_S]:
            assert tried.call(partial(take, seconds)) == seconds


def test_after_the_disk_was_slow_once_for_long_it_is_trusted_again(clock, take):
    tried, quick, done = AtOnce(clock), AT_ONCE_S / 10, 0
    tried.call(lambda: take(5))
    for _ in range(500):
        clock.now += 5
        with suppress(MustWait):
            tried.call(lambda: take(quick))
            done += 1
    assert done > 300
    assert [tried.call(lambda: take(quick)) for _ in range(20)] == [quick] * 20


def test_what_fails_slowly_rests_too(clock, take):
    tried = AtOnce(clock)
    with pytest.raises(ValueError, match="1"):
        tried.call(lambda: take(1, failing=True))
    with pytest.raises(MustWait):
        tried.call(lambda: take(0))


def test_a_lock_that_another_holds_is_not_waited_for(env):
    held, done = threading.Event(), threading.Event()

    def hold():
        with env._lock:
            held.set()
            done.wait(10)

    other = threading.Thread(target=hold)
    other.start()
    held.wait(10)
    with pytest.raises(MustWait):
        AtOnce().call(lambda: env.open("db"))
    done.set()
    other.join()
    assert AtOnce().call(lambda: env.open("db")) is env["db"]


def test_no_database_is_opened(tmp_path, env):
    with Environment(tmp_path / "dbs") as other:
        with pytest.raises(MustWait):
            AtOnce().call(lambda: other.open("db"))
        assert other.opened() == {}
        other.open("db")
        with pytest.raises(MustWait):  # Nor a connection to one.
            AtOnce().call(lambda: other.open("db").get("a"))
        assert other.open("db").get("a")["n"] == 1
        assert AtOnce().call(lambda: other.open("db").get("a"))["n"] == 1


def test_a_database_that_rests_is_not_woken(env):
    env["db"]._pool.rest()
    with pytest.raises(MustWait):
        AtOnce().call(lambda: env.open("db").get("a"))
    assert env["db"]._pool.rests


def test_nothing_is_written(env):
    with pytest.raises(MustWait):
        AtOnce().call(lambda: env["db"].put({"_id": "b"}))
    assert "b" not in env["db"]


def test_a_database_in_memory_has_one_connection_which_may_be_waited_for():
    with Environment(":memory:") as environment:
        environment["db"]["a"] = {}
        with pytest.raises(MustWait):
            AtOnce().call(lambda: environment.open("db").get("a"))
