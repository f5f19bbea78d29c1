"""Event emitters, as Node's."""

from __future__ import annotations

import warnings

import pytest

from couchette.pouchdb import EventEmitter, MaxListenersExceededWarning


@pytest.fixture
def emitter():
    return EventEmitter()


def test_listeners_are_called_in_their_order_with_the_arguments(emitter):
    seen = []
    emitter.on("e", lambda *args: seen.append(("first", *args))).addListener("e", lambda *args: seen.append(args))
    assert emitter.emit("e", 1, 2) is True
    assert seen == [("first", 1, 2), (1, 2)]
    assert emitter.emit("other") is False


def test_once_is_once(emitter):
    seen = []
    emitter.once("e", seen.append)
    assert emitter.listeners("e") == [seen.append]
    assert emitter.emit("e", 1)
    assert not emitter.emit("e", 2)
    assert seen == [1]


def test_a_listener_may_emit_the_event_that_it_listens_to_once(emitter):
    seen = []

    def listener():
        seen.append(1)
        emitter.emit("e")

    emitter.once("e", listener)
    emitter.emit("e")
    assert seen == [1]


def test_listeners_are_removed_by_name_and_altogether(emitter):
    def listener():
        raise AssertionError("it was removed")

    emitter.add_listener("e", listener).once("e", listener).on("f", listener)
    emitter.removeListener("e", listener)
    assert emitter.listeners("e") == [listener]
    emitter.remove_listener("e", listener).remove_listener("e", listener)
    assert emitter.listeners("e") == []
    emitter.remove_all_listeners("f")
    assert not emitter.emit("f")
    emitter.on("e", listener).on("f", listener).removeAllListeners()
    assert not emitter.emit("e")


def test_one_that_is_removed_while_others_are_called_is_called_still(emitter):
    seen = []

    def second():
        seen.append("second")

    emitter.on("e", lambda: emitter.removeListener("e", second)).on("e", second)
    emitter.emit("e")
    emitter.emit("e")
    assert seen == ["second"]


def test_what_a_listener_raises_is_the_emitters(emitter):
    emitter.on("e", lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        emitter.emit("e")


def test_the_eleventh_listener_warns(emitter):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(10):
            emitter.on("e", print)
    with pytest.warns(MaxListenersExceededWarning, match="memory leak detected. 'e' has 11 listeners"):
        emitter.on("e", print)


def test_the_number_of_listeners_can_be_raised(emitter):
    emitter.set_max_listeners(0)
    for _ in range(30):
        emitter.on("e", print)
    with pytest.warns(MaxListenersExceededWarning, match="31 listeners"):
        emitter.setMaxListeners(1).on("e", print)
    emitter.on("e", print).on("f", print)  # It was told of the one, and the other has not too many.
    with pytest.warns(MaxListenersExceededWarning):
        emitter.on("f", print)


def test_a_listener_must_be_a_function(emitter):
    with pytest.raises(TypeError, match="not str"):
        emitter.on("e", "text")
