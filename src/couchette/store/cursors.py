"""Named cursors: how far a consumer of the changes feed has come, kept beside the documents.

A cursor is the ``_local`` document ``_local/cursor:<name>`` with the seq that was acknowledged last. So it
is written in the same transaction as what the consumer made of the changes, and is never replicated.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import apsw

from couchette.errors import BadRequest, NotFound
from couchette.store.feed import parse_seq
from couchette.store.local import get_local
from couchette.store.schema import read_meta
from couchette.store.write import put


def read_cursor(conn: apsw.Connection, name: str) -> str | None:
    """The seq that was acknowledged last, if any."""
    with suppress(NotFound):
        seq: str | None = get_local(conn, _id(name)).get("seq")
        return seq
    return None


def write_cursor(conn: apsw.Connection, name: str, change: Mapping[str, Any] | int | str) -> str:
    """Acknowledge a change, given as a row of the feed or its seq, and all before it; return the seq."""
    seq = change["seq"] if isinstance(change, Mapping) else change
    if seq is None:
        raise BadRequest("This row has no seq.", "Read the changes without `seq_interval`.")
    meta = read_meta(conn)
    text = meta.seq_text(parse_seq(seq, meta))
    put(conn, {"_id": _id(name), "seq": text})
    return text


def _id(name: str) -> str:
    if not isinstance(name, str) or not name:
        raise BadRequest("A cursor's name must be a non-empty string.", f"Got {name!r}.")
    return f"_local/cursor:{name}"
