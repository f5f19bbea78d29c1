"""The package's errors, and the one place where the engine's become them.

    BaseError
    ├── EnvironmentError    the process cannot run what was asked for
    └── PouchDBError        an answer that is an error: ``status``, ``name``, ``message`` and what else it tells

PouchDB has a fixed message for each kind of error and puts what is particular into ``reason``; a server's answer has
one sentence, which is both. Messages here are CouchDB's sentences, but where PouchDB's own is another one.
"""

from __future__ import annotations

import json
from typing import Any, Final

from couchette.errors import CouchetteError

FIRST: Final = ("status", "name", "message")
"""The members that an error's text shows, in their order."""


class BaseError(Exception):
    """The base class of the errors of this package."""


class EnvironmentError(BaseError):
    """Something is wrong with the surroundings in which the package runs."""


class PouchDBError(BaseError):
    """An error as PouchDB answers it; its members are items: ``error["status"]``, ``"reason" in error``.

    Its text is the JSON of ``status``, ``name`` and ``message``.
    """

    def __init__(self, message: str, *args: Any, **kwargs: Any) -> None:
        super().__init__(message, *args)
        self._members: dict[str, Any] = {**kwargs, "message": message}

    def __getitem__(self, name: str) -> Any:
        return self._members[name]

    def __contains__(self, name: object) -> bool:
        return name in self._members

    def get(self, name: str, default: Any = None) -> Any:
        """A member, or the default."""
        return self._members.get(name, default)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or name not in self._members:
            raise AttributeError(f"The error has no member {name!r}.")
        return self._members[name]

    def __str__(self) -> str:
        shown = {name: self._members[name] for name in FIRST if name in self._members}
        return json.dumps(shown, separators=(",", ":"), ensure_ascii=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuilt, (type(self), self.args, self._members)

    def as_json(self) -> dict[str, Any]:
        """The members, as a row of an answer shows an error; ``status``, ``name`` and ``message`` first."""
        return {name: self._members[name] for name in [*FIRST, *self._members] if name in self._members}


def _rebuilt(kind: type[PouchDBError], args: tuple[Any, ...], members: dict[str, Any]) -> PouchDBError:
    return kind(*args, **{name: value for name, value in members.items() if name != "message"})


_OTHERWISE: Final[dict[str, dict[str, Any]]] = {
    "Document update conflict.": {"message": "Document update conflict"},
    "missing_rev": {"name": "conflict", "message": "Document update conflict"},
    "deleted": {"message": "missing"},
    "Document must have an _id": {"status": 412, "name": "missing_id", "message": "_id is required for puts"},
    "Document id must be a string": {"name": "bad_request", "message": "_id field must contain a string"},
    "Document is missing attachment": {"message": "missing"},
    "Attachment is not a valid base64 string": {"message": "Some query argument is invalid"},
    "Only reserved document ids may start with underscore.": {"name": "bad_request"},
}
"""What PouchDB says of its own databases where CouchDB has other words, by CouchDB's sentence."""


def from_couchette(exc: CouchetteError) -> PouchDBError:
    """The error that a program of this package sees for one of the engine's."""
    members: dict[str, Any] = {"status": exc.status, "name": exc.error, "error": True, "reason": exc.reason}
    if exc.hint:
        members["hint"] = exc.hint
    members.update({"message": exc.reason, **_OTHERWISE.get(exc.reason, {})})
    made = PouchDBError(**members)
    made.__cause__ = exc
    return made


def from_word(word: str, reason: str) -> PouchDBError:
    """The error for a row of an answer, which has CouchDB's word and sentence and no status."""
    kind = _BY_WORD.get(word, CouchetteError)
    return from_couchette(kind(reason, error=word))


def _kinds(kind: type[CouchetteError]) -> list[type[CouchetteError]]:
    return [kind, *(one for child in kind.__subclasses__() for one in _kinds(child))]


_BY_WORD: Final = {kind.default_error: kind for kind in reversed(_kinds(CouchetteError))}
