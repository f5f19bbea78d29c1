"""What a search is asked for: its options, checked, and its bookmarks."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import orjson

from couchette.errors import BadRequest
from couchette.index.text_scanning import BY_RANK, Sorting
from couchette.index.text_terms import check_field
from couchette.limits import SEARCH_LIMIT
from couchette.query.find_bookmark import invalid_bookmark
from couchette.query.text_highlights import Highlighting
from couchette.store.listing import check_count

_SORT: Final = re.compile(r"([-+]?)(?:<(score|doc|distance.*)>|(.+?)(?:<(\w+)>)?)", re.DOTALL)
_VERSION: Final = 1


@dataclass(frozen=True)
class SearchQuery:
    """The options of one search; :meth:`couchette.Database.search` describes them."""

    query: str
    limit: int | None = SEARCH_LIMIT
    skip: int = 0
    bookmark: str | None = None
    sort: str | Sequence[str] | None = None
    include_docs: bool = False
    conflicts: bool = False
    include_fields: Sequence[str] | None = None
    highlighting: Highlighting | None = None
    counts: Sequence[str] = ()
    ranges: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    drilldown: Sequence[Sequence[Any]] = ()
    update: Literal[True, False, "lazy"] = True

    def check(self) -> None:
        """Raise BadRequest for options that are wrong."""
        check_count("skip", self.skip)
        if self.limit is not None:
            check_count("limit", self.limit)
        if self.update not in (True, False, "lazy"):
            raise BadRequest("Invalid value for `update`.", f"update={self.update!r}; give True, False or 'lazy'.")
        check_names("counts", self.counts)
        check_names("include_fields", self.include_fields or ())
        if self.highlighting is not None:
            check_names("highlight_fields", self.highlighting.fields)
            self.highlighting.check()
        if not isinstance(self.ranges, Mapping) or not all(isinstance(one, Mapping) for one in self.ranges.values()):
            raise BadRequest("`ranges` must be {field: {label: range}}.", f"Got {self.ranges!r}.")
        for one in self.drilldown:
            if isinstance(one, str) or not isinstance(one, Sequence) or len(one) < 2 or not isinstance(one[0], str):
                raise BadRequest("`drilldown` takes arrays of a field and its values.", f"Got {one!r}.")

    def order(self) -> tuple[Sorting, ...]:
        """What the rows are sorted by. Raises BadRequest."""
        if self.sort is None or self.sort == "relevance":
            return BY_RANK
        given = [self.sort] if isinstance(self.sort, str) else self.sort
        check_names("sort", given)
        return tuple(_sorting(one) for one in given)


def check_names(option: str, names: Any) -> None:
    """Raise BadRequest for what is no list of names."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        raise BadRequest(f"`{option}` must be an array of strings.", f"Got {names!r}.")


def _sorting(text: str) -> Sorting:
    found = _SORT.fullmatch(text)
    if found is None or (found[2] or "").startswith("distance") or found[4] not in (None, "string", "number"):
        raise BadRequest(f"Invalid sort: {text!r}.", "Give 'field', '-field', 'field<string>', '<score>' or '<doc>'.")
    descending = found[1] == "-"
    if found[2]:
        return Sorting(None, descending, by_number=found[2] == "doc")
    return Sorting(check_field(found[3]), descending)


def write_bookmark(order: Sequence[Sorting], values: Sequence[Any]) -> str:
    """The bookmark that leads to what comes after a row, which was sorted by these values and its number."""
    packed = orjson.dumps([_VERSION, _shown(order), list(values)])
    return base64.urlsafe_b64encode(packed).decode().rstrip("=")


def read_bookmark(text: str, order: Sequence[Sorting]) -> list[Any]:
    """What a bookmark says. Raises BadRequest for a text that is none, or one of another sort."""
    try:
        version, sort, values = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if version != _VERSION or type(values[-1]) is not int or not all(map(_is_sortable, values)):
            raise ValueError(text)
    except (ValueError, TypeError, IndexError, binascii.Error) as exc:
        raise invalid_bookmark(text, "Give the `bookmark` of an earlier answer, or none.") from exc
    if sort != _shown(order) or len(values) != len(order) + 1:
        raise invalid_bookmark(text, "It is of a search with another sort.")
    return list(values)


def _is_sortable(value: Any) -> bool:
    """Whether it is what a row may be sorted by."""
    if type(value) is int:
        return -(1 << 63) <= value < 1 << 63
    return value is None or type(value) in (str, float)


def _shown(order: Sequence[Sorting]) -> list[list[Any]]:
    return [[one.field, one.descending, one.by_number] for one in order]
