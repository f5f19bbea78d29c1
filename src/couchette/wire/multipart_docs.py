"""Documents in multipart answers: the rows that a JSON answer would have, attachments as bytes.

``_bulk_get`` and ``open_revs`` answer ``multipart/mixed`` with a part for each revision: the document as JSON, or, when
attachments come along, a ``multipart/related`` of its own (:mod:`couchette.wire.multipart` has its form). A part whose
type says ``error="true"`` stands for a revision that is not there. Attachments travel as they are stored: gzip where
the part's Content-Encoding says so.
"""

from __future__ import annotations

from typing import Any

from couchette import jsonio
from couchette.errors import BadRequest, CouchetteError, NotCouchDB
from couchette.wire.multipart_reader import Data, Head, MultipartParser
from couchette.wire.transfer import Document

Row = dict[str, Any]


def read_rows(content_type: str, body: bytes) -> list[Row]:
    """The rows ``{"ok": doc}``, ``{"missing": rev}`` or ``{"error": {...}}`` of a ``multipart/mixed`` answer.

    Raises NotCouchDB for an answer that cannot be read.
    """
    try:
        return [_row(headers, content) for headers, content in _parts(content_type, body)]
    except BadRequest as exc:
        raise NotCouchDB("The multipart answer is not what CouchDB sends.", str(exc)) from exc


def _row(headers: dict[str, str], content: bytes) -> Row:
    kind = headers.get("content-type", "application/json")
    if kind.lower().startswith("multipart/"):
        return {"ok": read_related(kind, content)}
    value = _json(content)
    if 'error="true"' not in kind:
        return {"ok": value}
    return {"missing": value["missing"]} if "missing" in value else {"error": value}


def read_related(content_type: str, body: bytes) -> Document:
    """The document of a ``multipart/related`` body. Its attachments follow in the order in which it lists them."""
    parts = _parts(content_type, body)
    if not parts:
        raise BadRequest("A multipart document has no parts.", "The first one is the document as JSON.")
    doc: Document = _json(parts[0][1])
    attachments = doc.get("_attachments") or {}
    followers = [entry for entry in attachments.values() if isinstance(entry, dict) and entry.pop("follows", False)]
    if len(followers) > len(parts) - 1:
        raise BadRequest("A multipart document lacks attachments.", f"{len(followers)} should follow it.")
    for entry, (headers, content) in zip(followers, parts[1:], strict=False):
        entry["data"] = content
        if headers.get("content-encoding", "").lower() == "gzip":
            entry["encoding"] = "gzip"
    return doc


def _parts(content_type: str, body: bytes) -> list[tuple[dict[str, str], bytes]]:
    """All parts of a body that is there as a whole."""
    parser = MultipartParser(content_type)
    heads: list[dict[str, str]] = []
    contents: list[list[bytes]] = []
    for event in parser.feed(body):
        if isinstance(event, Head):
            heads.append(event.headers)
            contents.append([])
        elif isinstance(event, Data):
            contents[-1].append(event.content)
    parser.finish()
    return [(headers, b"".join(pieces)) for headers, pieces in zip(heads, contents, strict=True)]


def _json(content: bytes) -> Any:
    try:
        value = jsonio.loads(content)
    except CouchetteError as exc:
        raise BadRequest("A part is not JSON.", f"It holds {content[:100]!r}.") from exc
    if not isinstance(value, dict):
        raise BadRequest("A part is no JSON object.", f"It holds {content[:100]!r}.")
    return value
