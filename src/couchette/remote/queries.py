"""What can be found on a server: documents by id, views, Mango, full text and places."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

from couchette.errors import BadRequest
from couchette.limits import FIND_LIMIT, FIND_LIMIT_REMOTE_MAX, SEARCH_LIMIT, SEARCH_LIMIT_MAX
from couchette.remote.calls import Doc, RemoteCalls
from couchette.remote.url import quote_segment
from couchette.store import UNSET
from couchette.wire import requests

SortSpec = Sequence[str | Mapping[str, str]] | str
IndexRef = str | Sequence[str]

_REMEDY: Final = (
    "put the function into a design document, in JavaScript, and name it as 'design/name'; "
    "or replicate into a Database, which runs functions of Python."
)


class RemoteQueries(RemoteCalls):
    """Queries, which the server answers."""

    async def all_docs(
        self,
        *,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        inclusive_end: bool = True,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        update_seq: bool = False,
        exact_offset: bool = False,
    ) -> Doc:
        """The documents by id; see :meth:`Database.all_docs <couchette.Database.all_docs>`.

        ``exact_offset`` makes no difference: ``offset`` is what the server says.
        """
        options = {
            "key": key,
            "keys": keys,
            "start_key": start_key,
            "end_key": end_key,
            "inclusive_end": inclusive_end,
            "descending": descending,
            "skip": skip,
            "limit": limit,
            "include_docs": include_docs,
            "conflicts": conflicts,
            "attachments": attachments,
            "att_encoding_info": att_encoding_info,
            "update_seq": update_seq,
        }
        return await self._listing("_all_docs", options)

    async def local_docs(self, *, include_docs: bool = False) -> list[Doc]:
        """The ``_local`` documents by id, as rows; see :meth:`Database.local_docs <couchette.Database.local_docs>`."""
        rows: list[Doc] = (await self._listing("_local_docs", {"include_docs": include_docs}))["rows"]
        return rows

    async def query(
        self,
        view: str | tuple[str, str] | Callable[[Doc], Any] | Mapping[str, Any],
        *,
        reduce: bool | str | Callable[..., Any] | None = None,
        key: Any = UNSET,
        keys: Sequence[Any] | None = None,
        start_key: Any = UNSET,
        end_key: Any = UNSET,
        start_key_doc_id: str | None = None,
        end_key_doc_id: str | None = None,
        inclusive_end: bool = True,
        descending: bool = False,
        skip: int = 0,
        limit: int | None = None,
        group: bool = False,
        group_level: int | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        attachments: bool = False,
        att_encoding_info: bool = False,
        update: bool | Literal["lazy"] = True,
        update_seq: bool = False,
        sorted: bool = True,
        exact_offset: bool = False,
        queries: Sequence[Mapping[str, Any]] | None = None,
    ) -> Doc:
        """The rows of a view of a design document; see :meth:`Database.query <couchette.Database.query>`.

        A server runs the functions of its design documents and no others: BadRequest for a function or source given
        here. ``exact_offset`` makes no difference: ``offset`` is what the server says.
        """
        design, name = requests.design_and_name(view, _REMEDY)
        if not isinstance(reduce, bool | None):
            raise BadRequest("A server reduces by the view's own function.", f"Got {reduce!r:.200}; {_REMEDY}")
        options = {
            "reduce": reduce,
            "key": key,
            "keys": keys,
            "start_key": start_key,
            "end_key": end_key,
            "start_key_doc_id": start_key_doc_id,
            "end_key_doc_id": end_key_doc_id,
            "inclusive_end": inclusive_end,
            "descending": descending,
            "skip": skip,
            "limit": limit,
            "group": group,
            "group_level": group_level,
            "include_docs": include_docs,
            "conflicts": conflicts,
            "attachments": attachments,
            "att_encoding_info": att_encoding_info,
            "update": update,
            "update_seq": update_seq,
            "sorted": sorted,
        }
        path = f"_design/{quote_segment(design)}/_view/{quote_segment(name)}"
        if queries is None:
            return await self._listing(path, options)
        members = [requests.listing_member(one, UNSET) for one in queries]
        params, body = requests.listing_request(options, UNSET)
        return await self._object("POST", f"{path}/queries", params=params, body={**(body or {}), "queries": members})

    async def view_info(self, name: str) -> Doc:
        """The state of a design document's index; see :meth:`Database.view_info <couchette.Database.view_info>`."""
        return await self._object("GET", f"_design/{quote_segment(name)}/_info")

    async def view_cleanup(self) -> Doc:
        """Have the server drop the indexes that no design document has any more; return ``{"ok": True}``."""
        answer: Doc = await self._write("POST", "_view_cleanup")
        return answer

    async def _listing(self, path: str, options: Mapping[str, Any]) -> Doc:
        params, body = requests.listing_request(options, UNSET)
        return await self._object("GET" if body is None else "POST", path, params=params, body=body)

    # -- Mango ----------------------------------------------------------------------------------------

    async def find(
        self,
        selector: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: SortSpec | None = None,
        limit: int | None = FIND_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        use_index: IndexRef | None = None,
        allow_fallback: bool = True,
        conflicts: bool = False,
        update: bool = True,
        execution_stats: bool = False,
        strict: bool = True,
    ) -> Doc:
        """The documents that match a Mango selector; see :meth:`Database.find <couchette.Database.find>`.

        A server always is ``strict``: it refuses a sort that no index serves.
        """
        options = {
            "fields": fields,
            "sort": sort,
            "limit": FIND_LIMIT_REMOTE_MAX if limit is None else limit,
            "skip": skip,
            "bookmark": bookmark,
            "use_index": use_index,
            "allow_fallback": allow_fallback,
            "conflicts": conflicts,
            "update": update,
            "execution_stats": execution_stats,
        }
        return await self._object("POST", "_find", body=requests.find_body(selector, options))

    async def explain(
        self,
        selector: Mapping[str, Any],
        *,
        fields: Sequence[str] | None = None,
        sort: SortSpec | None = None,
        limit: int | None = FIND_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        use_index: IndexRef | None = None,
        allow_fallback: bool = True,
        conflicts: bool = False,
        update: bool = True,
        execution_stats: bool = False,
        strict: bool = True,
    ) -> Doc:
        """What :meth:`find` with the same arguments would do, as the server explains it."""
        options = {
            "fields": fields,
            "sort": sort,
            "limit": FIND_LIMIT_REMOTE_MAX if limit is None else limit,
            "skip": skip,
            "bookmark": bookmark,
            "use_index": use_index,
            "allow_fallback": allow_fallback,
            "conflicts": conflicts,
            "update": update,
            "execution_stats": execution_stats,
        }
        return await self._object("POST", "_explain", body=requests.find_body(selector, options))

    async def create_index(
        self,
        fields: SortSpec | None = None,
        *,
        name: str | None = None,
        ddoc: str | None = None,
        partial_filter_selector: Mapping[str, Any] | None = None,
        type: str = "json",
        default_field: Mapping[str, Any] | bool | None = None,
        default_analyzer: str | Mapping[str, Any] | None = None,
        index_array_lengths: bool | None = None,
    ) -> Doc:
        """Make a Mango index, which the server builds when it likes; see :meth:`Database.create_index`."""
        body = requests.index_body(
            fields,
            name=name,
            ddoc=ddoc,
            type=type,
            partial_filter_selector=partial_filter_selector,
            default_field=default_field,
            default_analyzer=default_analyzer,
            index_array_lengths=index_array_lengths,
        )
        answer: Doc = await self._write("POST", "_index", body=body)
        return answer

    async def get_indexes(self) -> Doc:
        """All Mango indexes: ``{"total_rows", "indexes": [{"ddoc", "name", "type", "def"}]}``."""
        return await self._object("GET", "_index")

    async def delete_index(self, ddoc: str, name: str, type: str = "json") -> Doc:
        """Remove a Mango index; return ``{"ok": True}``. Raises NotFound."""
        design = quote_segment(ddoc.removeprefix("_design/"))
        answer: Doc = await self._write("DELETE", f"_index/{design}/{quote_segment(type)}/{quote_segment(name)}")
        return answer

    # -- Full text and space --------------------------------------------------------------------------

    async def search(
        self,
        index: str | tuple[str, str],
        query: str,
        *,
        limit: int | None = SEARCH_LIMIT,
        skip: int = 0,
        bookmark: str | None = None,
        sort: str | Sequence[str] | None = None,
        include_docs: bool = False,
        conflicts: bool = False,
        include_fields: Sequence[str] | None = None,
        highlight_fields: Sequence[str] | None = None,
        highlight_pre_tag: str = "<em>",
        highlight_post_tag: str = "</em>",
        highlight_number: int = 1,
        highlight_size: int = 100,
        counts: Sequence[str] = (),
        ranges: Mapping[str, Mapping[str, str]] | None = None,
        drilldown: Sequence[Sequence[Any]] = (),
        update: bool | Literal["lazy"] = True,
    ) -> Doc:
        """The documents that a query finds in a text index; see :meth:`Database.search <couchette.Database.search>`.

        ``limit=None`` asks as often as it takes, since a server gives 200 rows at once.
        """
        path = self._search_path("_search", index)
        options: Doc = {
            "limit": SEARCH_LIMIT_MAX if limit is None else limit,
            "skip": skip,
            "bookmark": bookmark,
            "sort": sort,
            "include_docs": include_docs,
            "conflicts": conflicts,
            "include_fields": include_fields,
            "highlight_fields": highlight_fields,
            "highlight_pre_tag": highlight_pre_tag,
            "highlight_post_tag": highlight_post_tag,
            "highlight_number": highlight_number,
            "highlight_size": highlight_size,
            "counts": counts,
            "ranges": ranges,
            "drilldown": drilldown,
            "update": update,
        }
        answer = await self._object("POST", path, body=requests.search_body(query, options))
        page = answer["rows"]
        while limit is None and len(page) == SEARCH_LIMIT_MAX:
            options |= {"bookmark": answer["bookmark"], "skip": 0}
            following = await self._object("POST", path, body=requests.search_body(query, options))
            page = following["rows"]
            answer = {**answer, "bookmark": following["bookmark"], "rows": answer["rows"] + page}
        return answer

    async def search_info(self, index: str | tuple[str, str]) -> Doc:
        """The state of a text index; see :meth:`Database.search_info <couchette.Database.search_info>`."""
        return await self._object("GET", self._search_path("_search_info", index))

    def _search_path(self, what: str, index: Any) -> str:
        design, name = requests.design_and_name(index, _REMEDY)
        return f"_design/{quote_segment(design)}/{what}/{quote_segment(name)}"

    async def spatial(
        self,
        view: str | tuple[str, str] | Callable[[Doc], Any],
        *,
        bbox: Sequence[float] | None = None,
        start_range: Sequence[float | None] | None = None,
        end_range: Sequence[float | None] | None = None,
        plane_bounds: Sequence[float] | None = None,
        skip: int = 0,
        limit: int | None = None,
        include_docs: bool = False,
        count: bool = False,
        update: bool = True,
    ) -> Doc:
        """The rows of a spatial view that meet a box; see :meth:`Database.spatial <couchette.Database.spatial>`.

        For servers that have ``_spatial``: ours, and those with GeoCouch.
        """
        design, name = requests.design_and_name(view, _REMEDY)
        params = requests.spatial_params(
            {
                "bbox": bbox,
                "start_range": start_range,
                "end_range": end_range,
                "plane_bounds": plane_bounds,
                "skip": skip,
                "limit": limit,
                "include_docs": include_docs,
                "count": count,
                "update": update,
            }
        )
        return await self._object(
            "GET", f"_design/{quote_segment(design)}/_spatial/{quote_segment(name)}", params=params
        )
