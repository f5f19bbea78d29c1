"""A scripted server, shared by the tests of the HTTP client."""

from __future__ import annotations

import httpx

from couchette.access import Access
from couchette.remote.client import Client
from couchette.remote.url import DatabaseUrl


class Script:
    """A server that gives the answers of a list, one a request, and keeps the requests.

    An answer is a response, an exception to raise, or a function of the request that gives one of these.
    """

    def __init__(self, *answers):
        self.answers = list(answers)
        self.requests = []

    def __call__(self, request):
        self.requests.append(request)
        answer = self.answers.pop(0)
        if callable(answer) and not isinstance(answer, httpx.Response):
            answer = answer(request)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, url="http://host:5984/db", **access):
        return client_of(self, url, **access)


def client_of(server, url="http://host:5984/db", **access):
    """A client whose requests ``server`` answers, a function of a request that may be async."""
    return Client(DatabaseUrl.parse(url), Access(**access), transport=httpx.MockTransport(server))


def answer(status, body=None, **options):
    return httpx.Response(status, json={} if body is None else body, **options)


def couch_error(status, error, reason):
    return answer(status, {"error": error, "reason": reason})
