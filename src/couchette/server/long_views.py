"""Answers of views, as text that is made while it is sent.

Rows are read some at a time, as many as have ``limits.LISTING_PAGE_BYTES``: most answers are one such page. Documents
are larger, and the same one can be named by any number of rows, so they are added to some of those rows at a time, and
large attachments in pieces. Of several queries each is asked when the one before it is sent.
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


def text_chunks(pages: Iterator[Doc]) -> Iterator[bytes]:
    """The text of an answer whose rows are JSON texts, page by page as :meth:`ViewEngine.pages` gives it."""
    answer = next(pages)
    if "total_rows" not in answer:  # It is reduced.
        yield jsonio.dumps(answer) + b"\n"
        return
    rows = b",".join(answer["rows"])
    seq = b',"update_seq":%b' % jsonio.dumps(answer["update_seq"]) if "update_seq" in answer else b""
    begin = b'{"total_rows":%d,"offset":%d,"rows":[' % (answer["total_rows"], answer["offset"])
    for page in pages:
        yield begin + rows
        begin, rows = b",", b",".join(page["rows"])
    yield b"%b%b]%b}\n" % (begin if rows else begin.removesuffix(b","), rows, seq)


def view_parts(db: Database, read: Callable[[ViewQuery], Iterator[Doc]], query: ViewQuery) -> Iterator[bytes]:
    """The text of what ``read`` answers to a query, page by page as :meth:`ViewEngine.pages` does."""
    pages = read(query)
    answer = next(pages)
    rows = answer["rows"]
    seq = b',"update_seq":%b' % jsonio.dumps(answer.pop("update_seq")) if "update_seq" in answer else b""
    yield jsonio.dumps({**answer, "rows": []})[:-2]
    between = b""
    for some in chain((rows,), (page["rows"] for page in pages)):
        if not some:
            continue
        yield between
        between = b","
        if query.include_docs:
            yield from _with_docs(db, some, query)
        else:
            yield b",".join(some) if type(some[0]) is bytes else jsonio.dumps(some)[1:-1]
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
