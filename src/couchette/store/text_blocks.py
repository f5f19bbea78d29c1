"""Pages of text, made block by block: some rows at once, which is quick, and of bounded size, to keep memory flat."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any, NamedTuple

import apsw

from couchette.limits import LISTING_BLOCK_ROWS, LISTING_PAGE_BYTES

Row = tuple[Any, ...]
"""The second column is where the next row is found, the last one what can be large."""


class Block(NamedTuple):
    """The text of some rows, without what stands between it and the next."""

    text: bytes
    rows: int
    last: Row
    """The last row; of a block that SQLite made, its first two columns, of which the first is empty."""


class Page(NamedTuple):
    """Blocks, one after the other."""

    texts: list[bytes]
    rows: int
    last: Row
    """The last row; empty where there is none."""
    full: bool
    """Whether its bytes ended it."""


def page(next_block: Callable[[Row, int, int], Block | None], wanted: int) -> Page:
    """A page of at most so many rows.

    ``next_block`` makes the block that follows a row, of at most so many rows and about so many bytes; None at the end.
    """
    texts: list[bytes] = []
    rows, left = 0, LISTING_PAGE_BYTES
    last: Row = ()
    while left > 0 and rows < wanted:
        block = next_block(last, min(wanted - rows, LISTING_BLOCK_ROWS), left)
        if block is None:
            break
        texts.append(block.text)
        rows, last, left = rows + block.rows, block.last, left - len(block.text)
    return Page(texts, rows, last, left <= 0)


def block_of(cursor: apsw.Cursor, left: int, text_of: Callable[[list[Any]], bytes]) -> Block | None:
    """The block of a cursor's rows, which are fewer where they have so many bytes; None where there are none."""
    rows = []
    for row in islice(cursor, LISTING_BLOCK_ROWS):
        rows.append(row)
        left -= len(row[-1])
        if left <= 0:
            break
    cursor.close()
    return Block(text_of(rows), len(rows), rows[-1]) if rows else None


def made_by_sqlite(conn: apsw.Connection, sql: str, values: Row) -> Block | None:
    """The block that a statement makes: ``(rows, ordinary ones, where the next begins, text)``.

    None where there are no rows, or not all are ordinary.
    """
    rows, ordinary, last, text = conn.execute(sql, values).get
    return Block(text, rows, ("", last)) if rows and ordinary == rows else None
