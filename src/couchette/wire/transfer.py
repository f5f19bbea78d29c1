"""What the two sides of a replication hand each other.

The shapes are those of CouchDB's answers, checked once where they enter, so that a server that answers
something else is named at once and never half believed. Documents are plain dicts that carry their
``_revisions``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from couchette import jsonio
from couchette.document.stored import StoredDoc, read_stored
from couchette.errors import BadRequest, NotCouchDB
from couchette.wire.checkpoint import Seq

_OUR_SEQ: Final = re.compile("[0-9]+-([0-9a-f]{32})")
_SECONDS_DIGITS: Final = 11
_END: Final = re.compile(
    rb'\]\s*,\s*"last_seq"\s*:\s*("(?:[^"\\]|\\.)*"|[0-9]+)\s*,\s*"pending"\s*:\s*([0-9]+)\s*\}\s*\Z'
)
"""The end of a page. In JSON these quotes cannot be inside of a text, so it is the page's and nothing in it."""
_END_BYTES: Final = 8192
"""Where the end is looked for; CouchDB's longest sequences have some hundreds."""
_NO_DOC: Final = msgspec.Raw()

Document = Mapping[str, Any]
Item = TypeVar("Item")


@dataclass(frozen=True)
class PeerInfo:
    """What a database says of itself when a replication begins."""

    identity: str
    """Lasting name, part of the replication id: a uuid, or a URL without credentials."""
    instance_start_time: str
    """Changes when the database is recreated; ``"0"`` where the server does not say."""
    empty: bool = False
    """Whether it holds no document and no tombstone, so that it lacks whatever a source has."""
    local: bool = False
    """Whether it is a database of this process."""
    update_seq: Seq = 0
    """Its newest sequence."""

    @property
    def incarnation(self) -> str | None:
        """What another database of the same name and place would not have: known of ours, and of CouchDB since 3.

        A start time is a time of creation only in whole seconds. The longer ones of CouchDB 1 and of PouchDB's server
        are of the moment in which the server opened the database.
        """
        if isinstance(self.update_seq, str) and (ours := _OUR_SEQ.fullmatch(self.update_seq)):
            return ours[1]
        return self.instance_start_time if 1 < len(self.instance_start_time) <= _SECONDS_DIGITS else None


@dataclass(frozen=True)
class ChangesPage:
    """A page of the source's changes: the leaf revisions of each document in it."""

    leaves: Mapping[str, Sequence[str]]
    last_seq: Seq
    pending: int | None
    """Changes after this page, where the source tells."""
    deleted: frozenset[str] = frozenset()
    """Those of the documents whose winner is a tombstone."""
    docs: Mapping[str, StoredDoc] = field(default_factory=dict)
    """Ordinary documents that came along, by id: the only leaf of each, complete. The others are to be fetched."""
    size: int = 0
    """Bytes of a page with documents, on the line or in the file."""


class Wanted(NamedTuple):
    """Revisions of one document that the target lacks, and those of its leaves that may be ancestors."""

    id: str
    revs: Sequence[str]
    ancestors: Sequence[str] = ()


@dataclass(frozen=True)
class Refusal:
    """A document that could not be moved, and why, in the words of the side that refused it."""

    id: str
    rev: str | None
    error: str
    reason: str

    def as_json(self) -> dict[str, Any]:
        """As CouchDB lists it in the answer to ``_bulk_docs``."""
        return {"id": self.id, "rev": self.rev, "error": self.error, "reason": self.reason}


@dataclass(frozen=True)
class Fetched:
    """A portion of fetched documents, and the revisions that the source did not give."""

    docs: Sequence[Document]
    refused: Sequence[Refusal] = field(default=())
    size: int = 0
    """Bytes that came for it, where the source is asked over a line that tells."""


def read_changes(answer: Any) -> ChangesPage:
    """Check an answer to ``_changes?style=all_docs``."""
    leaves: dict[str, list[str]] = {}
    deleted: list[str] = []
    for row in _member(answer, "results", list, "_changes"):
        try:
            leaves[row["id"]] = [change["rev"] for change in row["changes"]]
            if row.get("deleted"):
                deleted.append(row["id"])
        except (TypeError, KeyError) as exc:
            raise _unlike_couchdb("_changes", row) from exc
    last_seq = _member(answer, "last_seq", (int, str, list), "_changes")
    pending = answer.get("pending")
    return ChangesPage(leaves, last_seq, pending if isinstance(pending, int) else None, frozenset(deleted))


@dataclass(frozen=True)
class UnreadChanges:
    """The text of a page with documents, after which there is more: the next can be asked for before it is read."""

    text: bytes
    last_seq: Seq
    pending: int

    def read(self) -> ChangesPage:
        """The page. It takes some time, which other threads can use."""
        return read_changes_with_docs(self.text)


class _Rev(msgspec.Struct, gc=False):
    rev: str


class _Row(msgspec.Struct, gc=False):
    id: str
    changes: list[_Rev]
    deleted: Any = False
    doc: msgspec.Raw = _NO_DOC


class _Changes(msgspec.Struct, gc=False):
    results: list[_Row]
    last_seq: int | str | list[Any]
    pending: Any = None


_decode_changes = msgspec.json.Decoder(_Changes).decode


def unread_changes(text: bytes) -> UnreadChanges | None:
    """An answer to ``_changes`` whose end says that more follows; None where it says something else, or nothing."""
    found = _END.search(text, max(0, len(text) - _END_BYTES))
    if found is None or not (pending := int(found[2])):
        return None
    return UnreadChanges(text, jsonio.loads(found[1]), pending)


def read_changes_with_docs(text: bytes) -> ChangesPage:
    """Check an answer to ``_changes?include_docs=true``, and take the documents from it that are ordinary.

    Of any source: whether a document is the listed revision, and all that the target needs, is seen from itself.
    """
    try:
        answer = _decode_changes(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return read_changes(_envelope(text))
    leaves: dict[str, list[str]] = {}
    docs: dict[str, StoredDoc] = {}
    for row in answer.results:
        revs = leaves[row.id] = [change.rev for change in row.changes]
        if row.doc and len(revs) == 1 and (doc := read_stored(row.doc, row.id, revs[0])) is not None:
            docs[row.id] = doc
    pending = answer.pending if isinstance(answer.pending, int) else None
    deleted = frozenset(row.id for row in answer.results if row.deleted)
    return ChangesPage(leaves, answer.last_seq, pending, deleted, docs, len(text))


def read_revs_diff(answer: Any) -> list[Wanted]:
    """Check an answer to ``_revs_diff``."""
    if not isinstance(answer, dict):
        raise _unlike_couchdb("_revs_diff", answer)
    return [
        Wanted(doc_id, _member(entry, "missing", list, "_revs_diff"), entry.get("possible_ancestors") or ())
        for doc_id, entry in answer.items()
    ]


def read_bulk_get(answer: Any) -> Fetched:
    """Check an answer to ``_bulk_get``."""
    rows = [
        (row, result.get("id"))
        for result in _member(answer, "results", list, "_bulk_get")
        for row in _member(result, "docs", list, "_bulk_get")
    ]
    return _read_rows(rows, "_bulk_get")


def read_open_revs(answer: Any, doc_id: str) -> Fetched:
    """Check an answer to ``GET id?open_revs=[..]`` in JSON."""
    if not isinstance(answer, list):
        raise _unlike_couchdb("open_revs", answer)
    return _read_rows([(row, doc_id) for row in answer], "open_revs")


def read_bulk_docs(answer: Any) -> list[Refusal]:
    """The refused documents in an answer to ``_bulk_docs``; servers may list the accepted ones too."""
    if not isinstance(answer, list):
        raise _unlike_couchdb("_bulk_docs", answer)
    return [read_refusal(row) for row in answer if isinstance(row, dict) and "error" in row]


def read_refusal(row: Mapping[str, Any], doc_id: Any = None) -> Refusal:
    """A row ``{"id", "rev", "error", "reason"}``, of which only the error is sure to be there.

    PouchDB's server says ``{"error": true, "name", "message"}``.
    """
    rev = row.get("rev")
    error = row.get("name") if row.get("error") is True else row.get("error")
    return Refusal(
        str(row.get("id", doc_id)),
        rev if isinstance(rev, str) else None,
        str(error or "unknown_error"),
        str(row.get("reason") or row.get("message") or ""),
    )


def _read_rows(rows: Iterable[tuple[Any, Any]], endpoint: str) -> Fetched:
    """Rows of one revision each, beside the id they are about.

    CouchDB's are ``{"ok": doc}``, ``{"missing": rev}`` and ``{"error": {"id", "rev", "error", "reason"}}``.
    PouchDB's server puts the error's members into the row itself, or leaves the row empty.
    """
    docs: list[Document] = []
    refused: list[Refusal] = []
    for row, doc_id in rows:
        if not isinstance(row, dict):
            raise _unlike_couchdb(endpoint, row)
        if "ok" in row:
            docs.append(_checked(row["ok"], endpoint))
        elif "missing" in row:
            refused.append(Refusal(str(doc_id), str(row["missing"]), "not_found", "missing"))
        else:
            error = row.get("error")
            refused.append(read_refusal(error if isinstance(error, dict) else row, doc_id))
    return Fetched(docs, refused)


def _checked(doc: Any, endpoint: str) -> Document:
    """A document, fit to be written elsewhere under its revision."""
    try:
        revisions = doc["_revisions"]
        kinds = (type(doc["_id"]), type(doc["_rev"]), type(revisions["start"]), type(revisions["ids"]))
    except (LookupError, TypeError) as exc:
        raise _unlike_couchdb(endpoint, doc) from exc
    if kinds != (str, str, int, list):
        raise _unlike_couchdb(endpoint, doc)
    checked: Document = doc
    return checked


def _envelope(text: bytes) -> Any:
    """A page of which nothing but the documents is sure to be there: some of them may be such as nobody can read."""
    try:
        return jsonio.loads_leniently(text)
    except BadRequest as exc:
        raise _unlike_couchdb("_changes", text[:100]) from exc


def _member(value: Any, name: str, kind: Any, endpoint: str) -> Any:
    """The member ``name`` of an answer, which must be of this type."""
    if not isinstance(value, dict) or not isinstance(value.get(name), kind):
        raise _unlike_couchdb(endpoint, value)
    return value[name]


def _unlike_couchdb(endpoint: str, value: Any) -> NotCouchDB:
    return NotCouchDB(f"The answer to {endpoint} is not what CouchDB sends.", f"It holds {str(value)[:100]!r}.")


def portions(items: Iterable[Item], size: Callable[[Item], int], bytes_max: int) -> Iterator[list[Item]]:
    """Cut ``items``, in order, into lists of at most ``bytes_max``; a larger item is alone in its list."""
    portion: list[Item] = []
    total = 0
    for item in items:
        item_bytes = size(item)
        if portion and total + item_bytes > bytes_max:
            yield portion
            portion, total = [], 0
        portion.append(item)
        total += item_bytes
    if portion:
        yield portion
