"""JavaScript on its own thread: one quickjs context, with limits, behind ``call(command, value) -> value``.

A context belongs to the thread that made it: called from another it sees a false stack overflow, and from two at once
it crashes. So each engine has one thread with an ample stack, which is started by the first call. While a time limit
is set JavaScript cannot call Python; everything goes in as one JSON text and comes out as one, a batch at a time. The
GIL is free meanwhile.

A call that runs out of time, memory or stack ends with :class:`FunctionFailed`; the context is thrown away, since
nobody knows in what state it is, and the next call finds a new one that was told the same things. The process lives
on. What runs inside is ``javascript/*.js``: CouchDB's environment, with no reach outside.

The engine looks at the clock once in some thousand steps of a program. One step may be a search in megabytes of text,
so a function that means to can use many times its time; it does end.

The thread ends when the engine is closed, forgotten, or when the interpreter exits; it is never waited for at exit for
longer than the time limit. Nothing interrupts a program before its time: a call that is to end
(:mod:`couchette.stopping`) is left alone, and its thread ends by itself.
"""

from __future__ import annotations

import logging
import queue
import re
import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from types import ModuleType
from typing import Any, Final, TypeAlias

import msgspec

from couchette import jsonio, stopping
from couchette.errors import CompilationFailed, CouchetteError, FunctionFailed, LimitExceeded, MissingExtra, from_answer
from couchette.limits import (
    FUNCTION_MEMORY_BYTES,
    FUNCTION_STACK_BYTES,
    FUNCTION_THREAD_STACK_BYTES,
    FUNCTION_TIME_S,
)

log = logging.getLogger("couchette.functions")

_PARTS: Final = ("sandbox", "views", "render", "dispatch")
_LEVELS: Final = {"info": logging.INFO, "warning": logging.WARNING}
_STATUSES: Final = {
    "bad_request": 400,
    "query_parse_error": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "not_acceptable": 406,
    "conflict": 409,
}
"""CouchDB's statuses for the error words that a function may throw; any other word is a 500."""

_LONE_SURROGATE: Final = re.compile(rb"\\(?:u([dD][89a-fA-F][0-9a-fA-F]{2})|.)")

Decoder: TypeAlias = "msgspec.json.Decoder[tuple[Any, list[list[str]], list[Any] | None]]"
"""Reads an answer's text: the value, the messages for the log, the error."""

decode_any: Decoder = msgspec.json.Decoder(tuple[Any, list[list[str]], list[Any] | None])
_stack_size_lock = threading.Lock()


@dataclass(frozen=True)
class Limits:
    """What one call may use. See :mod:`couchette.limits` for the reasons of the defaults."""

    time_s: float = FUNCTION_TIME_S
    memory_bytes: int = FUNCTION_MEMORY_BYTES
    stack_bytes: int = FUNCTION_STACK_BYTES


_Job: TypeAlias = "tuple[str, str, Future[str]] | None"


class Engine:
    """A JavaScript context on its own thread. Calls from several threads are answered one after the other.

    Args:
        design: the design document's members, which functions see as ``this`` and read by ``require``.
        limits: of each call.
    """

    def __init__(self, design: Mapping[str, Any] | None = None, *, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._design = jsonio.dumps(dict(design or {})).decode()
        self._setup: list[tuple[str, str]] = [("design", self._design)]
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._left = False
        """A call was given up, which the thread may be at for a while."""
        self._end = weakref.finalize(self, self._jobs.put, None)

    def set_up(self, command: str, value: Any) -> None:
        """A command that each new context is given before its first call; its failure is the failure of that call."""
        with self._lock:
            assert self._thread is None, "an engine is set up before its first call"
            self._setup.append((command, jsonio.dumps(value).decode()))

    def call(self, command: str, value: Any) -> Any:
        """The answer to one command.

        Blocks until it is there. What the functions log goes to ``couchette.functions``.

        Raises:
            FunctionFailed: the function threw, or exceeded a limit; other errors of our tree where it named CouchDB's
                word.
            MissingExtra: quickjs is not installed.
            CouchetteError: a stop was set that the caller heeds.
        """
        return self.call_text(command, jsonio.dumps(value).decode())

    def call_text(self, command: str, text: str, decode: Decoder = decode_any) -> Any:
        """As :meth:`call`, of a value that is JSON text already; ``decode`` may know the type of the answer."""
        answer: Future[str] = Future()
        with self._lock:
            if self._closed:
                raise FunctionFailed("The design functions are closed.", "Make them anew from the design document.")
            if self._thread is None:
                self._thread = self._start()
            self._jobs.put((command, text, answer))
        try:
            answered = stopping.result_of(answer)
        finally:
            self._left |= answer.cancelled()
        return _read_answer(answered, decode)

    def close(self) -> None:
        """End the thread after the calls under way, and wait for it, unless one was given up. May be called twice."""
        with self._lock:
            self._closed = True
            self._end()
            thread = self._thread
        if thread is not None and not self._left:
            thread.join()

    def _start(self) -> threading.Thread:
        quickjs = _import_quickjs()
        # The thread knows the queue and not the engine, which can so be forgotten while the thread waits.
        thread = threading.Thread(
            target=_serve,
            args=(quickjs, self._jobs, self._setup, self.limits),
            name="couchette-javascript",
            daemon=True,
        )
        with _stack_size_lock:
            before = threading.stack_size(FUNCTION_THREAD_STACK_BYTES)
            try:
                thread.start()
            finally:
                threading.stack_size(before)
        return thread


def _serve(quickjs: ModuleType, jobs: queue.SimpleQueue[_Job], setup: list[tuple[str, str]], limits: Limits) -> None:
    """The thread: answer jobs until there is a None. The context lives and dies here."""
    dispatch: Any = None
    while (job := jobs.get()) is not None:
        command, text, answer = job
        result, failure = "", None
        try:
            if not answer.cancelled():
                if dispatch is None:
                    dispatch = _new_context(quickjs, setup, limits)
                result = dispatch(command, text)
        except Exception as exc:  # Whatever it is: who waits for the answer must not wait forever.
            dispatch = None
            failure = exc if isinstance(exc, CouchetteError) else _exceeded(exc, limits)
        with suppress(InvalidStateError):  # Nobody waits any more.
            if failure is None:
                answer.set_result(result)
            else:
                answer.set_exception(failure)
        # Held while waiting, they would keep a batch alive.
        job = text = answer = result = failure = None  # type: ignore[assignment]


def _new_context(quickjs: ModuleType, setup: list[tuple[str, str]], limits: Limits) -> Any:
    """A context with limits that has been set up: the function that dispatches its commands."""
    context = quickjs.Context()
    context.set_max_stack_size(limits.stack_bytes)
    dispatch = context.eval(_program())
    context.set_memory_limit(limits.memory_bytes)
    context.set_time_limit(limits.time_s)
    for command, text in setup:
        _read_answer(dispatch(command, text))
    return dispatch


def _program() -> str:
    folder = resources.files(__package__) / "javascript"
    parts = "".join((folder / f"{part}.js").read_text(encoding="utf-8") for part in _PARTS)
    return f'(function () {{"use strict";\n{parts}}})()'


def _import_quickjs() -> ModuleType:
    try:
        import _quickjs  # The package `quickjs` around it starts a thread of its own when it is imported.
    except ImportError as exc:
        raise MissingExtra(
            "Design functions in JavaScript need quickjs-ng.",
            "Run `pip install 'couchette[js]'`, or use Python functions.",
        ) from exc
    return _quickjs  # type: ignore[no-any-return]


def _exceeded(exc: Exception, limits: Limits) -> LimitExceeded:
    """The error for what the engine itself raised."""
    message = str(exc)
    if "interrupted" in message:
        return LimitExceeded("The function ran out of time.", f"It may use {limits.time_s:g} s of CPU time a call.")
    if "out of memory" in message or message.startswith("null"):  # It had no memory left for an error.
        return LimitExceeded("The function ran out of memory.", f"It may use {limits.memory_bytes >> 20} MB.")
    if "call stack" in message:
        return LimitExceeded("The function ran out of stack: it recurses without end, or very deep.")
    return LimitExceeded(f"The function failed: {message.strip() or type(exc).__name__}")


def _read_answer(text: str, decode: Decoder = decode_any) -> Any:
    """The value of an answer, or its error raised; its messages are logged."""
    try:
        value, messages, error = decode.decode(text)
    except (msgspec.DecodeError, RecursionError):
        # JavaScript's strings may have lone surrogates, which become U+FFFD as in CouchDB; or the value nests deep.
        repaired = _LONE_SURROGATE.sub(lambda found: rb"\ufffd" if found[1] else found[0], text.encode())
        value, messages, error = msgspec.convert(jsonio.loads(repaired), decode.type)
    for level, message in messages:
        log.log(_LEVELS[level], "%s", message.rstrip())
    if error is None:
        return value
    raise _error(*error)


def _error(word: Any = "unnamed_error", reason: Any = "", thrown: Any = None, *_more: Any) -> CouchetteError:
    """The error that a function threw as an answer: a word and a reason, which it may have filled with anything."""
    word = word if isinstance(word, str) else jsonio.dumps(word).decode()
    reason = reason if isinstance(reason, str) else jsonio.dumps(reason).decode()
    if word == "compilation_error":
        return CompilationFailed(reason)
    if status := _STATUSES.get(word):
        return from_answer(status, word, reason)
    failed = FunctionFailed(reason, error=word)
    if isinstance(thrown, list) and len(thrown) == 2 and all(isinstance(text, str) for text in thrown):
        failed.thrown = (thrown[0], thrown[1])
    return failed
