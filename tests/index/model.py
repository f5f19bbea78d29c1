"""A plain model of a view: every row computed anew from the winners, and sorted by comparing keys."""

from __future__ import annotations

from functools import cmp_to_key

from couchette.document.collation import compare


def map_tags(doc):
    """The map function of the tests: a row for each tag, and one with two parts."""
    for tag in doc.get("tags", []):
        yield tag, doc["n"]
    yield [doc["n"] % 3, doc["_id"]], doc["n"]


def rows_of(db, map):
    """All rows of a view, as they are listed."""
    rows = []
    for found in db.all_docs(include_docs=True)["rows"]:
        if not found["id"].startswith("_design/"):
            emitted = map(found["doc"])
            rows += [{"id": found["id"], "key": key, "value": value, "n": n} for n, (key, value) in enumerate(emitted)]
    rows.sort(key=cmp_to_key(_order))
    return [{name: row[name] for name in ("id", "key", "value")} for row in rows]


def _order(one, other):
    by_key = compare(one["key"], other["key"])
    if by_key:
        return by_key
    places = [(row["id"].encode(), row["n"]) for row in (one, other)]
    return (places[0] > places[1]) - (places[0] < places[1])


def in_range(rows, low, high):
    """The rows whose keys are from ``low`` to ``high``."""
    return [row for row in rows if compare(low, row["key"]) <= 0 <= compare(high, row["key"])]


def groups(rows, level):
    """The sums of the values by group, as ``group_level`` shows them; a level of None is by whole keys."""
    shown = []
    for row in rows:
        key = row["key"]
        if level is not None and isinstance(key, list):
            key = key[:level]
        if shown and compare(shown[-1]["key"], key) == 0:
            shown[-1]["value"] += row["value"]
        else:
            shown.append({"key": key, "value": row["value"]})
    return shown
