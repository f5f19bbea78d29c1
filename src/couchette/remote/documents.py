"""Documents on a server: one, many, and which revisions it has."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from couchette import jsonio, limits
from couchette.document.attachment import DEFAULT_TYPE
from couchette.document.docid import check_id, new_id
from couchette.document.intake import Intake
from couchette.errors import BadRequest, Conflict, NotCouchDB, NotFound
from couchette.remote.calls import Doc, Params, RemoteCalls
from couchette.remote.client import JSON_TYPE, Request
from couchette.remote.repeats import READING, WRITING
from couchette.remote.url import doc_path, quote_segment
from couchette.remote.welcome import holds_gzip, keeps_gzip
from couchette.uploads import has_streams, is_stream, piece_reader
from couchette.wire.multipart import streamed_related
from couchette.wire.multipart_docs import read_related, read_rows
from couchette.wire.requests import document_params
from couchette.wire.stubs import encode, inlined

_RELATED = f"multipart/related, {JSON_TYPE}"
_MIXED = "multipart/mixed"


class RemoteDocuments(RemoteCalls):
    """Reading and writing documents."""

    async def get(
        self,
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
        binary: bool = False,
    ) -> Any:
        """The document as CouchDB shows it; see :meth:`Database.get <couchette.Database.get>`. Raises NotFound."""
        binary = binary and (attachments or atts_since is not None)
        params = document_params(
            {
                "rev": rev,
                "revs": revs,
                "revs_info": revs_info,
                "open_revs": open_revs,
                "latest": latest,
                "conflicts": conflicts,
                "deleted_conflicts": deleted_conflicts,
                "local_seq": local_seq,
                "meta": meta,
                "attachments": attachments,
                "atts_since": atts_since,
                "att_encoding_info": att_encoding_info or binary,
            }
        )
        path = doc_path(check_id(id))
        if binary:
            return await self._read_with_bytes("GET", path, params=params, accept=_MIXED if open_revs else _RELATED)
        return await self._read("GET", path, params=params)

    async def put(
        self, doc: Mapping[str, Any], *, id: str | None = None, rev: str | None = None, new_edits: bool = True
    ) -> Doc:
        """Create a document or a new revision of it; see :meth:`Database.put <couchette.Database.put>`.

        Attachments whose data is a stream are read into memory first; :meth:`put_attachment` sends one as it is read.
        """
        if not isinstance(doc, Mapping):
            raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
        if id is not None:
            doc = {**doc, "_id": id}
        if "_id" not in doc:
            raise BadRequest("Document must have an _id", "Set doc['_id'], or use post() to have an id made.")
        path = doc_path(check_id(doc["_id"]))
        params: Doc = {} if rev is None else {"rev": rev}
        if not new_edits:
            params["new_edits"] = False
        doc = await _with_content(doc)
        if _is_multipart(doc) and (not holds_gzip(doc) or await keeps_gzip(await self._opened())):
            return await self._put_multipart(path, params, doc)
        written: Doc = await self._write("PUT", path, params=params, body=encode(doc))
        return written

    async def post(self, doc: Mapping[str, Any]) -> Doc:
        """Create a document under a new, time-ordered id; return ``{"ok", "id", "rev"}``."""
        if not isinstance(doc, Mapping):
            raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
        return await (self.put(doc) if "_id" in doc else self.put(doc, id=new_id()))

    async def copy(self, id: str, new_id: str, *, rev: str | None = None, target_rev: str | None = None) -> Doc:
        """Write a document, or its revision ``rev``, under another id; as :meth:`Database.copy` does."""
        client = await self._opened()
        destination = quote_segment(check_id(new_id)) + ("" if target_rev is None else f"?rev={target_rev}")
        address = client.address(doc_path(check_id(id)), {} if rev is None else {"rev": rev})
        headers = {"Accept": JSON_TYPE, "Destination": destination}
        response = await client.respond(Request("COPY", address, headers, repeats=WRITING))
        written: Doc = client.read_json(response, tries=1)
        return {"ok": True, **written}  # CouchDB's own answer says so, PouchDB's server does not.

    async def bulk_docs(self, docs: Iterable[Mapping[str, Any]], *, new_edits: bool = True) -> list[Doc]:
        """Write many documents by one request; see :meth:`Database.bulk_docs <couchette.Database.bulk_docs>`."""
        if isinstance(docs, Mapping | str | bytes):
            hint = f"Give a list of documents, not {type(docs).__name__}."
            raise BadRequest("`docs` parameter must be an array.", hint)
        sent = [inlined(await _with_content(doc)) for doc in docs]
        body = {"docs": sent} if new_edits else {"docs": sent, "new_edits": False}
        rows: list[Doc] = await self._write("POST", "_bulk_docs", body=jsonio.dumps(body))
        if new_edits:
            return rows
        return [row for row in rows if "error" in row]  # PouchDB's server lists what it stored, too.

    async def bulk_get(
        self,
        docs: Iterable[Mapping[str, Any]],
        *,
        revs: bool = False,
        latest: bool = False,
        attachments: bool = False,
        binary: bool = False,
    ) -> Doc:
        """Many revisions at once; see :meth:`Database.bulk_get <couchette.Database.bulk_get>`."""
        given = {"revs": revs, "latest": latest, "attachments": attachments}
        params = {name: "true" for name, value in given.items() if value}
        asked = list(docs)
        if not (binary and attachments):
            return await self._object("POST", "_bulk_get", params=params, body={"docs": asked})
        # Multipart answers do not say which entry a revision answers, so each is asked for by itself.
        results = [await self._bulk_entry(entry, params) for entry in asked]
        return {"results": results}

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """Which of ``{id: [rev, ...]}`` are not known there: ``{id: {"missing", "possible_ancestors"?}}``."""
        return await self._object("POST", "_revs_diff", body=revs)

    async def missing_revs(self, revs: Mapping[str, Sequence[str]]) -> dict[str, dict[str, list[str]]]:
        """The older form of :meth:`revs_diff`, without ancestors: ``{"missing_revs": {id: [rev, ...]}}``."""
        return await self._object("POST", "_missing_revs", body=revs)

    # -- As a mapping ---------------------------------------------------------------------------------

    async def _replace(self, id: str, doc: Mapping[str, Any]) -> Doc:
        """Put; where the document names no revision, on top of the current one, whichever that is by then."""
        if doc.get("_rev") is not None:
            return await self.put(doc, id=id)
        doc = {name: value for name, value in doc.items() if name != "_rev"}
        tries = 0
        while True:
            tries += 1
            try:
                return await self.put(doc, id=id, rev=await self._current_rev(id))
            except Conflict:
                if tries == limits.REMOTE_EDIT_TRIES:
                    raise

    async def _remove_winner(self, id: str) -> Doc:
        """Delete the current revision. Raises NotFound."""
        doc = await self.get(id)
        removed: Doc = await self._write("DELETE", doc_path(id), params={"rev": doc["_rev"]})
        return removed

    async def _current_rev(self, id: str) -> str | None:
        try:
            rev: str = (await self.get(id))["_rev"]
        except NotFound:
            return None
        return rev

    # -- Bytes beside documents -----------------------------------------------------------------------

    async def _read_with_bytes(self, method: str, path: str, *, params: Params, accept: str, body: Any = None) -> Any:
        """A document, or rows of several, with attachments' content as bytes; as stored, if the server can."""
        response = await self._respond(method, path, params=params, body=body, accept=accept, repeats=READING)
        kind = response.headers.get("content-type", "").lower()
        if not response.is_success or not kind.startswith("multipart/"):
            answer = self._client.read_json(response, tries=1)
            for doc in [row.get("ok") for row in answer] if isinstance(answer, list) else [answer]:
                _decode(doc)
            return answer
        if kind.startswith(_MIXED):
            return read_rows(response.headers["content-type"], response.content)
        try:
            return read_related(response.headers["content-type"], response.content)
        except BadRequest as exc:
            raise NotCouchDB("The multipart answer is not what CouchDB sends.", str(exc)) from exc

    async def _bulk_entry(self, entry: Mapping[str, Any], params: Params) -> Doc:
        body = {"docs": [entry]}
        answer = await self._read_with_bytes("POST", "_bulk_get", params=params, body=body, accept=_MIXED)
        if isinstance(answer, dict):
            result: Doc = answer["results"][0]
            for row in result["docs"]:
                _decode(row.get("ok"))
            return result
        return {"id": entry.get("id") if isinstance(entry, Mapping) else None, "docs": answer}

    async def _put_multipart(self, path: str, params: Params, doc: Mapping[str, Any]) -> Doc:
        client = await self._opened()
        body = streamed_related(doc)
        content = b"".join(piece for piece in body.pieces if isinstance(piece, bytes))
        headers = {"Accept": JSON_TYPE, "Content-Type": body.content_type}
        request = Request("PUT", client.address(path, params), headers, content, repeats=WRITING)
        written: Doc = client.read_json(await client.respond(request), tries=1)
        return written


async def _with_content(doc: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document with its attachments' streams read, and all that is bytes as ``bytes``."""
    if not isinstance(doc, Mapping):
        raise BadRequest("Document must be a JSON object", f"Got {type(doc).__name__}.")
    attachments = doc.get("_attachments")
    if not isinstance(attachments, Mapping):
        return doc
    if not has_streams(doc) and not any(
        isinstance(_data_of(one), bytearray | memoryview) for one in attachments.values()
    ):
        return doc
    return {**doc, "_attachments": {name: await _read_member(name, one) for name, one in attachments.items()}}


async def _read_member(name: str, member: Any) -> Any:
    data = _data_of(member)
    if isinstance(data, bytearray | memoryview):
        return {**member, "data": bytes(data)}
    if not is_stream(data) or member.get("stub") is True:
        return member
    length = member.get("encoded_length" if member.get("encoding") else "length")
    content = await read_checked(name, data, digest=member.get("digest"), length=length)
    return {**{key: value for key, value in member.items() if key not in ("digest", "length")}, "data": content}


async def read_checked(name: str, data: Any, *, digest: str | None, length: Any) -> bytes:
    """All of a source, checked against what is announced of it. Raises BadRequest, DigestMismatch."""
    intake = Intake(name, DEFAULT_TYPE, digest=digest, length=length)
    next_piece = piece_reader(name, data)
    chunks = []
    while (piece := await next_piece()) is not None:
        chunks += intake.feed(piece)
    return b"".join([*chunks, *intake.finish()])


def _is_multipart(doc: Mapping[str, Any]) -> bool:
    """Whether attachments travel beside the document: compressed ones, which JSON cannot carry so, and large ones."""
    attachments = doc.get("_attachments")
    if not isinstance(attachments, Mapping):
        return False
    held = [one for one in attachments.values() if isinstance(_data_of(one), bytes)]
    return (
        any(one.get("encoding") for one in held)
        or sum(len(one["data"]) for one in held) > limits.ATTACHMENT_INLINE_BYTES_MAX
    )


def _decode(doc: Any) -> None:
    """Make bytes of the base64 text of a document's attachments, in place."""
    attachments = doc.get("_attachments") if isinstance(doc, dict) else None
    if isinstance(attachments, dict):
        for member in attachments.values():
            if isinstance(data := _data_of(member), str):
                member["data"] = base64.b64decode(data)
                member.setdefault("length", len(member["data"]))


def _data_of(member: Any) -> Any:
    return member.get("data") if isinstance(member, Mapping) else None
