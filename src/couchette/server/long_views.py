"""Views with documents, and several queries in one request, as text that is made while it is sent.

Rows are small as a rule, and read at once; documents are not, and the same one can be named by any number of rows. So
they are added to some rows at a time, and large attachments in pieces. Of several queries each is asked when the one
before it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

from couchette import jsonio
from couchette.database import Database
from couchette.limits import FEED_PAGE_DOCS, LISTING_PAGE_BYTES
from couchette.query.options import ViewQuery
from couchette.query.rows import add_docs
from couchette.server.contents import gathered
from couchette.server.long_listings import row_parts

Doc = dict[str, Any]


def answer_chunks(answers: Iterable[Iterable[bytes]], *, several: bool) -> Iterator[bytes]:
    """The text of an answer with these, each in parts, in chunks of bounded size; ``several`` says they are a list."""
    if not several:
        return gathered(chain(*answers, (b"\n",)))
    return gathered(chain((b'{"results":[',), _separated(answers), (b"]}\n",)))


def _separated(answers: Iterable[Iterable[bytes]]) -> Iterator[bytes]:
    between = b""
    for answer in answers:
        yield between
        yield from answer
        between = b","


def view_parts(db: Database, read: Callable[[ViewQuery], Doc], query: ViewQuery) -> Iterator[bytes]:
    """The text of what ``read`` answers to a query that was checked; it is asked for the rows alone."""
    answer = read(replace(query, include_docs=False, conflicts=False))
    if not query.include_docs:
        yield jsonio.dumps(answer)
        return
    rows = answer.pop("rows")
    seq = b',"update_seq":%b' % jsonio.dumps(answer.pop("update_seq")) if "update_seq" in answer else b""
    yield jsonio.dumps(answer)[:-1] + b',"rows":['
    yield from _with_docs(db, rows, query)
    yield b"]" + seq + b"}"


def _with_docs(db: Database, rows: list[Doc], query: ViewQuery) -> Iterator[bytes]:
    """The text of rows with their documents, which are not kept."""
    shown = replace(query, attachments=False)
    at = 0
    while at < len(rows):
        some = [dict(row) for row in rows[at : at + FEED_PAGE_DOCS]]
        del some[db._pool.read(add_docs, some, shown, LISTING_PAGE_BYTES) :]
        if db._may_read is not None:
            for row in some:
                if row["doc"] is not None and not db._may_read(row["doc"]):
                    row["doc"] = None  # That of another document, which the row's value names.
        yield b"," if at else b""
        at += len(some)
        if query.attachments:
            yield from _separated(row_parts(db, row) for row in some)
        else:
            yield jsonio.dumps(some)[1:-1]
