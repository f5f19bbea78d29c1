"""Documents with fields: an id, a rev, and the ways to a database and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Protocol, Self, TypeVar, overload

from couchette.errors import BadRequest, CouchetteError
from couchette.pouchdb.errors import PouchDBError
from couchette.pouchdb.mapping.fields import IdField, TextField
from couchette.pouchdb.mapping.records import Record
from couchette.pouchdb.results import Result, plain

R = TypeVar("R", covariant=True)

Wrapper = Callable[[dict[str, Any]], Any]
"""What a row of a view becomes."""


class Documents(Protocol):
    """What a document needs of a database: a SyncPouchDB, a couchette.Database or RemoteDatabase."""

    @property
    def get(self) -> Callable[..., Any]:
        """A function of an id, for a document."""

    @property
    def put(self) -> Callable[..., Any]:
        """A function that stores a document and returns its id and rev."""

    @property
    def query(self) -> Callable[..., Any]:
        """A function of a view and options, for the view's rows."""


class _Default:
    """Stands for the wrapping of rows into documents, where None means that rows stay as they are."""


DEFAULT: Final = _Default()


class Document(Record):
    """A document of a class: its attributes are the members, as its fields describe them.

    >>> class Person(Document):
    ...     name = TextField()
    ...     age = IntegerField()
    >>> Person(name="Ann", age=42).store(db)
    Person(age=42, name='Ann')

    What comes from a view has the row's ``key`` and ``value`` as attributes too, unless they are fields.
    """

    id = IdField("_id")
    rev = TextField("_rev")

    key: Any
    value: Any

    def store(self, db: Documents) -> Self:
        """Save the document, on top of the revision that it was loaded as; return itself, with its new ``rev``.

        Raises what ``put`` of the database raises, Conflict among it.
        """
        data = {name: plain(value) for name, value in self.unwrap().items() if name != "_rev" or value is not None}
        stored = db.put(data)
        self._data["_id"], self._data["_rev"] = stored["id"], stored["rev"]
        return self

    @classmethod
    def load(cls, db: Documents, id: str) -> Self:
        """The document with this id. Raises what ``get`` of the database raises, NotFound among it."""
        return cls.wrap(plain(dict(db.get(id))))

    @classmethod
    def query(
        cls,
        db: Documents,
        fun: Any,
        reduce_fun: Any = None,
        language: str = "javascript",
        *,
        wrapper: Wrapper | _Default | None = DEFAULT,
        **options: Any,
    ) -> Result:
        """The answer of a view, whose rows are documents of this class. Reduced rows are left as they are.

        Args:
            db: where to ask.
            fun: ``"design/view"``, or a map function for this query only: JavaScript, or a function in Python.
            reduce_fun: what to reduce a map function's rows with.
            language: of functions that are given as text; only ``javascript``.
            wrapper: what rows become instead; with None they stay as they are, without documents.
            options: those of the database's ``query``. ``include_docs`` is on unless it is given as False: then what
                a row has as its value is taken for the members of its document.
        """
        check_language(language)
        if reduce_fun is not None:
            fun = {"map": fun, "reduce": reduce_fun}
        wrapping = wrapper is DEFAULT
        answer = _asked(db, fun, options, include_docs=wrapping)
        wrap: Any = cls._wrap_row if wrapping else wrapper
        rows = answer["rows"]
        return Result({**answer, "rows": rows if wrap is None else [wrap(row) if "id" in row else row for row in rows]})

    @classmethod
    def view(
        cls, db: Documents, viewname: str, *, wrapper: Wrapper | _Default | None = DEFAULT, **options: Any
    ) -> ViewResults[Self]:
        """The documents of a stored view ``"design/view"``, as a sequence; otherwise as :meth:`query`."""
        return ViewResults(cls.query(db, viewname, wrapper=wrapper, **options))

    @classmethod
    def _wrap_row(cls, row: dict[str, Any]) -> Any:
        """The document of a row; the row itself, where it leads to no document any more."""
        if "doc" in row:
            data = row["doc"]
        else:
            data = {"_id": row["id"], **row["value"]} if isinstance(row["value"], Mapping) else None
        if data is None:
            return row
        document = cls.wrap(plain(dict(data)))
        for name in ("key", "value"):
            if name not in cls._fields:
                setattr(document, name, row[name])
        return document


class ViewResults(Sequence[R]):
    """The rows of a view as a sequence, with ``total_rows`` and ``offset`` where the view is not reduced."""

    def __init__(self, answer: Mapping[str, Any]) -> None:
        """The rows of this answer."""
        self.rows: list[R] = answer["rows"]
        self.total_rows: int | None = answer.get("total_rows")
        self.offset: int | None = answer.get("offset")

    @overload
    def __getitem__(self, index: int) -> R: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[R]: ...

    def __getitem__(self, index: int | slice) -> R | Sequence[R]:
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} rows>"


def status_of(exc: CouchetteError | PouchDBError) -> tuple[int, str]:
    """The status and the word of an error, from the engine or from this package's databases."""
    if isinstance(exc, PouchDBError):
        return exc["status"], exc["name"]
    return exc.status, exc.error


def _asked(db: Documents, fun: Any, options: dict[str, Any], *, include_docs: bool) -> Any:
    """The answer, with documents if the view has any: a reduced one refuses them."""
    if not include_docs or "include_docs" in options or "includeDocs" in options:
        return db.query(fun, **options)
    try:
        return db.query(fun, **options, include_docs=True)
    except (CouchetteError, PouchDBError) as exc:
        if status_of(exc) != (400, "query_parse_error"):
            raise
    return db.query(fun, **options)


def check_language(language: str) -> None:
    """Raise BadRequest unless functions in this language can be run from their text."""
    if language != "javascript":
        raise BadRequest(
            f"Functions in {language} are not run from their text.", "Give the function itself, or JavaScript."
        )
