"""What a server can bear: slots, pauses, and repeats as soon as it is back."""

from __future__ import annotations

import anyio
import httpx
import pytest
import trio.testing

from couchette import errors, limits, surroundings
from couchette.remote.hosts import Host, host_of, retry_after_s
from tests.remote.scripted import Script, answer

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Pauses pass at once: the clock jumps when every task waits."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def test_a_host_is_one_for_all_who_name_it_in_one_event_loop():
    assert host_of("http://a") is host_of("http://a")
    assert host_of("http://a") is not host_of("http://b")


async def test_no_more_requests_run_beside_each_other_than_there_are_slots():
    host, running, most = Host("http://a"), 0, 0

    async def ask():
        nonlocal running, most
        async with host.turn():
            running += 1
            most = max(most, running)
            await anyio.sleep(1)
            running -= 1

    async with anyio.create_task_group() as tasks:
        for _ in range(3 * limits.HTTP_CONNECTIONS):
            tasks.start_soon(ask)
    assert most == limits.HTTP_CONNECTIONS
    assert trio.current_time() == pytest.approx(3, abs=0.01)


async def test_one_trouble_that_many_requests_meet_halves_the_slots_once():
    host = Host("http://a")
    begun_at = anyio.current_time()
    await anyio.sleep(1)
    for _ in range(5):
        host.throttled(begun_at, 0)
    assert host.slots == limits.HTTP_CONNECTIONS // 2
    await anyio.sleep(1)
    host.throttled(anyio.current_time(), 0)
    assert host.slots == limits.HTTP_CONNECTIONS // 4


async def test_one_slot_is_left_and_good_answers_bring_back_the_others_slowly():
    host = Host("http://a")
    for _ in range(10):
        host.throttled(anyio.current_time(), 0)
        await anyio.sleep(1)
    assert host.slots == 1
    host.succeeded()
    assert host.slots == 2
    answers = 1
    while host.slots < limits.HTTP_CONNECTIONS:
        host.succeeded()
        answers += 1
    assert limits.HTTP_CONNECTIONS**2 / 4 < answers < limits.HTTP_CONNECTIONS**2
    for _ in range(1000):
        host.succeeded()
    assert host.slots == limits.HTTP_CONNECTIONS


async def test_nobody_asks_before_the_time_that_the_server_named():
    script = Script(answer(429, headers={"retry-after": "7"}), answer(200), answer(200))
    times = []

    async def ask(client):
        await client.request("GET")
        times.append(trio.current_time())

    async with (
        script.client() as first,
        script.client("http://host:5984/other") as second,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(ask, first)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(ask, second)
    assert times == pytest.approx([7, 7], abs=0.01)


async def test_a_request_that_waits_as_a_feed_does_takes_no_slot():
    host = Host("http://a")
    async with anyio.create_task_group() as tasks:
        for _ in range(limits.HTTP_CONNECTIONS):
            await tasks.start(_hold, host)
        async with host.turn(waiting=True):
            tasks.cancel_scope.cancel()


async def _hold(host, *, task_status):
    async with host.turn():
        task_status.started()
        await anyio.sleep_forever()


async def test_a_server_that_wants_a_long_rest_is_not_asked_again_meanwhile():
    script = Script(answer(429, headers={"retry-after": "3600"}))
    async with script.client() as client:
        for _ in range(2):
            with pytest.raises(errors.TooManyRequests, match="http://host:5984 asks to come back in 3600 seconds") as e:
                await client.request("GET")
    assert errors.is_passing(e.value)
    assert trio.current_time() == 0


async def test_a_server_that_only_says_429_is_given_growing_pauses_up_to_a_bound():
    count = limits.HTTP_BUSY_RETRIES + 1
    script = Script(*[answer(429) for _ in range(count)])
    async with script.client() as client:
        with pytest.raises(errors.TooManyRequests, match=f"put us off {count} times"):
            await client.request("GET")
    assert script.answers == []
    assert trio.current_time() < count * limits.HTTP_BUSY_PAUSE_MAX_S


async def test_what_failed_on_the_way_is_repeated_as_soon_as_another_request_gets_through():
    def slow(request):
        raise httpx.ReadError("reset")

    script = Script(answer(200), slow, answer(200), answer(200, {"n": 3}))
    async with script.client() as client:
        await client.request("GET")
        async with anyio.create_task_group() as tasks:
            found = []

            async def ask():
                found.append(await client.request("GET"))

            tasks.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            at_first = trio.current_time()
            await client.request("GET")
            await anyio.wait_all_tasks_blocked()
            assert found == [{"n": 3}]
            assert trio.current_time() == at_first


async def test_a_turn_that_fails_gives_its_slot_back():
    host = Host("http://a")
    for _ in range(limits.HTTP_CONNECTIONS + 1):
        with pytest.raises(ValueError, match="x"):
            async with host.turn():
                raise ValueError("x")


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(None, None), ("5", 5), (" 0 ", 0), ("soon", None), ("-3", None), ("Thu, 01 Jan 1970 00:00:00 GMT", 0)],
)
async def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert retry_after_s(value) == seconds


async def test_a_date_to_come_back_at_counts_from_now():
    date = surroundings.now().strftime("%a, %d %b 2999 %H:%M:%S GMT")
    assert (retry_after_s(date) or 0) > 1e9
