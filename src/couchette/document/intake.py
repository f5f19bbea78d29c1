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
        self._rest = bytearray()

    @property
    def digest(self) -> bytes:
        """The raw md5 of what was given out, or waits for its chunk to be complete."""
        return self._stored_md5.digest()

    def feed(self, data: Any) -> list[Bytes]:
        """Take the next bytes. Raises BadRequest for what is not bytes, or more than was announced."""
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise self._invalid(f"The stream gave {type(data).__name__}; it must give bytes.")
        if isinstance(data, memoryview):
            data = data.cast("B") if data.contiguous else data.tobytes()
        self.length += len(data)
        if self._announced_length is not None and self.length > self._announced_length:
            raise BadRequest("attachment longer than expected", self._lengths(f"{self.length} or more"))
        if self._given_md5 is not None:
            self._given_md5.update(data)
        return self._give_out(data if self._packer is None else self._packer.compress(data))

    def finish(self) -> list[Bytes]:
        """The chunks that are left; the last one may be short.

        Raises BadRequest for less than was announced, and DigestMismatch.
        """
        if self._announced_length is not None and self.length < self._announced_length:
            raise BadRequest("attachment shorter than expected", self._lengths(str(self.length)))
        chunks = self._give_out(b"" if self._packer is None else self._packer.flush())
        digest = self.digest if self._given_md5 is None else self._given_md5.digest()
        if self._announced_digest not in (None, digest):
            assert self._announced_digest is not None
            hint = f"{self.name!r} has {digest_text(digest)}, not {digest_text(self._announced_digest)} as announced."
            raise DigestMismatch("Possible message corruption.", hint)
        if self._rest:
            self.size += len(self._rest)
            chunks.append(bytes(self._rest))
        return chunks

    def _give_out(self, data: Bytes) -> list[Bytes]:
        """The full chunks that these bytes complete. What cannot change any more is cut and not copied."""
        self._stored_md5.update(data)
        if self._rest:
            self._rest += data
            data = self._rest
        elif not isinstance(data, bytes):
            data = bytes(data)
        whole = len(data) // ATTACHMENT_CHUNK_BYTES * ATTACHMENT_CHUNK_BYTES
        view = memoryview(data)
        starts = range(0, whole, ATTACHMENT_CHUNK_BYTES)
        chunks: list[Bytes] = [view[start : start + ATTACHMENT_CHUNK_BYTES] for start in starts]
        if data is self._rest:
            if not whole:
                view.release()
                return []
            self._rest = bytearray(view[whole:])
        else:
            self._rest += view[whole:]
        self.size += whole
        return chunks

    def _lengths(self, found: str) -> str:
        return f"{self.name!r} has {found} bytes, not {self._announced_length}."

    def _invalid(self, hint: str) -> BadRequest:
        return BadRequest(f"Invalid attachment data for {self.name}", hint)
