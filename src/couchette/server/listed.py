"""The rows of ``_all_docs``, read some at a time: as many as have ``limits.LISTING_PAGE_BYTES`` of documents.

Each page is as the database is when it is read; a document is listed once, whatever is written meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from couchette import store
from couchette.limits import FEED_PAGE_DOCS, LISTING_PAGE_BYTES
from couchette.pool import Pool

Doc = dict[str, Any]


def listed(pool: Pool, *, keys: Sequence[Any] | None = None, **options: Any) -> Iterator[Doc]:
    """The rows that ``Database.all_docs`` gives for these options, which were checked."""
    return _in_range(pool, **options) if keys is None else _by_keys(pool, keys, **options)


def _by_keys(
    pool: Pool,
    keys: Sequence[Any],
    *,
    descending: bool = False,
    skip: int = 0,
    limit: int | None = None,
    **shown: Any,
) -> Iterator[Doc]:
    wanted = (keys[::-1] if descending else keys)[skip : None if limit is None else skip + limit]
    at = 0
    while at < len(wanted):
        rows = _page(pool, keys=wanted[at : at + FEED_PAGE_DOCS], **shown)
        yield from rows
        at += len(rows)


def _in_range(pool: Pool, *, skip: int = 0, limit: int | None = None, **options: Any) -> Iterator[Doc]:
    left = limit
    while left != 0:
        rows = _page(pool, skip=skip, limit=FEED_PAGE_DOCS if left is None else min(left, FEED_PAGE_DOCS), **options)
        yield from rows
        if not rows or "key" in options:
            return
        options.update(start_key=rows[-1]["key"], exclusive=True)
        skip, left = 0, None if left is None else left - len(rows)


def _page(pool: Pool, **options: Any) -> list[Doc]:
    rows: list[Doc] = pool.read(store.all_docs, **options, room=LISTING_PAGE_BYTES)["rows"]
    return rows
