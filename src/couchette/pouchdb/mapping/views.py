"""Views that belong to a class of documents, as attributes of it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final, Generic, TypeVar
from weakref import WeakSet

from couchette.errors import BadRequest, CouchetteError
from couchette.pouchdb.errors import PouchDBError
from couchette.pouchdb.mapping.documents import (
    DEFAULT,
    Document,
    Documents,
    Wrapper,
    _Default,
    check_language,
    status_of,
)
from couchette.pouchdb.results import Result, plain

D = TypeVar("D", bound=Document)

_MISSING: Final = (404, "not_found")


class ViewField:
    """A view of a class of documents: called with a database, it answers with documents of the class.

    >>> class Person(Document):
    ...     name = TextField()
    ...     by_name = ViewField("people", "function (doc) { emit(doc.name); }")
    >>> Person(name="Ann").store(db)
    >>> Person.by_name(db, key="Ann").rows
    [Person(name='Ann')]

    A view in JavaScript is kept in the design document, which is made or brought up to date at the first call for each
    database. One in Python is this program's alone: nothing of it is stored, and each call goes through all documents.
    """

    def __init__(
        self,
        design: str,
        map_fun: str | Callable[[Any], Any],
        reduce_fun: str | Callable[..., Any] | None = None,
        name: str | None = None,
        language: str = "javascript",
        wrapper: Wrapper | _Default | None = DEFAULT,
        **defaults: Any,
    ) -> None:
        """Describe a view.

        Args:
            design: the name of the design document.
            map_fun: its map function: JavaScript, or a Python function of a document that returns or yields pairs.
            reduce_fun: its reduce function, or a name such as ``_sum``.
            name: of the view, where it is not that of the attribute.
            language: of the functions that are text; only ``javascript``.
            wrapper: a function of a row, for what the rows become instead of documents; None leaves them as they are.
            defaults: options for each query, which a call may override.
        """
        if isinstance(map_fun, str):
            check_language(language)
        self.design = design
        self.map_fun = map_fun
        self.reduce_fun = reduce_fun
        self.name = name or ""
        self.wrapper = wrapper
        self.defaults = defaults
        self._lock = threading.Lock()
        self._synced: WeakSet[Any] = WeakSet()

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = self.name or name

    def __get__(self, instance: D | None, owner: type[D]) -> BoundView[D]:
        return BoundView(self, owner)

    @classmethod
    def define(
        cls,
        design: str,
        name: str | None = None,
        language: str = "python",
        wrapper: Wrapper | _Default | None = DEFAULT,
        **defaults: Any,
    ) -> Callable[[Callable[[Any], Any]], ViewField]:
        """A decorator for a map function within the class of documents; its language can only be ``python``."""
        if language != "python":
            raise BadRequest(f"A function in {language} cannot be decorated.", "Give its text to ViewField.")

        def view_of(function: Callable[[Any], Any]) -> ViewField:
            return cls(design, function, name=name, wrapper=wrapper, **defaults)

        return view_of

    @property
    def view(self) -> Any:
        """What a database's ``query`` is asked for."""
        if isinstance(self.map_fun, str):
            return f"{self.design}/{self.name}"
        return self.map_fun if self.reduce_fun is None else {"map": self.map_fun, "reduce": self.reduce_fun}

    def sync(self, db: Documents) -> bool:
        """Have the database's design document hold this view as it is here; return whether it had to be written.

        The view is asked once then, which builds its index; one that does not compile is taken out again. Raises what
        ``get``, ``put`` and ``query`` of the database raise; Conflict, where another program writes it just now.
        """
        if not isinstance(self.map_fun, str):
            return False
        doc_id = f"_design/{self.design}"
        try:
            doc = plain(dict(db.get(doc_id)))
        except (CouchetteError, PouchDBError) as exc:
            if status_of(exc) != _MISSING:
                raise
            doc = {"_id": doc_id, "language": "javascript"}
        view = {"map": self.map_fun} | ({} if self.reduce_fun is None else {"reduce": self.reduce_fun})
        views = doc.setdefault("views", {})
        if views.get(self.name) == view:
            return False
        views[self.name] = view
        stored = db.put(doc)
        try:
            db.query(self.view, limit=0)
        except (CouchetteError, PouchDBError) as exc:
            if status_of(exc)[1] == "compilation_error":
                # The functions of a design document stand or fall together: this one must not take the others down.
                del views[self.name]
                db.put({**doc, "_rev": stored["rev"]})
            raise
        return True

    def sync_once(self, db: Documents) -> None:
        """As :meth:`sync`, at the first call for this database object."""
        with self._lock:
            if db not in self._synced:
                self.sync(db)
                self._synced.add(db)


class BoundView(Generic[D]):
    """A view field of a class, ready to be called."""

    def __init__(self, field: ViewField, owner: type[D]) -> None:
        """The view, whose rows are documents of ``owner``."""
        self.field = field
        self.owner = owner

    @property
    def map_fun(self) -> str | Callable[[Any], Any]:
        """The map function."""
        return self.field.map_fun

    @property
    def reduce_fun(self) -> str | Callable[..., Any] | None:
        """The reduce function."""
        return self.field.reduce_fun

    def __call__(self, db: Documents, **options: Any) -> Result:
        """The view's answer ``{"total_rows", "offset", "rows"}``, whose rows are documents of the class.

        ``options`` are those of the database's ``query``. Raises what that raises.
        """
        field = self.field
        field.sync_once(db)
        asked = {**field.defaults, **options}
        try:
            return self.owner.query(db, field.view, wrapper=field.wrapper, **asked)
        except (CouchetteError, PouchDBError) as exc:
            # Another program may have put its own design document in place of ours.
            if status_of(exc) != _MISSING or not field.sync(db):
                raise
        return self.owner.query(db, field.view, wrapper=field.wrapper, **asked)

    def sync(self, db: Documents) -> bool:
        """As :meth:`ViewField.sync`."""
        return self.field.sync(db)

    def __repr__(self) -> str:
        return f"<ViewField {self.field.design!r}>"
