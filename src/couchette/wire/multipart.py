"""Multipart bodies, written: a document with its attachments' bytes beside it, several documents in one answer.

CouchDB sends attachments as ``multipart/related``: first the document as JSON, where each attachment
that comes along says ``"follows": true``, then one part for each of them in the same order. Several
revisions travel as ``multipart/mixed``, where a revision with attachments is a ``multipart/related`` itself.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from couchette import jsonio

JSON_TYPE = "application/json"
JSON_ERROR_TYPE = 'application/json; error="true"'


@dataclass(frozen=True)
class Part:
    """One part: its headers and its content."""

    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Multipart:
    """A whole multipart body with the Content-Type that names its boundary."""

    content_type: str
    content: bytes

    def as_part(self, headers: Mapping[str, str] | None = None) -> Part:
        """This body as a part of an outer one."""
        return Part({**(headers or {}), "Content-Type": self.content_type}, self.content)


def write(kind: str, parts: Iterable[Part]) -> Multipart:
    """A body of this kind (``multipart/mixed``...) with a boundary that cannot occur in it."""
    boundary = secrets.token_hex(16)
    delimiter = b"\r\n--" + boundary.encode()
    pieces: list[bytes] = []
    for part in parts:
        pieces += (delimiter, b"\r\n", _header_lines(part.headers), b"\r\n", part.content)
    pieces += (delimiter, b"--")
    return Multipart(f'{kind}; boundary="{boundary}"', b"".join(pieces).removeprefix(b"\r\n"))


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


def related(doc: Mapping[str, Any]) -> Multipart:
    """A document as ``multipart/related``; attachments whose ``data`` is bytes follow it, stubs stay stubs.

    The bytes go out as they are: with ``"encoding": "gzip"`` they are gzip, and the receiver stores them so.
    """
    listed: dict[str, Any] = {}
    contents: list[Part] = []
    for name, member in doc["_attachments"].items():
        data = member.get("data")
        if data is None:
            listed[name] = member
            continue
        entry = {key: value for key, value in member.items() if key != "data"}
        entry.setdefault("length", len(data))
        listed[name] = {**entry, "follows": True}
        contents.append(Part(_content_headers(name, entry, len(data)), data))
    return write("multipart/related", [json_part({**doc, "_attachments": listed}), *contents])


def _content_headers(name: str, entry: Mapping[str, Any], length: int) -> dict[str, str]:
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    headers = {
        "Content-Disposition": f'attachment; filename="{quoted}"',
        "Content-Type": entry["content_type"],
        "Content-Length": str(length),
    }
    if entry.get("encoding"):
        headers["Content-Encoding"] = entry["encoding"]
    return headers
