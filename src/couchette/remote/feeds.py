"""The changes of a database on a server: pages of them, and a feed that waits.

What the server can select it selects: documents by id, a Mango selector, a function of a design document. A Python
function runs here, on documents that come along for it; so do the second and third of several filters, since a request
can name one. A live feed is taken up again where it broke off, so no change is lost and none is shown twice.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from couchette import limits, workers
from couchette.errors import BadRequest, DatabaseClosed
from couchette.live import Filter, accepting
from couchette.remote.documents import RemoteDocuments
from couchette.remote.live import Asked
from couchette.remote.waiting import AsyncRemoteFeed
from couchette.wire.checkpoint import Seq
from couchette.wire.requests import changes_params
from couchette.wire.selection import Selection
from couchette.wire.transfer import read_changes

if TYPE_CHECKING:
    from couchette.remote.client import Client

Doc = dict[str, Any]


@dataclass(frozen=True)
class Wish:
    """Which changes are asked for, and what is to be shown of them."""

    selection: Selection
    shown: Mapping[str, Any] = field(default_factory=dict)
    """The arguments of ``changes`` that say so."""
    judge: Filter | None = None
    """What runs here."""

    @property
    def include_docs(self) -> bool:
        """Whether rows shall have their documents."""
        return bool(self.shown.get("include_docs"))

    def asked(self) -> Asked:
        """What a request says of it."""
        shown = dict(self.shown)
        if self.judge is not None:  # It needs the documents, and each row's sequence, where it may have to end.
            shown |= {"include_docs": True, "seq_interval": None}
        params = {**self.selection.parameters(), **changes_params(shown)}
        if self.selection.style == "main_only":
            del params["style"]
        return Asked(params, self.selection.body())


class RemoteFeeds(RemoteDocuments, ABC):
    """What a database on a server tells of its changes."""

    def __init__(self, client: Client, *, create: bool = False) -> None:
        super().__init__(client, create=create)
        self._feeds: set[AsyncRemoteFeed] = set()

    def changes(
        self,
        *,
        since: int | str = 0,
        limit: int | None = None,
        descending: bool = False,
        style: Literal["main_only", "all_docs"] = "main_only",
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        doc_ids: Sequence[str] | None = None,
        seq_interval: int | None = None,
        selector: Mapping[str, Any] | None = None,
        filter: Filter | str | None = None,
        view: str | None = None,
        query_params: Mapping[str, str] | None = None,
        live: bool = False,
        timeout: float | None = None,
        on_change: Callable[[Doc], Any] | None = None,
    ) -> Any:
        """What changed after ``since``; see :meth:`Database.changes <couchette.Database.changes>`.

        Beside a function, ``filter`` may be one of the server's own: ``"design/name"``, which ``query_params`` are for.
        ``view`` names a view of a design document, ``"design/name"``: only documents that it emits something for.

        A live feed is taken up again by itself where its line breaks. It holds a connection until it is cancelled or
        ended, so use it as a context manager. ``on_change`` has a thread and a connection of its own.
        """
        shown = {
            "descending": descending,
            "include_docs": include_docs,
            "conflicts": conflicts,
            "attachments": attachments,
            "att_encoding_info": att_encoding_info,
        }
        selection, judge = _selection(style, doc_ids, selector, filter, view, query_params)
        if not live:
            if timeout is not None or on_change is not None:
                raise BadRequest("`timeout` and `on_change` are options of a live feed.", "Give `live=True` too.")
            wish = Wish(selection, {**shown, "seq_interval": seq_interval}, judge)
            return self._changes(wish, since, limit)
        if descending:
            raise BadRequest("A live feed cannot be descending.", "It has no newest change to begin with.")
        wish = Wish(selection, shown, judge)
        if on_change is not None:
            return self._listen(wish, on_change, since=since, limit=limit, timeout=timeout)
        return AsyncRemoteFeed(self, wish, since=since, limit=limit, timeout=timeout)

    @abstractmethod
    def _listen(self, wish: Wish, on_change: Callable[[Doc], Any], **where: Any) -> Any:
        """Call ``on_change`` for the changes of a live feed, which is made with ``where``, on a thread."""

    async def close(self) -> None:
        """Close the connections and end the live feeds. Calling it again does nothing."""
        self._closed = True
        for feed in tuple(self._feeds):
            await feed.fail(DatabaseClosed(f"{self.url} is closed.", "Open it again."))
        await super().close()

    # -- Pages ----------------------------------------------------------------------------------------

    async def _changes(self, wish: Wish, since: Seq, limit: int | None) -> Doc:
        limit = None if limit is None or limit < 0 else limit
        if wish.judge is None:
            return await self._page(wish, since, limit)
        if wish.shown.get("descending"):
            page = await self._page(wish, since, None)
            return (await self._judged(wish, page, since, limit)) or page
        results: list[Doc] = []
        while True:
            page = await self._page(wish, since, limits.FEED_PAGE_DOCS)
            ended = len(page["results"]) < limits.FEED_PAGE_DOCS
            cut = await self._judged(wish, page, since, None if limit is None else limit - len(results))
            page = cut or page
            results += page["results"]
            if cut or ended:
                return {**page, "results": results, "pending": page["pending"] if cut else 0}
            since = page["last_seq"]

    async def _page(self, wish: Wish, since: Seq, limit: int | None) -> Doc:
        asked = wish.asked()
        params = {**asked.params, **changes_params({"since": since, "limit": limit})}
        if wish.selection.filtered:
            # A filter may look at many documents before one passes; newlines meanwhile show that it works.
            params["heartbeat"] = str(int(limits.FEED_HEARTBEAT_S * 1000))
        method = "GET" if asked.body is None else "POST"
        page = await self._object(method, "_changes", params=params, body=asked.body)
        read_changes(page)  # Refuses what is no answer to _changes.
        return page

    async def _newest_seq(self) -> Seq:
        seq: Seq = (await self._page(Wish(Selection("main_only")), "now", 1))["last_seq"]
        return seq

    async def _judged(self, wish: Wish, page: Doc, since: Seq, limit: int | None) -> Doc | None:
        """Leave in a page what the filter that runs here accepts; if that is more, the page that ends at the limit."""
        kept: list[Doc] = []
        for place, row in enumerate(page["results"]):
            if len(kept) == limit:
                left = len(page["results"]) - place
                return {"results": kept, "last_seq": since, "pending": page.get("pending", 0) + left}
            since = row["seq"]
            if (judged := await self._judge(wish, row)) is not None:
                kept.append(judged)
        page["results"] = kept
        return None

    async def _judge(self, wish: Wish, row: Doc) -> Doc | None:
        """The row, if the filter accepts it, with those of its revisions that it accepts."""
        judge = wish.judge
        if judge is None:
            return row
        if len(row["changes"]) == 1:
            kept = row["changes"] if await workers.in_thread(judge, row["doc"]) else []
        else:
            leaves = await self.get(row["id"], open_revs=[one["rev"] for one in row["changes"]])
            docs = [leaf["ok"] for leaf in leaves if "ok" in leaf]
            accepted = {doc["_rev"] for doc in docs if await workers.in_thread(judge, doc)}
            kept = [one for one in row["changes"] if one["rev"] in accepted]
        if not kept:
            return None
        shown = row if wish.include_docs else {name: value for name, value in row.items() if name != "doc"}
        return {**shown, "changes": kept}


def _selection(
    style: str,
    doc_ids: Sequence[str] | None,
    selector: Mapping[str, Any] | None,
    filter: Filter | str | None,
    view: str | None,
    query_params: Mapping[str, str] | None,
) -> tuple[Selection, Filter | None]:
    """What the server selects, and what is left to be judged here."""
    if doc_ids is not None and (isinstance(doc_ids, str | bytes) or not all(isinstance(one, str) for one in doc_ids)):
        raise BadRequest("`doc_ids` filter parameter is not a list of doc ids.", f"Got {doc_ids!r}.")
    named = filter if isinstance(filter, str) else None
    if sum(one is not None for one in (doc_ids, named, view)) > 1:
        hint = "Give one of `doc_ids`, the name of a `filter` and `view`; a Python function may be beside it."
        raise BadRequest("A server takes one filter.", hint)
    sent = selector if doc_ids is None and named is None and view is None else None
    left = None if sent is not None else selector
    judge = accepting(left, filter if not isinstance(filter, str) else None)
    if sent is not None:
        accepting(sent, None)  # Refuses what is no selector.
    return Selection(style, named, doc_ids, sent, view, query_params or {}), judge
