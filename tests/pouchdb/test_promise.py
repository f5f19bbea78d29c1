"""Promises: chains, adoption, errors, and where their functions run."""

from __future__ import annotations

import gc
import logging

import pytest

from couchette.pouchdb.dispatching import Dispatcher
from couchette.pouchdb.errors import EnvironmentError
from couchette.pouchdb.promise import Promise


@pytest.fixture
def dispatcher():
    return Dispatcher()


@pytest.fixture
def promise(dispatcher):
    return Promise(dispatcher)


def run(dispatcher):
    while dispatcher.run_pending():
        pass


def test_functions_run_when_the_program_gets_to_them(dispatcher, promise):
    seen = []
    promise.then(seen.append)
    promise._resolve(1)
    assert seen == []
    run(dispatcher)
    assert seen == [1]
    promise.then(seen.append)
    assert seen == [1]
    run(dispatcher)
    assert seen == [1, 1]


def test_what_a_function_returns_is_the_next_ones(dispatcher, promise):
    seen = []
    promise.then(lambda value: value + 1).then(lambda value: value * 10).then(seen.append)
    promise._resolve(1)
    run(dispatcher)
    assert seen == [20]


def test_a_promise_that_is_returned_is_waited_for(dispatcher, promise):
    seen = []
    inner = Promise(dispatcher)
    promise.then(lambda _: inner).then(seen.append)
    promise._resolve(1)
    run(dispatcher)
    assert seen == []
    inner._resolve("inner")
    run(dispatcher)
    assert seen == ["inner"]


def test_an_error_goes_to_the_next_catch_and_ends_there(dispatcher, promise):
    seen = []
    promise.then(lambda value: seen.append("never")).catch(lambda error: str(error)).then(seen.append)
    promise._reject(ValueError("wrong"))
    run(dispatcher)
    assert seen == ["wrong"]


def test_what_a_function_raises_rejects_what_follows(dispatcher, promise):
    seen = []
    promise.then(lambda value: 1 / 0).then(None, lambda error: seen.append(type(error)))
    promise._resolve(1)
    run(dispatcher)
    assert seen == [ZeroDivisionError]


def test_finally_hands_on_what_came_and_waits_for_what_it_returns(dispatcher, promise):
    seen = []
    inner = Promise(dispatcher)
    promise.finally_(lambda: inner).then(lambda value: seen.append(value))
    promise._resolve("kept")
    run(dispatcher)
    assert seen == []
    inner._resolve("dropped")
    run(dispatcher)
    assert seen == ["kept"]
    failed = Promise(dispatcher)
    failed.finally_(lambda: None).catch(lambda error: seen.append(str(error)))
    failed._reject(ValueError("wrong"))
    run(dispatcher)
    assert seen == ["kept", "wrong"]
    raised = Promise(dispatcher)
    raised.finally_(lambda: 1 / 0).catch(lambda error: seen.append(type(error)))
    raised._resolve(1)
    run(dispatcher)
    assert seen[-1] is ZeroDivisionError


def test_a_promise_is_settled_once(dispatcher, promise):
    promise._resolve(1)
    promise._reject(ValueError())
    promise._resolve(2)
    seen = []
    promise.then(seen.append)
    run(dispatcher)
    assert seen == [1]
    assert repr(promise) == "<Promise fulfilled>"


def test_a_promise_cannot_wait_for_itself(dispatcher, promise):
    seen = []
    promise.catch(seen.append)
    promise._resolve(promise)
    run(dispatcher)
    assert isinstance(seen[0], TypeError)


def test_a_function_that_is_asynchronous_is_refused(dispatcher, promise):
    async def asynchronous(value):
        raise AssertionError("nothing could run it")

    seen = []
    promise.then(asynchronous).catch(seen.append)
    promise._resolve(1)
    run(dispatcher)
    assert "await the promise" in str(seen[0])


def test_an_error_that_nobody_looks_at_is_logged(dispatcher, caplog):
    promise: Promise = Promise(dispatcher)
    promise._reject(ValueError("forgotten"))
    del promise
    gc.collect()
    assert "forgotten" in caplog.text
    assert "nothing looked at its promise" in caplog.text


def test_an_error_at_the_end_of_a_chain_is_logged(dispatcher, promise, caplog):
    promise.then(lambda value: 1 / 0)
    promise._resolve(1)
    run(dispatcher)
    gc.collect()
    assert "ZeroDivisionError" in caplog.text


def test_an_error_that_is_looked_at_is_not_logged(dispatcher, caplog):
    promise: Promise = Promise(dispatcher)
    promise.catch(lambda error: None)
    promise._reject(ValueError("seen"))
    run(dispatcher)
    gc.collect()
    assert caplog.records == []


def test_a_callback_gets_the_error_or_the_result(dispatcher, promise):
    seen = []
    promise._call_back(lambda err, resp: seen.append((err, resp)))
    failed = Promise(dispatcher)
    failed._call_back(lambda err, resp: seen.append((str(err), resp)))
    promise._resolve(1)
    failed._reject(ValueError("wrong"))
    run(dispatcher)
    assert seen == [(None, 1), ("wrong", None)]


def test_a_callback_that_raises_is_logged_and_the_next_is_called(dispatcher, caplog):
    seen = []
    dispatcher.post(lambda: 1 / 0)
    dispatcher.post(seen.append, 1)
    assert dispatcher.run_pending() == 2
    assert seen == [1]
    assert "A callback raised." in caplog.text
    assert caplog.records[0].levelno == logging.ERROR
    assert caplog.records[0].exc_info is not None


def test_waiting_for_what_nothing_will_call_ends_with_a_word_of_it(dispatcher, caplog):
    dispatcher.wait_until_called([print])
    assert "nothing is under way" in caplog.text
    dispatcher.began()
    with pytest.raises(EnvironmentError, match="0.0 seconds"):
        dispatcher.wait_until_called([print], timeout=0.0)


def test_who_waits_for_a_call_that_was_made_is_not_kept(dispatcher, caplog):
    seen = []

    def note(value):
        seen.append(value)

    dispatcher.call(note, 1)
    dispatcher.wait_until_called([print, note])
    assert caplog.records == []
    dispatcher.post(note, 2)
    dispatcher.wait_until_called([note])
    assert seen == [1, 2]


def test_promises_are_items_too_as_javascript_objects_are(promise):
    assert "then" in promise
    assert "catch" in promise
    assert "cancel" not in promise
    assert promise["then"] == promise.then
    with pytest.raises(KeyError, match="cancel"):
        promise["cancel"]
