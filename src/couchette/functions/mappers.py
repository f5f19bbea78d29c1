"""Map functions: JavaScript ones in batches on their engine, Python ones called right here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from couchette import jsonio, stopping
from couchette.errors import BadRequest
from couchette.functions.batches import run_on_docs
from couchette.functions.engine import Decoder, Engine, Limits, log
from couchette.functions.plainness import is_plain
from couchette.functions.protocols import Emitted

PythonMap: TypeAlias = Callable[[dict[str, Any]], Iterable[Emitted] | None]
"""A Python map function: returns or yields pairs (key, value), or None."""

_Answer: TypeAlias = tuple[list[list[list[tuple[Any, Any]]]] | None, list[list[str]], list[Any] | None]
_decode: Decoder = msgspec.json.Decoder(_Answer)


class JavaScriptMapper:
    """A :class:`~couchette.functions.Mapper` of map functions in JavaScript, which share one engine."""

    def __init__(
        self, sources: Sequence[str], *, lib: Mapping[str, Any] | None = None, limits: Limits | None = None
    ) -> None:
        self._engine = Engine({"views": {"lib": dict(lib or {})}}, limits=limits)
        self._engine.set_up("mappers", {"sources": list(sources), "plain": all(map(is_plain, sources))})

    def map(self, docs: Sequence[dict[str, Any]]) -> list[list[list[Emitted]]]:
        """See :class:`~couchette.functions.Mapper`."""
        return run_on_docs(self._engine, "map", docs, (b"", b""), _decode)

    def close(self) -> None:
        """End the engine's thread."""
        self._engine.close()


class PythonMapper:
    """A :class:`~couchette.functions.Mapper` of Python functions, called in the caller's thread and without limits.

    A function that changes its document changes the caller's, but not what the other functions see.
    """

    def __init__(self, functions: Sequence[PythonMap]) -> None:
        self._functions = list(functions)

    def map(self, docs: Sequence[dict[str, Any]]) -> list[list[list[Emitted]]]:
        """See :class:`~couchette.functions.Mapper`."""
        return [self._map_one(doc) for doc in docs]

    def _map_one(self, doc: dict[str, Any]) -> list[list[Emitted]]:
        stopping.check()
        if len(self._functions) == 1:
            return [_emitted(self._functions[0], doc)]
        text = jsonio.dumps(doc)
        return [_emitted(function, jsonio.loads(text)) for function in self._functions]

    def close(self) -> None:
        """Nothing is held."""


def _emitted(function: PythonMap, doc: dict[str, Any]) -> list[Emitted]:
    """The pairs of one function and document; none, and a message in the log, if it raises or gives anything else."""
    try:
        pairs = [_pair(pair) for pair in function(doc) or ()]
        jsonio.dumps(pairs)
    except Exception:
        log.warning("%s raised for the document %r", _name(function), doc.get("_id"), exc_info=True)
        return []
    return pairs


def _pair(pair: Any) -> Emitted:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise BadRequest("A map function returns or yields pairs (key, value).", f"{pair!r} is not a pair.")
    return (pair[0], pair[1])


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__qualname__", None) or repr(function)
