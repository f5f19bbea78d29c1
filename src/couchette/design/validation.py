"""``validate_doc_update``: what the design documents of a database say of an edit.

An edit is judged on a reader, before it is written, and no lock is held meanwhile. That is sound because a revision
never changes: the edit names the one that it builds on, so what was judged is what is written, or the write is a
conflict. An edit that would be a conflict is not judged, as in CouchDB, and is not written either.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

from couchette import store
from couchette.errors import CouchetteError
from couchette.functions import DesignFunctions
from couchette.limits import VALIDATORS_MAX
from couchette.pool import Pool
from couchette.store import Edit

Doc = dict[str, Any]


class Validators:
    """The validation functions of one database, compiled. Safe to use from many threads, which wait for each other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], DesignFunctions | None] = {}
        """By id and revision of a design document; None for one that judges nothing."""

    def judge(
        self, pool: Pool, edits: Sequence[Edit], user_ctx: Mapping[str, Any], sec_obj: Mapping[str, Any]
    ) -> list[CouchetteError | None]:
        """The first refusal of each edit, in the order of the design documents.

        Raises what makes a function fail: FunctionFailed, MissingExtra. Nothing may be written then.
        """
        refusals: list[CouchetteError | None] = [None] * len(edits)
        with self._current(pool) as current:
            for functions in current:
                pairs = [(edit.doc, edit.old) for edit in edits]
                found = functions.validate_all(pairs, user_ctx, sec_obj)
                refusals = [first or other for first, other in zip(refusals, found, strict=True)]
            self._shrink()
        return refusals

    def judges(self, pool: Pool) -> bool:
        """Whether any design document has a validation function at the moment."""
        with self._current(pool) as current:
            return bool(current)

    def close(self) -> None:
        """End all engines."""
        with self._lock:
            self._drop(list(self._kept))

    @contextmanager
    def _current(self, pool: Pool) -> Iterator[list[DesignFunctions]]:
        """The functions that hold now, which none can end meanwhile; those of superseded design documents are dropped.

        Nothing is read with the lock held: a read may wait for a transaction, whose thread may wait for the lock.
        """
        keys = pool.read(store.design_revs)
        designs: dict[tuple[str, str], Doc] = {}
        while True:
            for key in keys:
                if key not in self._kept and key not in designs:
                    designs[key] = pool.read(store.get, key[0], rev=key[1])
            with self._lock:
                if any(key not in self._kept and key not in designs for key in keys):
                    continue  # Another thread saw other design documents in between, and dropped ours.
                self._drop(self._kept.keys() - set(keys))
                for key, design in designs.items():
                    if key not in self._kept:
                        self._kept[key] = DesignFunctions(design) if "validate_doc_update" in design else None
                yield [functions for key in keys if (functions := self._kept[key]) is not None]
                return

    def _shrink(self) -> None:
        running = [key for key, functions in self._kept.items() if functions is not None]
        self._drop(running[VALIDATORS_MAX:])

    def _drop(self, keys: Any) -> None:
        for key in list(keys):
            functions = self._kept.pop(key)
            if functions is not None:
                functions.close()


_validators: WeakKeyDictionary[Pool, Validators] = WeakKeyDictionary()
_making = threading.Lock()


def validators_of(pool: Pool) -> Validators:
    """The validation functions of the database with this pool; they end when it is closed."""
    with _making:
        found = _validators.get(pool)
        if found is None:
            found = _validators[pool] = Validators()
            pool.on_close(found.close)
        return found
