"""A database behind a URL as one side of a replication.

It asks for what CouchDB's own replicator asks, in JSON throughout: every server of the family speaks that,
while they differ in multipart. Three choices follow from the servers that exist:

* Documents are fetched by ``_bulk_get`` with stubs. A server that lacks it (or cannot do it) is asked for
  each document by ``open_revs`` instead, for as long as this peer lives.
* Attachments that the target lacks follow. Small ones come inline by another ``_bulk_get``, many documents
  at a time; the large ones, and whatever a server left out, by one GET each, as plain bytes.
* Documents are written by ``_bulk_docs`` with ``new_edits: false`` in requests of bounded size, attachments
  inline; stubs stand for what the target holds. A server that cannot fill one says 412 (MissingStub), and
  the replication sends everything.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from types import TracebackType
from typing import Any, Final

import anyio
import httpx

from couchette import jsonio, limits
from couchette.errors import (
    CouchetteError,
    DatabaseExists,
    NotCouchDB,
    NotFound,
    TooLarge,
)
from couchette.remote.client import Client
from couchette.remote.url import Credentials, DatabaseUrl, attachment_path, doc_path, query
from couchette.wire.checkpoint import Seq
from couchette.wire.stubs import attachment_bytes, fill, inlined, needed_attachments, stubs
from couchette.wire.transfer import (
    ChangesPage,
    Document,
    Fetched,
    PeerInfo,
    Refusal,
    Wanted,
    portions,
    read_bulk_docs,
    read_bulk_get,
    read_changes,
    read_open_revs,
    read_revs_diff,
)

NO_BULK_GET: Final = frozenset({400, 404, 405, 500, 501})
"""Answers to ``_bulk_get`` after which CouchDB's replicator asks for single documents."""


class RemotePeer:
    """The database at ``url``; ``auth`` (user, password) takes the place of credentials in the URL.

    An asynchronous context manager, which may be entered again inside itself. It raises the errors of
    our tree: Unreachable, NotCouchDB, Unauthorized, Forbidden, DatabaseNotFound, RemoteError.
    """

    def __init__(
        self, url: str, auth: Credentials | None = None, *, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        parsed = DatabaseUrl.parse(url)
        self.label = parsed.base
        self._client = Client(DatabaseUrl(parsed.base, auth or parsed.auth), transport=transport)
        self._bulk_get_works = True

    def __repr__(self) -> str:
        return f"<RemotePeer {self.label}>"

    async def __aenter__(self) -> RemotePeer:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._client.__aexit__(kind, value, traceback)

    # -- The database ---------------------------------------------------------------------------------

    async def create(self) -> None:
        """Create the database unless it exists."""
        try:
            await self._client.request("PUT")
        except DatabaseExists:
            return

    async def info(self) -> PeerInfo:
        """Ask whether the URL is a database that we may read."""
        answer = await self._client.request("GET")
        if not isinstance(answer, dict) or "db_name" not in answer:
            raise NotCouchDB(
                "The URL does not answer as a CouchDB database.",
                f"{self.label} answers {str(answer)[:100]!r}; the URL must end with the database's name.",
            )
        return PeerInfo(self.label, str(answer.get("instance_start_time", "0")))

    async def commit(self) -> str:
        """Have everything written so far made durable; return the database's ``instance_start_time``."""
        answer = await self._client.request("POST", "_ensure_full_commit")
        return str(answer.get("instance_start_time", "0")) if isinstance(answer, dict) else "0"

    async def get_checkpoint(self, doc_id: str) -> Document | None:
        """The ``_local`` document, or None."""
        try:
            answer = await self._client.request("GET", doc_path(doc_id))
        except NotFound:
            return None
        return answer if isinstance(answer, dict) else None

    async def put_checkpoint(self, doc: Document) -> str:
        """Store the ``_local`` document and return its new rev; Conflict where the server checks revs."""
        answer = await self._client.request("PUT", doc_path(doc["_id"]), body=doc)
        if not isinstance(answer, dict) or not isinstance(answer.get("rev"), str):
            raise NotCouchDB("The answer to a _local document is not what CouchDB sends.", f"From {self.label}.")
        rev: str = answer["rev"]
        return rev

    # -- As a source ----------------------------------------------------------------------------------

    async def changes(self, since: Seq, limit: int) -> ChangesPage:
        """The next page of changes, with all leaves of each document."""
        params = {"style": "all_docs", "since": since, "limit": limit}
        return read_changes(await self._client.request("GET", "_changes", params=params))

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """Fetch these revisions, or the leaves that followed them, in portions of bounded size.

        Attachments that the target holds, judged by the ``ancestors``, are stubs; all others have their data.
        """
        ancestors = {one.id: one.ancestors for one in wanted}
        fetched = await self._fetch_stubbed(wanted)
        plain = [doc for doc in fetched.docs if not stubs(doc)]
        yield Fetched(plain, fetched.refused)
        heavy = [doc for doc in fetched.docs if stubs(doc)]
        async with aclosing(self._fill_attachments(heavy, ancestors)) as filled:
            async for portion in filled:
                yield portion

    async def _fetch_stubbed(self, wanted: Sequence[Wanted]) -> Fetched:
        """Fetch with attachments as stubs: by one ``_bulk_get``, and singly what it did not answer."""
        fetched = Fetched(())
        if wanted and self._bulk_get_works:
            fetched = await self._bulk_get([{"id": one.id, "rev": rev} for one in wanted for rev in one.revs])
        answered = {doc["_id"] for doc in fetched.docs} | {refusal.id for refusal in fetched.refused}
        left_out = [one for one in wanted if one.id not in answered]
        singles: dict[str, Fetched] = {}

        async def fetch_single(one: Wanted) -> None:
            singles[one.id] = await self._open_revs(one)

        async with anyio.create_task_group() as tasks:
            for one in left_out:
                tasks.start_soon(fetch_single, one)
        answers = [fetched, *(singles[one.id] for one in left_out)]
        # With `latest` two revisions asked for may be answered by the same leaf.
        docs = {(doc["_id"], doc["_rev"]): doc for answer in answers for doc in answer.docs}
        return Fetched(list(docs.values()), [refusal for answer in answers for refusal in answer.refused])

    async def _bulk_get(self, docs: Sequence[Mapping[str, Any]], *, attachments: bool = False) -> Fetched:
        """``_bulk_get``; nothing from a server that cannot, which is not asked again.

        With ``attachments`` exactly these revisions are meant, else the leaves that followed them too.
        """
        params = {"revs": True, "attachments" if attachments else "latest": True}
        try:
            answer = await self._client.request("POST", "_bulk_get", params=params, body={"docs": docs, **params})
            return read_bulk_get(answer)
        except CouchetteError as exc:
            if exc.status not in NO_BULK_GET:
                raise
            self._bulk_get_works = False
            return Fetched(())

    async def _open_revs(self, wanted: Wanted) -> Fetched:
        """Fetch the revisions of one document, in requests whose paths servers accept."""
        docs: list[Document] = []
        refused: list[Refusal] = []
        path = doc_path(wanted.id)
        room = limits.URL_PATH_MAX - len(path)
        for revs in portions(wanted.revs, lambda rev: len(query({"": [rev]})), room):
            params = {"revs": True, "latest": True, "open_revs": revs}
            fetched = read_open_revs(await self._client.request("GET", path, params=params), wanted.id)
            docs.extend(fetched.docs)
            refused.extend(fetched.refused)
        return Fetched(docs, refused)

    async def _fill_attachments(
        self, docs: Sequence[Document], ancestors: Mapping[str, Sequence[str]]
    ) -> AsyncGenerator[Fetched, None]:
        """Yield documents that came with stubs, in portions, with the data that the target lacks."""

        def needed_bytes(doc: Document) -> int:
            return attachment_bytes(doc, needed_attachments(doc, ancestors.get(doc["_id"], ())))

        for portion in portions(docs, needed_bytes, limits.BATCH_BYTES):
            filled = {(doc["_id"], doc["_rev"]): doc for doc in portion}
            lacking = [doc for doc in portion if needed_attachments(doc, ancestors.get(doc["_id"], ()))]
            if self._bulk_get_works and len(lacking) > 1:
                again = await self._bulk_get(_entries(lacking, ancestors), attachments=True)
                filled.update({(doc["_id"], doc["_rev"]): doc for doc in again.docs})
            gone: dict[tuple[str, str], Refusal] = {}
            async with anyio.create_task_group() as tasks:
                for doc in filled.values():
                    for name in needed_attachments(doc, ancestors.get(doc["_id"], ())):
                        tasks.start_soon(self._fill_attachment, doc, name, gone)
            yield Fetched([doc for key, doc in filled.items() if key not in gone], list(gone.values()))

    async def _fill_attachment(self, doc: Document, name: str, gone: dict[tuple[str, str], Refusal]) -> None:
        """Fetch one attachment's content into ``doc``; a document purged meanwhile is noted in ``gone``."""
        path = attachment_path(doc["_id"], name)
        try:
            fill(doc, name, await self._client.get_bytes(path, params={"rev": doc["_rev"]}))
        except NotFound as exc:
            gone[doc["_id"], doc["_rev"]] = Refusal(doc["_id"], doc["_rev"], exc.error, exc.reason)

    # -- As a target ----------------------------------------------------------------------------------

    async def revs_diff(self, revs: Mapping[str, Sequence[str]]) -> list[Wanted]:
        """Which of these revisions the database lacks, with its leaves that may be their ancestors."""
        return read_revs_diff(await self._client.request("POST", "_revs_diff", body=revs))

    async def write(self, docs: Sequence[Document]) -> list[Refusal]:
        """Store the documents under their own revisions; return those refused.

        MissingStub stores nothing of the request it answers, and means that the stubs must be replaced.
        """
        refused: list[Refusal] = []
        encoded = [(doc, jsonio.dumps(inlined(doc))) for doc in docs]
        for portion in portions(encoded, lambda pair: len(pair[1]), limits.BATCH_BYTES):
            refused.extend(await self._write_portion(portion))
        return refused

    async def _write_portion(self, portion: list[tuple[Document, bytes]]) -> list[Refusal]:
        """One ``_bulk_docs``; where that is too large for the server, two halves, down to single documents."""
        body = b'{"new_edits":false,"docs":[' + b",".join(encoded for _, encoded in portion) + b"]}"
        try:
            return read_bulk_docs(await self._client.request("POST", "_bulk_docs", body=body))
        except TooLarge as exc:
            if len(portion) == 1:
                doc = portion[0][0]
                return [Refusal(doc["_id"], doc["_rev"], exc.error, exc.reason)]
            half = len(portion) // 2
            return await self._write_portion(portion[:half]) + await self._write_portion(portion[half:])


def _entries(docs: Sequence[Document], ancestors: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """The entries of a ``_bulk_get`` that fetches these documents again, with the data that is needed."""
    entries = []
    for doc in docs:
        entry = {"id": doc["_id"], "rev": doc["_rev"]}
        known = list(ancestors.get(doc["_id"], ()))
        entries.append({**entry, "atts_since": known} if known else entry)
    return entries
