"""The loops that call back: asyncio's, trio's, and Qt's as far as its adapter goes."""

from __future__ import annotations

import asyncio
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from couchette.pouchdb.dispatching import Dispatcher
from couchette.pouchdb.loops import current_loop


def test_a_program_without_a_loop_has_none():
    assert current_loop() is None
    assert Dispatcher().loop_name is None


@pytest.mark.anyio
async def test_callbacks_are_called_by_the_loop_that_runs(anyio_backend_name):
    dispatcher = Dispatcher()
    assert dispatcher.loop_name == anyio_backend_name
    called = trio.Event() if anyio_backend_name == "trio" else asyncio.Event()
    dispatcher.post(called.set)
    assert not called.is_set()
    await called.wait()


def test_the_callbacks_of_asyncio_are_in_its_loop_too():
    names = []

    async def main():
        done = asyncio.Event()

        def look():
            loop = current_loop()
            names.append(loop and loop.name)
            done.set()

        asyncio.get_running_loop().call_soon(look)
        await done.wait()

    asyncio.run(main())
    assert names == ["asyncio"]


def test_what_a_loop_that_ended_did_not_call_the_next_one_does():
    seen = []
    dispatchers = []

    async def first():
        dispatchers.append(Dispatcher())

    async def second():
        dispatchers[0].attach()
        while not seen:
            await asyncio.sleep(0)

    for run in (lambda main: asyncio.run(main()), trio.run):
        dispatchers.clear()
        seen.clear()
        run(first)
        dispatchers[0].post(seen.append, "late")
        assert dispatchers[0].loop_name is None
        asyncio.run(second())
        assert seen == ["late"]


def test_many_callbacks_do_not_keep_the_loop_from_other_work():
    order = []

    async def main():
        dispatcher = Dispatcher()
        done = asyncio.Event()

        def again(left):
            order.append("callback")
            dispatcher.post(again, left - 1) if left else done.set()

        dispatcher.post(again, 2)
        asyncio.get_running_loop().call_soon(order.append, "other")
        await done.wait()

    asyncio.run(main())
    assert order.index("other") < len(order) - 1


class FakeQt:
    """As much of Qt's core as the adapter uses, with events that wait until they are processed."""

    def __init__(self):
        queue = self.queue = []

        class QObject:
            def moveToThread(self, thread):
                self.thread = thread

            def event(self, event):
                return False

        class QEvent:
            Type = SimpleNamespace(User=1000)

            def __init__(self, kind):
                self._kind = kind

            def type(self):
                return self._kind

        self.QObject, self.QEvent = QObject, QEvent
        self.application: Any = SimpleNamespace(thread=lambda: "the application's thread")
        self.QCoreApplication = SimpleNamespace(
            instance=lambda: self.application, postEvent=lambda receiver, event: queue.append((receiver, event))
        )

    def process(self):
        while self.queue:
            receiver, event = self.queue.pop(0)
            receiver.event(event)


def test_a_qt_application_calls_back_in_its_thread(monkeypatch):
    qt = FakeQt()
    monkeypatch.setitem(sys.modules, "PySide6.QtCore", qt)
    dispatcher = Dispatcher()
    assert dispatcher.loop_name == "qt"
    seen = []
    dispatcher.post(seen.append, 1)
    dispatcher.post(seen.append, 2)
    assert seen == []
    receiver, _ = qt.queue[0]
    assert receiver.thread == "the application's thread"
    assert receiver.event(qt.QEvent(7)) is False
    qt.process()
    assert seen == [1, 2]
    qt.application = None
    dispatcher.post(seen.append, 3)
    assert dispatcher.loop_name is None
    dispatcher.run_pending()
    assert seen == [1, 2, 3]


def test_qt_without_an_application_is_no_loop(monkeypatch):
    qt = FakeQt()
    qt.application = None
    monkeypatch.setitem(sys.modules, "PyQt6.QtCore", qt)
    assert current_loop() is None
