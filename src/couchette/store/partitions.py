"""A partition in numbers."""

from __future__ import annotations

from typing import Any, Final

import apsw

from couchette.document.partition import bounds

_NUMBERS: Final = """
    SELECT count(*) FILTER (WHERE deleted=0), count(*) FILTER (WHERE deleted=1), coalesce(sum(length(body)), 0)
    FROM docs WHERE cur=1 AND id>=? AND id<?"""


def partition_numbers(conn: apsw.Connection, partition: str) -> dict[str, Any]:
    """Counts and sizes of a partition's documents, in the shape of CouchDB's ``GET /db/_partition/name``.

    ``sizes`` are the bytes of the winning revisions' bodies. It reads the rows of the partition.
    """
    live, deleted, size = conn.execute(_NUMBERS, bounds(partition)).get
    return {
        "sizes": {"active": size, "external": size},
        "partition": partition,
        "doc_count": live,
        "doc_del_count": deleted,
    }
