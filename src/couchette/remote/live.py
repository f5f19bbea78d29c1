"""A source's changes as they happen, over a feed that stays open.

The continuous feed brings each row when it happens and a newline as a heartbeat when nothing does, so silence means
that the line is dead, whatever TCP believes: the client gives up after three missed heartbeats, the caller starts
again. Two kinds of server do not get along with it. One does not know the feed and says so (400). The other
stands behind a proxy that collects answers before it passes them on: the answer begins and then nothing comes, not
even the newline which every server sends at the start. Both are asked by longpoll from then on, whose answers are
complete, and which ends by itself before the silence is too long.

Rows that arrive together make one page.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final, NamedTuple

import anyio
import httpx

from couchette import jsonio, limits
from couchette.errors import CouchetteError, NotCouchDB, Unreachable
from couchette.remote.client import Client, Request
from couchette.remote.hosts import pause_s
from couchette.wire.checkpoint import Seq
from couchette.wire.selection import Selection
from couchette.wire.transfer import ChangesPage, read_changes

NO_CONTINUOUS: Final = frozenset({400, 405, 501})
"""Answers of a server that does not know the feed; it is asked by longpoll, which tells if something else is wrong."""


Answer = dict[str, Any]


class Asked(NamedTuple):
    """What a request to ``_changes`` says of the rows, beside where they begin and how they come."""

    params: Mapping[str, Any]
    body: Mapping[str, Any] | None = None


class LiveFeed:
    """The changes after a sequence, as they happen. It remembers which feed the server can do."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._continuous_works = True

    async def pages(self, since: Seq, limit: int, selection: Selection) -> AsyncGenerator[ChangesPage, None]:
        """Pages of at most ``limit`` rows, for ever. Some are empty: the sequence moved past what is not selected.

        Raises Unreachable when the feed breaks or falls silent; it can then be asked for anew from the last page.
        """
        asked = Asked(selection.parameters(), selection.body())
        async with aclosing(self.answers(since, limit, asked)) as answers:
            async for answer in answers:
                yield read_changes(answer)

    async def answers(self, since: Seq, limit: int, asked: Asked) -> AsyncGenerator[Answer, None]:
        """The same with the rows as the server sends them: ``{"results", "last_seq"}``."""
        while True:
            before = since
            if self._continuous_works:
                async with aclosing(self._while_continuous(since, limit, asked)) as answers:
                    async for answer in answers:
                        since = answer["last_seq"]
                        yield answer
            else:
                answer = await self._longpoll(since, limit, asked)
                since = answer["last_seq"]
                yield answer
            if since == before:
                await anyio.sleep(pause_s(1))  # However a server ends its feeds, it is not asked in a tight loop.

    async def _while_continuous(self, since: Seq, limit: int, asked: Asked) -> AsyncGenerator[Answer, None]:
        """One continuous feed, or the finding that the server cannot do it."""
        heard = False
        try:
            async with aclosing(self._continuous(since, limit, asked)) as answers:
                async for answer in answers:
                    heard = True
                    if answer is not None:
                        yield answer
        except CouchetteError as exc:
            silent = not heard and isinstance(exc.__cause__, httpx.ReadTimeout)
            if not silent and exc.status not in NO_CONTINUOUS:
                raise
            self._continuous_works = False

    async def _continuous(self, since: Seq, limit: int, asked: Asked) -> AsyncGenerator[Answer | None, None]:
        """One continuous feed until the server ends it properly; None for each sign of life without a row."""
        params = {**asked.params, "feed": "continuous", "since": since}
        params["heartbeat"] = int(limits.FEED_HEARTBEAT_S * 1000)
        request = self._request(params, asked.body)
        async with self._client.stream(request) as answer, aclosing(_lines(answer.chunks)) as arrivals:
            async for lines in arrivals:
                rows = [_row(line) for line in lines if line.strip()]
                ended = bool(rows) and "last_seq" in rows[-1]
                last = rows.pop() if ended else None
                for first in range(0, len(rows), limit):
                    yield _page(rows[first : first + limit])
                if last is not None:
                    yield {"results": [], "last_seq": last["last_seq"]}
                    return
                if not rows:
                    yield None
        raise Unreachable("The changes feed broke off.", f"{self._client.url} closed it without a last sequence.")

    async def _longpoll(self, since: Seq, limit: int, asked: Asked) -> Answer:
        params = {**asked.params, "feed": "longpoll", "since": since, "limit": limit}
        params["timeout"] = int(limits.LONGPOLL_S * 1000)
        try:
            response = await self._client.respond(self._request(params, asked.body))
        except Unreachable:
            self._continuous_works = True  # It was the line, not the feed, that was silent: that may come again.
            raise
        answer: Answer = self._client.read_json(response)
        read_changes(answer)  # Refuses what is no answer to _changes.
        return answer

    def _request(self, params: Mapping[str, Any], body: Mapping[str, Any] | None) -> Request:
        request = self._client.json_request(
            "GET" if body is None else "POST",
            "_changes",
            params=params,
            body=body,
            silence_s=limits.FEED_SILENCE_S,
            waiting=True,
        )
        # A compressor on the way would hold rows back.
        return replace(request, headers={**request.headers, "Accept-Encoding": "identity"})


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[list[bytes], None]:
    """The complete lines of each chunk, an empty list where it has none."""
    rest: list[bytes] = []
    async for chunk in chunks:
        head, newline, tail = chunk.rpartition(b"\n")
        if not newline:
            rest.append(tail)
            yield []
            continue
        complete = b"".join([*rest, head])
        rest = [tail]
        yield complete.split(b"\n")


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = jsonio.loads(line)
    except CouchetteError as exc:
        raise NotCouchDB("A line of the changes feed is not JSON.", f"It holds {line[:100]!r}.") from exc
    if not isinstance(row, dict) or not ("last_seq" in row or "seq" in row):
        raise NotCouchDB("A line of the changes feed is no row.", f"It holds {line[:100]!r}.")
    return row


def _page(rows: list[dict[str, Any]]) -> Answer:
    return {"results": rows, "last_seq": rows[-1]["seq"]}
