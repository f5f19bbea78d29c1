"""The way back from a dump (:mod:`couchette.store.dump`): its lines become a database again.

A restored database has the uuid, the sequences and the checkpoints of the original, so its peers go on
with it as if nothing had happened. Rows get the numbers that they had. Histories are packed again where
they are linear. What a line says is stored as it comes; :meth:`Loader.finish` then looks at the whole
with :func:`couchette.store.verify.verify`, so that no dump, however made, gives a database that is not sound.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final

import apsw

from couchette import jsonio
from couchette.document.attachment import Attachment, digest_bytes
from couchette.document.body import encode_body
from couchette.document.revision import pack_path, rev_key
from couchette.document.revtree import Node, RevTree
from couchette.errors import CouchetteError, StoreError
from couchette.limits import PURGED_INFOS_LIMIT, SQLITE_INT_MAX
from couchette.store.batch import INSERT
from couchette.store.dump import FORMAT, RECOUNTED
from couchette.store.purge import write_purged_infos_limit
from couchette.store.rows import dump_atts
from couchette.store.schema import Meta, write_partitioned, write_security
from couchette.store.verify import count_conflicted, verify

_MALFORMED: Final = (
    CouchetteError,
    LookupError,
    TypeError,
    ValueError,
    AttributeError,
    OverflowError,
    apsw.ConstraintError,
    apsw.MismatchError,
)
"""What comes of a line that has other members, or other kinds of values, than it should."""

SETTINGS: Final = [name for name in Meta._fields if name not in RECOUNTED]
"""What the header has of ``meta``."""


class Loader:
    """Restores a dump into an empty database: :meth:`add` its lines, in order, then :meth:`finish`.

    Each call is part of a transaction of the caller's, and there may be many, so memory stays bounded.
    A database for which :meth:`finish` did not return is of no use.
    """

    def __init__(self) -> None:
        self.counts = {"documents": 0, "revisions": 0, "attachments": 0, "local": 0}
        self.lines = 0
        self._digest = sha256()
        self._header: dict[str, Any] = {}
        self._trailer: dict[str, Any] = {}
        self._content = self._chunks = 0
        self._document: _Document | None = None

    def add(self, conn: apsw.Connection, lines: Iterable[bytes]) -> None:
        """Store what these lines, the next ones of the dump, say. Raises StoreError."""
        for line in lines:
            try:
                self._add(conn, line)
            except _MALFORMED as exc:
                hint = f"Line {self.lines + 1} is damaged, or the file is no dump: {exc}"
                raise StoreError("The dump cannot be read.", hint) from exc

    def finish(self, conn: apsw.Connection) -> dict[str, int]:
        """Write the counters and settings, check everything, and return what was restored. Raises StoreError."""
        if not self._trailer:
            raise StoreError("The dump is cut off.", f"It ends after {self.lines} lines, without its trailer.")
        conn.execute(
            f"UPDATE meta SET {', '.join(f'{name}=?' for name in SETTINGS)},"
            " doc_count=(SELECT count(*) FROM docs WHERE cur=1 AND deleted=0),"
            " del_count=(SELECT count(*) FROM docs WHERE cur=1 AND deleted=1), conflict_count=?",
            [*(self._header[name] for name in SETTINGS), count_conflicted(conn)],
        )
        if "security" in self._header:
            write_security(conn, self._header["security"])
        if self._header.get("partitioned") is True:
            write_partitioned(conn)
        write_purged_infos_limit(conn, self._header.get("purged_infos_limit", PURGED_INFOS_LIMIT))
        for problem in verify(conn):
            raise StoreError("The dump does not describe a sound database.", ": ".join(problem.values()))
        return self.counts

    def _add(self, conn: apsw.Connection, line: bytes) -> None:
        value = jsonio.loads(line)
        kind: str = next(iter(value), "")
        if self._trailer:
            raise ValueError("there is more after the trailer")
        if not self._header:
            self._header = _header(value)
        elif kind == "rev":
            self._body(conn, value)
        else:
            self._close_document(conn)
            self._part(conn, kind, value)
        self._digest.update(line)
        self.lines += 1

    def _part(self, conn: apsw.Connection, kind: str, value: dict[str, Any]) -> None:
        if kind == "content":
            self._content, self._chunks = value["content"], 0
            row = (self._content, digest_bytes(value["digest"]), value["size"])
            conn.execute("INSERT INTO att(att, digest, size) VALUES(?,?,?)", row)
            self.counts["attachments"] += 1
        elif kind == "data":
            chunk = (self._content, self._chunks, b64decode(value["data"], validate=True))
            conn.execute("INSERT INTO att_chunk VALUES(?,?,?)", chunk)
            self._chunks += 1
        elif kind == "id":
            self._document = _Document(value)
            self.counts["documents"] += 1
        elif kind == "local":
            number = int(value["rev"].removeprefix("0-"))
            conn.execute("INSERT INTO local VALUES(?,?,?)", (value["local"], number, encode_body(value["body"])))
            self.counts["local"] += 1
        elif kind == "purge":
            revs = jsonio.dumps(value["revs"]).decode()
            conn.execute("INSERT INTO purges VALUES(?,?,?)", (value["purge"], value["id"], revs))
        elif value == {"end": self.lines, **self.counts, "sha256": self._digest.hexdigest()}:
            self._trailer = value
        else:
            raise ValueError("it is no line of a dump, or a trailer that counts and digests something else")

    def _body(self, conn: apsw.Connection, value: dict[str, Any]) -> None:
        if self._document is None:
            raise ValueError("a body without a document")
        self._document.add(conn, value)
        self.counts["revisions"] += 1

    def _close_document(self, conn: apsw.Connection) -> None:
        if self._document is not None:
            self._document.write(conn)
            self._document = None


def _header(value: dict[str, Any]) -> dict[str, Any]:
    version = value["couchette_dump"]
    if version != FORMAT:
        hint = f"Its format is version {version!r}; this couchette reads {FORMAT}. `pip install -U couchette` may help."
        raise StoreError("The dump cannot be read.", hint)
    for name in SETTINGS:
        setting = value[name]
        if type(setting) is not str if name == "uuid" else type(setting) is not int or setting > SQLITE_INT_MAX:
            raise ValueError(f"{name} is {setting!r}")
    if not isinstance(value.get("security", {}), dict):
        raise ValueError(f"security is {value['security']!r}")
    limit = value.get("purged_infos_limit", PURGED_INFOS_LIMIT)
    if type(limit) is not int or not 1 <= limit <= SQLITE_INT_MAX:
        raise ValueError(f"purged_infos_limit is {limit!r}")
    return value


class _Document:
    """A document while its bodies come: all are written at once, but the winner's, which needs the tree."""

    def __init__(self, value: dict[str, Any]) -> None:
        self.id: str = value["id"]
        self.seq: int = value["seq"]
        self.revisions: list[dict[str, Any]] = value["revisions"]
        self.bodies: dict[str, tuple[bool, int]] = {}
        self.winner: tuple[Any, ...] | None = None

    def add(self, conn: apsw.Connection, value: dict[str, Any]) -> None:
        """Take one stored body."""
        rev, seq, deleted = value["rev"], value["seq"], value.get("deleted", False)
        atts = dump_atts(_attachment(shown) for shown in value.get("attachments", ()))
        row = (rev, deleted, atts, encode_body(value["body"]))
        self.bodies[rev] = deleted, seq
        if seq == self.seq:
            self.winner = row
        else:
            self._insert(conn, seq, row, cur=0)

    def write(self, conn: apsw.Connection) -> None:
        """Write the winner, with the tree in the form in which the store keeps it."""
        if self.winner is None:
            raise ValueError(f"the document before it, {self.id!r}, has no body for its sequence")
        packed = pack_path(self.revisions[0]["ids"]) if len(self.revisions) == 1 else None
        # Rows with negative numbers may be replaced by others', which only a general tree allows for.
        if packed is None or min(seq for _, seq in self.bodies.values()) < 0:
            self._insert(conn, self.seq, self.winner, cur=1, tree=self._tree())
            return
        path = _revs(self.revisions[0])
        if path[0] != self.winner[0]:
            raise ValueError(f"the document before it, {self.id!r}, has a history of another revision than its own")
        stored = [self.bodies[rev][1] for rev in path if rev in self.bodies]
        prev = dict(pairwise(stored))
        conn.executemany("UPDATE docs SET prev=? WHERE seq=?", ((older, seq) for seq, older in prev.items()))
        self._insert(conn, self.seq, self.winner, cur=1, prev=prev.get(self.seq), tree=packed[16:] or None)

    def _insert(
        self, conn: apsw.Connection, seq: int, row: tuple[Any, ...], *, cur: int, prev: Any = None, tree: Any = None
    ) -> None:
        rev, deleted, atts, body = row
        conn.execute(INSERT, (seq, self.id, cur, rev, deleted, prev, tree, atts, body))

    def _tree(self) -> str:
        parents: dict[str, set[str]] = {}
        for path in map(_revs, self.revisions):
            for rev, parent in pairwise(path):
                parents.setdefault(rev, set()).add(parent)
            parents.setdefault(path[-1], set())
        nodes = {}
        for rev, above in parents.items():
            deleted, seq = self.bodies.get(rev, (False, None))
            nodes[rev] = Node(tuple(sorted(above, key=rev_key, reverse=True)), deleted, seq)
        return RevTree(nodes).dump()


def _revs(revisions: dict[str, Any]) -> list[str]:
    """The revs of a ``_revisions``, newest first."""
    return [f"{revisions['start'] - depth}-{one}" for depth, one in enumerate(revisions["ids"])]


def _attachment(shown: dict[str, Any]) -> tuple[Attachment, int]:
    att = shown.pop("content")
    return Attachment(**shown), att
