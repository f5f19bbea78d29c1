"""How documents are fetched from a server: many at a time, and no attachment that the target holds.

Documents come by ``_bulk_get`` with stubs first, which shows what is to be fetched at all. A server that lacks it (or
cannot do it) is asked for each document by ``open_revs`` instead. An answer that cannot be read, because a document
has what JavaScript or Erlang can hold and others cannot, is asked for in halves, until that document is alone and
refused. The attachments that the target lacks follow:

* Small ones of many documents by another ``_bulk_get`` with ``atts_since``, as multipart, in which the bytes travel as
  they are; servers that only speak JSON answer with base64. Without ``_bulk_get`` by ``open_revs``, likewise.
* What a server left out, and what is alone, by one GET each, as plain bytes. An empty name has no URL: such an
  attachment comes with the others of its document, or the document is refused.
* Large ones are not fetched here: a :class:`RemoteContent` takes their place, which the target reads as it writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final, TypeVar

import anyio

from couchette import limits
from couchette.errors import CouchetteError, NotCouchDB
from couchette.remote.answers import UNREADABLE
from couchette.remote.client import JSON_TYPE, Client, Request
from couchette.remote.contents import NOT_GIVEN, RemoteContent
from couchette.remote.url import attachment_path, doc_path, query
from couchette.wire.multipart_docs import read_rows
from couchette.wire.stubs import attachment_bytes, fill, needed_attachments, stubs
from couchette.wire.transfer import (
    Document,
    Fetched,
    Refusal,
    Wanted,
    portions,
    read_bulk_get,
    read_open_revs,
)

Asked = TypeVar("Asked")

NO_BULK_GET: Final = frozenset({400, 404, 405, 500, 501})
"""Answers to ``_bulk_get`` after which CouchDB's replicator asks for single documents."""
NO_MULTIPART: Final = 406
MULTIPART_TYPE: Final = "multipart/mixed"
"""CouchDB answers in JSON as soon as that is named too; servers that only know JSON send it all the same."""


@dataclass
class _Heavy:
    """A document that came with stubs, and those of its attachments that the target lacks."""

    doc: Document
    needed: Sequence[str]
    ancestors: Sequence[str]
    gone: Refusal | None = field(default=None)

    @property
    def key(self) -> tuple[str, str]:
        return self.doc["_id"], self.doc["_rev"]

    def length_of(self, name: str) -> int:
        length = self.doc["_attachments"][name].get("length")
        return length if isinstance(length, int) else 0

    @property
    def large(self) -> list[str]:
        """Those to be streamed. Beside an empty name, which only comes with all others, there are none."""
        if "" in self.needed:
            return []
        return [name for name in self.needed if self.length_of(name) > limits.ATTACHMENT_INLINE_BYTES_MAX]

    @property
    def as_whole(self) -> bool:
        """Whether it is fetched with its attachments, rather than these alone."""
        return len(self.needed) > 1 or "" in self.needed

    @property
    def weight(self) -> int:
        """Bytes in a portion; a document whose attachments are streamed is alone, so that it is written when it is."""
        return limits.BATCH_BYTES if self.large else attachment_bytes(self.doc, self.needed)

    def still_needed(self) -> list[str]:
        stubbed = {name for name, _ in stubs(self.doc)}
        return [name for name in self.needed if name in stubbed]


class Fetcher:
    """Fetches documents through ``client``; it remembers what the server cannot do."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._bulk_get_works = True
        self._accepted = MULTIPART_TYPE

    async def fetch(self, wanted: Sequence[Wanted]) -> AsyncGenerator[Fetched, None]:
        """Fetch these revisions, or the leaves that followed them, in portions of bounded size.

        Attachments that the target holds, judged by the ``ancestors``, are stubs. The others have their data as
        base64 text, bytes, or, if they are large, a Content.
        """
        ancestors = {one.id: one.ancestors for one in wanted}
        fetched = await self._fetch_stubbed(wanted)
        plain = [doc for doc in fetched.docs if not stubs(doc)]
        yield Fetched(plain, fetched.refused, fetched.size)
        heavy = [
            _Heavy(doc, needed_attachments(doc, known), known)
            for doc in fetched.docs
            if stubs(doc)
            for known in [ancestors.get(doc["_id"], ())]
        ]
        for portion in portions(heavy, lambda one: one.weight, limits.BATCH_BYTES):
            yield await self._filled(portion)

    # -- Documents ------------------------------------------------------------------------------------

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
        return _together([fetched, *(singles[one.id] for one in left_out)])

    async def _bulk_get(self, docs: Sequence[Mapping[str, Any]], *, attachments: bool = False) -> Fetched:
        """``_bulk_get``; nothing from a server that cannot, which is not asked again.

        With ``attachments`` exactly these revisions are meant, else the leaves that followed them too.
        """
        params = {"revs": True, "attachments" if attachments else "latest": True}
        request = self._client.json_request(
            "POST",
            "_bulk_get",
            params=params,
            body={"docs": docs, **params},
            accept=self._accepted if attachments else JSON_TYPE,
        )
        try:
            answer, size = await self._load(request)
            fetched = read_open_revs(answer, "") if isinstance(answer, list) else read_bulk_get(answer)
            return replace(fetched, size=size)
        except NotCouchDB as exc:
            ask = partial(self._bulk_get, attachments=attachments)
            return await self._in_halves(docs, ask, lambda entry: (entry["id"], entry["rev"]), exc)
        except CouchetteError as exc:
            if exc.status == NO_MULTIPART and self._accepted != JSON_TYPE:
                self._accepted = JSON_TYPE
                return await self._bulk_get(docs, attachments=attachments)
            if exc.status not in NO_BULK_GET:
                raise
            self._bulk_get_works = False
            return Fetched(())

    async def _open_revs(self, wanted: Wanted) -> Fetched:
        """Fetch the revisions of one document, in requests whose paths servers accept."""
        room = limits.URL_PATH_MAX - len(doc_path(wanted.id))
        cut = portions(wanted.revs, lambda rev: len(query({"": [rev]})), room)
        return _together([await self._open_some_revs(wanted.id, revs) for revs in cut])

    async def _open_some_revs(self, doc_id: str, revs: Sequence[str]) -> Fetched:
        params = {"revs": True, "latest": True, "open_revs": revs}
        try:
            answer, size = await self._load(self._client.json_request("GET", doc_path(doc_id), params=params))
        except NotCouchDB as exc:
            return await self._in_halves(revs, partial(self._open_some_revs, doc_id), lambda rev: (doc_id, rev), exc)
        return replace(read_open_revs(answer, doc_id), size=size)

    async def _in_halves(
        self,
        asked: Sequence[Asked],
        ask: Callable[[Sequence[Asked]], Awaitable[Fetched]],
        key: Callable[[Asked], tuple[str, str]],
        exc: NotCouchDB,
    ) -> Fetched:
        """Ask for what was asked in halves, down to the revision that cannot be read, which is refused alone."""
        if exc.error != UNREADABLE:
            raise exc
        if len(asked) == 1:
            doc_id, rev = key(asked[0])
            return Fetched((), [Refusal(doc_id, rev, exc.error, str(exc))])
        half = len(asked) // 2
        return _together([await ask(asked[:half]), await ask(asked[half:])])

    async def _load(self, request: Request) -> tuple[Any, int]:
        """The JSON of an answer, or the rows of a multipart one, and how many bytes came."""
        response = await self._client.respond(request)
        kind = response.headers.get("content-type", "")
        if response.is_success and kind.lower().startswith("multipart/"):
            return read_rows(kind, response.content), len(response.content)
        return self._client.read_json(response), len(response.content)

    # -- Attachments ----------------------------------------------------------------------------------

    async def _filled(self, portion: Sequence[_Heavy]) -> Fetched:
        """These documents with the data that the target lacks."""
        whole = [one for one in portion if one.needed and not one.large]
        size = await self._fill_together(whole) if len(whole) > 1 or any(one.as_whole for one in whole) else 0
        sizes: list[int] = [size]
        async with anyio.create_task_group() as tasks:
            for one in portion:
                large = one.large
                for name in one.still_needed():
                    if name not in large:
                        tasks.start_soon(self._fill_single, one, name, sizes)
                if large:
                    tasks.start_soon(self._fill_large, one, large)
        docs = [one.doc for one in portion if one.gone is None]
        return Fetched(docs, [one.gone for one in portion if one.gone is not None], sum(sizes))

    async def _fill_together(self, heavy: Sequence[_Heavy]) -> int:
        """Fetch documents again with the attachments that are needed; how many bytes came."""
        answers: list[Fetched] = []
        if self._bulk_get_works:
            answers.append(await self._bulk_get([_entry(one) for one in heavy], attachments=True))
        if not self._bulk_get_works:
            several = [one for one in heavy if one.as_whole]
            async with anyio.create_task_group() as tasks:
                for one in several:
                    tasks.start_soon(self._open_rev_with_attachments, one, answers)
        found = {(doc["_id"], doc["_rev"]): doc for answer in answers for doc in answer.docs}
        for one in heavy:
            one.doc = found.get(one.key, one.doc)
        return sum(answer.size for answer in answers)

    async def _open_rev_with_attachments(self, one: _Heavy, answers: list[Fetched]) -> None:
        """Fetch one revision by ``open_revs`` with ``atts_since``, as much of which as the path may hold."""
        path = doc_path(one.doc["_id"])
        params = {"revs": True, "open_revs": [one.doc["_rev"]], "attachments": True}
        room = limits.URL_PATH_MAX - len(path) - len(query(params))
        known = next(portions(one.ancestors, lambda rev: len(query({"": [rev]})), room), [])
        if known:
            params["atts_since"] = known
        request = self._client.json_request("GET", path, params=params, accept=self._accepted)
        answer, size = await self._load(request)
        answers.append(replace(read_open_revs(answer, one.doc["_id"]), size=size))

    async def _fill_large(self, one: _Heavy, names: Sequence[str]) -> None:
        """Put a Content in the place of attachments that are large, or whose length must be looked at.

        What is stored compressed is moved so; how, and how long it is then, is not in the stub and is asked for.
        """
        doc_id, rev = one.key
        params = {"rev": rev, "att_encoding_info": True}
        try:
            answer = await self._client.request("GET", doc_path(doc_id), params=params)
        except CouchetteError as exc:
            one.gone = _refusal(one, exc)
            return
        listed = answer.get("_attachments", {}) if isinstance(answer, dict) else {}
        for name in names:
            length = listed.get(name, {}).get("encoded_length")
            compressed = listed.get(name, {}).get("encoding") == "gzip" and isinstance(length, int)
            if compressed:
                one.doc["_attachments"][name] |= {"encoding": "gzip", "encoded_length": length}
            else:
                length = one.length_of(name)
            fill(one.doc, name, RemoteContent(self._client, doc_id, rev, name, length, compressed=compressed))

    async def _fill_single(self, one: _Heavy, name: str, sizes: list[int]) -> None:
        """Fetch one attachment's content; a document whose content is not given is noted as gone."""
        doc_id, rev = one.key
        if not name:
            one.gone = Refusal(
                doc_id, rev, "bad_request", "The source does not give the attachment with an empty name."
            )
            return
        try:
            data = await self._client.get_bytes(attachment_path(doc_id, name), params={"rev": rev})
        except CouchetteError as exc:
            one.gone = _refusal(one, exc)
        else:
            if len(data) != one.doc["_attachments"][name].get("length", len(data)):
                # The answer was cut off, or the source counts the bytes of a gzip that it unpacks for us.
                await self._fill_large(one, [name])
                return
            fill(one.doc, name, data)
            sizes.append(len(data))


def _refusal(one: _Heavy, exc: CouchetteError) -> Refusal:
    """What is noted of a document whose attachments the source does not give. Raises what is not about it alone."""
    if exc.status not in NOT_GIVEN:
        raise exc
    return Refusal(*one.key, exc.error, exc.reason)


def _entry(one: _Heavy) -> dict[str, Any]:
    """The entry of a ``_bulk_get`` that fetches this document again, with the data that is needed."""
    entry = {"id": one.doc["_id"], "rev": one.doc["_rev"]}
    return {**entry, "atts_since": list(one.ancestors)} if one.ancestors else entry


def _together(answers: Sequence[Fetched]) -> Fetched:
    """Several answers as one. With ``latest`` two revisions asked for may be answered by the same leaf."""
    docs = {(doc["_id"], doc["_rev"]): doc for answer in answers for doc in answer.docs}
    refused = [refusal for answer in answers for refusal in answer.refused]
    return Fetched(list(docs.values()), refused, sum(answer.size for answer in answers))
