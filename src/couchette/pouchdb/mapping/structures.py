"""Fields of several values: nested objects and lists.

What they give is the document's JSON, or a view of it: to change it is to change the document. Python-PouchDB's own
form of these fields, with a function for each direction, keeps the Python value beside the JSON instead, and converts
it back when the document is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, MutableSequence
from typing import Any, Generic, Self, TypeVar, cast, overload

from couchette.pouchdb.mapping.fields import Field, Mapped
from couchette.pouchdb.mapping.records import Record
from couchette.pouchdb.results import Result, wrapped

T = TypeVar("T")
V = TypeVar("V")
R = TypeVar("R", bound=Record)

Convert = Callable[[Any], Any]


class DictField(Field[T, Mapping[str, Any] | Record]):
    """A nested object: with the fields of a record, or of any members.

    Without a record it reads as a dictionary whose members are attributes as well. None stands for an empty one.
    """

    @overload
    def __init__(
        self: DictField[R],
        mapping: type[R],
        name: str | None = None,
        default: Mapping[str, Any] | Convert | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: DictField[Result],
        mapping: None = None,
        name: str | None = None,
        default: Mapping[str, Any] | Callable[[], Mapping[str, Any]] | None = None,
        *,
        jsonSerializable: Convert | None = None,
        toPy: Convert | None = None,
    ) -> None: ...

    def __init__(
        self,
        mapping: type[Record] | None = None,
        name: str | None = None,
        default: Any = None,
        *,
        jsonSerializable: Convert | None = None,
        toPy: Convert | None = None,
    ) -> None:
        """Describe a nested object.

        Args:
            mapping: the record that has its fields, such as ``Mapping.build(street=TextField())``.
            name, default: as of every field.
            jsonSerializable, toPy: functions of the whole dictionary, to JSON and from it.
        """
        super().__init__(name, default)
        if mapping is not None and any(getattr(field, "held", None) for field in mapping._fields.values()):
            raise TypeError(f"{mapping.__name__} cannot be nested: functions of its fields work in a document only.")
        self.mapping = mapping
        self.held = Conversion.of(jsonSerializable, toPy)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Mapped, owner: type) -> T: ...

    def __get__(self, instance: Mapped | None, owner: type) -> Any:
        if instance is None:
            return self
        if self.held is not None:
            return self.held.value_in(instance, self.name, dict, self.default)
        if instance._data.get(self.name) is None:
            self.__set__(instance, self.default())
        value = self._converted(self.to_python, instance._data[self.name])
        if self.mapping is None:
            instance._data[self.name] = value
        return value

    def __set__(self, instance: Mapped, value: T | Mapping[str, Any] | Record | None) -> None:
        given = {} if value is None else value
        if self.held is not None:
            instance._held[self.name] = wrapped(self.held.to_python(_members(given)))
        else:
            instance._data[self.name] = self._converted(self.to_json, given)

    def settle(self, instance: Mapped) -> None:
        if self.held is not None and self.name in instance._held:
            instance._data[self.name] = self._converted(self.held.to_json, instance._held[self.name])

    def to_python(self, value: Any) -> T:
        if not isinstance(value, dict):
            raise TypeError("It is no JSON object.")
        return cast(T, wrapped(value) if self.mapping is None else self.mapping.wrap(value))

    def to_json(self, value: Any) -> dict[str, Any]:
        """The members of a record or a dictionary; a dictionary's are named as the record's attributes."""
        if isinstance(value, Record):
            return value.unwrap()
        members = _members(value)
        if self.mapping is None:
            return members
        return self.mapping(**members).unwrap()


class ListField(Field["MappedList[T]", Iterable[Any]]):
    """A list, of values of one field or of any JSON. None stands for an empty one."""

    @overload
    def __init__(
        self: ListField[R],
        field: type[R] | DictField[R],
        name: str | None = None,
        default: Iterable[Any] | Callable[[], Iterable[Any]] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: ListField[V],
        field: type[Field[V, Any]] | Field[V, Any],
        name: str | None = None,
        default: Iterable[Any] | Callable[[], Iterable[Any]] | None = None,
    ) -> None: ...

    @overload
    def __init__(
        self: ListField[Any],
        field: None = None,
        name: str | None = None,
        default: Iterable[Any] | Callable[[], Iterable[Any]] | None = None,
        *,
        jsonSerializable: Convert | None = None,
        toPy: Convert | None = None,
    ) -> None: ...

    def __init__(
        self,
        field: Any = None,
        name: str | None = None,
        default: Any = None,
        *,
        jsonSerializable: Convert | None = None,
        toPy: Convert | None = None,
    ) -> None:
        """Describe a list.

        Args:
            field: of each of its values: a field, its class, or a record, which stands for a DictField of it.
            name, default: as of every field.
            jsonSerializable, toPy: functions of the whole list, to JSON and from it.
        """
        super().__init__(name, default)
        self.field: Field[Any, Any] = _field_of_values(field)
        self.held = Conversion.of(jsonSerializable, toPy)

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Mapped, owner: type) -> MappedList[T]: ...

    def __get__(self, instance: Mapped | None, owner: type) -> Any:
        if instance is None:
            return self
        if self.held is not None:
            return MappedList(self.held.value_in(instance, self.name, list, self.default), self.field)
        if instance._data.get(self.name) is None:
            self.__set__(instance, self.default())
        return self._converted(self.to_python, instance._data[self.name])

    def __set__(self, instance: Mapped, value: Iterable[Any] | None) -> None:
        given = () if value is None else value
        if self.held is not None:
            instance._held[self.name] = self.held.to_python(list(given))
        else:
            instance._data[self.name] = self._converted(self.to_json, given)

    def settle(self, instance: Mapped) -> None:
        if self.held is not None and self.name in instance._held:
            instance._data[self.name] = self._converted(self.held.to_json, instance._held[self.name])

    def to_python(self, value: Any) -> MappedList[T]:
        if not isinstance(value, list):
            raise TypeError("It is no JSON array.")
        return MappedList(value, self.field)

    def to_json(self, value: Iterable[Any]) -> list[Any]:
        if isinstance(value, str | bytes | Mapping):
            raise TypeError("It is no list.")
        return [None if one is None else self.field.to_json(one) for one in value]


class MappedList(MutableSequence[T], Generic[T]):
    """A list within a document, read and written through a field."""

    def __init__(self, values: list[Any], field: Field[T, Any]) -> None:
        """A view of these JSON values."""
        self._values = values
        self._field = field

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._read(value) for value in self._values[index]]
        return self._read(self._values[index])

    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            self._values[index] = [self._written(one) for one in value]
        else:
            self._values[index] = self._written(value)

    def __delitem__(self, index: int | slice) -> None:
        del self._values[index]

    def __len__(self) -> int:
        return len(self._values)

    def insert(self, index: int, value: Any) -> None:
        """Put a value before this index."""
        self._values.insert(index, self._written(value))

    def append(self, *value: Any, **members: Any) -> None:
        """Add a value at the end; a nested object may be given by its members: ``append(author="Ann")``."""
        if bool(members) == bool(value) or len(value) > 1:
            raise TypeError("append() takes one value, or the members of one object.")
        self.insert(len(self), value[0] if value else members)

    def sort(self, *, key: Callable[[T], Any] | None = None, reverse: bool = False) -> None:
        """Sort in place, as a list's ``sort``."""

        def read(value: Any) -> Any:
            return self._read(value) if key is None else key(self._read(value))

        self._values.sort(key=read, reverse=reverse)

    def __eq__(self, other: object) -> bool:
        return list(self) == list(other) if isinstance(other, list | tuple | MappedList) else NotImplemented

    __hash__ = None  # type: ignore[assignment] # A list that changes.

    def __repr__(self) -> str:
        return repr(list(self))

    def _read(self, value: Any) -> T:
        return cast(T, None) if value is None else self._field.to_python(value)

    def _written(self, value: Any) -> Any:
        return None if value is None else self._field.to_json(value)


class Conversion:
    """A program's own functions of a whole list or dictionary, to JSON and from it."""

    def __init__(self, to_json: Convert, to_python: Convert) -> None:
        """The two functions."""
        self.to_json = to_json
        self.to_python = to_python

    @classmethod
    def of(cls, to_json: Convert | None, to_python: Convert | None) -> Self | None:
        """The functions that were given, with nothing done where one is missing; None where both are."""
        if to_json is None and to_python is None:
            return None
        return cls(to_json or _same, to_python or _same)

    def value_in(
        self, instance: Mapped, name: str, kind: type[dict[str, Any]] | type[list[Any]], default: Callable[[], Any]
    ) -> Any:
        """The Python value of a member, made of its JSON once; the same object each time."""
        if name not in instance._held:
            stored = instance._data.get(name)
            made = self.to_python(kind(stored if stored is not None else default() or ()))
            instance._held[name] = wrapped(made) if kind is dict else made
        return instance._held[name]


def _same(value: Any) -> Any:
    return value


def _members(value: Any) -> dict[str, Any]:
    """The members of what was set as an object. Raises TypeError."""
    if isinstance(value, Record):
        return value.unwrap()
    if not isinstance(value, Mapping):
        raise TypeError("It is no mapping.")
    return dict(value)


def _field_of_values(field: Any) -> Field[Any, Any]:
    if field is None:
        return Field()
    if isinstance(field, type):
        return DictField(field) if issubclass(field, Record) else cast(Field[Any, Any], field())
    return cast(Field[Any, Any], field)
