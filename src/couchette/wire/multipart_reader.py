"""Multipart bodies, read as they arrive (RFC 2046, 5.1).

The parser takes the body in pieces of any size and gives events: a part's headers, pieces of its content, its end. It
holds back only what may be the beginning of a delimiter, so content of any length costs no memory. A part that is a
multipart body itself is read by a parser of its own, which is fed with the outer one's content.

A delimiter is a line break, two hyphens and the boundary; it counts only where a line break, spaces or two hyphens
follow, as one boundary may begin like another.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from couchette.errors import BadRequest

HEAD_BYTES_MAX: Final = 64 * 1024
"""A part's headers hold an attachment's name, which may be long; more than this is no head."""

PIECE_BYTES: Final = 64 * 1024
"""A longer piece is read as several: each part copies what follows it in the piece."""

_BOUNDARY: Final = re.compile(r';\s*boundary=(?:"((?:[^"\\]|\\.)*)"|([^;\s]+))', re.IGNORECASE)
_CRLF: Final = b"\r\n"


@dataclass(frozen=True)
class Head:
    """A part begins: its headers by lower-case name."""

    headers: dict[str, str]


@dataclass(frozen=True)
class Data:
    """A piece of the part's content."""

    content: bytes


@dataclass(frozen=True)
class End:
    """The part is complete."""


Event = Head | Data | End


class _State(Enum):
    PREAMBLE = auto()
    HEAD = auto()
    BLANK = auto()
    """At the line break that ends a head. Where a part has no content at all it begins the next delimiter."""
    CONTENT = auto()
    EPILOGUE = auto()


class MultipartParser:
    """Reads one body; ``content_type`` is its header, which names the boundary. Raises BadRequest for what is none."""

    def __init__(self, content_type: str) -> None:
        self._delimiter = b"\r\n--" + boundary_of(content_type).encode("utf-8")
        self._state = _State.PREAMBLE
        self._rest = _CRLF  # The first delimiter may begin the body, without a line break.

    @property
    def ended(self) -> bool:
        """Whether the last delimiter has come. What follows it means nothing."""
        return self._state is _State.EPILOGUE

    def feed(self, data: bytes) -> Iterator[Event]:
        """Take the next bytes and give the events that they complete; run it to its end before the next call."""
        for first in range(0, len(data), PIECE_BYTES):
            self._rest += data[first : first + PIECE_BYTES]
            while (yield from self._step()):
                continue

    def finish(self) -> None:
        """Check, once everything was fed, that the body is whole."""
        if not self.ended:
            raise BadRequest("The multipart body is incomplete.", "Its last boundary, which ends in `--`, is missing.")

    def _step(self) -> Generator[Event, None, bool]:
        """Read on; whether it got anywhere, or must wait for more bytes."""
        if self._state is _State.HEAD:
            return (yield from self._read_head())
        if self._state is _State.BLANK:
            return self._read_blank()
        if self._state is _State.EPILOGUE:
            self._rest = b""
            return False
        return (yield from self._read_to_delimiter())

    def _read_head(self) -> Generator[Event, None, bool]:
        """Read a part's headers. The line break that ends the delimiter is still there, so an empty head has two."""
        end = self._rest.find(_CRLF + _CRLF)
        if max(end, len(self._rest) if end < 0 else 0) > HEAD_BYTES_MAX:
            raise BadRequest("The multipart body cannot be read.", f"A part's head exceeds {HEAD_BYTES_MAX} bytes.")
        if end < 0:
            return False
        head, self._rest = self._rest[:end], self._rest[end + 2 :]
        self._state = _State.BLANK
        yield Head(_headers(head))
        return True

    def _read_blank(self) -> bool:
        if len(self._rest) < len(self._delimiter) and self._delimiter.startswith(self._rest):
            return False
        if not self._rest.startswith(self._delimiter):
            self._rest = self._rest[2:]
        self._state = _State.CONTENT
        return True

    def _read_to_delimiter(self) -> Generator[Event, None, bool]:
        """Give the content up to the next delimiter; in the preamble it means nothing."""
        start = 0
        while True:
            found = self._rest.find(self._delimiter, start)
            if found < 0:
                keep = len(self._delimiter) - 1
                yield from self._content(max(len(self._rest) - keep, 0))
                return False
            after = self._rest[found + len(self._delimiter) :]
            kind = _what_follows(after)
            if kind is None:
                yield from self._content(found)
                return False
            if kind is not _Following.CONTENT:
                break
            start = found + 1
        yield from self._content(found)
        if self._state is _State.CONTENT:
            yield End()
        self._rest = b"" if kind is _Following.LAST else after[after.index(_CRLF) :]
        self._state = _State.EPILOGUE if kind is _Following.LAST else _State.HEAD
        return True

    def _content(self, length: int) -> Iterator[Event]:
        """Give so many bytes of what waits."""
        if length and self._state is _State.CONTENT:
            yield Data(self._rest[:length])
        self._rest = self._rest[length:]


class _Following(Enum):
    """What the bytes after something that looks like a delimiter say of it."""

    PART = auto()
    LAST = auto()
    CONTENT = auto()


def _what_follows(after: bytes) -> _Following | None:
    """None while more bytes must come to tell."""
    if after.startswith(b"--"):
        return _Following.LAST
    line = after.lstrip(b" \t")
    if line.startswith(_CRLF):
        return _Following.PART
    if line in (b"", b"\r") or after == b"-":
        return None
    return _Following.CONTENT


def boundary_of(content_type: str) -> str:
    """The boundary that a multipart Content-Type names; BadRequest where it names none."""
    match = _BOUNDARY.search(content_type)
    boundary = "" if match is None else re.sub(r"\\(.)", r"\1", match[1]) if match[1] is not None else match[2]
    if not boundary or not content_type.lstrip().lower().startswith("multipart/"):
        raise BadRequest("The Content-Type names no multipart boundary.", f"Got {content_type[:200]!r}.")
    return boundary


def _headers(head: bytes) -> dict[str, str]:
    """The headers of a part. Names and values are UTF-8, as CouchDB writes the names of attachments."""
    lines = re.sub(rb"\r\n[ \t]+", b" ", head).split(_CRLF)
    pairs = (line.decode("utf-8", "replace").partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
