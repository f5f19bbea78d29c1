"""Replications that go on: what they do about changes, cut lines, refused credentials, and what they say of it."""

from __future__ import annotations

import itertools
from contextlib import aclosing
from dataclasses import replace

import anyio
import pytest

from couchette import limits, store
from couchette.errors import (
    BadRequest,
    DatabaseNotFound,
    Forbidden,
    NotCouchDB,
    ReplicationFailed,
    Unauthorized,
    Unreachable,
)
from couchette.replication import replicate
from tests.replication.peers import Recording, Wrapped, fill, leaves, local, pool_of, put
from tests.replication.virtual import live, live_sync, until, virtually


class Line(Wrapped):
    """A peer behind a line: while ``failure`` is set each call raises it, and waiting for changes does, too."""

    failure: Exception | None = None
    changed = None  # It does not tell without being asked.

    def __init__(self, peer):
        super().__init__(peer)
        self.calls = []
        self._cut = anyio.Event()

    def fail(self, failure):
        self.failure = failure
        self._cut.set()
        self._cut = anyio.Event()

    async def before(self, name, *args):
        self.calls.append((anyio.current_time(), name))
        if self.failure is not None:
            raise self.failure

    async def live_changes(self, *args):
        await self.before("live_changes")
        async with aclosing(self.peer.live_changes(*args)) as pages:
            while True:
                got = []
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._break, tasks.cancel_scope)
                    got.append(await anext(pages))
                    tasks.cancel_scope.cancel()
                if not got:
                    assert self.failure is not None
                    raise self.failure
                yield got[0]

    async def _break(self, scope):
        while self.failure is None:
            await self._cut.wait()
        scope.cancel()

    def times(self, name):
        return [time for time, called in self.calls if called == name]


def cut():
    return Unreachable("The line broke.")


@virtually
async def test_what_is_there_moves_and_then_each_change_at_once():
    source, target = local(), local()
    fill(source)
    async with live(source, target) as replication:
        assert await replication.wait_until_synced()
        assert leaves(target) == leaves(source)
        for number in range(3):
            await anyio.sleep(100)
            before = anyio.current_time()
            put(source, {"_id": f"later {number}"})
            assert await replication.wait_until_synced()
            assert leaves(target) == leaves(source)
            assert anyio.current_time() == before
    assert replication.status.state == "cancelled"


@virtually
async def test_a_change_arrives_without_being_asked_for():
    source, target = local(), local()
    async with live(source, target) as replication:
        await until(lambda: replication.status.state == "idle")
        before = anyio.current_time()
        put(source, {"_id": "a"})
        await until(lambda: leaves(target) == leaves(source))
        # The pool of the tests' database wakes those who wait; their own look is each half second.
        assert anyio.current_time() - before < limits.FOREIGN_WRITES_POLL_S / 4


@virtually
async def test_its_states_are_told_in_order():
    source, target = local("here"), local("there")
    put(source, {"_id": "a"})
    events = []
    async with live(source, target, on_event=events.append) as replication:
        assert replication.status.state == "starting"
        await replication.wait_until_synced()
    assert [(event.kind, event.status.state) for event in events] == [
        ("state", "active"),
        ("batch", "active"),
        ("state", "idle"),
        ("state", "cancelled"),
    ]
    status = events[2].status
    assert (status.source, status.target, status.direction) == ("here", "there", "push")
    assert (status.pending, status.docs_read, status.docs_written) == (0, 1, 1)
    assert status.bytes_read > 0
    assert status.last_seq == pool_of(source).read(store.info)["update_seq"]
    assert status.last_contact is not None
    assert status.as_json()["last_contact"] == status.last_contact.isoformat()


@virtually
async def test_a_cut_line_is_tried_again_after_growing_pauses_and_at_the_latest_each_minute():
    source, target = local(), Line(local())
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        target.fail(cut())
        failed = anyio.current_time()
        put(source, {"_id": "a"})
        await anyio.sleep(600)
        status = replication.status
        assert status.state == "retrying"
        assert isinstance(status.last_error, Unreachable)
        assert status.next_retry is not None
        tries = [time for time in target.times("info") if time > failed]
        pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
        bounds = [min(limits.RETRY_MAX_S, limits.RETRY_FIRST_S * 2 ** (n + 1)) for n in range(len(pauses))]
        assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
        assert len(set(pauses)) == len(pauses)
        target.failure = None
        await until(lambda: replication.status.state == "idle", within=limits.RETRY_MAX_S)
    assert leaves(target.peer) == leaves(source)
    assert isinstance(replication.status.last_error, Unreachable)
    assert replication.status.docs_written == 1


@virtually
async def test_the_pauses_begin_anew_after_a_success():
    source, target = local(), Line(local())
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        for _ in range(2):
            target.fail(cut())
            put(source, {})
            await anyio.sleep(100)
            target.failure = None
            await until(lambda: replication.status.state == "idle")
            target.fail(cut())
            put(source, {})
            await until(lambda: replication.status.state == "retrying")
            failed = anyio.current_time()
            target.failure = None
            await until(lambda: replication.status.state == "idle")
            assert anyio.current_time() - failed < 2 * limits.RETRY_FIRST_S


@virtually
async def test_a_feed_that_is_cut_while_nothing_happens_begins_again():
    source, target = Line(local()), local()
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        source.fail(cut())
        await until(lambda: replication.status.state == "retrying")
        source.failure = None
        await until(lambda: replication.status.state == "idle")
        put(source.peer, {"_id": "a"})
        await until(lambda: leaves(target) == leaves(source.peer))


@virtually
async def test_a_local_change_ends_the_pause_but_not_each_does():
    source, target = local(), Line(local())
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        target.fail(cut())
        put(source, {})
        await anyio.sleep(300)
        target.calls.clear()
        for _ in range(100):
            await anyio.sleep(0.1)
            put(source, {})
        assert 3 <= len(target.times("info")) <= 10 / limits.RETRY_FIRST_S
        target.failure = None
        put(source, {})
        await until(lambda: leaves(target.peer) == leaves(source), within=2 * limits.RETRY_FIRST_S)


@virtually
async def test_the_program_may_have_it_tried_now():
    source, target = local(), Line(local())
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        target.fail(cut())
        put(source, {})
        await anyio.sleep(300)
        target.failure = None
        before = anyio.current_time()
        replication.retry()
        assert await replication.wait_until_synced()
        assert anyio.current_time() == before


@virtually
async def test_it_may_begin_without_a_network():
    source, target = local(), Line(local())
    put(source, {"_id": "a"})
    target.failure = cut()
    async with live(source, target) as replication:
        await until(lambda: replication.status.state == "retrying")
        assert not await replication.wait_until_synced(timeout=30)
        target.failure = None
        assert await replication.wait_until_synced()
    assert leaves(target.peer) == leaves(source)


@virtually
@pytest.mark.parametrize("failure", [Unauthorized("Who are you?"), Forbidden("You may not.")])
async def test_refused_credentials_are_denied_until_there_are_others(failure):
    source, target = local(), Line(local())
    put(source, {"_id": "a"})
    target.failure = failure
    replication = live(source, target)
    async with replication:
        with pytest.raises(type(failure)):
            await replication.wait_until_synced()
        assert replication.status.state == "denied"
        assert replication.status.last_error is failure
        tried = len(target.times("info"))
        await anyio.sleep(limits.DENIED_RETRY_S / 2)
        put(source, {})
        await anyio.sleep(limits.DENIED_RETRY_S / 4)
        assert len(target.times("info")) == tried
        target.failure = None
        replication.set_auth(target=("ann", "secret"))
        assert await replication.wait_until_synced()
    assert replication._opener.auths == [{"target": ("ann", "secret")}]
    assert leaves(target.peer) == leaves(source)


@virtually
async def test_rights_given_by_others_are_noticed_too():
    source, target = local(), Line(local())
    put(source, {"_id": "a"})
    target.failure = Forbidden("You may not.")
    async with live(source, target) as replication:
        await until(lambda: replication.status.state == "denied")
        target.failure = None
        await anyio.sleep(limits.DENIED_RETRY_S)
        assert replication.status.state == "idle"


@virtually
@pytest.mark.parametrize(
    "failure", [BadRequest("No."), DatabaseNotFound("Database does not exist."), NotCouchDB("A page.")]
)
async def test_what_waiting_cannot_heal_ends_it_as_an_error(failure):
    target = Line(local())
    target.failure = failure
    replication = live(local(), target)

    async def use_it():
        async with replication:
            with pytest.raises(type(failure)):
                await replication.wait_until_synced()
            assert replication.status.state == "error"

    with pytest.raises(type(failure)):
        await use_it()
    with pytest.raises(type(failure)):
        await replication.wait_until_synced()


@virtually
@pytest.mark.parametrize("failure", [NotCouchDB("A page."), DatabaseNotFound("Database does not exist.")])
async def test_a_server_that_was_there_may_be_back(failure):
    source, target = local(), Line(local())
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        target.fail(failure)
        put(source, {"_id": "a"})
        await until(lambda: replication.status.state == "retrying")
        target.failure = None
        assert await replication.wait_until_synced()


@virtually
async def test_in_a_task_group_its_failure_is_the_group_s():
    target = Line(local())
    target.failure = BadRequest("No.")
    with pytest.raises(ExceptionGroup) as caught:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(live(local(), target).run)
    assert caught.group_contains(BadRequest)


@virtually
async def test_in_a_task_group_it_is_cancelled_like_any_task():
    source, target = local(), local()
    put(source, {"_id": "a"})
    replication = live(source, target)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(replication.run)
        assert await replication.wait_until_synced()
        replication.cancel()
    assert replication.status.state == "cancelled"
    assert not await replication.wait_until_synced()
    with pytest.raises(ReplicationFailed, match="only once"):
        await replication.run()


@virtually
async def test_cancelled_before_it_runs_it_does_nothing():
    source = Recording(local())
    replication = live(source, local())
    replication.cancel()
    await replication.run()
    assert source.calls == []


@virtually
async def test_waiting_for_synced_has_an_end():
    class Stuck(Wrapped):
        async def write(self, docs):
            await anyio.sleep_forever()

    source = local()
    put(source, {"_id": "a"})
    async with live(source, Stuck(local())) as replication:
        before = anyio.current_time()
        assert not await replication.wait_until_synced(timeout=5)
        assert anyio.current_time() - before == 5


@pytest.mark.slow
@virtually
async def test_synced_means_what_was_there_when_one_asked():
    """Writes that go on for ever do not keep it from being true, and none before the question is left out."""
    source, target = local(), local()

    async def keep_writing():
        while True:
            put(source, {})
            await anyio.sleep(0.001)

    async with live(source, target, batch_docs=3) as replication, anyio.create_task_group() as tasks:
        tasks.start_soon(keep_writing)
        for _ in range(20):
            await anyio.sleep(0.05)
            there = leaves(source)
            assert await replication.wait_until_synced(timeout=60)
            assert there.keys() <= leaves(target).keys()
        tasks.cancel_scope.cancel()


@virtually
async def test_checkpoints_are_recorded_at_once_and_then_in_intervals():
    source, target = local(), Recording(local())
    async with live(source, target) as replication:
        for _ in range(100):
            put(source, {})
            await replication.wait_until_synced()
            await anyio.sleep(0.1)
        await anyio.sleep(2 * limits.CHECKPOINT_INTERVAL_S)
    assert 3 <= target.names().count("put_checkpoint") <= 10 / limits.CHECKPOINT_INTERVAL_S + 2
    assert (await replicate(source, target.peer)).missing_checked == 0


@virtually
async def test_a_database_recreated_under_way_is_begun_anew():
    class Recreated(Line):
        created = 1

        async def info(self):
            await self.before("info")
            info = await self.peer.info()
            return type(info)(info.identity, f"{self.created}")

        async def commit(self):
            await self.before("commit")
            return f"{self.created}"

        async def recreate(self):
            self.peer, self.created = local(), self.created + 1

    source, target = local(), Recreated(local())
    put(source, {"_id": "a"})
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        await target.recreate()
        put(source, {"_id": "b"})
        await until(lambda: leaves(target.peer) == leaves(source))


@virtually
async def test_an_idle_replication_finds_out_that_its_target_is_another():
    source, target = local(), Line(local())
    put(source, {"_id": "a"})
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        target.peer = local()
        await anyio.sleep(limits.LIVE_CHECK_S)
        await until(lambda: leaves(target.peer) == leaves(source))
        target.peer = local()
        assert await replication.wait_until_synced()
        assert leaves(target.peer) == leaves(source)


@virtually
async def test_an_idle_replication_finds_out_that_its_target_was_restored():
    """Its name and incarnation are what they were, and its checkpoint is an older one."""

    class Place(Line):
        async def info(self):
            return replace(await super().__getattr__("info")(), identity="db", update_seq=0, instance_start_time="0")

    source, target, copy = local(), Place(local()), local()
    put(source, {"_id": "a"})
    async with live(source, target) as replication:
        await replication.wait_until_synced()
        for row in pool_of(target.peer).read(store.local_docs, include_docs=True):
            pool_of(copy).write(store.put, row["doc"])
        await replicate(source, copy, use_checkpoints=False)
        put(source, {"_id": "b"})
        await replication.wait_until_synced()
        await anyio.sleep(2 * limits.CHECKPOINT_INTERVAL_S)
        target.peer = copy
        await anyio.sleep(limits.LIVE_CHECK_S)
        await until(lambda: leaves(copy) == leaves(source))


@virtually
async def test_a_failing_callback_ends_it():
    def complain(event):
        raise ValueError("no room")

    with pytest.raises(ValueError, match="no room"):
        async with live(local(), local(), on_event=complain):
            await anyio.sleep(1)


@virtually
async def test_a_live_sync_moves_both_ways():
    near, far = local(), Line(local())
    put(near, {"_id": "near"})
    put(far.peer, {"_id": "far"})
    async with live_sync(near, far) as both:
        assert await both.wait_until_synced()
        assert leaves(near) == leaves(far.peer)
        assert (both.status.push.docs_written, both.status.pull.docs_written) == (1, 1)
        assert (both.status.push.direction, both.status.pull.direction) == ("push", "pull")
        await until(lambda: both.status.state == "idle")
        assert both.status.pending == 0
        put(near, {"_id": "near 2"})
        put(far.peer, {"_id": "far 2"})
        assert await both.wait_until_synced()
        assert leaves(near) == leaves(far.peer)
        assert both.status.as_json()["push"]["docs_written"] == 2


@virtually
async def test_in_a_sync_each_direction_fails_by_itself():
    class ReadOnly(Line):
        async def write(self, docs):
            raise Unauthorized("You are not authorized to access this db.")

    near, far = local(), ReadOnly(local())
    put(near, {"_id": "near"})
    async with live_sync(near, far) as both:
        await until(lambda: both.status.state == "denied" and both.status.pull.state == "idle")
        put(far.peer, {"_id": "far"})
        await until(lambda: len(leaves(near)) == 2)
        assert both.status.push.state == "denied"


@virtually
async def test_one_direction_that_gets_through_wakes_the_other():
    near, far = local(), Line(local())
    async with live_sync(near, far) as both:
        await both.wait_until_synced()
        far.fail(cut())
        put(near, {"_id": "a"})
        await anyio.sleep(300)
        assert (both.status.push.state, both.status.pull.state) == ("retrying", "retrying")
        far.failure = None
        await until(lambda: "idle" in (both.status.push.state, both.status.pull.state))
        before = anyio.current_time()
        await until(lambda: both.status.state == "idle")
        assert anyio.current_time() - before <= limits.RETRY_FIRST_S
