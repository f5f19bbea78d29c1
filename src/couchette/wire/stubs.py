"""Which attachments of a document travel, and in what form.

Attachments are what makes a transfer expensive, so a document first comes with stubs. An attachment that
is not younger than a revision which the target holds stays a stub: the target has its bytes. The others
are fetched and filled in. Their ``data`` is base64 text, or bytes as the store keeps them: gzip when
``encoding`` says so.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

from couchette import jsonio
from couchette.document.attachment import plain
from couchette.document.stored import StoredDoc
from couchette.errors import BadRequest
from couchette.limits import ATTACHMENT_UNPACKED_BYTES
from couchette.wire.content import Content
from couchette.wire.transfer import Document


def needed_attachments(doc: Document, ancestors: Iterable[str]) -> list[str]:
    """The names of the stubs in ``doc`` that a target with these leaves cannot fill from its own.

    ``revpos`` is the depth of the revision that brought the attachment. One without it, or with the 0 of
    an upload that named none, proves nothing and is needed.
    """
    stubbed = stubs(doc)
    known = _known_position(doc, ancestors) if stubbed else 0
    return [name for name, entry in stubbed if not 0 < _revpos(entry) <= known]


def stubs(doc: Document) -> list[tuple[str, dict[str, Any]]]:
    """The attachments of ``doc`` that came without their data."""
    attachments = doc.get("_attachments")
    if not isinstance(attachments, dict):
        return []
    return [(name, entry) for name, entry in attachments.items() if isinstance(entry, dict) and "data" not in entry]


def attachment_bytes(doc: Document, names: Iterable[str]) -> int:
    """How many bytes these attachments have, as their stubs say."""
    attachments = doc["_attachments"]
    lengths = (attachments[name].get("length") for name in names)
    return sum(length for length in lengths if isinstance(length, int))


def fill(doc: Document, name: str, data: str | bytes | Content) -> None:
    """Give the attachment ``name`` its data, in place."""
    entry = doc["_attachments"][name]
    entry.pop("stub", None)
    entry["data"] = data


def inlined(doc: Document) -> Document:
    """``doc`` as JSON can carry it: attachment bytes become base64 text of the plain content.

    Raises TooLarge for gzip that becomes far longer than its entry says; ``multipart/related`` carries it as it is.
    """
    attachments = doc.get("_attachments")
    if not isinstance(attachments, dict) or not any(isinstance(_data(entry), bytes) for entry in attachments.values()):
        return doc
    return {**doc, "_attachments": {name: _inlined_entry(name, entry) for name, entry in attachments.items()}}


def encode(doc: Document) -> bytes:
    """The JSON text of ``doc``, attachment bytes as base64. Raises TooLarge as :func:`inlined` does."""
    return doc.json() if isinstance(doc, StoredDoc) else jsonio.dumps(inlined(doc))


def _inlined_entry(name: str, entry: Any) -> Any:
    data = _data(entry)
    if not isinstance(data, bytes):
        return entry
    plain = _decompressed(name, entry, data) if entry.get("encoding") == "gzip" else data
    kept = {name: value for name, value in entry.items() if name not in ("encoding", "encoded_length", "digest")}
    return {**kept, "data": base64.b64encode(plain).decode("ascii")}


def _decompressed(name: str, entry: Mapping[str, Any], data: bytes) -> bytes:
    """The plain content; an upload that only said that it was gzip goes on as it came. Raises TooLarge."""
    length = entry.get("length")
    said = length if isinstance(length, int) and length > 0 else len(data)
    try:
        return plain(data, "gzip", name, said + ATTACHMENT_UNPACKED_BYTES)
    except BadRequest:
        return data


def _data(entry: Any) -> Any:
    return entry.get("data") if isinstance(entry, dict) else None


def _revpos(entry: Mapping[str, Any]) -> int:
    revpos = entry.get("revpos")
    return revpos if isinstance(revpos, int) else 0


def _known_position(doc: Document, ancestors: Iterable[str]) -> int:
    """The depth of the youngest of ``ancestors`` on the path of this revision; 0 for none."""
    start, ids = doc["_revisions"]["start"], doc["_revisions"]["ids"]
    path = {f"{start - index}-{rev_id}": start - index for index, rev_id in enumerate(ids)}
    return max((path.get(rev, 0) for rev in ancestors), default=0)
