"""The changes feed through a filter that takes many documents at once, such as a design document's.

A page of rows is read, then the revisions that they name; the filter judges these in one call, with no snapshot held,
and what it lets through is listed. So a slow filter keeps nobody from anything, and crosses into its language once a
page. A revision that went away in between, by an edit or a purge, is left out: its document has a later change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from couchette import store
from couchette.limits import FEED_PAGE_DOCS, FUNCTION_REVISIONS_MAX
from couchette.pool import Pool

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
    if limit == 0:
        nothing: Doc = pool.read(store.changes, since=since, limit=0, descending=descending)
        return nothing
    results: list[Doc] = []
    last_seq, pending, scanned = since, 0, 0
    for page in _pages(pool, since, descending, style):
        rows = page["results"]
        last_seq, pending = page["last_seq"], page["pending"]
        for place, row in _judged(pool, rows, passes):
            results.append(row)
            if len(results) == limit:
                last_seq, pending = row["seq"], page["pending"] + len(rows) - place - 1
                break
        scanned += len(rows)
        if len(results) == limit or (scan_max is not None and scanned >= scan_max and not descending):
            break
    if include_docs:
        results = pool.read(_with_docs, results, shown)
    for place, row in enumerate(results):
        row.pop("winner", None)
        if seq_interval and place % seq_interval:
            row["seq"] = None
    return {"results": results, "last_seq": last_seq, "pending": pending}


def _pages(pool: Pool, since: int | str, descending: bool, style: str) -> Iterator[Doc]:
    """All changes, in parts of bounded size; there is at least one. Descending ones are listed at once first."""
    if not descending:
        while True:
            page = pool.read(store.changes, since=since, limit=FEED_PAGE_DOCS, style=style)
            yield page
            if len(page["results"]) < FEED_PAGE_DOCS:
                return
            since = page["last_seq"]
    everything = pool.read(store.changes, descending=True, style=style)
    rows = everything["results"]
    for first in range(0, max(len(rows), 1), FEED_PAGE_DOCS):
        part = rows[first : first + FEED_PAGE_DOCS]
        last_seq = part[-1]["seq"] if part else everything["last_seq"]
        yield {"results": part, "last_seq": last_seq, "pending": len(rows) - first - len(part)}


def _judged(pool: Pool, rows: Sequence[Doc], passes: Judge) -> list[tuple[int, Doc]]:
    """The rows of a page that pass, with their places in it; each row's ``winner`` is the rev that it had."""
    docs = pool.read(_revisions, rows)
    verdicts = passes(docs)
    passed = {(doc["_id"], doc["_rev"]) for doc, passes in zip(docs, verdicts, strict=True) if passes}
    kept = []
    for place, row in enumerate(rows):
        changes = [change for change in row["changes"] if (row["id"], change["rev"]) in passed]
        if changes:
            kept.append((place, {**row, "winner": row["changes"][0]["rev"], "changes": changes}))
    return kept


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
    winners = {row["id"]: row["doc"] for row in current}
    return [
        {**row, "doc": winner}
        for row in rows
        if (winner := winners.get(row["id"])) is not None and winner["_rev"] == row["winner"]
    ]
