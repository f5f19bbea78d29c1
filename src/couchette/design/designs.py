"""Design functions that are kept compiled: those in JavaScript take a thread and some memory each.

A design document's functions are made when they are first asked for and kept while its revision stands, until others
were used more recently. What is dropped lives on for whoever is still using it, such as a feed, and ends when that
forgets it. Databases never share functions, even where their design documents are equal: modules keep state.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from couchette.functions import DesignFunctions
from couchette.limits import DESIGNS_KEPT_MAX
from couchette.pool import Pool
from couchette.store import read_meta

if TYPE_CHECKING:
    from couchette.database import Database


class Designs:
    """Design functions by database, design document and revision. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[str, ...], DesignFunctions] = OrderedDict()

    def functions(self, db: Database, design: Mapping[str, Any]) -> DesignFunctions:
        """The functions of a design document, of the revision that is given.

        Raises FunctionFailed ``unknown_query_language`` for one that is not in JavaScript.
        """
        # A database that was deleted and made anew has another uuid, and may have other content under an equal rev.
        key = (db.name, db._pool.read(read_meta).uuid, design["_id"], design["_rev"])
        with self._lock:
            functions = self._kept.get(key)
            if functions is None:
                functions = self._kept[key] = DesignFunctions(design)
                if len(self._kept) > DESIGNS_KEPT_MAX:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return functions

    def close(self) -> None:
        """End the threads, after the calls under way. Functions may be asked for again afterwards."""
        with self._lock:
            kept = list(self._kept.values())
            self._kept.clear()
        for functions in kept:
            functions.close()


_designs: WeakKeyDictionary[Pool, Designs] = WeakKeyDictionary()
_making = threading.Lock()


def designs_of(pool: Pool) -> Designs:
    """The functions that programs call of the database with this pool; they end when it is closed."""
    with _making:
        found = _designs.get(pool)
        if found is None:
            found = _designs[pool] = Designs()
            pool.on_close(found.close)
        return found
