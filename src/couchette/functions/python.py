"""Filters and validation as Python functions of the program, with the methods of a design document's.

So whoever runs filters and validation need not know in which language they are. They run in the caller's thread,
without limits: they are the program itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from couchette.errors import CouchetteError, FunctionFailed, NotFound

Doc: TypeAlias = dict[str, Any]
Filter: TypeAlias = Callable[[Doc, Mapping[str, Any]], Any]
"""(document, request object) -> whether it passes."""

Validate: TypeAlias = Callable[[Doc, Doc | None, Mapping[str, Any], Mapping[str, Any]], object]
"""(edited, old, userCtx, secObj): raises errors.Forbidden or errors.Unauthorized to refuse the edit."""


class PythonFunctions:
    """Filters by name, and one validation function, called as :class:`~couchette.functions.DesignFunctions` is."""

    def __init__(
        self, *, filters: Mapping[str, Filter] | None = None, validate_doc_update: Validate | None = None
    ) -> None:
        self._filters = dict(filters or {})
        self._validate = validate_doc_update

    def filter(self, name: str, docs: Sequence[Doc], req: Mapping[str, Any]) -> list[bool]:
        """Whether each of the documents passes. Raises NotFound, or FunctionFailed from what the function raised."""
        if name not in self._filters:
            raise NotFound(
                f"missing json key: {name}", f"There are the filters {', '.join(self._filters) or '(none)'}."
            )
        try:
            return [bool(self._filters[name](doc, req)) for doc in docs]
        except Exception as exc:
            raise _failed(exc) from exc

    def validate(self, edited: Doc, old: Doc | None, user_ctx: Mapping[str, Any], sec_obj: Mapping[str, Any]) -> None:
        """Let the function judge an edit. Raises what it raises, if that is an error of ours, else FunctionFailed."""
        if self._validate is None:
            return
        try:
            self._validate(edited, old, user_ctx, sec_obj)
        except CouchetteError:
            raise
        except Exception as exc:
            raise _failed(exc) from exc

    def validate_all(
        self, edits: Sequence[tuple[Doc, Doc | None]], user_ctx: Mapping[str, Any], sec_obj: Mapping[str, Any]
    ) -> list[CouchetteError | None]:
        """As :meth:`validate`, of many edits: per edit None, or the error that refuses it. FunctionFailed is raised."""
        return [self._refusal(edited, old, user_ctx, sec_obj) for edited, old in edits]

    def close(self) -> None:
        """Nothing is held."""

    def _refusal(
        self, edited: Doc, old: Doc | None, user_ctx: Mapping[str, Any], sec_obj: Mapping[str, Any]
    ) -> CouchetteError | None:
        try:
            self.validate(edited, old, user_ctx, sec_obj)
        except FunctionFailed:
            raise
        except CouchetteError as exc:
            return exc
        return None


def _failed(exc: Exception) -> FunctionFailed:
    return FunctionFailed(f"{type(exc).__name__}: {exc}", "The exception's cause has the traceback.")
