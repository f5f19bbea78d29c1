"""Documents on their way from one file to another, or to the wire, that nobody looks into.

Nearly every document that replicates is ordinary: no attachments, a linear history. It then need not be read to be
moved: the text of its body and the bytes of its path are what the other file stores, and all but what JSON says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from couchette import jsonio
from couchette.document.revision import unpack_path

Doc = dict[str, Any]


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
        own = jsonio.dumps(self._own())
        return own if self.body == b"{}" else self.body[:-1] + b"," + own[1:]

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
