"""Erlang's order of terms, as keys that compare as bytes: what a view with ``options.collation: "raw"`` is sorted by.

numbers < false < null < true < objects < arrays < strings. CouchDB holds JSON as Erlang terms: literals are atoms,
which sort by name; an object is a tuple of a list of pairs, and tuples come before lists; strings are binaries, which
sort by their bytes. Lists compare by element, the shorter first when one begins the other, and so do the members of
objects.

The keys are built as those of :mod:`couchette.document.collation`, and end by themselves as those do.
"""

from __future__ import annotations

from typing import Any, Final

from couchette.document.collation import sort_key

_LITERALS: Final = {False: b"\x50", None: b"\x51", True: b"\x52"}
_OBJECT: Final = b"\x60"
_ARRAY: Final = b"\x70"
_STRING: Final = b"\x71"
_END: Final = b"\x00"


def raw_key(value: Any) -> bytes:
    """The key of a JSON value in Erlang's order. Raises BadRequest for anything that is not a JSON value."""
    parts: list[bytes] = []
    # What is still to be written, last first; bytes are written as they are. No recursion, as in sort_key.
    pending: list[Any] = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, bytes):
            parts.append(item)
        elif isinstance(item, str):
            # A zero byte would end the key: it and the byte after it are spelled with two.
            text = item.encode().replace(b"\x01", b"\x01\x02").replace(b"\x00", b"\x01\x01")
            parts.append(_STRING + text + _END)
        elif item is None or isinstance(item, bool):
            parts.append(_LITERALS[item])
        elif isinstance(item, (list, tuple)):
            parts.append(_ARRAY)
            pending += (_END, *reversed(item))
        elif isinstance(item, dict):
            parts.append(_OBJECT)
            pending += (_END, *reversed([part for member in item.items() for part in member]))
        else:
            parts.append(sort_key(item))  # Numbers sort alike in both; the rest is refused there.
    return b"".join(parts)
