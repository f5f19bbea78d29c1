"""A source that is edited, compacted and purged while it is read: what followed is moved, what is gone is told."""

from __future__ import annotations

import pytest

from couchette import limits, store
from couchette.errors import MissingStub
from couchette.replication import replicate
from couchette.replication.fetching import wanted_of
from couchette.wire.transfer import Fetched, Refusal, Wanted
from tests.replication.peers import Recording, Wrapped, graft, leaves, local, pool_of, put

pytestmark = pytest.mark.anyio

LARGE = 300_000


@pytest.fixture
def source():
    """A database that keeps leaves alone, with a document that has an attachment."""
    peer = local("source")
    pool_of(peer).write(store.write_auto_compaction, True)
    put(peer, {"_id": "a", "n": 1, "_attachments": {"x": {"content_type": "image/png", "data": bytes(LARGE)}}})
    put(peer, {"_id": "b"})
    return peer


def edit(peer, **fields):
    """A next revision of ``a``; compaction has dropped the one before it."""
    doc = pool_of(peer).read(store.get, "a")
    pool_of(peer).write(store.put, {**doc, **fields})


def purge(peer):
    pool_of(peer).write(store.purge, {"a": [pool_of(peer).read(store.get, "a")["_rev"]]})


def between(peer, happens, times=1):
    """Have something happen ``times`` after documents were listed and before their attachments are read."""
    read = peer._read
    left = [happens] * times

    async def before(op, *args, **options):
        if op is store.bulk_get and options.get("attachments") and left:
            left.pop()(peer)
        return await read(op, *args, **options)

    peer._read = before


async def test_what_followed_while_it_was_fetched_is_moved(source):
    target = local()
    between(source, edit)
    result = await replicate(source, target)
    assert (result.ok, result.doc_write_failures, result.docs_written) == (True, 0, 2)
    assert leaves(target) == leaves(source)


async def test_so_is_what_followed_that_in_turn(source):
    target = local()
    between(source, edit, times=5)
    assert (await replicate(source, target)).ok
    assert leaves(target) == leaves(source)


async def test_what_was_purged_meanwhile_is_asked_for_once_more_and_told_once(source):
    target, recording = local(), Recording(source)
    between(source, purge)
    result = await replicate(recording, target)
    assert [(error["id"], error["error"]) for error in result.errors] == [("a", "not_found")]
    assert recording.fetched_ids() == ["a", "a"]
    assert result.refused == ()
    assert leaves(target) == leaves(source)


async def test_a_source_that_always_has_another_reason_is_asked_twice(source):
    class Talkative(Recording):
        async def fetch(self, wanted):
            await self.before("fetch", wanted)
            yield Fetched((), [Refusal(one.id, one.revs[0], "not_found", str(len(self.calls))) for one in wanted])

    talkative = Talkative(source)
    result = await replicate(talkative, local())
    assert [(error["id"], error["error"]) for error in result.errors] == [("a", "not_found")]
    assert talkative.fetched_ids() == ["a", "a"]


async def test_what_followed_must_pass_the_filter_too(source):
    target = local()
    between(source, lambda peer: edit(peer, n=2))
    result = await replicate(source, target, filter=lambda doc: doc.get("n") != 2)
    assert result.ok
    assert {doc_id for doc_id, _ in leaves(target)} == {"b"}


class Disturbed(Wrapped):
    """A target before whose first write of ``a`` something happens to the source."""

    def __init__(self, peer, happens):
        super().__init__(peer)
        self.happens = [happens]

    async def before(self, name, *args):
        if name == "write" and self.happens and args[0][0]["_id"] == "a":
            self.happens.pop()()


async def test_what_followed_while_its_large_attachment_was_written_is_moved(source, monkeypatch):
    monkeypatch.setattr(limits, "ATTACHMENT_INLINE_BYTES_MAX", LARGE - 1)
    target = local()
    result = await replicate(source, Disturbed(target, lambda: edit(source)))
    assert (result.ok, result.refused) == (True, ())
    assert leaves(target) == leaves(source)


async def test_what_was_purged_while_its_large_attachment_was_written_is_told(source, monkeypatch):
    monkeypatch.setattr(limits, "ATTACHMENT_INLINE_BYTES_MAX", LARGE - 1)
    target = local()
    result = await replicate(source, Disturbed(target, lambda: purge(source)))
    assert [(error["id"], error["error"]) for error in result.errors] == [("a", "not_found")]
    assert result.refused == ()
    assert leaves(target) == leaves(source)


async def test_leaves_of_one_document_whose_stubs_the_target_lacks_are_fetched_together(source):
    """One by one, a server without ``_bulk_get`` would give the last of them alone."""

    class Lacking(Wrapped):
        async def before(self, name, *args):
            if name == "write" and any(entry.get("stub") for doc in args[0] for entry in attachments(doc)):
                raise MissingStub("a/x")

    def attachments(doc):
        return dict(doc).get("_attachments", {}).values()

    peer, target = local("source"), local()
    for rev in "bc":
        graft(peer, ("a", "1-a", {"_attachments": {"x": {"data": "QQ==", "revpos": 1}}}))
        graft(peer, ("a", f"2-{rev} 1-a", {"_attachments": {"x": {"stub": True, "revpos": 1}}}))
    graft(target, ("a", "1-a", {"_attachments": {"x": {"data": "QQ==", "revpos": 1}}}))
    recording = Recording(peer)
    assert (await replicate(recording, Lacking(target))).ok
    fetches = [args[0] for name, *args in recording.calls if name == "fetch"]
    assert fetches[-1] == [Wanted("a", ["2-b", "2-c"])]
    assert leaves(target) == leaves(peer)


def test_revisions_are_wanted_by_document_with_what_the_target_has():
    wanted = wanted_of([("a", "2-x"), ("b", None), ("c", "1-x"), ("a", "2-y")], {"a": ["1-a"]})
    assert wanted == [Wanted("a", ["2-x", "2-y"], ["1-a"]), Wanted("c", ["1-x"])]
