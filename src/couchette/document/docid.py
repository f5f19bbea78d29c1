"""Document ids: which are allowed, and how new ones are made.

CouchDB refuses an empty id, one that is not UTF-8, and any that begins with an underscore but for
``_design/<name>`` and ``_local/<name>``.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from couchette.errors import BadRequest, IllegalDocId

LOCAL: Final = "_local/"
DESIGN: Final = "_design/"

_lock = threading.Lock()
_last = 0
"""Milliseconds and counter of the newest id, as one number."""


def new_id() -> str:
    """A new id of 32 hex digits that sorts after those that this process made before it.

    It is a UUID of version 7 (RFC 9562, method 1): milliseconds, a counter within them, randomness.
    Time-ordered ids keep an index's inserts at its right edge; random ones make them four times as slow.
    """
    global _last
    with _lock:
        _last = max(_last + 1, time.time_ns() // 1_000_000 << 12)
        moment = _last
    noise = int.from_bytes(os.urandom(8), "big") >> 2
    return f"{moment >> 12 << 80 | 0x7 << 76 | (moment & 0xFFF) << 64 | 0x2 << 62 | noise:032x}"


def check_id(doc_id: object) -> str:
    """Return the id, or raise IllegalDocId (BadRequest for a ``_local/`` id without a name)."""
    if type(doc_id) is str and doc_id and doc_id[0] != "_" and doc_id.isascii():
        return doc_id
    if not isinstance(doc_id, str):
        raise IllegalDocId("Document id must be a string", f"Got {doc_id!r}.")
    if not doc_id:
        raise IllegalDocId("Document id must not be empty", "Leave `_id` out to have one made.")
    if doc_id[0] == "_":
        if doc_id in ("_local", "_local/"):
            raise BadRequest("Invalid _local document id.", f"{doc_id!r} has no name after `_local/`.")
        if not doc_id.startswith(("_design/", "_local/")) or doc_id == "_design/":
            raise IllegalDocId(
                "Only reserved document ids may start with underscore.",
                f"{doc_id!r} is neither `_design/<name>` nor `_local/<name>`.",
            )
    try:
        doc_id.encode()
    except UnicodeEncodeError as exc:
        raise IllegalDocId("Document id must be valid UTF-8", f"{doc_id!r} holds a lone surrogate.") from exc
    return doc_id
