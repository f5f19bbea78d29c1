"""Multipart requests, read: a document whose attachments follow it.

The parser works as bytes arrive and takes any multipart kind. CouchDB matches the parts to the
attachments that say ``follows`` by their order alone; names in the parts' headers are not looked at.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import md5
from typing import Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from couchette import jsonio
from couchette.errors import BadContentType, BadRequest

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
        self._preamble: bytes | None = b""
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

    def _skip_preamble(self, data: bytes) -> bytes:
        """What follows the text before the first boundary, which the parser cannot skip; empty while there is none."""
        start = 0 if data.startswith(self._delimiter) else data.find(b"\r\n" + self._delimiter)
        if start < 0:
            self._preamble = data
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
    root = next(parts, None)
    if root is None or root.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadContentType("Content-Type must be application/json", "The first part must be the document.")
    doc = jsonio.loads(bytes(root.content))
    if isinstance(doc, dict) and isinstance(doc.get("_attachments"), dict):
        doc["_attachments"] = dict(_filled(doc["_attachments"], parts))
    return doc


def _filled(members: dict[str, Any], parts: Iterator[ReceivedPart]) -> Iterator[tuple[str, Any]]:
    """The attachments, each that ``follows`` with the content of the next part."""
    for name, member in members.items():
        if not isinstance(member, dict) or member.get("follows") is not True:
            yield name, member
            continue
        part = next(parts, None)
        if part is None:
            raise BadRequest(
                "attachment shorter than expected", f"The body ends before the part of {name!r}, which follows."
            )
        data = bytes(part.content)
        _check_content(name, member, data)
        yield name, {**{key: value for key, value in member.items() if key != "follows"}, "data": data}


def _check_content(name: str, member: dict[str, Any], data: bytes) -> None:
    """A part must be what its entry says: this many bytes and, where they are not compressed, this md5."""
    encoded = member.get("encoding") not in (None, "identity")
    expected = member.get("encoded_length") if encoded else member.get("length")
    if isinstance(expected, int) and len(data) != expected:
        comparison = "longer" if len(data) > expected else "shorter"
        raise BadRequest(f"attachment {comparison} than expected", f"{name!r} has {len(data)} bytes, not {expected}.")
    digest = member.get("digest")
    if not encoded and isinstance(digest, str) and digest.startswith("md5-"):
        actual = "md5-" + b64encode(md5(data, usedforsecurity=False).digest()).decode()
        if digest != actual:
            raise BadRequest("attachment digest does not match its content", f"{name!r} is {actual}, not {digest}.")
