"""Attachment content: stored once for equal bytes, in chunks, named by a key.

Content is found by its md5 digest and then compared byte by byte, so that a forged digest cannot
put one attachment in another's place.
"""

from __future__ import annotations

from typing import Any

import apsw

from couchette.document.attachment import Attachment, Content, Stub, digest_text, missing_stub, plain
from couchette.limits import ATTACHMENT_CHUNK_BYTES
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
    return store(conn, content.stored, content.digest)


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


def read_plain(conn: apsw.Connection, attachment: Attachment, att: int) -> bytes:
    """The content as it was before compression."""
    return plain(read(conn, att), attachment.encoding)


def read_chunk(conn: apsw.Connection, att: int, digest: bytes, size: int, number: int) -> bytes | None:
    """One chunk of a content, in a single statement; None where this content is there no more.

    Compaction may have dropped it and another have got its key; so the digest tells which one is meant.
    """
    sql = "SELECT data FROM att CROSS JOIN att_chunk USING(att) WHERE att=? AND digest=? AND size=? AND n=?"
    for (data,) in conn.execute(sql, (att, digest, size, number)):
        chunk: bytes = data
        return chunk
    return None
