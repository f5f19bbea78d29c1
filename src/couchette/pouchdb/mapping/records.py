"""Objects with fields, over the members of a JSON object; :class:`Document` is one with an id and a rev."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator
from typing import TYPE_CHECKING, Any, Self

from couchette.pouchdb.mapping.fields import Field, Mapped


class Record(Mapped):
    """An object whose attributes are members of a JSON object: couchdb-python's ``Mapping``.

    It has few methods, since their names cannot be those of fields. Members that no field names are kept as they are,
    and can be read and written as of a dictionary: ``record["colour"]``.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls._fields = {}
        for base in reversed(cls.__mro__):
            for name, value in vars(base).items():
                if isinstance(value, Field):
                    cls._fields[name] = value
                else:
                    cls._fields.pop(name, None)

    def __init__(self, **values: Any) -> None:
        """A new object with these values, and the defaults of other fields. Raises TypeError for what is no field."""
        self._data = {}
        self._held = {}
        unknown = values.keys() - self._fields.keys()
        if unknown:
            names = ", ".join(repr(name) for name in sorted(unknown))
            raise TypeError(f"{type(self).__name__} has no field {names}; it has {', '.join(sorted(self._fields))}.")
        for name, field in self._fields.items():
            field.__set__(self, values[name] if name in values else field.default())

    @classmethod
    def build(cls, **fields: Any) -> type[Built]:
        """A class with these fields, for objects that are nested in others."""
        return type("Built", (Built,), fields)

    @classmethod
    def wrap(cls, data: dict[str, Any]) -> Self:
        """An object over these JSON members, which are not copied: it changes them."""
        record = cls.__new__(cls)
        record._data = data
        record._held = {}
        return record

    def unwrap(self) -> dict[str, Any]:
        """The JSON members, as they are now; not a copy."""
        for field in self._fields.values():
            field.settle(self)
        return self._data

    @property
    def as_dict(self) -> dict[str, Any]:
        """The values of the fields by their members' names; a rev only where there is one."""
        values = {field.name: getattr(self, name) for name, field in self._fields.items()}
        if values.get("_rev", "") is None:
            del values["_rev"]
        return values

    def items(self) -> ItemsView[str, Any]:
        """The JSON members: names and values, the id and the rev first."""
        data = self.unwrap()
        return {name: data[name] for name in self}.items()

    def get(self, name: str, default: Any = None) -> Any:
        """A JSON member, or the default."""
        return self.unwrap().get(name, default)

    def setdefault(self, name: str, default: Any) -> Any:
        """A JSON member, which becomes the default where there is none."""
        return self.unwrap().setdefault(name, default)

    def __getitem__(self, name: str) -> Any:
        return self.unwrap()[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._held.pop(name, None)
        self._data[name] = value

    def __delitem__(self, name: str) -> None:
        self._held.pop(name, None)
        del self._data[name]

    def __contains__(self, name: object) -> bool:
        return name in self.unwrap()

    def __iter__(self) -> Iterator[str]:
        names = self.unwrap()
        return iter(sorted(names, key=lambda name: _FIRST.get(name, len(_FIRST))))

    def __len__(self) -> int:
        return len(self.unwrap())

    def __repr__(self) -> str:
        shown = ((name, getattr(self, name)) for name in sorted(self._fields) if name not in ("id", "rev"))
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in shown if value is not None)})"


class Built(Record):
    """What :meth:`Record.build` builds."""

    if TYPE_CHECKING:
        # The fields are known to the program only.
        def __getattr__(self, name: str) -> Any: ...

        def __setattr__(self, name: str, value: Any) -> None: ...


_FIRST = {"_id": 0, "_rev": 1}
