"""The facades' way to read with SQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import anyio

from couchette import workers
from couchette.errors import CouchetteError
from couchette.limits import SQL_ROWS_MAX, SQL_TIME_S
from couchette.store.sql import Parameters, SqlRows, run_sql

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool


class SqlQueries:
    """What :class:`~couchette.Database` answers in SQL."""

    _pool: Pool

    def sql(
        self,
        query: str,
        params: Parameters = (),
        *,
        rows_max: int = SQL_ROWS_MAX,
        timeout: float = SQL_TIME_S,
        cancelled: Callable[[], bool] | None = None,
    ) -> SqlRows:
        """The rows of a SQL query over the documents: a sequence of dictionaries by column.

        ``columns`` of the answer are the names in order, and ``rows`` the same as tuples. Everything is read in one
        snapshot. The views ``couch_docs``, ``couch_changes``, ``couch_attachments``, ``couch_conflicts`` and
        ``couch_local`` keep their columns in every version; the tables below them do not.

        >>> db = Database()
        >>> db["rex"] = {"age": 7}
        >>> db.sql("SELECT id, doc->>'age' AS age FROM couch_docs WHERE age > ?", [5])[0]
        {'id': 'rex', 'age': 7}

        Args:
            query: one statement that reads.
            params: values for its ``?``, or a mapping for its ``:name``.
            rows_max: a query with more rows is refused.
            timeout: seconds after which it is ended.
            cancelled: asked now and then in between; when it says True the query is ended.

        Raises:
            QueryParseError: SQLite does not understand it; the hint has the line and the column.
            Forbidden: it would do something else than read.
            TooLarge: there are more rows than ``rows_max``.
            CouchetteError: its ``error`` is ``"timeout"`` or ``"cancelled"``.
        """
        return self._pool.read(run_sql, query, params, rows_max=rows_max, timeout=timeout, cancelled=cancelled)


class AsyncSqlQueries:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    async def sql(
        self,
        query: str,
        params: Parameters = (),
        *,
        rows_max: int = SQL_ROWS_MAX,
        timeout: float = SQL_TIME_S,
        cancelled: Callable[[], bool] | None = None,
    ) -> SqlRows:
        """Async :meth:`Database.sql`. Cancelling the task ends the query; ``cancelled`` is called in the thread."""
        stopped = threading.Event()

        async def stop_with_task() -> None:
            try:
                await anyio.sleep_forever()
            finally:
                stopped.set()

        def must_stop() -> bool:
            return stopped.is_set() or (cancelled is not None and cancelled())

        answer: SqlRows | CouchetteError
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop_with_task)
            try:
                answer = await workers.in_thread(
                    self.database.sql, query, params, rows_max=rows_max, timeout=timeout, cancelled=must_stop
                )
            except CouchetteError as exc:  # Raised below: out of a group it would come in a group.
                answer = exc
            tasks.cancel_scope.cancel()
        await anyio.lowlevel.checkpoint_if_cancelled()
        if isinstance(answer, CouchetteError):
            raise answer
        return answer
