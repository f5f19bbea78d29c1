"""The changes feed through a filter that takes many documents at once, such as a design document's.

A page of rows is read, then the revisions that they name; the filter judges these in one call, with no snapshot held,
and what it lets through is listed. So a slow filter keeps nobody from anything, and crosses into its language once a
page. A revision that went away in between, by an edit or a purge, is left out: its document has a later change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from couchette import stopping, store
from couchette.limits import FEED_PAGE_DOCS, FUNCTION_BATCH_BYTES, FUNCTION_REVISIONS_MAX
from couchette.pool import Pool
from couchette.query.changes_pages import Pages, changes_pages, number

Doc = dict[str, Any]
Judge = Callable[[Sequence[Doc]], Sequence[bool]]
"""Whether each of the documents passes. They have ``_revisions``, and deleted ones ``_deleted``."""


def filtered_changes(
    pool: Pool,
    passes: Judge,
    *,
    since: int | str = 0,
    limit: int | None = None,
    descending: bool = False,
    style: str = "main_only",
    include_docs: bool = False,
    seq_interval: int | None = None,
    scan_max: int | None = None,
    **shown: Any,
) -> Doc:
    """What changed after ``since`` and passes, in the shape of :func:`couchette.store.changes`.

    The filter is given the winner, or each leaf with ``style="all_docs"``. ``last_seq`` moves over what it leaves out.

    Args:
        scan_max: an ascending answer ends after the page in which so many documents were looked at in all.
        shown: options of the documents that ``include_docs`` adds: ``conflicts``, ``attachments``,
            ``att_encoding_info``.
    """
    results: list[Doc] = []
    last_seq, pending, scanned = since, 0, 0
    for page in filtered_pages(pool, passes, since=since, limit=limit, descending=descending, style=style):
        results += page["results"]
        scanned += page["scanned"]
        last_seq, pending = page["last_seq"], page["pending"]
        if scan_max is not None and scanned >= scan_max and not descending:
            break
    if include_docs:
        results = pool.read(_with_docs, results, shown)
    for place, row in enumerate(results):
        if seq_interval and place % seq_interval:
            row["seq"] = None
    return {"results": results, "last_seq": last_seq, "pending": pending}


def filtered_pages(
    pool: Pool,
    passes: Judge,
    *,
    since: int | str = 0,
    limit: int | None = None,
    descending: bool = False,
    style: str = "main_only",
) -> Pages:
    """The rows of :func:`filtered_changes`, without documents, in pages; some may be empty.

    Each page says how many documents were looked at for it: ``scanned``.
    """
    if limit == 0:
        yield {**pool.read(store.changes, since=since, limit=0, descending=descending), "scanned": 0}
        return
    left = limit
    for page in changes_pages(pool, since=since, descending=descending, style=style, rows_max=FEED_PAGE_DOCS):
        rows = page["results"]
        kept = _judged(pool, rows, passes)
        found: Doc = {**page, "results": [row for _, row in kept], "scanned": len(rows)}
        if left is not None and len(kept) >= left:
            place, final = kept[left - 1]
            unseen = page["pending"] + len(rows) - place - 1
            yield {**found, "results": found["results"][:left], "last_seq": final["seq"], "pending": unseen}
            return
        yield found
        left = None if left is None else left - len(kept)


def _judged(pool: Pool, rows: Sequence[Doc], passes: Judge) -> list[tuple[int, Doc]]:
    """The rows of a page that pass, with their places in it."""
    passed = set()
    for portion in _portions(pool, rows):
        stopping.check()
        docs = pool.read(_revisions, portion)
        with stopping.heeding(pool.closing):
            verdicts = passes(docs)
        passed |= {(doc["_id"], doc["_rev"]) for doc, passes in zip(docs, verdicts, strict=True) if passes}
    kept = []
    for place, row in enumerate(rows):
        changes = [change for change in row["changes"] if (row["id"], change["rev"]) in passed]
        if changes:
            kept.append((place, {**row, "changes": changes}))
    return kept


def _portions(pool: Pool, rows: Sequence[Doc]) -> Iterator[Sequence[Doc]]:
    """The rows, in parts whose documents are of bounded size; all together, as a rule."""
    numbers = [number(row["seq"]) for row in rows]
    sizes = pool.read(store.body_sizes, min(numbers), max(numbers)) if rows else {}
    begin, size = 0, 0
    for place, seq in enumerate(numbers):
        size += sizes.get(seq, 0)
        if size > FUNCTION_BATCH_BYTES and place > begin:
            yield rows[begin:place]
            begin, size = place, sizes.get(seq, 0)
    yield rows[begin:]


def _revisions(conn: Any, rows: Sequence[Doc]) -> list[Doc]:
    """The revisions that rows name, as far as they are there. A reading operation."""
    entries = [{"id": row["id"], "rev": change["rev"]} for row in rows for change in row["changes"]]
    found = store.bulk_get(conn, entries, revs=True)["results"]
    docs = [one["ok"] for result in found for one in result["docs"] if "ok" in one]
    for doc in docs:
        del doc["_revisions"]["ids"][FUNCTION_REVISIONS_MAX:]
    return docs


def _with_docs(conn: Any, rows: Sequence[Doc], shown: Mapping[str, Any]) -> list[Doc]:
    """The rows with their winners, but for those whose document changed meanwhile. A reading operation."""
    current = store.changes(conn, doc_ids=[row["id"] for row in rows], include_docs=True, **shown)["results"]
    shown_at = {row["id"]: row for row in current}
    return [
        {**row, "doc": now["doc"]}
        for row in rows
        if (now := shown_at.get(row["id"])) is not None and now["seq"] == row["seq"]
    ]
