"""What the replication tests share: databases full of awkward documents, what they hold, and peers with faults."""

from __future__ import annotations

from base64 import b64encode
from contextlib import aclosing

from couchette import store
from couchette.errors import Unreachable
from couchette.pool import Pool
from couchette.replication import LocalPeer

ODD_IDS = ["plain", "a/b", "a+b c", "100%", "%2F", "é", "e\u0301", "日本", "😀", "..", "?x=1#y", '"quoted"', "\\", "~"]
ODD_NAMES = ["a.txt", "dir/b.bin", "c+d e", "100%", "ü😀.txt", "?#", ".."]


def local(label="db"):
    """A peer with a new database in memory."""
    return LocalPeer(Pool(":memory:"), label=label)


def pool_of(peer):
    return peer._pool


def put(peer, *docs):
    return pool_of(peer).write(store.bulk_docs, docs)


def graft(peer, *docs):
    """Write documents with the revisions that they bring: ``(id, "3-c 2-b 1-a", fields)``."""
    drafts = []
    for doc_id, path, fields in docs:
        revs = path.split()
        revisions = {"start": int(revs[0].partition("-")[0]), "ids": [rev.partition("-")[2] for rev in revs]}
        drafts.append({"_id": doc_id, "_rev": revs[0], "_revisions": revisions, **fields})
    assert pool_of(peer).write(store.bulk_docs, drafts, new_edits=False) == []


def fill(peer):
    """Documents of every awkward kind."""
    put(peer, *({"_id": doc_id, "n": 1.0, "big": 2**70, "id": doc_id} for doc_id in ODD_IDS))
    put(peer, {"_id": "_design/x/y", "views": {"v": {"map": "function (doc) { emit(doc._id) }"}}})
    graft(
        peer,
        ("conflicted", "2-b 1-a", {"v": "b"}),
        ("conflicted", "2-c 1-a", {"v": "c"}),
        ("conflicted", "3-e 2-d 1-a", {"_deleted": True, "why": "losing tombstone"}),
        ("gone", "2-y 1-x", {"_deleted": True, "why": "kept in the tombstone"}),
        ("roots", "1-p", {"v": 1}),
        ("roots", "7-q 6-r", {"v": 2}),
        ("long", " ".join(f"{n}-{n:032x}" for n in range(40, 0, -1)), {"v": 40}),
    )
    attachments = {
        name: {"content_type": "text/plain" if number % 2 else "image/png", "data": b64encode(name.encode()).decode()}
        for number, name in enumerate(ODD_NAMES)
    }
    put(peer, {"_id": "with/attachments", "_attachments": attachments})
    graft(peer, ("forked attachments", "1-a", {"_attachments": {"f": {"data": "QQ==", "revpos": 1}}}))
    graft(peer, ("forked attachments", "1-b", {"_attachments": {"f": {"data": "Qg==", "revpos": 1}}}))


def leaves(peer):
    """Every leaf revision with its body, history and attachments' content: two replicas must agree on it."""
    pool = pool_of(peer)
    found = {}
    for row in pool.read(store.changes, style="all_docs")["results"]:
        for leaf in pool.read(store.get, row["id"], open_revs="all", revs=True, attachments=True):
            doc = leaf["ok"]
            for attachment in doc.get("_attachments", {}).values():
                del attachment["digest"]
            found[doc["_id"], doc["_rev"]] = doc
    return found


class Wrapped:
    """A peer that passes each call on to another; subclasses look at it on its way."""

    def __init__(self, peer):
        self.peer = peer
        self.label = peer.label

    async def __aenter__(self):
        await self.peer.__aenter__()
        return self

    async def __aexit__(self, *exc_info):
        await self.peer.__aexit__(*exc_info)

    async def before(self, name, *args):
        """Called before each method of the peer."""

    def __getattr__(self, name):
        method = getattr(self.peer, name)
        if name in ("fetch", "live_changes"):

            async def generate(*args):
                await self.before(name, *args)
                async with aclosing(method(*args)) as items:
                    async for item in items:
                        yield item

            return generate

        async def call(*args):
            await self.before(name, *args)
            return await method(*args)

        return call


class Recording(Wrapped):
    """Keeps the calls: ``[(name, *args), ...]``."""

    def __init__(self, peer):
        super().__init__(peer)
        self.calls = []

    async def before(self, name, *args):
        self.calls.append((name, *args))

    def names(self):
        return [call[0] for call in self.calls]

    def fetched_ids(self):
        return [wanted.id for name, *args in self.calls if name == "fetch" for wanted in args[0]]


class Countdown:
    """Breaks at the k-th call of those who share it: before it is done, or (``after``) between that and the answer."""

    def __init__(self, calls, *, after=False):
        self.left = calls
        self.after = after

    @property
    def broke(self):
        return self.left <= 0

    def tick(self):
        self.left -= 1
        return self.left == 0


class Faulty(Wrapped):
    """A peer whose line breaks when the countdown says so."""

    def __init__(self, peer, countdown):
        super().__init__(peer)
        self.countdown = countdown

    def __getattr__(self, name):
        inner = super().__getattr__(name)
        if name == "fetch":
            return inner

        async def call(*args):
            breaks = self.countdown.tick()
            if breaks and not self.countdown.after:
                raise Unreachable("The line broke.")
            answer = await inner(*args)
            if breaks:
                raise Unreachable("The line broke.")
            return answer

        return call

    async def before(self, name, *args):
        if name == "fetch" and self.countdown.tick():
            raise Unreachable("The line broke.")
