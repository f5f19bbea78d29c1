"""Attachments as values: what a document says of them, and how their content is stored.

CouchDB keeps text gzip-compressed and takes digest, length and revision id from the stored bytes
(its ``attachments/compressible_types`` and ``compression_level = 8``), so we store the same bytes.
"""

from __future__ import annotations

import binascii
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import md5
from typing import Any

from couchette.errors import BadContentType, BadRequest, MissingStub, TooLarge
from couchette.limits import SQLITE_INT_MAX

COMPRESSIBLE = ("text/", "application/javascript", "application/json", "application/xml")
DEFAULT_TYPE = "application/octet-stream"
_WHITESPACE = " \t\r\n"


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment of one revision.

    Attributes:
        name: any text that does not begin with an underscore.
        content_type: as given at upload.
        revpos: number of the revision that brought this content.
        digest: ``md5-`` and the base64 md5 of the stored bytes.
        length: bytes of the plain content (of the gzip bytes, when they were uploaded as gzip).
        encoding: ``"gzip"`` when the stored bytes are compressed, else None.
        encoded_length: bytes stored, when compressed.
        data: the content, where it was asked for, else None.
    """

    name: str
    content_type: str
    revpos: int
    digest: str
    length: int
    encoding: str | None = None
    encoded_length: int | None = None
    data: bytes | None = None

    def stub(self, *, encoding_info: bool = False) -> dict[str, Any]:
        """The member of ``_attachments`` without content, as CouchDB lists it."""
        return {**self.described(encoding_info=encoding_info), "stub": True}

    def described(self, *, encoding_info: bool = False) -> dict[str, Any]:
        """Type, revpos, digest and length; with ``encoding_info`` also how it is stored."""
        member: dict[str, Any] = {
            "content_type": self.content_type,
            "revpos": self.revpos,
            "digest": self.digest,
            "length": self.length,
        }
        if encoding_info and self.encoding:
            member["encoding"] = self.encoding
            member["encoded_length"] = self.encoded_length
        return member


@dataclass(frozen=True, slots=True)
class Kept:
    """Content that the database has, by its key there."""

    att: int


@dataclass(frozen=True, slots=True)
class Received:
    """Content that was taken in as a stream, or is there already: what an attachment's ``data`` may be beside bytes.

    Attributes:
        stored: the bytes to store, or where they are stored already, the key of their upload, or of their content.
        digest: raw md5 of the stored bytes.
        size: how many bytes are stored.
        length: how many bytes were given.
        encoding: as in :class:`Attachment`.
    """

    stored: bytes | int | Kept
    digest: bytes
    size: int
    length: int
    encoding: str | None


@dataclass(frozen=True, slots=True)
class Content:
    """Content on its way in: the bytes to store, or where they are already, and what is known of them."""

    name: str
    content_type: str
    stored: bytes | int | Kept
    digest: bytes
    size: int
    length: int
    encoding: str | None
    revpos: int | None


@dataclass(frozen=True, slots=True)
class Stub:
    """A promise that the parent revision has this attachment."""

    name: str
    revpos: int | None


def content(
    name: str, data: bytes, content_type: str = DEFAULT_TYPE, *, encoding: str | None = None, revpos: int | None = None
) -> Content:
    """Prepare content for storing, compressing it as CouchDB would.

    ``encoding="gzip"`` says that ``data`` is gzip already; it is stored unchecked and its length is
    the compressed one, as in CouchDB.
    """
    check_described(name, content_type, encoding)
    length = len(data)
    if encoding is None and is_compressible(content_type):
        data = gzip(data)
        encoding = "gzip"
    digest = md5(data, usedforsecurity=False).digest()
    return Content(name, content_type, data, digest, len(data), length, encoding, revpos)


def check_described(name: str, content_type: str, encoding: str | None) -> None:
    """Raise what CouchDB would for a name, media type or encoding that no attachment can have."""
    check_name(name)
    if encoding not in (None, "gzip"):
        raise BadContentType("Only gzip and identity content-encodings are supported", f"Got encoding={encoding!r}.")
    if not isinstance(content_type, str) or not _is_utf8(content_type):
        hint = f"content_type is {content_type!r}; give a media type, such as {DEFAULT_TYPE!r}."
        raise BadRequest(f"Invalid attachment data for {name}", hint)


def is_compressible(content_type: str) -> bool:
    """Whether CouchDB stores this media type compressed; parameters and case do not matter."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind.startswith("text/") or kind in COMPRESSIBLE


def gzip(data: bytes) -> bytes:
    """Compress to the very bytes that CouchDB stores (zlib level 8, no file time)."""
    packer = gzip_packer()
    return packer.compress(data) + packer.flush()


def gzip_packer() -> zlib._Compress:
    """The compressor of :func:`gzip`; in how many pieces it is fed does not change what comes out."""
    return zlib.compressobj(8, zlib.DEFLATED, 31)


def plain(stored: bytes, encoding: str | None, name: str, length_max: int) -> bytes:
    """Undo the storage encoding of the attachment ``name``.

    Raises BadRequest for what is no gzip, and TooLarge for what becomes longer than ``length_max``, before it does.
    """
    if encoding != "gzip":
        return stored
    pieces: list[bytes] = []
    room = min(length_max, SQLITE_INT_MAX - 1)
    # There may be several members, one after the other, and zeros behind them.
    while stored or not pieces:
        unpacker = zlib.decompressobj(47)
        try:
            pieces.append(unpacker.decompress(stored, room + 1))
        except zlib.error as exc:
            raise not_gzip(name) from exc
        room -= len(pieces[-1])
        if room < 0:
            hint = f"Unpacked it has more than {length_max} bytes. Read it by itself, as a stream, or as it is stored."
            raise TooLarge(f"The attachment {name!r} is too large to be unpacked in memory.", hint)
        if not unpacker.eof:
            raise not_gzip(name)
        stored = unpacker.unused_data.lstrip(b"\0")
    return b"".join(pieces)


def not_gzip(name: str) -> BadRequest:
    """The error for an attachment that was uploaded as what it is not."""
    return BadRequest("The attachment is marked as gzip but is not.", f"{name!r} was uploaded so; read it as stored.")


def digest_text(digest: bytes) -> str:
    """``md5-<base64>`` of raw digest bytes."""
    return "md5-" + b64encode(digest).decode()


def digest_bytes(text: str) -> bytes:
    """The raw bytes of a ``md5-<base64>`` digest that we wrote ourselves."""
    return b64decode(text[4:])


def given_digest(text: object) -> bytes:
    """The raw bytes of a ``md5-<base64>`` digest that somebody gave us. Raises BadRequest."""
    if isinstance(text, str) and text.startswith("md5-"):
        with suppress(binascii.Error, ValueError):
            raw = b64decode(text[4:], validate=True)
            if len(raw) == 16:
                return raw
    raise BadRequest("The digest of an attachment is 'md5-' and the base64 of an md5.", f"Got {text!r}.")


def check_name(name: object) -> str:
    """Return the name, or raise BadRequest."""
    if not isinstance(name, str):
        raise BadRequest("Attachment name is not UTF-8 encoded", f"Got {name!r}; give a str.")
    if name.startswith("_"):
        raise BadRequest(f"Attachment name '{name}' starts with prohibited character '_'", "Choose another name.")
    if not _is_utf8(name):
        raise BadRequest("Attachment name is not UTF-8 encoded", f"{name!r} holds a lone surrogate.")
    return name


def _is_utf8(text: str) -> bool:
    """Whether the text has no lone surrogate."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_attachments(members: Mapping[str, Any], doc_id: str) -> list[Content | Stub]:
    """Read a document's ``_attachments`` member, in its order.

    A member that is no object is ignored, as CouchDB does, and so is the ``data`` of one that says
    ``"stub": true``. ``data`` may be base64 text, bytes or :class:`Received`; bytes may be declared to be gzip
    with ``"encoding": "gzip"``, and then ``length`` is the plain content's, as when CouchDB replicates.
    """
    parsed: list[Content | Stub] = []
    for name, member in members.items():
        check_name(name)
        if not isinstance(member, Mapping):
            continue
        revpos = member.get("revpos")
        if revpos is not None and (type(revpos) is not int or not 0 <= revpos <= SQLITE_INT_MAX):
            raise BadRequest(
                f"Invalid attachment data for {name}", f"revpos is {revpos!r}; give an int or leave it out."
            )
        if member.get("stub") is True:
            parsed.append(Stub(name, revpos))
        else:
            parsed.append(_parse_content(name, member, revpos, doc_id))
    return parsed


def _parse_content(name: str, member: Mapping[str, Any], revpos: int | None, doc_id: str) -> Content:
    kind = member.get("content_type", DEFAULT_TYPE)
    data = member.get("data")
    if isinstance(data, (bytes, bytearray, memoryview, Received)):
        if isinstance(data, Received):
            check_described(name, kind, data.encoding)
            held = Content(name, kind, data.stored, data.digest, data.size, data.length, data.encoding, revpos)
        else:
            held = content(name, bytes(data), kind, encoding=member.get("encoding"), revpos=revpos)
        length = member.get("length")
        if member.get("encoding") and type(length) is int and 0 <= length <= SQLITE_INT_MAX:
            return replace(held, length=length)
        return held
    if not isinstance(data, str):
        raise BadRequest(
            f"Invalid attachment data for {name}",
            f"data of {doc_id!r} is {type(data).__name__}; give bytes or base64 text, or a stub.",
        )
    try:
        return content(name, _decoded(data), kind, revpos=revpos)
    except (binascii.Error, ValueError) as exc:
        raise BadRequest(f"Invalid attachment data for {name}", "data is not base64 text.") from exc


def _decoded(text: str) -> bytes:
    """The bytes of base64 text, which may be broken into lines. Raises ValueError."""
    if any(space in text for space in _WHITESPACE):
        text = "".join(text.split())
    if len(text) % 4:
        raise ValueError("It has no multiple of four characters.")
    return b64decode(text, validate=True)


def check_size(name: str, data: Any, limit: int) -> None:
    """Raise TooLarge, as CouchDB does, if ``data`` of an attachment has more bytes than that once it is no base64."""
    if isinstance(data, Received):
        size = data.length
    elif isinstance(data, str):
        size = len(data) // 4 * 3 - data.count("=", -2)
    else:
        size = len(data) if isinstance(data, (bytes, bytearray, memoryview)) else 0
    if size > limit:
        raise too_large(name, limit)


def too_large(name: str, limit: int) -> TooLarge:
    """The error for an attachment that is larger than a server takes."""
    return TooLarge(name, f"It may have {limit} bytes.", error="attachment_too_large")


def missing_stub(doc_id: str, name: str) -> MissingStub:
    """The error for a stub whose attachment the parent revision does not have."""
    return MissingStub(
        f"Invalid attachment stub in {doc_id} for {name}",
        "Send the attachment's data, or a stub (with its revpos, or none) of an attachment of the parent revision.",
    )
