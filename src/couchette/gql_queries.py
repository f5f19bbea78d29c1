"""The facades' way to ask in GQL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from couchette import workers

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.pool import Pool
    from couchette.query.gql import GqlRows


class GqlQueries:
    """What :class:`~couchette.Database` answers in GQL."""

    _pool: Pool

    def gql(self, query: str | Mapping[str, Any]) -> GqlRows:
        """The rows of a query in the Visualization API's language: a sequence of dictionaries by label.

        ``columns`` of the answer are the labels in order, ``ids`` what the columns show, ``rows`` the values as tuples,
        and ``formatted`` the same as texts. A member that a document does not have is null. Rows are in the order of
        the documents' ids, or of what is grouped by, unless there is an ``order by``. Design documents are left out.

        >>> db = Database()
        >>> db["rex"] = {"age": 7}
        >>> db.gql("select age, age * 12 where age > 5 label age * 12 'months'")[0]
        {'age': 7, 'months': 84}

        Args:
            query: the clauses ``select``, ``where``, ``group by``, ``pivot``, ``order by``, ``skipping``, ``limit``,
                ``offset``, ``label``, ``format`` and ``options``, in this order, each optional; or a mapping of them,
                such as ``{"select": "max(age)", "group_by": "city"}``, which is read as a line for each, in this order.

        Raises:
            QueryParseError: it is no query, or one that does not hold together; the reason has the line and the column.
            MissingExtra: lark is not installed.
        """
        from couchette.query.gql import run_gql

        return run_gql(self._pool, query)


class AsyncGqlQueries:
    """The same for :class:`~couchette.AsyncDatabase`."""

    database: Database

    async def gql(self, query: str | Mapping[str, Any]) -> GqlRows:
        """Async :meth:`Database.gql`."""
        return await workers.in_thread(self.database.gql, query)
