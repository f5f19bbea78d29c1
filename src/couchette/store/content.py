"""Attachment content: stored once for equal bytes, in chunks, named by a key.

Content is found by its md5 digest and then compared byte by byte, so that a forged digest cannot
put one attachment in another's place.
"""

from __future__ import annotations

from typing import Any

import apsw

from couchette.document.attachment import Attachment, Content, Stub, digest_text, missing_stub, plain
from couchette.limits import ATTACHMENT_CHUNK_BYTES

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
            placed.append((_described(one, revpos), store(conn, one.stored, one.digest)))
    return placed


def _described(content: Content, revpos: int) -> Attachment:
    encoded_length = len(content.stored) if content.encoding else None
    return Attachment(
        content.name,
        content.content_type,
        revpos,
        digest_text(content.digest),
        content.length,
        content.encoding,
        encoded_length,
    )


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
