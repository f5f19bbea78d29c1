"""The rows of a view, a page at a time.

A page begins at a row, not after a number of rows: so what comes and goes before it moves nothing. A row's place is its
key, its document's id, and its number among the rows that are alike in both, since a document may emit a key twice.
Values of groups are no rows and have no such place; their pages are counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from couchette import jsonio
from couchette.errors import BadRequest, CouchetteError
from couchette.wire.parameters import Query, read_positive, view_options

OPTIONS: Final = (
    *("key", "startkey", "endkey", "limit", "descending"),
    *("reduce", "group", "group_level", "include_docs"),
)
"""What a page asks for, by the names of CouchDB's parameters."""
KEYS: Final = ("key", "startkey", "endkey")
PAGE_ROWS: Final = 50
PAGE_ROWS_MAX: Final = 500

Row = dict[str, Any]
Ask = Callable[..., dict[str, Any]]
"""``Database.query`` of one view."""


@dataclass(frozen=True)
class Place:
    """Where a row is."""

    key: Any
    id: str
    number: int = 0

    @classmethod
    def read(cls, text: str) -> Place:
        """The place that an address names. Raises BadRequest."""
        match jsonio.loads(text):
            case [key, str(doc_id), int(number)] if number >= 0:
                return cls(key, doc_id, number)
        raise BadRequest("The address names no row.", "Begin with the first page.")

    def __str__(self) -> str:
        """The place as an address names it."""
        return jsonio.dumps([self.key, self.id, self.number]).decode()

    def has(self, row: Row) -> bool:
        """Whether a row is alike, whatever its number."""
        return bool(row["id"] == self.id and jsonio.dumps(row["key"]) == jsonio.dumps(self.key))


@dataclass(frozen=True)
class Shown:
    """A page of a view, and the parameters of its neighbours' addresses; None where there is none."""

    rows: list[Row]
    is_reduced: bool
    total: int | None = None
    """Rows of the whole view; None for values of groups."""
    previous: Mapping[str, str] | None = None
    following: Mapping[str, str] | None = None


def read_options(texts: Mapping[str, str]) -> dict[str, Any]:
    """The keyword arguments of ``Database.query`` that were typed, as CouchDB reads them. Raises BadRequest."""
    for name in KEYS:
        if name in texts:
            try:
                jsonio.loads(texts[name])
            except CouchetteError as exc:
                raise BadRequest(f"`{name}` is not JSON.", 'Text stands in quotes, as in "cat".') from exc
    return view_options(Query(urlencode(texts).encode()))


def read(ask: Ask, options: Mapping[str, Any], where: Mapping[str, str | None], *, has_reduce: bool) -> Shown:
    """A page of a view.

    Args:
        options: as :func:`read_options` gives them; ``limit`` is that of a page.
        where: ``at``, the place of its first row, ``before``, that of the row after its last one, or ``skip``.

    Raises BadRequest.
    """
    pages = _Pages(ask, {name: value for name, value in options.items() if name != "limit"}, _limit(options))
    if has_reduce and options.get("reduce") is not False:
        return pages.groups(read_positive(where.get("skip") or "0"))
    if before := where.get("before"):
        return pages.before(Place.read(before))
    at = where.get("at")
    return pages.at(Place.read(at) if at else None)


def _limit(options: Mapping[str, Any]) -> int:
    wanted: int = options.get("limit", PAGE_ROWS)
    return max(1, min(wanted, PAGE_ROWS_MAX))


@dataclass(frozen=True)
class _Pages:
    ask: Ask
    options: dict[str, Any]
    limit: int

    def groups(self, skip: int) -> Shown:
        """Values, after so many others."""
        rows = self.ask(**self.options, skip=skip, limit=self.limit + 1)["rows"]
        previous = {"skip": str(max(0, skip - self.limit))} if skip else None
        following = {"skip": str(skip + self.limit)} if len(rows) > self.limit else None
        return Shown(rows[: self.limit], True, None, previous, following)

    def at(self, place: Place | None) -> Shown:
        """The page that begins at a place, or the first one."""
        where: dict[str, Any] = {}
        if place is not None:
            # Some that were alike may be gone.
            skip = min(place.number, self._alike(place)) if place.number else 0
            where = {"start_key": place.key, "start_key_doc_id": place.id, "skip": skip}
        found = self.ask(**{**self.options, **where}, limit=self.limit + 1)
        rows: list[Row] = found["rows"]
        following = {"at": str(_place(rows, self.limit, place))} if len(rows) > self.limit else None
        previous = {"before": str(place)} if place is not None and self._before(place, 1) else None
        return Shown(rows[: self.limit], False, found["total_rows"], previous, following)

    def before(self, place: Place) -> Shown:
        """The page that ends before a place; the first one where there is too little for a page."""
        rows = self._before(place, self.limit + 1)
        if len(rows) <= self.limit:
            return self.at(None)
        rows = rows[: self.limit][::-1]
        first = Place(rows[0]["key"], rows[0]["id"])
        alike = sum(1 for row in rows if first.has(row))
        number = (place.number if place.has(rows[0]) else self._alike(first)) - alike
        previous = {"before": str(Place(first.key, first.id, number))}
        total = self.ask(**self.options, limit=0)["total_rows"]
        return Shown(rows, False, total, previous, {"at": str(place)})

    def _before(self, place: Place, limit: int) -> list[Row]:
        """The rows before a place, from it on."""
        options = {name: value for name, value in self.options.items() if name not in ("start_key", "end_key")}
        if "start_key" in self.options:
            options["end_key"] = self.options["start_key"]
        options |= {"start_key": place.key, "start_key_doc_id": place.id, "limit": limit}
        options["descending"] = not self.options.get("descending", False)
        rows: list[Row] = self.ask(**options, skip=max(0, self._alike(place) - place.number))["rows"]
        return rows

    def _alike(self, place: Place) -> int:
        """How many rows are alike."""
        ends = {"start_key": place.key, "end_key": place.key}
        rows = self.ask(**ends, start_key_doc_id=place.id, end_key_doc_id=place.id, reduce=False)["rows"]
        return len(rows)


def _place(rows: list[Row], at: int, first: Place | None) -> Place:
    """The place of one of the rows from a place on."""
    place = Place(rows[at]["key"], rows[at]["id"])
    number = 0
    while number < at and place.has(rows[at - number - 1]):
        number += 1
    if number == at and first is not None and first.has(rows[at]):
        number += first.number
    return Place(place.key, place.id, number)
