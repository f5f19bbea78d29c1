"""Results as programs of this package read them: dicts and lists whose members are attributes too.

A result is the very dict that the facade made, in another class: nothing is copied but its outermost level. What lies
inside is given that class when it is first looked at, and put back in its place, so that a change to it is a change to
the whole. A call costs the same whether the answer has three members or a million.

The engine takes nothing but plain dicts and lists. :func:`plain` makes them of what a program hands back.
"""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any, SupportsIndex

_ATOMS = frozenset({str, int, float, bool, type(None)})


class Result(dict[str, Any]):
    """A JSON object: ``result["rev"]`` is ``result.rev``. What is named as a method of dict is found by ``[]`` only."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"The result has no member {name!r}.") from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(f"The result has no member {name!r}.") from None

    def __getitem__(self, name: str) -> Any:
        value = super().__getitem__(name)
        kind = type(value)
        if kind is dict or kind is list:
            value = self[name] = wrapped(value)
        return value

    def get(self, name: str, default: Any = None) -> Any:
        """The member, or the default."""
        try:
            return self[name]
        except KeyError:
            return default

    def pop(self, name: str, *default: Any) -> Any:
        """Remove a member and return it."""
        return wrapped(super().pop(name, *default))

    def popitem(self) -> tuple[str, Any]:
        """Remove the last member and return its name and value."""
        name, value = super().popitem()
        return name, wrapped(value)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """The member, which is the default if there was none."""
        super().setdefault(name, default)
        return self[name]

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """The members."""
        self._look_at_all()
        return super().values()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """The members with their names."""
        self._look_at_all()
        return super().items()

    def copy(self) -> Result:
        """Another result with the same members."""
        self._look_at_all()
        return Result(self)

    def __copy__(self) -> Result:
        return self.copy()

    def __or__(self, other: Any) -> Any:
        made = self.copy()
        made.update(other)
        return made

    def _look_at_all(self) -> None:
        for name, value in super().items():
            kind = type(value)
            if kind is dict or kind is list:
                super().__setitem__(name, wrapped(value))


class Results(list[Any]):
    """A JSON array, whose objects are :class:`Result`."""

    __slots__ = ()

    def __getitem__(self, index: Any) -> Any:
        value = super().__getitem__(index)
        if isinstance(index, slice):
            self._look_at_all()
            return Results(super().__getitem__(index))
        kind = type(value)
        if kind is dict or kind is list:
            value = self[index] = wrapped(value)
        return value

    def __iter__(self) -> Iterator[Any]:
        self._look_at_all()
        return super().__iter__()

    def __reversed__(self) -> Iterator[Any]:
        self._look_at_all()
        return super().__reversed__()

    def pop(self, index: SupportsIndex = -1) -> Any:
        """Remove an element and return it."""
        return wrapped(super().pop(index))

    def copy(self) -> Results:
        """Another list of the same elements."""
        self._look_at_all()
        return Results(self)

    def __copy__(self) -> Results:
        return self.copy()

    def _look_at_all(self) -> None:
        for index, value in enumerate(super().__iter__()):
            kind = type(value)
            if kind is dict or kind is list:
                super().__setitem__(index, wrapped(value))


def wrapped(value: Any) -> Any:
    """The same value with attributes, where it is a dict or a list."""
    kind = type(value)
    if kind is dict:
        return Result(value)
    if kind is list:
        return Results(value)
    return value


def plain(value: Any) -> Any:
    """The same value of plain dicts and lists. What holds no result is returned as it is, not a copy.

    The engine must refuse what nests too deep, or in itself, in its own words: that is handed on.
    """
    try:
        return value if _is_plain(value) else _plain(value)
    except RecursionError:
        return value


def _is_plain(value: Any) -> bool:
    kind = type(value)
    if kind is dict:
        members = value.values()
    elif kind is list:
        members = value
    else:
        return not isinstance(value, (dict, list))
    if not _ATOMS.issuperset(map(type, members)):
        for member in members:
            if type(member) not in _ATOMS and not _is_plain(member):
                return False
    return True


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in dict.items(value)}
    if isinstance(value, list):
        return [_plain(element) for element in list.__iter__(value)]
    return value
