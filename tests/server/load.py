"""Two hundred clients at work with a server at once, and what each was told, so that nothing can get lost unseen.

The work is counted or timed by whoever starts it. Every choice comes from the numbers of client and step, none from
chance.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import aiohttp

CLIENTS = {"writer": 80, "reader": 60, "longpoller": 20, "follower": 20, "uploader": 20}
COUNTERS = 16
SEEDS = 500
END = "zzz-end"
KeepGoing = Callable[[int], bool]


class Load:
    """The clients of one server, its database ``load``, and what was acknowledged to them."""

    def __init__(self, url: str, session: aiohttp.ClientSession, keep_going: KeepGoing) -> None:
        self.requests = 0
        self.revs: dict[str, str] = {}
        """The newest revision of each document that was written and not deleted."""
        self.increments = [0] * COUNTERS
        self.uploads: dict[str, str] = {}
        """Digests of what was uploaded."""
        self.seen: list[dict[str, str]] = []
        """For each client that follows the changes, the newest revision that it saw of each document."""
        self._url = url
        self._session = session
        self._keep_going = keep_going

    async def ask(self, method: str, path: str, *statuses: int, **options: Any) -> tuple[int, Any]:
        """Status and JSON of an answer, which must have one of these statuses (200, unless others are given)."""
        self.requests += 1
        async with self._session.request(method, f"{self._url}/load{path}", **options) as answer:
            content = await answer.read()
            assert answer.status in (statuses or (200,)), (method, path, answer.status, content[:300])
            return answer.status, json.loads(content)

    async def prepare(self) -> None:
        """Make the database, with documents to read and counters."""
        await self.ask("PUT", "", 201)
        docs = [{"_id": f"s{number:04}", "n": number, "text": "x" * 200} for number in range(SEEDS)]
        docs += [{"_id": f"counter{number}", "n": 0} for number in range(COUNTERS)]
        _, rows = await self.ask("POST", "/_bulk_docs", 201, json={"docs": docs})
        self.revs.update((row["id"], row["rev"]) for row in rows)

    async def run(self) -> None:
        """Let all clients work until they have had enough, and those who follow see the end."""
        async with asyncio.TaskGroup() as following:
            for kind in ("longpoller", "follower"):
                for _ in range(CLIENTS[kind]):
                    following.create_task(getattr(self, kind)())
            async with asyncio.TaskGroup() as working:
                for kind in ("writer", "reader", "uploader"):
                    for client in range(CLIENTS[kind]):
                        working.create_task(self._work(getattr(self, kind), client))
            _, told = await self.ask("PUT", f"/{END}", 201, json={})
            self.revs[END] = told["rev"]

    async def _work(self, step: Callable[[int, int], Any], client: int) -> None:
        number = 0
        while self._keep_going(number):
            await step(client, number)
            number += 1

    async def writer(self, client: int, number: int) -> None:
        """Write a document, read it back, change or delete it; batches, and counters that others count with too."""
        if number % 5 == 4:
            docs = [{"_id": f"b{client}-{number}-{one}", "n": one} for one in range(20)]
            _, rows = await self.ask("POST", "/_bulk_docs", 201, json={"docs": docs})
            self.revs.update((row["id"], row["rev"]) for row in rows)
            return
        doc_id = f"w{client}-{number}"
        _, told = await self.ask("PUT", f"/{doc_id}", 201, json={"client": client, "n": number})
        _, doc = await self.ask("GET", f"/{doc_id}")
        assert doc == {"_id": doc_id, "_rev": told["rev"], "client": client, "n": number}
        if number % 3 == 0:
            _, told = await self.ask("PUT", f"/{doc_id}", 201, json={**doc, "edited": True})
        if number % 7 == 6:
            await self.ask("DELETE", f"/{doc_id}?rev={told['rev']}")
        else:
            self.revs[doc_id] = told["rev"]
        if number % 4 == 0:
            await self._count((client + number) % COUNTERS)

    async def _count(self, which: int) -> None:
        """Add one to a counter, again and again until nobody else did so meanwhile."""
        status = 409
        while status == 409:
            _, doc = await self.ask("GET", f"/counter{which}")
            status, told = await self.ask("PUT", f"/counter{which}", 201, 409, json={**doc, "n": doc["n"] + 1})
        self.increments[which] += 1
        if _generation(told["rev"]) > _generation(self.revs[f"counter{which}"]):
            self.revs[f"counter{which}"] = told["rev"]

    async def reader(self, client: int, number: int) -> None:
        """Read one document, a page of them, a page of changes, or what a selector finds."""
        place = (client * 37 + number * 101) % SEEDS
        match number % 4:
            case 0 | 1:
                _, doc = await self.ask("GET", f"/s{place:04}")
                assert doc["n"] == place
            case 2:
                _, page = await self.ask("GET", f'/_all_docs?include_docs=true&limit=20&startkey="s{place:04}"')
                assert page["rows"][0]["doc"]["n"] == place
            case _:
                _, page = await self.ask("GET", "/_changes?limit=50&include_docs=true")
                assert len(page["results"]) == 50

    async def uploader(self, client: int, number: int) -> None:
        """Upload an attachment, larger and smaller than what the server holds at once, and read it back."""
        doc_id = f"u{client}-{number}"
        content = hashlib.sha256(doc_id.encode()).digest() * (1000 if number % 4 else 40_000)
        headers = {"Content-Type": "application/x-data"}
        _, told = await self.ask("PUT", f"/{doc_id}/content", 201, data=BytesIO(content), headers=headers)
        self.revs[doc_id] = told["rev"]
        self.uploads[doc_id] = hashlib.sha256(content).hexdigest()
        assert await self.digest(doc_id) == self.uploads[doc_id]

    async def digest(self, doc_id: str) -> str:
        """The digest of what the server has of an upload."""
        self.requests += 1
        async with self._session.get(f"{self._url}/load/{doc_id}/content") as answer:
            assert answer.status == 200
            digest = hashlib.sha256()
            async for piece in answer.content.iter_any():
                digest.update(piece)
        return digest.hexdigest()

    async def longpoller(self) -> None:
        """Follow the changes by one longpoll after the other, until the end."""
        seen: dict[str, str] = {}
        self.seen.append(seen)
        since = "0"
        while END not in seen:
            _, page = await self.ask("GET", f"/_changes?feed=longpoll&since={since}&timeout=30000")
            since = page["last_seq"]
            for row in page["results"]:
                _note(seen, row)

    async def follower(self) -> None:
        """Follow the changes by a continuous feed, until the end."""
        seen: dict[str, str] = {}
        self.seen.append(seen)
        self.requests += 1
        async with self._session.get(f"{self._url}/load/_changes?feed=continuous&heartbeat=5000") as answer:
            assert answer.status == 200
            async for line in answer.content:
                if line.strip():
                    _note(seen, json.loads(line))
                if END in seen:
                    return


def _note(seen: dict[str, str], row: Any) -> None:
    seen.pop(row["id"], None)
    if not row.get("deleted"):
        seen[row["id"]] = row["changes"][0]["rev"]


def _generation(rev: str) -> int:
    return int(rev.partition("-")[0])
