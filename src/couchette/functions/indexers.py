"""The functions of text indexes: which fields a document is to be found by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from couchette import stopping
from couchette.errors import BadRequest
from couchette.functions.batches import run_on_docs
from couchette.functions.engine import Decoder, Engine, Limits, log
from couchette.functions.plainness import is_plain
from couchette.functions.protocols import Indexed

PythonIndex: TypeAlias = Callable[[dict[str, Any]], Mapping[str, Any] | Iterable[Sequence[Any]] | None]
"""A Python function of a text index."""

_Answer: TypeAlias = tuple[list[list[list[tuple[str, Any, Any]]]] | None, list[list[str]], list[Any] | None]
_decode: Decoder = msgspec.json.Decoder(_Answer)
_VALUES: Final = (str, int, float, bool)


class JavaScriptIndexer:
    """An :class:`~couchette.functions.Indexer` in JavaScript, on an engine of its own."""

    def __init__(self, source: str, *, lib: Mapping[str, Any] | None = None, limits: Limits | None = None) -> None:
        self._engine = Engine({"views": {"lib": dict(lib or {})}}, limits=limits)
        self._engine.set_up("indexers", {"sources": [source], "plain": is_plain(source)})

    def map(self, docs: Sequence[dict[str, Any]]) -> list[list[Indexed]]:
        """See :class:`~couchette.functions.Indexer`."""
        return [fields for (fields,) in run_on_docs(self._engine, "map", docs, (b"", b""), _decode)]

    def close(self) -> None:
        """End the engine's thread."""
        self._engine.close()


class PythonIndexer:
    """An :class:`~couchette.functions.Indexer` in Python, called in the caller's thread and without limits."""

    def __init__(self, function: PythonIndex) -> None:
        self._function = function

    def map(self, docs: Sequence[dict[str, Any]]) -> list[list[Indexed]]:
        """See :class:`~couchette.functions.Indexer`."""
        return [self._fields(doc) for doc in docs]

    def _fields(self, doc: dict[str, Any]) -> list[Indexed]:
        stopping.check()
        try:
            given = self._function(doc) or ()
            return list(_indexed(given.items() if isinstance(given, Mapping) else given))
        except Exception:
            log.warning("%r raised for the document %r", self._function, doc.get("_id"), exc_info=True)
            return []

    def close(self) -> None:
        """Nothing is held."""


def _indexed(given: Iterable[Sequence[Any]]) -> Iterator[Indexed]:
    """What a function gave, one value at a time; None is no value."""
    for one in given:
        if not isinstance(one, tuple | list) or len(one) not in (2, 3) or not isinstance(one[0], str):
            raise BadRequest("A text index takes (field, value) or (field, value, options).", f"Got {one!r}.")
        options = one[2] if len(one) == 3 else None
        for value in one[1] if isinstance(one[1], list | tuple) else [one[1]]:
            if value is None:
                continue
            if not isinstance(value, _VALUES):
                raise BadRequest("A text index takes text, numbers and booleans.", f"{one[0]!r} is {value!r}.")
            yield one[0], value, options
