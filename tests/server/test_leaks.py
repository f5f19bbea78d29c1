"""What requests leave behind: nothing, however they end."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from dataclasses import replace

import anyio
import pytest

from couchette import Environment, surroundings
from couchette.server import create_app
from couchette.surroundings import Surroundings
from tests.server.proper import DOCS, LEAVES, MULTIPARTS, PROPER
from tests.server.scenes import POLICIES, NoNetwork, Sent, answered
from tests.server.test_fuzz import proper

UPLOADS = [
    Sent(
        "PUT", target, {"content-type": "multipart/related;boundary=b"}, (content[:90], content[90:150], content[150:])
    )
    for target in ("/db/up", "/db/up/t")
    for content in MULTIPARTS[:2]
]
ENDLESS = [
    Sent("GET", f"/db/_changes?feed={feed}&since=now&heartbeat=1000", {})
    for feed in ("longpoll", "continuous", "eventsource")
]
# What makes or unmakes databases and jobs changes what is held, and should.
REQUESTS = [
    *(
        proper(*one)
        for one in PROPER
        if one[0] != "DELETE" and not one[1].startswith(("_replicat", "other", "db/_compact"))
    ),
    *UPLOADS,
    *ENDLESS,
]
ROUNDS = 4


def held() -> Counter[str]:
    """How many there are: objects by type, open files, threads."""
    gc.collect()
    counts = Counter(f"{type(one).__module__}.{type(one).__qualname__}" for one in gc.get_objects())
    counts["open files"] = len(os.listdir("/dev/fd"))
    counts["threads"] = threading.active_count()
    return counts


@pytest.mark.slow
def test_the_same_requests_again_hold_no_more_than_before(tmp_path):
    async def rounds(app):
        for sent in [*REQUESTS, *(replace(sent, leaves=True) for sent in REQUESTS)]:
            await answered(app, sent)

    async def run():
        counts = []
        for _ in range(3):
            for _ in range(ROUNDS):
                await rounds(app)
            counts.append(held())
        return counts

    with surroundings.replaced(Surroundings(carrier=NoNetwork())), Environment(tmp_path) as environment:
        environment.create("db").bulk_docs(DOCS)
        environment["db"].bulk_docs(LEAVES, new_edits=False)
        app = create_app(environment, POLICIES["administered"])
        first, second, third = anyio.run(run)
    # What is kept for each request is there once more after each round; caches and the like come once.
    growing = {
        kind: (first[kind], second[kind], count)
        for kind, count in third.items()
        if count - second[kind] >= ROUNDS and second[kind] - first[kind] >= ROUNDS
    }
    assert growing == {}
