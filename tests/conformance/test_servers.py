"""The recorded exchanges hold on real sockets: on asyncio and on trio, and where another program mounts the app.

So does what recordings cannot show, since it is not over when the next request begins: feeds that wait, and streams.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing

import pytest

from couchette.server import Policy
from tests.conformance.covered import SCENARIOS, check
from tests.conformance.lines import SERVERS, Line, line


@pytest.fixture(scope="module", params=SERVERS)
def served(request: pytest.FixtureRequest) -> Iterator[Line]:
    with line(request.param) as one:
        yield one


@pytest.mark.parametrize("name", SCENARIOS)
def test_exchanges_are_answered_as_couchdb_answered_them(served: Line, name: str):
    check(name, served.replay(SCENARIOS[name]))


@pytest.mark.parametrize("feed", ["longpoll", "continuous", "eventsource"])
def test_a_feed_that_waits_hears_of_a_change(served: Line, feed: str):
    with served.serving(Policy()) as environment, closing(served.connect()) as connection:
        db = environment.create("db")
        connection.request("GET", served.path(f"/db/_changes?feed={feed}&limit=1&heartbeat=1000"))
        response = connection.getresponse()
        db["late"] = {}
        assert b'"id":"late"' in response.read()


def test_an_attachment_larger_than_what_is_held_streams_both_ways(served: Line):
    content = bytes(range(256)) * 12_000
    with served.serving(Policy()) as environment, closing(served.connect()) as connection:
        environment.create("db")
        chunks = (content[at : at + 100_000] for at in range(0, len(content), 100_000))
        headers = {"Content-Type": "application/octet-stream"}
        connection.request("PUT", served.path("/db/a/b%2Fc"), chunks, headers, encode_chunked=True)
        assert json.load(connection.getresponse())["ok"]
        connection.request("GET", served.path("/db/a/b/c"))
        assert connection.getresponse().read() == content
        connection.request("GET", served.path("/db/a/b%2Fc"), headers={"Range": "bytes=2000000-2000009"})
        assert connection.getresponse().read() == content[2_000_000:2_000_010]


def test_a_location_leads_to_the_document(served: Line):
    with served.serving(Policy()) as environment, closing(served.connect()) as connection:
        environment.create("db")
        connection.request("PUT", served.path("/db/a%2Fb"), "{}")
        response = connection.getresponse()
        response.read()
        assert response.headers["Location"] == f"{served.url}/db/a%2Fb"
        connection.request("GET", response.headers["Location"].removeprefix(served.origin))
        assert json.load(connection.getresponse())["_id"] == "a/b"
