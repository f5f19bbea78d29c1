"""Fields of one value: how a member of a document is read and written as a Python value.

A field is a descriptor. The document keeps JSON; a field converts on the way in and on the way out. ``Field[T, S]``
gives ``T`` or None and takes ``S`` as well as ``T``: a moment may be set as a text, and is read as a datetime.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from datetime import UTC, date, datetime
from datetime import time as time_of_day
from decimal import Decimal
from typing import Any, ClassVar, Generic, Self, SupportsFloat, SupportsInt, TypeVar, overload

from couchette.document.docid import new_id

T = TypeVar("T")
S = TypeVar("S")

Moment = datetime | date | time.struct_time | int | float | str
"""What can be set as a moment: a number is seconds since 1970 in UTC, a text is ISO 8601."""


class Mapped:
    """What fields read and write: an object over the members of one JSON object."""

    _fields: ClassVar[dict[str, Field[Any, Any]]] = {}
    """The fields by attribute, those of base classes first."""

    _data: dict[str, Any]
    """The members, as JSON."""

    _held: dict[str, Any]
    """Python values by member, of fields with conversions of their own; they go into ``_data`` when it is asked for."""


class Field(Generic[T, S]):
    """A member of a document. Its subclasses say of which type; this one takes JSON as it is."""

    def __init__(self, name: str | None = None, default: T | Callable[[], T] | None = None) -> None:
        """Describe a member.

        Args:
            name: of the member, where it is not that of the attribute.
            default: for a new document, and for a stored one without the member: a value, or a function that makes it.
        """
        self.name = name or ""
        self.attribute = ""
        self._default = default

    def __set_name__(self, owner: type, name: str) -> None:
        self.attribute = name
        self.name = self.name or name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Mapped, owner: type) -> T | None: ...

    def __get__(self, instance: Mapped | None, owner: type) -> Any:
        if instance is None:
            return self
        if self.name not in instance._data:
            self.__set__(instance, self.default())
        value = instance._data[self.name]
        return None if value is None else self._converted(self.to_python, value)

    def __set__(self, instance: Mapped, value: T | S | None) -> None:
        instance._data[self.name] = None if value is None else self._converted(self.to_json, value)

    def __delete__(self, instance: Mapped) -> None:
        raise TypeError("Can't delete a document field.")

    def settle(self, instance: Mapped) -> None:
        """Bring the JSON member up to date with a Python value that is held beside it; most fields hold none."""

    def default(self) -> Any:
        """The value of a new document."""
        return self._default() if callable(self._default) else copy.deepcopy(self._default)

    def to_python(self, value: Any) -> T:
        """The Python value of a JSON value. Raises ValueError or TypeError for one that it cannot be."""
        converted: T = value
        return converted

    def to_json(self, value: T | S) -> Any:
        """The JSON value of what was set. Raises ValueError or TypeError."""
        return value

    def _converted(self, convert: Callable[[Any], Any], value: Any) -> Any:
        try:
            return convert(value)
        except (ValueError, TypeError, ArithmeticError) as exc:
            kind = TypeError if isinstance(exc, TypeError) else ValueError
            what = f"{type(self).__name__} {self.attribute or self.name!r}"
            raise kind(f"{value!r} cannot be the value of {what}: {exc}") from exc

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


class TextField(Field[str, object]):
    """Text. What is set becomes text by ``str``."""

    def to_python(self, value: Any) -> str:
        return str(value)

    def to_json(self, value: object) -> str:
        return str(value)


class IdField(TextField):
    """The document's id: a new one, where none is given."""

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: Mapped, owner: type) -> str: ...

    def __get__(self, instance: Mapped | None, owner: type) -> Any:
        return super().__get__(instance, owner)

    def default(self) -> str:
        return new_id()


class IntegerField(Field[int, SupportsInt | str]):
    """A whole number."""

    def to_python(self, value: Any) -> int:
        return int(value)

    def to_json(self, value: SupportsInt | str) -> int:
        return int(value)


class LongField(IntegerField):
    """A whole number: Python has had one type for all of them since 3.0."""


class FloatField(Field[float, SupportsFloat | str]):
    """A number with floating point."""

    def to_python(self, value: Any) -> float:
        return float(value)

    def to_json(self, value: SupportsFloat | str) -> float:
        return float(value)


class DecimalField(Field[Decimal, int | float | str]):
    """A decimal number; it is stored as text, which loses no digit."""

    def to_python(self, value: Any) -> Decimal:
        return Decimal(str(value))

    def to_json(self, value: Decimal | int | float | str) -> str:
        return str(Decimal(str(value)))


class BooleanField(Field[bool, object]):
    """True or false. What is set becomes one of them by ``bool``."""

    def to_python(self, value: Any) -> bool:
        return bool(value)

    def to_json(self, value: object) -> bool:
        return bool(value)


class DateTimeField(Field[datetime, Moment]):
    """A moment, stored as ISO 8601 with the zone that it has. One without a zone stays without."""

    def to_python(self, value: Any) -> datetime:
        return _moment(value)

    def to_json(self, value: Moment) -> str:
        return _moment(value).isoformat()


class DateField(Field[date, Moment]):
    """A day, stored as ``2026-11-21``. The day of a moment is that in the moment's own zone."""

    def to_python(self, value: Any) -> date:
        return _moment(value).date()

    def to_json(self, value: Moment) -> str:
        return self.to_python(value).isoformat()


class TimeField(Field[time_of_day, Moment]):
    """A time of day, stored as ``15:30:00``, with its zone where it has one."""

    def to_python(self, value: Any) -> time_of_day:
        if isinstance(value, time_of_day):
            return value
        if isinstance(value, str):
            try:
                return time_of_day.fromisoformat(value)
            except ValueError:
                return datetime.fromisoformat(value).timetz()
        return _moment(value).timetz()

    def to_json(self, value: time_of_day | Moment) -> str:
        return self.to_python(value).isoformat()


def _moment(value: Moment) -> datetime:
    """A moment of any of its forms. Raises ValueError, TypeError."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, time.struct_time):
        return datetime(*value[:6])
    if isinstance(value, str):
        return datetime.fromisoformat(value)
    return datetime.fromtimestamp(value, UTC)
