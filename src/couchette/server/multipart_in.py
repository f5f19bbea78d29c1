"""Multipart requests, read: a document whose attachments follow it.

The parser works as bytes arrive and takes any multipart kind. CouchDB matches the parts to the
attachments that say ``follows`` by their order alone; names in the parts' headers are not looked at.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from hashlib import md5
from itertools import count
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from couchette import workers
from couchette.document.attachment import digest_text, too_large
from couchette.errors import BadContentType, BadRequest, DigestMismatch, TooLarge
from couchette.limits import REQUEST_HELD_BYTES_MAX
from couchette.server.request import parsed

HEADERS_MAX: Final = 32
HEADER_BYTES_MAX: Final = 16 * 1024
"""A part's headers hold an attachment's name, which may be long."""

_silent = logging.Logger("couchette.server.multipart_in", logging.CRITICAL)
"""The parser logs what it is about to raise; the client is told, and that is enough."""


@dataclass
class ReceivedPart:
    """A part as it arrived: headers by lower-case name, and content."""

    headers: dict[str, str] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


class MultipartReader:
    """Takes a multipart body as it comes and keeps its parts.

    Raises BadRequest for a body that is no multipart with this Content-Type's boundary.
    """

    def __init__(self, content_type: str) -> None:
        self.parts: list[ReceivedPart] = []
        """The parts so far; the last one may be incomplete until :meth:`finish`."""
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise BadRequest("The multipart Content-Type has no boundary.", f"Got {content_type!r}.")
        self._delimiter = b"--" + boundary
        self._preamble: bytes | None = b"\r\n"
        self._name = bytearray()
        self._value = bytearray()
        self._ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_part_data": self._take_data,
                    "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
                    "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
                    "on_header_end": self._end_header,
                    "on_end": self._end,
                },
                max_header_count=HEADERS_MAX,
                max_header_size=HEADER_BYTES_MAX,
            )
        except FormParserError as exc:
            raise BadRequest("The multipart boundary cannot be used.", str(exc)) from exc
        self._parser.logger = _silent

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body."""
        if self._preamble is not None:
            data = self._skip_preamble(self._preamble + data)
        if not data or self._ended:
            return
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise BadRequest("The multipart body cannot be read.", f"{exc}.") from exc

    def finish(self) -> list[ReceivedPart]:
        """All parts, once the whole body was fed."""
        if not self._ended:
            raise BadRequest("The multipart body is incomplete.", "Its last boundary, which ends in `--`, is missing.")
        return self.parts

    @property
    def ended(self) -> bool:
        """Whether the last boundary has come; what follows it is ignored."""
        return self._ended

    def _skip_preamble(self, data: bytes) -> bytes:
        """What follows the text before the first boundary, which the parser cannot skip; empty while there is none."""
        start = data.find(b"\r\n" + self._delimiter)
        if start < 0:
            self._preamble = data[-1 - len(self._delimiter) :]  # The boundary may have begun; the rest is of no use.
            return b""
        self._preamble = None
        return data[start:]

    def _begin_part(self) -> None:
        self.parts.append(ReceivedPart())

    def _take_data(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += memoryview(data)[start:end]

    def _end_header(self) -> None:
        name = self._name.decode("latin-1").lower()
        self.parts[-1].headers[name] = self._value.decode("utf-8", "replace").strip()
        self._name.clear()
        self._value.clear()

    def _end(self) -> None:
        self._ended = True


def read_related(content_type: str, body: bytes) -> Any:
    """The document of a ``multipart/related`` body, its attachments' ``data`` as bytes."""
    reader = MultipartReader(content_type)
    reader.feed(body)
    parts = iter(reader.finish())
    doc = _document(next(parts, None))
    for name, member in _following(doc).items():
        part = next(parts, None)
        if part is None:
            raise _no_part(name)
        data = bytes(part.content)
        _check_content(name, member, data)
        doc["_attachments"][name] = {**member, "data": data}
    return doc


async def receive_related(content_type: str, body: AsyncIterator[bytes], limit: int | None = None) -> Any:
    """The same of a body that is arriving: returns when the document is there.

    The attachments' ``data`` are then asynchronous iterators over their parts, to be read in the order of
    ``_attachments``. ``length`` and ``digest`` are left to whoever reads them. They raise TooLarge for one that has
    more than ``limit`` bytes.
    """
    arriving = _Arriving(MultipartReader(content_type), body)
    doc = await workers.in_thread(_document, await arriving.whole(0))
    for position, (name, member) in enumerate(_following(doc).items(), 1):
        checked = member if not _is_encoded(member) else {k: v for k, v in member.items() if k != "digest"}
        doc["_attachments"][name] = {**checked, "data": _Arrivals(arriving, position, name, limit)}
    return doc


@dataclass(frozen=True)
class ArrivingPart:
    """A part whose headers have arrived, while its content arrives. Read it before the next part."""

    headers: dict[str, str]
    content: AsyncIterator[bytes]


class ArrivingParts:
    """The parts of a body that is arriving, one after the other, such as the fields and files of a form."""

    def __init__(self, content_type: str, body: AsyncIterator[bytes]) -> None:
        self._arriving = _Arriving(MultipartReader(content_type), body)
        self._positions = count()

    def __aiter__(self) -> AsyncIterator[ArrivingPart]:
        return self

    async def __anext__(self) -> ArrivingPart:
        position = next(self._positions)
        part = await self._arriving.part(position)
        if part is None:
            raise StopAsyncIteration
        # Content comes after all headers.
        while not part.content and not self._arriving.is_whole(position):
            await self._arriving.more()
        return ArrivingPart(part.headers, _Arrivals(self._arriving, position, "of the form"))


class _Arriving:
    """The parts of a body that is still arriving."""

    def __init__(self, reader: MultipartReader, body: AsyncIterator[bytes]) -> None:
        self._reader = reader
        self._body = body

    async def part(self, position: int) -> ReceivedPart | None:
        """The part at this position, once it began; None where the body ends before it."""
        while len(self._reader.parts) <= position:
            if self._reader.ended:
                return None
            await self.more()
        return self._reader.parts[position]

    async def whole(self, position: int) -> ReceivedPart | None:
        """The part at this position with all of its content. Raises TooLarge for more of it than can be held."""
        part = await self.part(position)
        while not self.is_whole(position):
            await self.more()
            if part is not None and len(part.content) > REQUEST_HELD_BYTES_MAX:
                hint = f"Its document has more than {REQUEST_HELD_BYTES_MAX} bytes."
                raise TooLarge("the request entity is too large", hint)
        return part

    def is_whole(self, position: int) -> bool:
        """Whether this part's content can grow no more."""
        return self._reader.ended or len(self._reader.parts) > position + 1

    async def more(self) -> None:
        """Wait for the next piece of the body."""
        piece = await anext(self._body, None)
        if piece is None:
            self._reader.finish()
        else:
            self._reader.feed(piece)


class _Arrivals:
    """The content of one part as it arrives."""

    def __init__(self, arriving: _Arriving, position: int, name: str, limit: int | None = None) -> None:
        self._arriving = arriving
        self._position = position
        self._name = name
        self._limit = limit
        self._size = 0

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        part = await self._arriving.part(self._position)
        if part is None:
            raise _no_part(self._name)
        while not part.content:
            if self._arriving.is_whole(self._position):
                raise StopAsyncIteration
            await self._arriving.more()
        content = bytes(part.content)
        part.content.clear()
        self._size += len(content)
        if self._limit is not None and self._size > self._limit:
            raise too_large(self._name, self._limit)
        return content


def _document(root: ReceivedPart | None) -> Any:
    """The document, which is the first part."""
    if root is None or root.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadContentType("Content-Type must be application/json", "The first part must be the document.")
    return parsed(bytes(root.content))


def _following(doc: Any) -> dict[str, dict[str, Any]]:
    """The attachments whose content comes in parts of their own, in the order of these."""
    members = doc.get("_attachments") if isinstance(doc, dict) else None
    if not isinstance(members, dict):
        return {}
    return {
        name: {key: value for key, value in member.items() if key != "follows"}
        for name, member in members.items()
        if isinstance(member, dict) and member.get("follows") is True
    }


def _no_part(name: str) -> BadRequest:
    return BadRequest("attachment shorter than expected", f"The body ends before the part of {name!r}, which follows.")


def _is_encoded(member: dict[str, Any]) -> bool:
    return member.get("encoding") not in (None, "identity")


def _check_content(name: str, member: dict[str, Any], data: bytes) -> None:
    """A part must be what its entry says: this many bytes and, where they are not compressed, this md5."""
    encoded = _is_encoded(member)
    expected = member.get("encoded_length") if encoded else member.get("length")
    if isinstance(expected, int) and len(data) != expected:
        comparison = "longer" if len(data) > expected else "shorter"
        raise BadRequest(f"attachment {comparison} than expected", f"{name!r} has {len(data)} bytes, not {expected}.")
    digest = member.get("digest")
    if not encoded and isinstance(digest, str) and digest.startswith("md5-"):
        actual = digest_text(md5(data, usedforsecurity=False).digest())
        if digest != actual:
            raise DigestMismatch("Possible message corruption.", f"{name!r} has {actual}, not {digest} as announced.")
