"""Multipart bodies, written: a document with its attachments' bytes beside it, several documents in one answer.

CouchDB sends attachments as ``multipart/related``: first the document as JSON, where each attachment
that comes along says ``"follows": true``, then one part for each of them in the same order. Several
revisions travel as ``multipart/mixed``, where a revision with attachments is a ``multipart/related`` itself.
"""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from couchette import jsonio
from couchette.wire.content import Content

JSON_TYPE = "application/json"
JSON_ERROR_TYPE = 'application/json; error="true"'


@dataclass(frozen=True)
class Part:
    """One part: its headers and its content."""

    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Frame:
    """What stands around the parts' contents: a head before each of them, and the end."""

    content_type: str
    heads: list[bytes]
    end: bytes


def frame(kind: str, parts_headers: Iterable[Mapping[str, str]]) -> Frame:
    """The frame of a body of this kind (``multipart/mixed``...) with a boundary that cannot occur in it."""
    boundary = secrets.token_hex(16)
    heads: list[bytes] = []
    delimiter = b"--" + boundary.encode()
    for headers in parts_headers:
        heads.append(delimiter + b"\r\n" + _header_lines(headers) + b"\r\n")
        delimiter = b"\r\n--" + boundary.encode()
    return Frame(f'{kind}; boundary="{boundary}"', heads, delimiter + b"--")


def streamed_parts(
    kind: str, parts: Iterable[tuple[Mapping[str, str], Iterable[bytes]]]
) -> tuple[str, Iterator[bytes]]:
    """The Content-Type of a body of this kind, and its text, made of the headers and pieces of each part in turn."""
    boundary = secrets.token_hex(16)
    return f'{kind}; boundary="{boundary}"', _streamed(b"--" + boundary.encode(), parts)


def _streamed(delimiter: bytes, parts: Iterable[tuple[Mapping[str, str], Iterable[bytes]]]) -> Iterator[bytes]:
    before = b""
    for headers, pieces in parts:
        yield before + delimiter + b"\r\n" + _header_lines(headers) + b"\r\n"
        yield from pieces
        before = b"\r\n"
    yield before + delimiter + b"--"


def _header_lines(headers: Mapping[str, str]) -> bytes:
    return b"".join(f"{name}: {_one_line(value)}\r\n".encode() for name, value in headers.items())


def _one_line(value: str) -> str:
    """A header's value without the line breaks that would end it; ids and names may hold any character."""
    return value.replace("\r", "%0D").replace("\n", "%0A")


def json_part(value: object, *, error: bool = False) -> Part:
    """A JSON value as a part; ``error`` marks it as one that stands for a missing revision."""
    return Part({"Content-Type": JSON_ERROR_TYPE if error else JSON_TYPE}, jsonio.dumps(value))


def has_attachments(doc: Mapping[str, Any]) -> bool:
    """Whether a document is sent as ``multipart/related`` at all."""
    return bool(doc.get("_attachments"))


@dataclass(frozen=True)
class StreamedMultipart:
    """A multipart body of known length, parts of which are read only when it is sent."""

    content_type: str
    length: int
    pieces: Sequence[bytes | Content]


def streamed_related(doc: Mapping[str, Any], *, digests: bool = False) -> StreamedMultipart:
    """A document as ``multipart/related``: attachments with ``data`` follow it, stubs stay stubs.

    The data are bytes, base64 text, or a Content. Bytes go out as they are: with ``"encoding": "gzip"`` they are gzip,
    and the receiver stores them so.
    ``digests`` says that those of the attachments are of the bytes that follow, and may be told.
    """
    listed: dict[str, Any] = {}
    followers: list[tuple[dict[str, str], bytes | Content]] = []
    for name, member in doc["_attachments"].items():
        data = member.get("data")
        if data is None:
            listed[name] = member
            continue
        content = base64.b64decode(data) if isinstance(data, str) else data
        length = len(content) if isinstance(content, bytes) else content.length
        entry = {key: value for key, value in member.items() if key != "data" and (digests or key != "digest")}
        entry[_length_member(entry)] = length
        listed[name] = {**entry, "follows": True}
        followers.append((_content_headers(name, entry, length), content))
    boundary = secrets.token_hex(16)
    delimiter = b"\r\n--" + boundary.encode()
    head = json_part({**doc, "_attachments": listed})
    pieces: list[bytes | Content] = [delimiter[2:], b"\r\n", _header_lines(head.headers), b"\r\n", head.content]
    for headers, content in followers:
        pieces += (delimiter + b"\r\n" + _header_lines(headers) + b"\r\n", content)
    pieces.append(delimiter + b"--")
    length = sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
    return StreamedMultipart(f'multipart/related; boundary="{boundary}"', length, pieces)


def _length_member(entry: Mapping[str, Any]) -> str:
    """Which member says how long the part is: of compressed content ``length`` is what it expands to."""
    return "encoded_length" if entry.get("encoding") else "length"


def _content_headers(name: str, entry: Mapping[str, Any], length: int) -> dict[str, str]:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    headers = {
        "Content-Disposition": f'attachment; filename="{quoted}"',
        "Content-Type": entry.get("content_type", "application/octet-stream"),
        "Content-Length": str(length),
    }
    if entry.get("encoding"):
        headers["Content-Encoding"] = entry["encoding"]
    return headers
