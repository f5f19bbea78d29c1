"""What a view is asked for: the options of one query, checked, and the spans of rows that they mean.

CouchDB's options and their meaning: https://docs.couchdb.org/en/stable/api/ddoc/views.html. Wrong ones are found in the
order of couch_mrview_util:validate_args.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Literal

from couchette import jsonio
from couchette.errors import QueryParseError
from couchette.index import Span, after, before, span_of_key
from couchette.store import UNSET
from couchette.store.listing import check_count

Update = Literal[True, False, "lazy"]


@dataclass(frozen=True, slots=True)
class ViewQuery:
    """The options of one query. ``key`` stands for both ends of a range; UNSET is an open end, None is null."""

    key: Any = UNSET
    keys: Sequence[Any] | None = None
    start_key: Any = UNSET
    end_key: Any = UNSET
    start_key_doc_id: str | None = None
    end_key_doc_id: str | None = None
    inclusive_end: bool = True
    descending: bool = False
    skip: int = 0
    limit: int | None = None
    reduce: bool | None = None
    """None reduces where the view has a reduce function."""
    group: bool = False
    group_level: int | None = None
    include_docs: bool = False
    conflicts: bool = False
    attachments: bool = False
    att_encoding_info: bool = False
    update: Update = True
    update_seq: bool = False
    sorted: bool = True
    exact_offset: bool = False

    def check(self, *, has_reduce: bool) -> None:
        """Raise QueryParseError for options that are wrong, or do not go together on such a view."""
        check_count("skip", self.skip)
        if self.limit is not None:
            check_count("limit", self.limit)
        if self.group_level is not None:
            check_count("group_level", self.group_level)
        if self.update not in (True, False, "lazy"):
            raise QueryParseError("Invalid value for `update`.", f"update={self.update!r}; give True, False or 'lazy'.")
        for name, doc_id in (("startkey_docid", self.start_key_doc_id), ("endkey_docid", self.end_key_doc_id)):
            if doc_id is not None and not isinstance(doc_id, str):
                raise QueryParseError(f"`{name}` must be a string.", f"Got {doc_id!r}.")
            jsonio.dumps(doc_id)  # It may be no text that a file could hold.
        if self.keys is not None and (isinstance(self.keys, (str, bytes)) or not isinstance(self.keys, Sequence)):
            raise QueryParseError("`keys` must be an array of strings.", f"Got {self.keys!r}.")
        if self.reduce and not has_reduce:
            raise QueryParseError("Reduce is invalid for map-only views.", "Leave out `reduce`.")
        if self.reduces(has_reduce):
            self._check_reduce()
        elif self.level != 0:
            raise QueryParseError("Invalid use of grouping on a map view.", "Only what is reduced has groups.")

    def _check_reduce(self) -> None:
        if self.include_docs:
            raise QueryParseError("`include_docs` is invalid for reduce", "Give `reduce=False` too, for the rows.")
        if self.keys is not None and len(self.keys) != 1 and self.level is not None:
            reason = "Multi-key fetches for reduce views must use `group=true`"
            raise QueryParseError(reason, "Each of the keys has a value of its own then.")

    def reduces(self, has_reduce: bool) -> bool:
        """Whether it asks for reduced values."""
        return has_reduce and self.reduce is not False

    @property
    def level(self) -> int | None:
        """How many elements of a key make a group: 0 for one group of all, None for whole keys."""
        if self.group_level is not None:
            return self.group_level
        return None if self.group else 0

    def spans(self, to_bytes: Callable[[Any], bytes]) -> list[Span]:
        """The spans of rows that it asks for, one after the other as they are to be listed.

        Each is ascending; with ``descending`` they are read from their ends. Raises QueryParseError for a range that
        ends before it begins.
        """
        if self.keys is not None:
            spans = [span_of_key(to_bytes(key)) for key in self.keys]
            return spans[::-1] if self.descending else spans
        first, final = self.start_key, self.end_key
        if self.key is not UNSET:
            first = final = self.key
        begin = None if first is UNSET else to_bytes(first)
        end = None if final is UNSET else to_bytes(final)
        if begin is not None and end is not None and (begin < end if self.descending else begin > end):
            raise QueryParseError(
                "No rows can match your key range, reverse your start_key and end_key or set descending=true",
                f"It begins at {first!r} and ends at {final!r}.",
            )
        return [self._span(begin, end)]

    def _span(self, first: bytes | None, final: bytes | None) -> Span:
        """The rows from ``first`` to ``final``, in the order of the listing."""
        outside = before if self.descending else after
        inside = after if self.descending else before
        begin = None if first is None else inside(first, self.start_key_doc_id)
        end = None if final is None else (outside if self.inclusive_end else inside)(final, self.end_key_doc_id)
        return Span(end, begin) if self.descending else Span(begin, end)


def is_reducer(reduce: Any) -> bool:
    """Whether ``reduce`` names or is a reduce function, rather than saying whether to reduce."""
    return isinstance(reduce, str) or (callable(reduce) and not isinstance(reduce, bool))


def view_query(defaults: ViewQuery, options: Mapping[str, Any]) -> ViewQuery:
    """One of several queries in one call: options over those that all have in common. Raises QueryParseError."""
    names = {one.name for one in fields(ViewQuery)}
    unknown = [name for name in options if name not in names]
    if unknown:
        raise QueryParseError(f"Unknown option `{unknown[0]}`.", f"There are {', '.join(sorted(names))}.")
    return replace(defaults, **options)
