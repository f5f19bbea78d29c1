"""Telling Python functions apart by what they do, so that a replication with another filter begins anew.

Two functions are the same when their names, their code and the values that they captured are. The code is compared as
Python compiled it: another version of Python may compile it otherwise, and the next replication then compares
all revisions once, which is slow and does no harm. Captured values that are no JSON count by their type alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from types import CodeType
from typing import Any

from couchette import jsonio
from couchette.errors import CouchetteError


def fingerprint(function: Callable[..., Any]) -> str:
    """A short text for what the function does; the same in the next run of the program."""
    return hashlib.md5(jsonio.dumps(_facts(function)), usedforsecurity=False).hexdigest()


def _facts(function: Any) -> Any:
    if isinstance(function, partial):
        captured = [*function.args, *function.keywords.items()]
        return [_facts(function.func), [_value(one) for one in captured]]
    function = getattr(function, "__func__", function)  # A bound method's function.
    code = getattr(function, "__code__", None)
    if code is None:
        named = function if hasattr(function, "__qualname__") else type(function)
        call = getattr(type(function).__call__, "__code__", None)
        return [named.__module__, named.__qualname__, None if call is None else _code(call)]
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [function.__module__, function.__qualname__, _code(code), [_value(cell) for cell in cells]]


def _code(code: CodeType) -> list[Any]:
    constants = [_code(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]


def _value(value: Any) -> Any:
    """A captured value as JSON."""
    if callable(value):
        return _facts(value)
    try:
        jsonio.dumps(value)
    except CouchetteError:
        return [type(value).__module__, type(value).__qualname__]
    return value
