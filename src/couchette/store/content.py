"""Attachment content: stored once for equal bytes, in chunks, named by a key.

Content is found by its md5 digest and then compared byte by byte, so that a forged digest cannot
put one attachment in another's place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import apsw

from couchette.document.attachment import (
    Attachment,
    Content,
    Kept,
    Received,
    Stub,
    digest_bytes,
    digest_text,
    is_compressible,
    missing_stub,
    plain,
)
from couchette.limits import ATTACHMENT_CACHED_BYTES, ATTACHMENT_CHUNK_BYTES, ATTACHMENT_UNPACKED_BYTES
from couchette.store.uploads import adopt

Placed = list[tuple[Attachment, int]]
"""A revision's attachments in the order of ``_attachments``, each with the key of its content."""


def place(
    conn: apsw.Connection, doc_id: str, given: list[Content | Stub], parent: Placed, number: int, *, keep_revpos: bool
) -> Placed:
    """Store what is given and resolve its stubs against the parent's attachments.

    ``number`` is the new revision's and becomes the revpos of new content; ``keep_revpos`` is for
    replicated revisions, which bring their own (0 where they do not). Raises MissingStub.
    """
    known = {attachment.name: (attachment, att) for attachment, att in parent}
    placed: Placed = []
    for one in given:
        if isinstance(one, Stub):
            found = known.get(one.name)
            if found is None or one.revpos not in (None, found[0].revpos):
                raise missing_stub(doc_id, one.name)
            placed.append(found)
        else:
            revpos = (one.revpos or 0) if keep_revpos else number
            placed.append((_described(one, revpos), _keep(conn, one)))
    return placed


def _described(content: Content, revpos: int) -> Attachment:
    encoded_length = content.size if content.encoding else None
    return Attachment(
        content.name,
        content.content_type,
        revpos,
        digest_text(content.digest),
        content.length,
        content.encoding,
        encoded_length,
    )


def _keep(conn: apsw.Connection, content: Content) -> int:
    """The key of this content, which is stored now, or was when it was uploaded."""
    if isinstance(content.stored, int):
        return adopt(conn, content.stored)
    if isinstance(content.stored, Kept):
        return content.stored.att
    return store(conn, content.stored, content.digest)


def again(conn: apsw.Connection, attachment: Attachment, att: int, content_type: str) -> dict[str, Any]:
    """A member of ``_attachments`` for a revision that this transaction writes, with content that another one has.

    The content is named and not read, unless ``content_type`` has it compressed now.
    """
    if attachment.encoding is None and is_compressible(content_type):
        return {"content_type": content_type, "data": read(conn, att)}
    size = attachment.encoded_length if attachment.encoding else attachment.length
    assert size is not None
    digest = digest_bytes(attachment.digest)
    return {
        "content_type": content_type,
        "data": Received(Kept(att), digest, size, attachment.length, attachment.encoding),
    }


def store(conn: apsw.Connection, data: bytes, digest: bytes) -> int:
    """The key of these bytes, stored now if they were not before."""
    same_digest: list[Any] = conn.execute(
        "SELECT att FROM att WHERE digest=? AND size=?", (digest, len(data))
    ).fetchall()
    for (att,) in same_digest:
        if read(conn, att) == data:
            return int(att)
    conn.execute("INSERT INTO att(digest, size) VALUES(?,?)", (digest, len(data)))
    att = conn.last_insert_rowid()
    view = memoryview(data)
    chunks = range(0, len(data), ATTACHMENT_CHUNK_BYTES)
    conn.executemany(
        "INSERT INTO att_chunk VALUES(?,?,?)",
        ((att, n, view[start : start + ATTACHMENT_CHUNK_BYTES]) for n, start in enumerate(chunks)),
    )
    return att


def read(conn: apsw.Connection, att: int) -> bytes:
    """The stored bytes."""
    return b"".join(data for (data,) in conn.execute("SELECT data FROM att_chunk WHERE att=? ORDER BY n", (att,)))


@dataclass(frozen=True, slots=True)
class Later:
    """Stands for content of so many bytes that is left to be read by itself."""

    length: int


class Held:
    """How much content as it is stored one read may hold; what is beyond is a :class:`Later`."""

    __slots__ = ("_room",)

    def __init__(self, size: int) -> None:
        self._room = size

    def read(self, conn: apsw.Connection, attachment: Attachment, att: int) -> bytes | Later:
        """The stored bytes, or what stands for them."""
        size = attachment.encoded_length if attachment.encoding else attachment.length
        assert size is not None
        if size > self._room:
            return Later(size)
        self._room -= size
        return read(conn, att)


class Unpacking:
    """What attachments that are unpacked in memory may still have beyond the length that their stubs say."""

    __slots__ = ("_room",)

    def __init__(self, size: int | None = None) -> None:
        self._room = ATTACHMENT_UNPACKED_BYTES if size is None else size

    def read_plain(self, conn: apsw.Connection, attachment: Attachment, att: int) -> bytes:
        """The content as it was before compression. Raises BadRequest, TooLarge."""
        data = plain(read(conn, att), attachment.encoding, attachment.name, attachment.length + self._room)
        self._room -= max(len(data) - attachment.length, 0)
        return data


def read_chunk(conn: apsw.Connection, att: int, digest: bytes, size: int, number: int) -> bytes | None:
    """One chunk of a content, in a single statement; None where this content is there no more.

    Compaction may have dropped it and another have got its key; so the digest tells which one is meant.
    """
    sql = "SELECT data FROM att CROSS JOIN att_chunk USING(att) WHERE att=? AND digest=? AND size=? AND n=?"
    for (data,) in conn.execute(sql, (att, digest, size, number)):
        chunk: bytes = data
        return chunk
    return None


def read_chunk_of_many(conn: apsw.Connection, att: int, digest: bytes, size: int, number: int) -> bytes | None:
    """:func:`read_chunk` of a content that is larger than the page cache should become because of it.

    Where the chunk went into the cache, and that is large now, all of it is dropped: SQLite cannot drop a part. To ask
    for its size takes a microsecond.
    """
    before = _cached_bytes(conn)
    chunk = read_chunk(conn, att, digest, size, number)
    cached = _cached_bytes(conn)
    if chunk is not None and cached > ATTACHMENT_CACHED_BYTES and cached - before >= len(chunk):
        conn.pragma("shrink_memory")
    return chunk


def _cached_bytes(conn: apsw.Connection) -> int:
    """The size of the connection's page cache."""
    return int(conn.status(apsw.SQLITE_DBSTATUS_CACHE_USED)[0])
