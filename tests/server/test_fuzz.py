"""Whatever is sent, the answer is one of CouchDB's kind, never a failure of ours, and the databases stay sound."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.fuzz import UPLOADS, requests
from tests.server.proper import PROPER, PROPER_HEADERS
from tests.server.scenes import POLICIES, Sent, play

# A scene takes 20 ms.
SCENES = max(100, settings().max_examples)


def proper(method: str, path: str, body: object) -> Sent:
    """A request of the administrator's."""
    return Sent(method, f"/{path}", PROPER_HEADERS, (b"" if body is None else json.dumps(body).encode(),))


@pytest.mark.parametrize(("method", "path", "body"), PROPER, ids=[f"{method} {path}" for method, path, _ in PROPER])
def test_what_is_bent_here_is_answered_where_it_is_not(method, path, body):
    [status] = play(POLICIES["administered"], [proper(method, path, body)])
    assert status is not None
    assert status < 400


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=SCENES)
@given(sent=st.lists(requests(), min_size=1, max_size=4))
def test_any_requests_are_answered(policy, sent):
    play(POLICIES[policy], sent)


@pytest.mark.slow
@settings(max_examples=SCENES)
@given(st.lists(UPLOADS, min_size=1, max_size=3))
def test_any_uploads_are_stored_or_refused(sent):
    play(POLICIES["open"], sent)
