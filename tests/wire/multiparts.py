"""Whole multipart bodies, for tests that read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from couchette.wire.multipart import Part, _content_headers, json_part, streamed_parts, streamed_related


@dataclass(frozen=True)
class Multipart:
    """A body with the Content-Type that names its boundary."""

    content_type: str
    content: bytes

    def as_part(self, headers: Mapping[str, str] | None = None) -> Part:
        """This body as a part of an outer one."""
        return Part({**(headers or {}), "Content-Type": self.content_type}, self.content)


def write(kind: str, parts: Iterable[Part]) -> Multipart:
    """A body of this kind."""
    content_type, pieces = streamed_parts(kind, ((part.headers, (part.content,)) for part in parts))
    return Multipart(content_type, b"".join(pieces))


def sent(doc: Mapping[str, Any]) -> Multipart:
    """A document as it is sent with its attachments, which are bytes, behind it."""
    body = streamed_related(doc, digests=True)
    return Multipart(body.content_type, b"".join(piece for piece in body.pieces if isinstance(piece, bytes)))


def related(doc: Mapping[str, Any]) -> Multipart:
    """The same, where the entries may say of the attachments what they like."""
    listed: dict[str, Any] = {}
    contents: list[Part] = []
    for name, member in doc["_attachments"].items():
        data = member.get("data")
        listed[name] = member
        if data is not None:
            entry = {key: value for key, value in member.items() if key != "data"}
            listed[name] = {**entry, "length": entry.get("length", len(data)), "follows": True}
            contents.append(Part(_content_headers(name, entry, len(data)), data))
    return write("multipart/related", [json_part({**doc, "_attachments": listed}), *contents])
