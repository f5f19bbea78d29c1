"""Content taken in piece by piece: compressed as CouchDB would, counted, digested, and cut into chunks.

What it gives out depends on the bytes alone and not on the pieces that they came in. The digest and length that
a sender announces are those of the bytes that it sends, so they are taken before any compression.
"""

from __future__ import annotations

import zlib
from hashlib import md5
from typing import Any

from couchette.document.attachment import check_described, digest_text, given_digest, gzip_packer, is_compressible
from couchette.errors import BadRequest, DigestMismatch
from couchette.limits import ATTACHMENT_CHUNK_BYTES

Bytes = bytes | bytearray | memoryview


class Intake:
    """One content on its way in. ``feed`` it, then ``finish`` it; both give the chunks that are complete.

    Attributes:
        length: the bytes given so far.
        size: the bytes given out so far, which are those to be stored.
    """

    def __init__(
        self,
        name: str,
        content_type: str,
        *,
        encoding: str | None = None,
        digest: str | None = None,
        length: Any = None,
    ) -> None:
        """``digest`` (``md5-<base64>``) and ``length`` are what the sender announced, if it did.

        ``encoding="gzip"`` says that the bytes are gzip already. Raises BadRequest, BadContentType.
        """
        check_described(name, content_type, encoding)
        self.name = name
        self.length = 0
        self.size = 0
        self._packer: zlib._Compress | None = None
        if encoding is None and is_compressible(content_type):
            encoding, self._packer = "gzip", gzip_packer()
        self.encoding = encoding
        self._announced_digest = None if digest is None else given_digest(digest)
        self._announced_length = length if type(length) is int else None
        self._stored_md5 = md5(usedforsecurity=False)
        separate = self._packer is not None and self._announced_digest is not None
        self._given_md5 = md5(usedforsecurity=False) if separate else None
        self._held: list[Bytes] = []
        self._held_bytes = 0

    @property
    def digest(self) -> bytes:
        """The raw md5 of what was given out: of all of it, once it is finished."""
        return self._stored_md5.digest()

    def feed(self, *pieces: Any) -> list[Bytes]:
        """Take the next bytes; many small pieces are best given together.

        Raises BadRequest for what is not bytes, or more than was announced.
        """
        for data in pieces:
            self._take(data)
        return self._give_out()

    def _take(self, data: Any) -> None:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise self._invalid(f"The stream gave {type(data).__name__}; it must give bytes.")
        if isinstance(data, memoryview):
            data = data.cast("B") if data.contiguous else data.tobytes()
        self.length += len(data)
        if self._announced_length is not None and self.length > self._announced_length:
            raise BadRequest("attachment longer than expected", self._lengths(f"{self.length} or more"))
        if self._given_md5 is not None:
            self._given_md5.update(data)
        self._hold(bytes(data) if self._packer is None else self._packer.compress(data))

    def finish(self) -> list[Bytes]:
        """The chunks that are left; the last one may be short.

        Raises BadRequest for less than was announced, and DigestMismatch.
        """
        if self._announced_length is not None and self.length < self._announced_length:
            raise BadRequest("attachment shorter than expected", self._lengths(str(self.length)))
        if self._packer is not None:
            self._hold(self._packer.flush())
        chunks = self._give_out()
        if self._held:
            chunks.append(self._cut(self._held_bytes))
        digest = self.digest if self._given_md5 is None else self._given_md5.digest()
        if self._announced_digest not in (None, digest):
            assert self._announced_digest is not None
            hint = f"{self.name!r} has {digest_text(digest)}, not {digest_text(self._announced_digest)} as announced."
            raise DigestMismatch("Possible message corruption.", hint)
        return chunks

    def _hold(self, data: bytes) -> None:
        if data:
            self._held.append(data)
            self._held_bytes += len(data)

    def _give_out(self) -> list[Bytes]:
        """The full chunks that are held: parts of one block, which is copied together and digested at once."""
        whole = self._held_bytes // ATTACHMENT_CHUNK_BYTES * ATTACHMENT_CHUNK_BYTES
        if not whole:
            return []
        block = self._cut(whole)
        return [block[start : start + ATTACHMENT_CHUNK_BYTES] for start in range(0, whole, ATTACHMENT_CHUNK_BYTES)]

    def _cut(self, size: int) -> memoryview:
        """The first bytes that are held, which cannot change any more and are digested; the others stay."""
        held = memoryview(self._held[0] if len(self._held) == 1 else b"".join(self._held))
        self._held, self._held_bytes = [], 0
        self._hold(bytes(held[size:]))
        block = held[:size]
        self._stored_md5.update(block)
        self.size += size
        return block

    def _lengths(self, found: str) -> str:
        return f"{self.name!r} has {found} bytes, not {self._announced_length}."

    def _invalid(self, hint: str) -> BadRequest:
        return BadRequest(f"Invalid attachment data for {self.name}", hint)
