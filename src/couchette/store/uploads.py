"""Uploads: attachment content that arrives in several transactions, before the document that will name it.

A content under way has a row in ``att`` with an empty digest, which no finished content has, and a mark in
``upload``. The mark keeps compaction off, in whatever process; it has a random key, so that nobody can go on with
another's upload. When all is there, :func:`settle` gives the content its digest, or leaves equal content in its
place. The write of the document takes the mark away (:func:`adopt`): from then on its revision names the content.

A process that is killed leaves its mark. It says when it was last touched, and compaction drops a mark that
was not for ``limits.UPLOAD_IDLE_S``, together with the content. An upload that was only slow then fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import Any, Final

import apsw

from couchette import surroundings
from couchette.errors import StoreError
from couchette.limits import ATTACHMENT_CHUNK_BYTES, UPLOAD_CACHED_BYTES, UPLOAD_IDLE_S

UNFINISHED: Final = b""
"""The digest of a content that is not complete."""

_KEY_BITS: Final = 62


def append_upload(
    conn: apsw.Connection, key: int | None, first: int, chunks: Sequence[bytes | bytearray | memoryview]
) -> int:
    """Store the next chunks, ``first`` and those after it; return the key of the upload, which None begins.

    Without chunks it only says that the upload lives. Raises StoreError when the upload was dropped.
    """
    now = int(surroundings.now().timestamp())
    if key is None:
        conn.execute("INSERT INTO att(digest, size) VALUES(?,0)", (UNFINISHED,))
        key, att = surroundings.random().getrandbits(_KEY_BITS), conn.last_insert_rowid()
        conn.execute("INSERT INTO upload VALUES(?,?,?)", (key, att, now))
    else:
        att = _content_of(conn, key)
        conn.execute("UPDATE upload SET touched=? WHERE upload=?", (now, key))
    conn.executemany("INSERT INTO att_chunk VALUES(?,?,?)", ((att, n, data) for n, data in enumerate(chunks, first)))
    return key


def shrink_cache(conn: apsw.Connection) -> None:
    """Drop the connection's page cache, which an upload would fill with pages that nobody reads again."""
    conn.pragma("shrink_memory")


def compare_upload(conn: apsw.Connection, key: int, digest: bytes, size: int) -> tuple[frozenset[int], int | None]:
    """The contents with this digest and size, and the one among them whose bytes are the upload's, if one is."""
    own, looked_at = _content_of(conn, key), _alike(conn, digest, size)
    return looked_at, next((att for att in sorted(looked_at) if _equal(conn, att, own)), None)


def settle(
    conn: apsw.Connection, key: int, digest: bytes, size: int, looked_at: frozenset[int], equal: int | None
) -> bool:
    """Finish the upload, whose content is now complete; ``looked_at`` and ``equal`` are from :func:`compare_upload`.

    False, and nothing is changed, where content with this digest has come since: it must be compared, too. Comparing
    is left to a reader because other writers would have to wait for it.
    """
    own, alike = _content_of(conn, key), _alike(conn, digest, size)
    if not alike <= looked_at:
        return False
    if equal in alike:
        _drop(conn, own)
        conn.execute("UPDATE upload SET att=? WHERE upload=?", (equal, key))
    else:
        conn.execute("UPDATE att SET digest=?, size=? WHERE att=?", (digest, size, own))
    return True


def adopt(conn: apsw.Connection, key: int) -> int:
    """The content of a settled upload, for the revision that this transaction writes; the mark goes."""
    att = _content_of(conn, key)
    conn.execute("DELETE FROM upload WHERE upload=?", (key,))
    return att


def discard_uploads(conn: apsw.Connection, keys: Iterable[int]) -> None:
    """Forget those of the uploads that no document adopted.

    Content that is finished may have others that name it by now, so it waits for compaction.
    """
    for key in keys:
        found: list[Any] = conn.execute(f"{_CONTENT} WHERE upload=?", (key,)).fetchall()
        for att, digest in found:
            if digest == UNFINISHED:
                _drop(conn, att)
            conn.execute("DELETE FROM upload WHERE upload=?", (key,))


def drop_idle_uploads(conn: apsw.Connection) -> None:
    """Drop the marks of uploads that were interrupted."""
    conn.execute("DELETE FROM upload WHERE touched<?", (int(surroundings.now().timestamp()) - UPLOAD_IDLE_S,))


_CONTENT: Final = "SELECT att, digest FROM upload JOIN att USING(att)"


def _content_of(conn: apsw.Connection, key: int) -> int:
    for att, _ in conn.execute(f"{_CONTENT} WHERE upload=?", (key,)):
        return int(att)
    hint = (
        "It was adopted by another document, was made in another database, or"
        f" was idle for more than {UPLOAD_IDLE_S} s and then dropped by compaction. Upload it again."
    )
    raise StoreError("The uploaded attachment is not there any more.", hint)


def _alike(conn: apsw.Connection, digest: bytes, size: int) -> frozenset[int]:
    return frozenset(att for (att,) in conn.execute("SELECT att FROM att WHERE digest=? AND size=?", (digest, size)))


def _equal(conn: apsw.Connection, one: int, other: int) -> bool:
    chunks: list[Any] = [
        conn.execute("SELECT data FROM att_chunk WHERE att=? ORDER BY n", (att,)) for att in (one, other)
    ]
    cached = UPLOAD_CACHED_BYTES // (2 * ATTACHMENT_CHUNK_BYTES)
    for number, (a, b) in enumerate(zip_longest(*chunks), 1):
        if a != b:
            return False
        # What still lies in the log is read by way of the page cache.
        if number % cached == 0:
            shrink_cache(conn)
    return True


def _drop(conn: apsw.Connection, att: int) -> None:
    conn.execute("DELETE FROM att_chunk WHERE att=?", (att,))
    conn.execute("DELETE FROM att WHERE att=?", (att,))
