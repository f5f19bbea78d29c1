"""A feed of changes in pages of bounded size, for answers of any length: one order, and each document at most once.

Pages are read one after the other, with nothing held in between, so what is written meanwhile moves documents on. An
ascending feed ends at the change that was the newest when it began (:func:`up_to_newest`); a descending one goes down
from there, page by page. A document that moved on before its page was read has a later change, and is in the next feed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from couchette import store
from couchette.limits import LISTING_PAGE_ROWS
from couchette.pool import Pool

Doc = dict[str, Any]
Pages = Iterator[Doc]
"""Pages in the shape of :func:`couchette.store.changes`, one at least. What the last of them says of ``last_seq`` and
``pending`` is true of the whole."""


def changes_pages(
    pool: Pool,
    *,
    since: int | str = 0,
    limit: int | None = None,
    descending: bool = False,
    style: str = "main_only",
    doc_ids: Sequence[str] | None = None,
    accepts: Callable[[Doc], bool] | None = None,
    rows_max: int | None = None,
) -> Pages:
    """The rows of :func:`couchette.store.changes`, without documents, at most ``rows_max`` at a time.

    By default these are as many as a page of a listing has. Those of ``doc_ids`` are one page, since they are as many
    as the caller holds already.
    """
    shape: Doc = {"style": style, "accepts": accepts, "descending": descending}
    if doc_ids is not None:
        yield pool.read(store.changes, since=since, limit=limit, doc_ids=doc_ids, **shape)
        return
    most = LISTING_PAGE_ROWS if rows_max is None else rows_max
    listed = 0
    where: Doc = {"since": since}
    while True:
        wanted = most if limit is None else min(limit - listed, most)
        page = pool.read(store.changes, **where, limit=wanted, **shape)
        found = len(page["results"])
        if descending and listed:
            # A page counts from the newest change, and knows nothing of those before it.
            page["last_seq"] = page["last_seq"] if found else where["before"]
            page["pending"] = page["pending"] if accepts else max(page["pending"] - listed, 0)
        listed += found
        yield page
        if found < wanted or listed == limit:
            return
        where = {"before" if descending else "since": page["last_seq"]}


def up_to_newest(pool: Pool, pages: Iterable[Doc]) -> Pages:
    """Ascending pages, up to the change that is the newest now: who writes all the time does not keep a feed going."""
    until = pool.read(store.update_seq)
    for page in pages:
        if number(page["last_seq"]) > until:
            rows = [row for row in page["results"] if number(row["seq"]) <= until]
            end = pool.read(store.changes, since=until, limit=0)
            yield {"results": rows, "last_seq": end["last_seq"], "pending": end["pending"]}
            return
        yield page


def number(seq: str) -> int:
    """The number of a sequence of ours."""
    return int(seq.partition("-")[0])
