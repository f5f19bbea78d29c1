"""A copy of a database's documents in memory, for what a server cannot be asked: a function that it does not store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from couchette.database import Database
from couchette.document.docid import DESIGN
from couchette.pouchdb.core import DatabaseCore

_COPIED_AT_ONCE: Final = 1000


@contextmanager
def copy_of(core: DatabaseCore) -> Iterator[Database]:
    """The documents in a database in memory: the winners, without attachments and design documents."""
    with Database(":memory:") as copied:
        rows = core.database.all_docs(limit=_COPIED_AT_ONCE, include_docs=True)["rows"]
        while rows:
            docs = (row["doc"] for row in rows if not row["id"].startswith(DESIGN))
            bare = [{name: value for name, value in doc.items() if name != "_attachments"} for doc in docs]
            copied.bulk_docs(bare, new_edits=False)
            if len(rows) < _COPIED_AT_ONCE:
                break
            last = rows[-1]["id"]
            rows = core.database.all_docs(start_key=last, limit=_COPIED_AT_ONCE + 1, include_docs=True)["rows"]
            rows = rows[1:] if rows and rows[0]["id"] == last else rows
        yield copied
