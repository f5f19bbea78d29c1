"""What the query side, the replicator and the server ask of design functions, whatever language they are in.

All of these take batches: a call crosses into another thread and another language, and one crossing for 500 documents
costs little where one for each would cost more than the functions. None of them is thread-safe against ``close``;
calls from several threads at once are answered one after the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

Emitted: TypeAlias = tuple[Any, Any]
"""What a map function emits: (key, value), both JSON values."""


class Mapper(Protocol):
    """The map functions of one design document, all views in one pass."""

    def map(self, docs: Sequence[dict[str, Any]]) -> list[list[list[Emitted]]]:
        """Per document, per view, the pairs emitted.

        A document whose function raises has emitted nothing for that view, and this is logged to
        ``couchette.functions``.

        Raises:
            FunctionFailed: a function ran out of its time, memory or stack, or returned no answer; nothing of the
                batch holds.
        """

    def close(self) -> None:
        """End the thread and free the memory. The mapper can no longer be used; closing twice is allowed."""


Indexed: TypeAlias = tuple[str, Any, dict[str, Any] | None]
"""What a text index's function gives: (field, value, options). The value is text, a number or a boolean."""


class Indexer(Protocol):
    """The function of one text index. It fails as a :class:`Mapper` does."""

    def map(self, docs: Sequence[dict[str, Any]]) -> list[list[Indexed]]:
        """Per document, the fields that it is to be found by. Raises FunctionFailed."""

    def close(self) -> None:
        """End the thread and free the memory; closing twice is allowed."""


class Reducer(Protocol):
    """The reduce function of one view. Its answers are JSON values, so that partial ones can be stored."""

    def reduce(self, keys: list[list[Any]], values: list[Any]) -> Any:
        """The value of some rows: ``keys`` are ``[key, id]``, one for each of ``values``; neither list is empty."""

    def rereduce(self, values: list[Any]) -> Any:
        """The value of several partial results, which :meth:`reduce` or :meth:`rereduce` returned."""

    def finalize(self, value: Any) -> Any:
        """What is shown for a partial result: nearly always the result itself."""

    def close(self) -> None:
        """Free what the reducer holds; closing twice is allowed."""
