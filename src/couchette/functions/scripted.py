"""Reduce functions that a program or a design document brings along, in JavaScript or Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from couchette import jsonio
from couchette.errors import BadRequest
from couchette.functions.engine import Engine, log
from couchette.functions.protocols import Reducer
from couchette.functions.reducers import builtin, overflow_reason
from couchette.limits import REDUCE_LIMIT_BYTES

OVERFLOW: Final = "reduce_overflow_error"

PythonReduce = Callable[[list[list[Any]] | None, list[Any], bool], Any]
"""A Python reduce function, called as JavaScript's: (keys, values, rereduce)."""


class Scripted:
    """A :class:`~couchette.functions.Reducer` over one function (keys, values, rereduce).

    As in CouchDB, a function that raises gives null, and this is logged; a result that does not shrink is the object
    ``{"reduce_overflow_error": reason}``, which every reduction over it becomes too, and which a view shows as an
    error row.
    """

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> Any:
        """The value of some rows."""
        return self._checked(self._run(keys, values, False), keys, values)

    def rereduce(self, values: list[Any]) -> Any:
        """The value of several partial results."""
        for value in values:
            if overflow(value) is not None:
                return value
        return self._checked(self._run(None, values, True), None, values)

    def finalize(self, value: Any) -> Any:
        """What is shown for a partial result: the result."""
        return value

    def close(self) -> None:
        """Free what the reducer holds."""

    def _run(self, keys: list[list[Any]] | None, values: list[Any], rereduce: bool) -> Any:
        raise NotImplementedError

    def _checked(self, result: Any, keys: list[list[Any]] | None, values: list[Any]) -> Any:
        if type(result) not in (str, list, dict):
            return result
        size = len(jsonio.dumps(result))
        if size <= REDUCE_LIMIT_BYTES or 2 * size <= (given := len(jsonio.dumps([keys, values]))):
            return result
        return {OVERFLOW: overflow_reason(given, size)}


class JavaScriptReducer(Scripted):
    """A reduce function in JavaScript, on an engine of its own or on one that is given and shared."""

    def __init__(self, source: str, *, engine: Engine | None = None) -> None:
        self._source = source
        self._own = engine is None
        self._engine = engine or Engine()

    def close(self) -> None:
        """End the engine's thread, if it is this reducer's own."""
        if self._own:
            self._engine.close()

    def _run(self, keys: list[list[Any]] | None, values: list[Any], rereduce: bool) -> Any:
        return self._engine.call(
            "reduce", {"source": self._source, "keys": keys, "values": values, "rereduce": rereduce}
        )


class PythonReducer(Scripted):
    """A reduce function in Python, called in the caller's thread."""

    def __init__(self, function: PythonReduce) -> None:
        self._function = function

    def _run(self, keys: list[list[Any]] | None, values: list[Any], rereduce: bool) -> Any:
        try:
            result = self._function(keys, values, rereduce)
            jsonio.dumps(result)
        except Exception:
            log.warning("%r raised; its result is null", self._function, exc_info=True)
            return None
        return result


def reducer(source: str | PythonReduce, *, engine: Engine | None = None) -> Reducer:
    """The reducer of a view: a built-in's name (``_sum``), JavaScript source, or a Python function.

    Args:
        engine: runs JavaScript, and is left open; several reducers of one design document share it. Without it a
            JavaScript
            reducer has a thread of its own until it is closed.

    Raises:
        BadRequest: ``invalid_design_doc``, an unknown built-in; or ``source`` is neither text nor a function.
    """
    if isinstance(source, str):
        return builtin(source) if source.startswith("_") else JavaScriptReducer(source, engine=engine)
    if callable(source):
        return PythonReducer(source)
    raise BadRequest("A reduce function is a string or a Python function.", f"It is of type {type(source).__name__}.")


def overflow(value: Any) -> str | None:
    """The reason, if a partial result is a reduce function's overflow and is to be shown as an error row."""
    return value[OVERFLOW] if type(value) is dict and len(value) == 1 and OVERFLOW in value else None
