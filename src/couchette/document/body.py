"""Documents taken apart: what is the body, what steers the write.

A document arrives as one JSON object. Members that begin with an underscore are CouchDB's; the rest
is the body, kept as the JSON text of those members in the order received (the revision id depends on
that order). ``_revs_info``, ``_local_seq``, ``_conflicts`` and ``_deleted_conflicts`` are what a read
adds, so they are dropped; ``_access`` and ``_replication_*`` are stored like ordinary members; any
other underscore name is refused (CouchDB's ``couch_doc:transfer_fields``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from couchette import jsonio
from couchette.document.attachment import Content, Stub, parse_attachments
from couchette.document.docid import check_id
from couchette.document.revision import pack_path, parse_rev
from couchette.errors import BadRequest, DocValidation, IllegalDocId, InvalidRev, TooLarge
from couchette.limits import DOC_BYTES_MAX, SQLITE_INT_MAX

DROPPED = frozenset({"_revs_info", "_local_seq", "_conflicts", "_deleted_conflicts"})
STORED = ("_access", "_replication_")
Body = bytes | str
"""JSON text without CouchDB's members: str where orjson alone would not read it exactly, else bytes."""


class Draft(NamedTuple):
    """A document on its way into the store.

    ``start`` and ``ids`` name revisions as ``_revisions`` does, newest first: for a new edit its parent
    and the parent's ancestors (no ids for a first edit), for a replicated revision itself and its
    ancestors; all in normal form. ``packed`` holds the ids as 16 bytes each, or None where one of them is not
    32 hex digits. ``attachments`` keep the order of the ``_attachments`` object; None when it had none.
    """

    id: str | None
    start: int
    ids: list[str]
    packed: bytes | None
    deleted: bool
    fields: dict[str, Any]
    body: Body
    attachments: list[Content | Stub] | None

    def path(self) -> list[str]:
        """The revisions that ``start`` and ``ids`` name, newest first."""
        return [f"{self.start - depth}-{one}" for depth, one in enumerate(self.ids)]


_NO_REVISIONS: tuple[int, list[str], bytes | None] = (0, [], b"")


def split(doc: Mapping[str, Any]) -> Draft:
    """Take a document apart, or raise the 4xx error that CouchDB would answer. Pure; ``doc`` is not changed."""
    if type(doc) is not dict:
        if not isinstance(doc, Mapping):
            raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
        doc = dict(doc)
    fields = doc.copy()
    pop = fields.pop
    doc_id, rev, revisions = pop("_id", None), pop("_rev", None), pop("_revisions", None)
    deleted, members = pop("_deleted", False), pop("_attachments", None)
    if doc_id is not None:
        check_id(doc_id)
    elif "_id" in doc:
        raise IllegalDocId("Document id must be a string", "Got None; leave `_id` out to have one made.")
    if deleted is not True and deleted is not False:
        raise _bad_member("_deleted", f"It is {deleted!r}; give a bool.")
    if revisions is not None or "_revisions" in doc:
        start, ids, packed = _parse_revisions(revisions)
    else:
        start, ids, packed = _NO_REVISIONS
    if rev is not None and not (ids and rev == f"{start}-{ids[0]}"):
        number, own = parse_rev(rev)
        if number > SQLITE_INT_MAX:
            raise InvalidRev("Invalid rev format", f"The number of _rev must be from 0 to {SQLITE_INT_MAX}.")
        if not ids:
            start, ids, packed = number, [own], pack_path((own,))
    elif rev is None and "_rev" in doc:
        raise InvalidRev("Invalid rev format", "`_rev` is None; leave it out for a first edit.")
    body = encode_body(fields)
    text = body if isinstance(body, bytes) else body.encode()
    if text.rfind(b'"_') >= 0:
        body = _drop_special(fields, body)
    if len(text) > DOC_BYTES_MAX:
        hint = f"The document has {len(text)} bytes of JSON, over the limit of {DOC_BYTES_MAX}."
        raise TooLarge(str(doc_id), hint, error="document_too_large")
    attachments = None
    if members is not None or "_attachments" in doc:
        if not isinstance(members, Mapping):
            raise _bad_member("_attachments", "Give an object of names and attachments.")
        attachments = parse_attachments(members, doc_id or "") or None
    return Draft(doc_id, start, ids, packed, deleted, fields, body, attachments)


def plain_body(fields: dict[str, Any], *, hashed: bool) -> bytes | None:
    """The body of members that are all the document's own; None where only :func:`split` can tell.

    It answers the usual case at half the cost, and judges nothing: what is wrong is ``split``'s to say.
    ``hashed`` says that ``new_rev`` will look at every value, so that NaN need not be looked for here.
    """
    body = jsonio.dumps_unchecked(fields)
    if body is None or len(body) > DOC_BYTES_MAX:
        return None
    # The first search is there for its speed: few bodies have an underscore at all.
    if body.find(b"_") >= 0 and body.rfind(b'"_') >= 0:
        return None
    if not hashed and body.rfind(b"null") >= 0 and jsonio.hides_nan(fields, body):
        return None
    return body


def plain_bodies(members: Sequence[dict[str, Any]], *, hashed: bool) -> list[bytes] | None:
    """What :func:`plain_body` is for each, at two thirds of the cost: the unusual is looked for in all of them at once.

    None when that is None for any; it may be None otherwise, too.
    """
    bodies = jsonio.dumps_all_unchecked(members)
    if bodies is None:
        return None
    text = b"".join(bodies)
    # The first search is there for its speed.
    if len(text) > DOC_BYTES_MAX or (text.find(b"_") >= 0 and text.find(b'"_') >= 0):
        return None
    if not hashed and (nulls := text.count(b"null")):
        # Each None right in a document wrote one: where there are no more of them, none hides a NaN.
        nones = sum([list(fields.values()).count(None) for fields in members])
        if nulls != nones and any(map(jsonio.hides_nan, members, bodies)):
            return None
    return bodies


def encode_body(fields: dict[str, Any]) -> Body:
    """The stored form of a body. Raises BadRequest for what JSON cannot hold."""
    text, exact = jsonio.dumps_noting_exactness(fields)
    return text if exact else text.decode()


def decode_body(body: Body) -> dict[str, Any]:
    """The members of a stored body."""
    fields: dict[str, Any] = jsonio.loads(body)
    return fields


def _drop_special(fields: dict[str, Any], body: Body) -> Body:
    """Refuse unknown underscore members; drop from ``fields`` those that a read adds."""
    special = [key for key in fields if key.startswith("_") and not key.startswith(STORED)]
    for key in special:
        if key not in DROPPED:
            raise _bad_member(key, "Names that begin with an underscore are CouchDB's; rename it.")
        del fields[key]
    return encode_body(fields) if special else body


def _parse_revisions(member: Any) -> tuple[int, list[str], bytes | None]:
    """``start``, the ids, and the ids packed where that is possible."""
    if type(member) is not dict and not isinstance(member, Mapping):
        raise _bad_member("_revisions", 'Give {"start": N, "ids": [newest, ...]}.')
    start, ids = member.get("start"), member.get("ids")
    if type(start) is not int:
        raise DocValidation("_revisions.start isn't an integer.", f"It is {start!r}.")
    if not 0 <= start <= SQLITE_INT_MAX:
        raise InvalidRev("Invalid rev format", f"_revisions.start must be from 0 to {SQLITE_INT_MAX}.")
    if not isinstance(ids, (list, tuple)):
        raise DocValidation("_revisions.ids isn't a array.", f"It is {ids!r}.")
    ids = list(ids) if len(ids) <= start else list(ids[: max(start, 1)])
    try:
        packed = pack_path(ids)
    except TypeError as exc:
        raise DocValidation("RevId isn't a string", f"_revisions.ids is {ids!r}.") from exc
    if packed is None:
        ids = [parse_rev(f"{start - depth}-{one}")[1] for depth, one in enumerate(ids)]
        packed = pack_path(ids)
    return start, ids, packed


def _bad_member(name: str, hint: str) -> DocValidation:
    return DocValidation(f"Bad special document member: {name}", hint)
