"""Documents on their way from one file to another, or to the wire, that nobody looks into.

Nearly every document that replicates is ordinary: no attachments, a linear history. It then need not be read to be
moved: the text of its body and the bytes of its path are what the other file stores, and all but what JSON says.

:meth:`StoredDoc.json` makes the document's text around them, and :func:`read_stored` takes such a text apart again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from couchette import jsonio
from couchette.document.body import plain_body
from couchette.document.revision import pack_path, unpack_path
from couchette.limits import SQLITE_INT_MAX

Doc = dict[str, Any]
_decode = msgspec.json.Decoder().decode
_FIRST: Final = object()
"""Stands for the ``_revisions`` of a document that has none, which may be a first revision."""


class StoredDoc(Mapping[str, Any]):
    """A revision with its ``_revisions``, as a read-only document that is parsed when it is looked into.

    Attributes:
        path: the ids of the revision and its ancestors, newest first, 16 bytes each.
        body: the JSON text of the members that are not CouchDB's; orjson reads it exactly.
    """

    __slots__ = ("_doc", "body", "deleted", "id", "path", "rev")

    def __init__(self, id: str, rev: str, path: bytes, deleted: bool, body: bytes) -> None:
        self.id = id
        self.rev = rev
        self.path = path
        self.deleted = deleted
        self.body = body
        self._doc: Doc | None = None

    def json(self) -> bytes:
        """The document's JSON text, made without reading its body."""
        number, _, newest = self.rev.partition("-")
        ids = self.path.hex(",", 16).replace(",", '","')
        deleted = b'"_deleted":true,' if self.deleted else b""
        own = b'{"_id":%b,"_rev":"%b-%b",%b"_revisions":{"start":%b,"ids":["%b"]}}' % (
            jsonio.dumps(self.id),
            number.encode(),
            newest.encode(),
            deleted,
            number.encode(),
            ids.encode(),
        )
        return with_members(self.body, own)

    def _own(self) -> Doc:
        """CouchDB's members."""
        own: Doc = {"_id": self.id, "_rev": self.rev}
        if self.deleted:
            own["_deleted"] = True
        own["_revisions"] = {"start": int(self.rev.partition("-")[0]), "ids": unpack_path(self.path)}
        return own

    def _read(self) -> Doc:
        if self._doc is None:
            self._doc = {**jsonio.loads(self.body), **self._own()}
        return self._doc

    def __getitem__(self, name: str) -> Any:
        if name == "_id":
            return self.id
        return self.rev if name == "_rev" else self._read()[name]

    def get(self, name: str, default: Any = None) -> Any:
        """As a dict's; it has no attachments."""
        return default if name == "_attachments" else self._read().get(name, default)

    def __iter__(self) -> Iterator[str]:
        return iter(self._read())

    def __len__(self) -> int:
        return len(self._read())

    def __repr__(self) -> str:
        return f"StoredDoc({self.id!r}, {self.rev!r})"


def with_members(body: bytes, own: bytes) -> bytes:
    """The text of a document: of its body, and of an object with CouchDB's members, which is not empty."""
    return own if body == b"{}" else b"%b,%b" % (body[:-1], own[1:])


def read_stored(text: bytes | memoryview, id: str, rev: str) -> StoredDoc | None:
    """The ordinary document that a JSON text holds, if it is this revision and its whole history is known.

    The history is in its ``_revisions``; a first revision that is no tombstone needs none. None for everything else,
    which is left to a closer look: another revision, attachments, what only ``body.split`` can judge.
    """
    text = bytes(text)
    try:
        doc = _decode(text)
        found, deleted = (doc.pop("_id"), doc.pop("_rev")), doc.pop("_deleted", False)
    except (msgspec.DecodeError, AttributeError, LookupError, RecursionError, TypeError, UnicodeError):
        return None
    revisions = doc.pop("_revisions", _FIRST)
    path = _path(rev, revisions)
    body = plain_body(doc, hashed=True)  # No JSON text holds a NaN.
    if path is None or body is None or found != (id, rev) or type(deleted) is not bool:
        return None
    if deleted and revisions is _FIRST:
        return None  # Some servers' feeds leave out what a tombstone holds.
    # A name that stands twice was lost with its colon, as in jsonio. Where the body stands in the text as we write it,
    # only the members around it are left to be looked at; they have some colons, too.
    colons = 2 + id.count(":") + rev.count(":") + deleted + (0 if revisions is _FIRST else 3)
    same = len(body) - 1 if text.startswith(body[:-1]) else 0
    if text.count(b":", same) != colons + (0 if same else body.count(b":")) or text.find(rb"\u003", same) >= 0:
        return None
    return StoredDoc(id, rev, path, deleted, body)


def _path(rev: str, revisions: Any) -> bytes | None:
    """The packed history of a revision, if that is what its ``_revisions`` are."""
    try:
        start, ids = (1, [rev.removeprefix("1-")]) if revisions is _FIRST else (revisions["start"], revisions["ids"])
        if rev != f"{start}-{ids[0]}" or not len(ids) <= start <= SQLITE_INT_MAX:
            return None
        return pack_path(ids)
    except (LookupError, TypeError):
        return None
