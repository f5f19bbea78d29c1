"""The facades' design functions: ``db.design`` calls them, and ``db.as_user`` has writes validated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from couchette.design.accessors import AsyncDesignCalls, DesignCalls

if TYPE_CHECKING:
    from couchette.async_database import AsyncDatabase
    from couchette.database import Database
    from couchette.functions.python import Validate
    from couchette.pool import Pool


class DesignAccess:
    """What :class:`~couchette.Database` can do with design functions."""

    _pool: Pool

    @property
    def design(self) -> DesignCalls:
        """The functions of the database's design documents: ``db.design.show("shop/label", "pen")``."""
        return DesignCalls(self)  # type: ignore[arg-type] # This is a part of Database.

    def as_user(
        self,
        user_ctx: Mapping[str, Any] | None = None,
        sec_obj: Mapping[str, Any] | None = None,
        *,
        validate: Validate | None = None,
    ) -> Database:
        """The same open database for one user: whatever is written through it is validated, as CouchDB does.

        Every edit is judged by the ``validate_doc_update`` functions of all design documents before it is written, and
        functions that ``design`` calls are told of this user. Nothing else is refused: who may read, and who may write
        design documents, which are not validated, is for a server to say. Replication to it goes past validation, so it
        takes the database itself.

        Args:
            user_ctx: CouchDB's ``userCtx``, ``{"name", "roles"}``; an administrator's without it.
            sec_obj: the security object that functions are shown; that of the database without it.
            validate: a function of the program's, called first with (edited, old, user_ctx, sec_obj), which refuses an
                edit by raising :class:`~couchette.errors.Forbidden` or :class:`~couchette.errors.Unauthorized`.

        Writes of the result raise, beside what those of the database raise:

        * Forbidden, Unauthorized: an edit is refused; ``bulk_docs`` has a row for each that is.
        * FunctionFailed, CompilationFailed: a validation function fails; then nothing is written.
        * MissingExtra: there is one in JavaScript, and ``couchette[js]`` is not installed.
        """
        from couchette.design.judging import Judge, judged
        from couchette.design.request import admin_context, security_of
        from couchette.functions import PythonFunctions

        db: Database = self  # type: ignore[assignment] # This is a part of Database.
        # Made now, the engines are shared, with the indexes that they build and the views that were declared.
        _ = (db._views, db._texts, db._spatial)
        given = {"db": db.name, **user_ctx} if user_ctx is not None else admin_context(db.name)
        program = None if validate is None else PythonFunctions(validate_doc_update=validate)
        return judged(db, Judge(given, security_of(db) if sec_obj is None else sec_obj, program))


class AsyncDesignAccess:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    @property
    def design(self) -> AsyncDesignCalls:
        """As :meth:`Database.design`; its methods are awaited."""
        return AsyncDesignCalls(self.database)

    def as_user(
        self,
        user_ctx: Mapping[str, Any] | None = None,
        sec_obj: Mapping[str, Any] | None = None,
        *,
        validate: Validate | None = None,
    ) -> AsyncDatabase:
        """As :meth:`Database.as_user`; it reads the security object at most, so it is not awaited."""
        from couchette.async_database import AsyncDatabase

        return AsyncDatabase(self.database.as_user(user_ctx, sec_obj, validate=validate))
