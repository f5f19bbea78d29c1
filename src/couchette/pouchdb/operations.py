"""One declaration for a method of both APIs: the operation below it, and what its result is.

``putAttachment = put_attachment = operation(documents.put_attachment, Result)`` in the abstract class is all there is
of a method: its parameters, its types and its text are the function's. A face makes a method of its own kind of each
declaration (:func:`with_methods`): one that blocks, or one that promises.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Self, TypeVar, overload

from couchette.pouchdb.arguments import options as spelled
from couchette.pouchdb.core import DatabaseCore

if TYPE_CHECKING:
    from couchette.pouchdb.promise import Promise

P = ParamSpec("P")
S = TypeVar("S")
Class = TypeVar("Class", bound=type)
Method = Callable[..., Any]

ANYTHING: type[Any] = object
"""What an operation results in that depends on its options."""


class Synchronous:
    """Marks the face whose methods return results."""


class Asynchronous:
    """Marks the face whose methods return promises."""


class operation(Generic[P, S]):
    """A method of both faces."""

    def __init__(self, function: Callable[Concatenate[DatabaseCore, P], object], result: type[S]) -> None:
        """``function`` gets the database's core first; ``result`` is what the program sees of what it returns."""
        self.function = function
        parameters = [*inspect.signature(function).parameters.values()]
        positional = [one for one in parameters[1:] if one.kind is one.POSITIONAL_OR_KEYWORD]
        self.required = sum(one.default is one.empty for one in positional)
        self._names = {one.name for one in parameters[1:] if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)}
        self._takes_options = any(one.kind is one.VAR_KEYWORD for one in parameters)

    @overload
    def __get__(self, face: Synchronous, kind: type) -> Callable[P, S]: ...
    @overload
    def __get__(self, face: Asynchronous, kind: type) -> Callable[..., Promise[S]]: ...
    @overload
    def __get__(self, face: None, kind: type) -> Self: ...
    def __get__(self, face: Any, kind: type) -> Any:
        return self

    def options(self, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """The keywords as the function takes them: one that has no ``**options`` gets those that it names."""
        if self._takes_options or self._names.issuperset(given):
            return given
        asked = {**spelled(given), **given}
        return {name: value for name, value in asked.items() if name in self._names}

    def callback(self, args: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[tuple[Any, ...], Method | None]:
        """The arguments without a callback, and the callback: the keyword ``callback``, or a function at the end.

        A function that stands where an argument has to be is that argument.
        """
        callback: Method | None = keywords.pop("callback", None)
        if callback is None and len(args) > self.required and callable(args[-1]):
            args, callback = args[:-1], args[-1]
        return args, callback


def with_methods(make: Callable[[operation[Any, Any]], Method], *bases: type) -> Callable[[Class], Class]:
    """Give a face its methods: for each declaration of these base classes what ``make`` makes of it.

    A method that the face has itself stays.
    """

    def decorate(face: Class) -> Class:
        for base in bases:
            for name, declared in vars(base).items():
                if isinstance(declared, operation) and name not in vars(face):
                    method = make(declared)
                    _describe(method, declared.function, f"{face.__name__}.{name}")
                    setattr(face, name, method)
        return face

    return decorate


def _describe(method: Method, function: Callable[..., Any], name: str) -> None:
    """Give a method the text and the parameters of its operation; the first one is ``self``."""
    functools.update_wrapper(method, function)
    first, *others = inspect.signature(function).parameters.values()
    method.__qualname__ = name
    method.__name__ = name.rpartition(".")[2]
    method.__signature__ = inspect.Signature([first.replace(name="self"), *others])  # type: ignore[attr-defined]
    del method.__wrapped__  # type: ignore[attr-defined]
