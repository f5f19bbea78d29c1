"""The event loop of callers that have none."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import Future

import anyio
import pytest

from couchette import portal
from couchette.errors import DatabaseClosed
from couchette.portal import Loop, Share


@pytest.fixture
def share(monkeypatch):
    """A share in a loop that nothing else of this process has a share in."""
    monkeypatch.setattr(portal, "_shared", {})
    share = Share()
    yield share
    share.release()


async def thread_name():
    return threading.current_thread()


def test_all_callers_share_one_loop_until_the_last_leaves_it(share):
    other = Share()
    thread = share.run(thread_name)
    assert thread.name == "couchette-remote"
    assert other.run(thread_name) is thread
    share.release()
    assert other.run(thread_name) is thread
    other.release()
    assert not thread.is_alive()


def test_who_has_left_it_cannot_use_it_any_more(share):
    share.run(thread_name)
    share.release()
    share.release()
    with pytest.raises(DatabaseClosed):
        share.run(thread_name)


def test_what_a_call_raises_is_raised_and_the_loop_goes_on(share):
    async def fail(kind):
        raise kind("reason")

    for kind in (ValueError, SystemExit, KeyboardInterrupt):
        with pytest.raises(kind, match="reason"):
            share.run(fail, kind)
    assert share.run(thread_name).is_alive()


def test_an_interrupt_of_the_caller_cancels_the_call(share, monkeypatch):
    ended = threading.Event()
    began = threading.Event()

    async def wait():
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    def interrupted(self, timeout=None):
        assert began.wait(10)
        raise KeyboardInterrupt

    share.run(thread_name)
    with monkeypatch.context() as patched:
        patched.setattr(Future, "result", interrupted)
        with pytest.raises(KeyboardInterrupt):
            share.run(wait)
    assert ended.wait(10)


def test_stopping_a_loop_cancels_what_runs_on_it():
    loop = Loop()
    ended = threading.Event()
    began = threading.Event()

    async def wait():
        began.set()
        try:
            await anyio.sleep_forever()
        finally:
            ended.set()

    def call():
        with pytest.raises(DatabaseClosed):
            loop.run(wait)

    caller = threading.Thread(target=call)
    caller.start()
    assert began.wait(10)
    loop.stop()
    assert ended.is_set()
    caller.join()
    with pytest.raises(DatabaseClosed):
        loop.run(wait)


@pytest.mark.slow
def test_a_program_that_forgets_to_close_its_database_ends_all_the_same():
    program = """
import couchette
from couchette.server import background
with couchette.Environment(":memory:") as environment, background(environment) as url:
    db = couchette.RemoteDatabase(url + "/db", create=True)
    db["a"] = {}
    feed = db.changes(live=True)
    next(feed)
print("end")
"""
    arguments = [sys.executable, "-W", "error", "-c", program]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=True, timeout=60)
    assert (ended.stdout, ended.stderr) == ("end\n", "")
