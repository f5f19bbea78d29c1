"""Compiled functions, kept between queries: a JavaScript engine takes a thread and some memory.

A lease keeps functions from being closed while they run. What is used least goes when there are too many.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from couchette import at_once, functions
from couchette.index import Group
from couchette.limits import COMPILED_VIEWS_MAX
from couchette.query.catching_up import Functions
from couchette.query.definitions import PYTHON, Views


def compile_views(views: Views) -> Functions:
    """Compile the functions of a group. Raises BadRequest for an unknown built-in."""
    if views.language == PYTHON:
        mapper = functions.python_mapper([map for map in views.maps if callable(map)])
    else:
        mapper = functions.javascript_mapper([map for map in views.maps if isinstance(map, str)], lib=views.lib)
    reducers: list[functions.Reducer | None] = []
    try:
        for reduce in views.reduces:
            reducers.append(None if reduce is None else functions.reducer(reduce))
    except BaseException:
        close(Functions(mapper, reducers))
        raise
    return Functions(mapper, reducers)


def close(compiled: Functions) -> None:
    """End the engines of a group."""
    compiled.mapper.close()
    for reducer in compiled.reducers:
        if reducer is not None:
            reducer.close()


class Declared(Protocol):
    """What functions are compiled of."""

    @property
    def group(self) -> Group:
        """The index that they are for."""


D = TypeVar("D", bound=Declared)
F = TypeVar("F")


@dataclass
class _Kept(Generic[F]):
    functions: F
    leases: int = 0


class Leases(Generic[D, F]):
    """The functions of one kind that a database keeps compiled, by signature. Safe to use from many threads."""

    def __init__(self, compile: Callable[[D], F], close: Callable[[F], object]) -> None:
        self._compile, self._close = compile, close
        self._lock = threading.Lock()
        self._max = COMPILED_VIEWS_MAX
        self._kept: OrderedDict[str, _Kept[F]] = OrderedDict()

    @contextmanager
    def lease(self, declared: D) -> Iterator[F]:
        """The functions of a group, which stay open within the block."""
        at_once.would_wait()
        signature = declared.group.signature
        with self._lock:
            kept = self._kept.get(signature)
            if kept is None:
                kept = self._kept[signature] = _Kept(self._compile(declared))
            kept.leases += 1
            self._kept.move_to_end(signature)
        try:
            yield kept.functions
        finally:
            with self._lock:
                kept.leases -= 1
                self._shrink()

    def close(self) -> None:
        """Close what nobody is using; the rest closes when it is given back."""
        with self._lock:
            self._max = 0
            self._shrink()

    def _shrink(self) -> None:
        surplus = len(self._kept) - self._max
        if surplus > 0:
            idle = [signature for signature, kept in self._kept.items() if not kept.leases]
            for signature in idle[:surplus]:
                self._close(self._kept.pop(signature).functions)


class Compiled(Leases[Views, Functions]):
    """The functions of views."""

    def __init__(self) -> None:
        super().__init__(compile_views, close)
