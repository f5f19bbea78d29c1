"""Reading documents: one, several revisions of one, several at once, and what is missing here."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import apsw
from orjson import loads

from couchette import jsonio
from couchette.document.docid import LOCAL, check_id
from couchette.document.revision import normal_rev, rev_key
from couchette.document.revtree import RevTree
from couchette.document.stored import StoredDoc
from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.store.content import Held, Unpacking, read
from couchette.store.local import get_local
from couchette.store.rows import (
    Row,
    attachments_of,
    fields_of,
    path_of,
    row_at,
    stored_row,
    tree_of,
    winner_row,
    winner_rows,
)

Doc = dict[str, Any]
_GET = "SELECT rev, body FROM docs WHERE id=? AND cur=1 AND deleted=0 AND atts IS NULL"


@dataclass(frozen=True, slots=True)
class View:
    """What to show of a revision beside its body.

    ``atts_since`` asks for the content of attachments newer than the newest of those revs that the
    revision descends from; ``binary`` gives content as stored bytes instead of base64 text, and where it is a
    :class:`~couchette.store.Held`, no more of it than that. ``stored`` leaves ordinary winners unread, as
    :class:`StoredDoc`, which has ``revs``. A view that shows attachments is of one read: ``unpacking`` bounds what
    they become in memory.
    """

    revs: bool = False
    attachments: bool = False
    atts_since: Sequence[str] | None = None
    att_encoding_info: bool = False
    binary: bool | Held = False
    stored: bool = False
    unpacking: Unpacking = field(default_factory=Unpacking, compare=False)

    def doc(self, conn: apsw.Connection, row: Row, path: list[str] | None = None) -> Doc:
        """The revision as a document. ``path`` is its history, where the caller knows it."""
        doc = fields_of(row)
        doc["_id"], doc["_rev"] = row.id, row.rev
        if row.deleted:
            doc["_deleted"] = True
        if self.revs or (self.atts_since and row.atts):
            path = path or path_of(row)
        if self.revs:
            assert path is not None
            ids = [rev.partition("-")[2] for rev in path]
            doc["_revisions"] = {"start": int(path[0].partition("-")[0]), "ids": ids}
        if row.atts:
            doc["_attachments"] = self._attachments(conn, row, path)
        return doc

    def _attachments(self, conn: apsw.Connection, row: Row, path: list[str] | None) -> Doc:
        above = None
        if self.attachments or self.atts_since is not None:
            above = -1
        if self.atts_since and path:
            held = {normal_rev(rev) for rev in self.atts_since}.intersection(path)
            above = max((int(rev.partition("-")[0]) for rev in held), default=-1)
        shown: Doc = {}
        for attachment, att in attachments_of(row):
            if above is None or attachment.revpos <= above:
                shown[attachment.name] = attachment.stub(encoding_info=self.att_encoding_info)
                continue
            member = attachment.described(encoding_info=self.att_encoding_info or bool(self.binary))
            if isinstance(self.binary, Held):
                member["data"] = self.binary.read(conn, attachment, att)
            elif self.binary:
                member["data"] = read(conn, att)
            else:
                del member["length"]
                member.pop("encoded_length", None)
                member["data"] = b64encode(self.unpacking.read_plain(conn, attachment, att)).decode()
            shown[attachment.name] = member
        return shown


def get_plain(conn: apsw.Connection, id: str) -> Doc | None:
    """The winner of an ordinary document by a single statement; None where :func:`get` must look closer."""
    check_id(id)
    for rev, body in conn.execute(_GET, (id,)):
        if type(body) is not bytes:  # Asking SQLite for its type would take longer.
            return None
        doc: Doc = loads(body)
        # Last, as in a document that was saved: to put them first would cost a fifth of the time of a get.
        doc["_id"], doc["_rev"] = id, rev
        return doc
    return None


def get(
    conn: apsw.Connection,
    id: str,
    *,
    rev: str | None = None,
    revs: bool = False,
    revs_info: bool = False,
    open_revs: Sequence[str] | Literal["all"] | None = None,
    latest: bool = False,
    conflicts: bool = False,
    deleted_conflicts: bool = False,
    local_seq: bool = False,
    meta: bool = False,
    attachments: bool = False,
    atts_since: Sequence[str] | None = None,
    att_encoding_info: bool = False,
    binary: bool | Held = False,
) -> Any:
    """One document, as CouchDB's ``GET /db/id`` shows it (https://docs.couchdb.org/en/stable/api/document/common.html).

    With ``open_revs`` the answer is a list of ``{"ok": doc}`` and ``{"missing": rev}``. ``meta`` stands for
    ``revs_info``, ``conflicts`` and ``deleted_conflicts``, which are shown for the winner only. ``latest``
    gives the winner whatever ``rev`` says, or with ``open_revs`` the leaves that descend from those asked.
    Attachment content is base64 text of the plain bytes, or with ``binary`` the stored bytes with their
    ``encoding``, which ``put`` takes back as they are.

    Raises NotFound (``missing`` or ``deleted``), and TooLarge for gzip that becomes far longer than its stub says.
    """
    check_id(id)
    if id.startswith(LOCAL):
        return get_local(conn, id, rev=rev, revs=revs)
    view = View(revs, attachments, atts_since, att_encoding_info, binary)
    winner = winner_row(conn, id)
    if open_revs:
        return _open_revs(conn, id, winner, open_revs, latest, view)
    if winner is None:
        raise NotFound("missing", f"There is no document {id!r}.")
    if rev is not None and not latest:
        return _one_rev(conn, winner, rev, view)
    if winner.deleted and rev is None:
        raise NotFound("deleted", f"{id!r} was deleted; its tombstone is {winner.rev}.")
    doc = view.doc(conn, winner)
    if rev is None:
        add_meta(conn, doc, winner, revs_info or meta, conflicts or meta, deleted_conflicts or meta)
    if local_seq:
        doc["_local_seq"] = winner.seq
    return doc


def _one_rev(conn: apsw.Connection, winner: Row, rev: str, view: View) -> Doc:
    row = stored_row(conn, winner, rev)
    if row is None:
        raise NotFound("missing", f"{winner.id!r} has no stored revision {rev}.")
    path = _path_from(winner, row.rev) if view.revs or view.atts_since else None
    return view.doc(conn, row, path)


def _path_from(winner: Row, rev: str) -> list[str]:
    """The history of any known revision."""
    if isinstance(winner.tree, str):
        return RevTree.load(winner.tree).path(rev)
    path = path_of(winner)
    return path[path.index(rev) :]


def add_meta(
    conn: apsw.Connection, doc: Doc, winner: Row, revs_info: bool, conflicts: bool, deleted_conflicts: bool
) -> None:
    if not (revs_info or conflicts or deleted_conflicts):
        return
    tree = tree_of(conn, winner) if revs_info or isinstance(winner.tree, str) else RevTree()
    if revs_info:
        nodes = [(rev, tree.node(rev)) for rev in tree.path(winner.rev)]
        doc["_revs_info"] = [{"rev": rev, "status": _status(node)} for rev, node in nodes]
    if conflicts and (losing := tree.conflicts() if len(tree) else []):
        doc["_conflicts"] = losing
    if deleted_conflicts and (losing := tree.deleted_conflicts() if len(tree) else []):
        doc["_deleted_conflicts"] = losing


def _status(node: Any) -> str:
    if node.seq is None:
        return "missing"
    return "deleted" if node.deleted else "available"


def _open_revs(
    conn: apsw.Connection,
    doc_id: str,
    winner: Row | None,
    wanted: Sequence[str] | Literal["all"],
    latest: bool,
    view: View,
) -> list[Doc]:
    if winner is None:
        if wanted == "all":
            raise NotFound("missing", f"There is no document {doc_id!r}.")
        return [{"missing": rev} for rev in _ascending(wanted)]
    tree = tree_of(conn, winner)
    found, missing = [leaf.rev for leaf in tree.leaves_ascending()], list[str]()
    if wanted != "all":
        found, missing = _resolve(tree, _ascending(wanted), latest)
    rows: list[Doc] = [{"ok": _revision(conn, tree, rev, view)} for rev in found]
    return rows + [{"missing": rev} for rev in missing]


def _ascending(revs: Iterable[str]) -> list[str]:
    """Each of the revs once, in normal form and in order."""
    return sorted({normal_rev(rev) for rev in revs}, key=rev_key)


def _resolve(tree: RevTree, asked: list[str], latest: bool) -> tuple[list[str], list[str]]:
    """Split revs into those to show, ascending, and those that are not here."""
    found: set[str] = set()
    missing: list[str] = []
    for rev in asked:
        node = tree.node(rev)
        leaves = tree.latest_leaves(rev) if latest else []
        if leaves:
            found.update(leaves)
        elif node is not None and node.seq is not None:
            found.add(rev)
        else:
            missing.append(rev)
    return sorted(found, key=rev_key), missing


def _revision(conn: apsw.Connection, tree: RevTree, rev: str, view: View) -> Doc:
    node = tree.node(rev)
    assert node is not None
    assert node.seq is not None
    path = tree.path(rev) if view.revs or view.atts_since else None
    return view.doc(conn, row_at(conn, node.seq), path)


def bulk_get(
    conn: apsw.Connection,
    docs: Iterable[Mapping[str, Any]],
    *,
    revs: bool = False,
    latest: bool = False,
    attachments: bool = False,
    binary: bool | Held = False,
    stored: bool = False,
    room: int | None = None,
) -> dict[str, Any]:
    """Many revisions: CouchDB's ``_bulk_get``. ``docs`` are ``{"id", "rev"?, "atts_since"?}``.

    ``{"results": [{"id", "docs": [{"ok": doc} | {"error": {...}}]}]}`` answers entry by entry, in order,
    repeats included. An entry without a rev gets all leaves; ``latest`` may put several leaves in a result.
    ``stored`` gives ordinary documents as :class:`StoredDoc`, with their ``_revisions``. ``room`` ends the answer
    early: with the entry that reaches so many bytes of documents, and for which there is always room.
    """
    entries = list(docs)
    ids = [id for entry in entries if isinstance(entry, Mapping) and isinstance(id := entry.get("id"), str)]
    winners = winners_of(conn, ids, room) if ids else {}
    view = View(revs, attachments, binary=binary, stored=stored)
    if room is None or (len(winners) == len(ids) and _are_plain(winners.values(), room)):
        return {"results": [_bulk_entry(conn, entry, winners, latest, view) for entry in entries]}
    results: list[Doc] = []
    for entry in entries:
        results.append(_bulk_entry(conn, entry, winners, latest, view))
        room -= _bulk_size(entry, results[-1], winners, attachments)
        if room <= 0:
            break
    return {"results": results}


def winners_of(conn: apsw.Connection, ids: Sequence[str], room: int | None) -> dict[str, Row]:
    """The winners of these documents; where they have more than ``room``, of the first mentions that fill it."""
    rows = winner_rows(conn, ids)
    if room is None:
        return {row[1]: Row._make(row) for row in rows}
    winners = {}
    for row in rows:
        winners[row[1]] = Row._make(row)
        room -= len(row[-1])
        if room <= 0:
            break
    rows.close()
    return winners


def _are_plain(winners: Iterable[Row], room: int) -> bool:
    """Whether winners, each mentioned once, are less than ``room``, and there is nothing more to any of them."""
    for row in winners:
        if type(row[5]) is str or row[6] is not None:
            return False
        room -= len(row[7])
    return room > 0


def _bulk_size(entry: Any, result: Doc, winners: Mapping[str, Row], attachments: bool) -> int:
    """How many bytes a result has, about; never less than its winner, by which :func:`winners_of` counts."""
    winner = winners.get(result["id"])
    if winner is None:
        return 0
    usual = type(winner.tree) is not str and not (winner.atts and (attachments or entry.get("atts_since")))
    return len(winner.body) + (0 if usual else len(jsonio.dumps(result)))


def stored_docs(
    conn: apsw.Connection, revs: Iterable[tuple[str, str]]
) -> tuple[list[StoredDoc], list[tuple[str, str]]]:
    """Those of the revisions ``(id, rev)`` that are ordinary winners, as they are stored; and the others.

    The others are for :func:`bulk_get`: what has attachments or branches, was followed by a revision, or is not here.
    """
    asked = list(revs)
    found = {}
    for row in winner_rows(conn, [id for id, _ in asked], _STORED):
        if (doc := as_stored(*row)) is not None:
            found[doc.id, doc.rev] = doc
    return list(found.values()), [one for one in asked if one not in found] if len(found) < len(asked) else []


_STORED = "docs.id, rev, deleted, tree, atts, body"


def as_stored(
    id: str, rev: str, deleted: int, tree: bytes | str | None, atts: str | None, body: bytes | str
) -> StoredDoc | None:
    """A winner as it is stored, if there is nothing more to it."""
    if atts is not None or type(tree) is str or type(body) is not bytes:
        return None
    path = bytes.fromhex(rev.partition("-")[2])
    return StoredDoc(id, rev, path + tree if type(tree) is bytes else path, bool(deleted), body)


def _bulk_entry(conn: apsw.Connection, entry: Any, winners: Mapping[str, Row], latest: bool, view: View) -> Doc:
    doc_id, shown = None, None
    try:
        if not isinstance(entry, Mapping):
            raise BadRequest("document must be a JSON object", f"Got {entry!r}.")
        if "id" not in entry:
            raise BadRequest("document id missed", "Each entry needs an id.")
        doc_id = check_id(entry["id"])
        if since := entry.get("atts_since"):
            if not isinstance(since, (list, tuple)):
                shown = since
                raise BadRequest("att_since value must be array of revs.", f"Got {since!r}.")
            view = replace(view, atts_since=since)
        shown = entry.get("rev", "undefined")
        rev = normal_rev(shown) if "rev" in entry else None
        return {"id": doc_id, "docs": _bulk_revisions(conn, doc_id, rev, winners.get(doc_id), latest, view)}
    except CouchetteError as error:
        return {"id": doc_id, "docs": [{"error": {"id": doc_id, "rev": shown, **error.as_json()}}]}


def _bulk_revisions(
    conn: apsw.Connection, doc_id: str, rev: str | None, winner: Row | None, latest: bool, view: View
) -> list[Doc]:
    if winner is None:
        raise NotFound("missing", f"There is no document {doc_id!r}.")
    if type(winner.tree) is not str and rev in (None, winner.rev):
        stored = as_stored(*winner[1:4], *winner[5:]) if view.stored else None
        return [{"ok": view.doc(conn, winner) if stored is None else stored}]
    tree = tree_of(conn, winner)
    if rev is None:
        return [{"ok": _revision(conn, tree, leaf.rev, view)} for leaf in tree.leaves()]
    found, missing = _resolve(tree, [rev], latest)
    if missing:
        raise NotFound("missing", f"{doc_id!r} has no stored revision {rev}.")
    return [{"ok": _revision(conn, tree, one, view)} for one in reversed(found)]
