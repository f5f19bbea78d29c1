"""Scenes: a few requests, one after the other, to an app of their own, and what any answer must keep to."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

import anyio

from couchette import Environment, surroundings
from couchette.errors import Forbidden
from couchette.server import Cors, Policy, create_app
from couchette.surroundings import Incoming, Outgoing, Surroundings
from tests.server.asgi import Exchange, scope
from tests.server.proper import DOCS, LEAVES, PARTITIONED, SECRET


def _may_read(user_ctx: Any, database: str, document: Any) -> bool:
    return document.get("text") != SECRET


def _validate(edited: Any, old: Any, user_ctx: Any, sec_obj: Any) -> None:
    if edited.get("n") == 3:
        raise Forbidden("No three.")


POLICIES = {
    "ruled": Policy(may_read_document=_may_read, validate_doc_update=_validate),
    "open": Policy(cors=Cors(origins=("http://there.example",), credentials=True)),
    "administered": Policy(
        admins={"ada": "pw"}, password_iterations=1, proxy_secret="s", jwt_keys={"hmac:_default": b"k" * 32}
    ),
}


@dataclass(frozen=True)
class Sent:
    """A request as it goes out; who ``leaves`` hangs up before the body is complete."""

    method: str
    target: str
    headers: dict[str, str] = field(default_factory=dict)
    pieces: tuple[bytes, ...] = (b"",)
    leaves: bool = False


class Complaints(logging.Handler):
    """Collects what is logged as an error: each is a fault of ours."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the message, with its traceback."""
        self.messages.append(logging.Formatter().format(record))


class NoNetwork:
    """Nobody is out there."""

    async def carry(self, request: Outgoing) -> Incoming:
        """Refuse."""
        raise ConnectionError(f"There is no way to {request.url}.")


class Hasty(Exchange):
    """A client that sends a body in pieces, and hangs up: after it, or before the last piece."""

    def __init__(self, sent: Sent) -> None:
        super().__init__()
        messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in sent.pieces]
        if sent.leaves:
            messages.pop()
        else:
            messages[-1]["more_body"] = False
        self._requests = messages[::-1]
        self._gone.set()

    async def sent(self) -> list[Any]:
        """All that the app sent; it must have ended."""
        self._put.close()
        return [message async for message in self._messages]


async def answered(app: Any, sent: Sent, *, is_secret_kept: bool = False) -> int | None:
    """Send a request, check how the answer is made, and give its status; None where there is none to give."""
    exchange = Hasty(sent)
    try:
        await app(scope(sent.method, sent.target, sent.headers), exchange.receive, exchange.send)
        messages = await exchange.sent()
    finally:
        exchange.close()
    if not messages:
        assert sent.leaves, "somebody who waits has no answer"
        return None
    check(sent, messages)
    if is_secret_kept:
        assert SECRET.encode() not in b"".join(message.get("body", b"") for message in messages)
    status: int = messages[0]["status"]
    return status


def check(sent: Sent, messages: list[Any]) -> None:
    """An answer that a server can send and a client can read."""
    head, *rest = messages
    assert head["type"] == "http.response.start"
    for name, value in head["headers"]:
        assert not set(name + value) & set(b"\r\n\0"), (name, value)
    headers = {name.lower().decode(): value.decode("latin-1") for name, value in head["headers"]}
    body = b"".join(message["body"] for message in rest)
    is_whole = bool(rest) and not rest[-1].get("more_body", False)
    if sent.method == "HEAD":
        assert body == b""
    elif is_whole and "content-length" in headers and head["status"] not in (204, 304):
        assert int(headers["content-length"]) == len(body)
    if head["status"] >= 400 and body and not sent.target.startswith("/_utils"):
        told = json.loads(body)
        assert told.keys() >= {"error", "reason"}, told
        assert told["error"] != "unknown_error", told


@contextmanager
def scene(policy: Policy) -> Iterator[tuple[Environment, Any, Complaints]]:
    """An app with databases, and what it complains of."""
    complaints = Complaints()
    logger = logging.getLogger("couchette")
    logger.addHandler(complaints)
    try:
        with surroundings.replaced(Surroundings(carrier=NoNetwork())), Environment(":memory:") as environment:
            db = environment.create("db")
            db.bulk_docs(copy.deepcopy(DOCS))
            db.bulk_docs(copy.deepcopy(LEAVES), new_edits=False)
            environment.create("parts", partitioned=True).bulk_docs(copy.deepcopy(PARTITIONED))
            environment.create("_replicator")
            yield environment, create_app(environment, policy), complaints
    finally:
        logger.removeHandler(complaints)


def play(policy: Policy, requests: Sequence[Sent]) -> list[int | None]:
    """Send requests one after the other, and give the statuses; nothing may fail, and all databases must stay sound."""

    async def run(app: Any) -> list[int | None]:
        return [await answered(app, sent, is_secret_kept=policy.may_read_document is not None) for sent in requests]

    # Large bodies are read in pieces; here a body is large from its sixth byte.
    with scene(policy) as (environment, app, complaints), patch("couchette.server.request.BODY_HELD_BYTES", 5):
        statuses = anyio.run(run, app)
        assert complaints.messages == []
        for name in environment:
            assert environment[name].verify() == [], name
    return statuses
