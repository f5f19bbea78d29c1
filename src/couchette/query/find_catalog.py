"""The Mango indexes of a database, which its design documents hold."""

from __future__ import annotations

from typing import Any
from weakref import WeakKeyDictionary

from couchette.index.groups import Group
from couchette.index.mango import MangoIndex, mango_group, mango_indexes
from couchette.index.mango_rows import Connection, design_places
from couchette.index.mango_text import MangoTextIndex, mango_text_indexes
from couchette.pool import Pool
from couchette.store.read import View
from couchette.store.rows import row_at

Places = tuple[tuple[int, str], ...]

_STUBS = View()


class Catalog:
    """The Mango indexes of a database, as its design documents were at one time."""

    def __init__(self, indexes: list[MangoIndex], texts: list[MangoTextIndex]) -> None:
        self.indexes = indexes
        """By design document and name; the documents by id are not among them."""
        self.texts = texts
        """The text indexes, in the same order."""
        self._groups: dict[str | None, tuple[Group, list[MangoIndex]]] = {}

    def group(self, index: MangoIndex) -> tuple[Group, list[MangoIndex]]:
        """The group that an index is in, and all indexes of it, each at its place: those of one design document."""
        if index.ddoc not in self._groups:
            family = sorted((one for one in self.indexes if one.ddoc == index.ddoc), key=lambda one: one.view)
            self._groups[index.ddoc] = mango_group(family), family
        return self._groups[index.ddoc]

    def signatures(self) -> set[str]:
        """The signatures of all groups."""
        of_fields = {self.group(index)[0].signature for index in self.indexes}
        return of_fields | {index.group.signature for index in self.texts}


_known: WeakKeyDictionary[Pool, tuple[Places, Catalog]] = WeakKeyDictionary()
"""What each open database's design documents held when they were last read. A sequence is never used twice, so it names
the document; but within a transaction it may be undone."""


def read_catalog(pool: Pool) -> Catalog:
    """The Mango indexes of a database."""
    if pool.in_transaction:
        return pool.read(_read)[1]
    known = _known.get(pool)
    if known is None or pool.read_one(design_places) != known[0]:
        known = _known[pool] = pool.read(_read)
    return known[1]


def _read(conn: Connection) -> tuple[Places, Catalog]:
    places = design_places(conn)
    docs: list[dict[str, Any]] = [_STUBS.doc(conn, row_at(conn, seq)) for seq, _ in places]
    found = [index for doc in docs for index in mango_indexes(doc)]
    texts = [index for doc in docs for index in mango_text_indexes(doc)]
    found.sort(key=lambda index: index.sort_key)
    texts.sort(key=lambda index: index.sort_key)
    return places, Catalog(found, texts)
