"""The query string of ``_spatial``, as GeoCouch reads it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from couchette import jsonio
from couchette.errors import QueryParseError
from couchette.wire.parameters import Query, read_boolean, read_positive


def spatial_options(query: Query) -> dict[str, Any]:
    """The keyword arguments of ``Database.spatial`` that a query string asks for. Raises QueryParseError."""
    options: dict[str, Any] = {}
    for name, text in query.pairs:
        if name in _SPATIAL:
            keyword, read = _SPATIAL[name]
            options[keyword] = read(text)
    return options


def _numbers(text: str) -> list[float]:
    """Numbers with commas between them."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as exc:
        raise QueryParseError("A box must be four numbers with commas between them.", f"Got {text!r:.80}.") from exc


def _stale(text: str) -> bool:
    if text != "ok":
        raise QueryParseError("Invalid value for `stale`.", f"stale={text!r}; give ok.")
    return False


_SPATIAL: Final[dict[str, tuple[str, Callable[[str], Any]]]] = {
    "bbox": ("bbox", _numbers),
    "plane_bounds": ("plane_bounds", _numbers),
    "start_range": ("start_range", jsonio.loads),
    "end_range": ("end_range", jsonio.loads),
    "skip": ("skip", read_positive),
    "limit": ("limit", read_positive),
    "include_docs": ("include_docs", read_boolean),
    "count": ("count", read_boolean),
    "update": ("update", read_boolean),
    "stale": ("update", _stale),
}
