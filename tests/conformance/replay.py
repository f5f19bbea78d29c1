"""Sends recorded requests to our app and compares its answers with CouchDB's.

In process the app is called as an ASGI server would call it; :mod:`tests.conformance.lines` brings the same requests
to servers. Paths go out exactly as they were recorded: HTTP clients normalise them, and how a path is taken apart is
part of what is tested. Run as a program, it prints what differs:
``python -m tests.conformance.replay [topic[/scenario]]``.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import partial
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import anyio

from couchette import surroundings
from couchette.environment import Environment
from couchette.server import Policy, create_app
from couchette.surroundings import Incoming, Outgoing, Surroundings
from tests.conformance.normal import Normal, difference
from tests.server.asgi import HOST, Answer, call

GOLDEN = Path(__file__).parent / "golden"
BASE = f"http://{HOST}"
DATABASES = {"db": "golden_1", "db2": "golden_2", "db3": "golden_3"}
ADMIN = ("admin", "secret")
POLICY = Policy(admins=dict([ADMIN]), password_iterations=1)
NAMES = ("authbase", "base", "hostport", "db3", "db2", "db")
"""Of placeholders. What the first ones stand for contains what the next one does."""
TOKEN = re.compile(r"\$\{(\w+)\}|\{(" + "|".join(NAMES) + r")\}")
Ask = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Answer]]
"""Sends a request (method, target, headers, body) and gives its answer."""


def placeholders(base: str) -> dict[str, str]:
    """What the placeholders of recordings stand for, at a server with this URL."""
    return {
        "authbase": base.replace("://", "://{}:{}@".format(*ADMIN)),
        "base": base,
        "hostport": urlsplit(base).netloc,
        **DATABASES,
    }


class Replay:
    """One scenario under way: how its requests are sent, to an app of its own, and the values that its answers gave."""

    def __init__(self, ask: Ask, base: str = BASE) -> None:
        self._ask = ask
        self._names = placeholders(base)
        self.saved: dict[str, str] = {}

    async def run(self, scenario: dict[str, Any]) -> dict[int, str]:
        """The numbers of the exchanges that differ, and how."""
        for number in range(scenario.get("create", scenario.get("dbs", 1))):
            await self.send({"method": "PUT", "path": f"/{{db{number + 1 if number else ''}}}"})
        differences = {}
        for number, exchange in enumerate(scenario["exchanges"]):
            answer = await self.send(exchange["request"])
            self.save(exchange, answer)
            if found := self.compare(exchange, answer):
                differences[number] = found
        return differences

    async def send(self, request: dict[str, Any]) -> Answer:
        """Send one recorded request."""
        target = self.filled(request["path"]) + ("?" + self.filled(request["query"]) if "query" in request else "")
        headers: dict[str, Any] = {"accept": "application/json", "accept-encoding": "identity"}
        if (credentials := request.get("auth", ADMIN)) is not None:
            headers["authorization"] = f"Basic {base64.b64encode(':'.join(credentials).encode()).decode()}"
        body = b""
        if "json" in request:
            headers["content-type"] = "application/json"
            body = self.filled(json.dumps(request["json"])).encode()
        elif "text" in request:
            body = self.filled(request["text"]).encode()
        elif "base64" in request:
            body = base64.b64decode(request["base64"])
        headers.update(request.get("headers", {}))
        shown = {name.lower(): self.filled(value) for name, value in headers.items() if value is not None}
        return await self._ask(request["method"], target, {**shown, "content-length": str(len(body))}, body)

    def filled(self, text: str) -> str:
        """Text with the placeholders' values in their place."""
        return TOKEN.sub(lambda found: self.saved.get(found[1], "UNSAVED") if found[1] else self._names[found[2]], text)

    def save(self, exchange: dict[str, Any], answer: Answer) -> None:
        """Keep what the exchange names. What an answer that differs lacks is not kept."""
        for name, path in exchange.get("save", {}).items():
            kind, _, rest = path.rpartition(":")
            if kind == "header":
                self.saved[name] = answer.headers.get(rest, "UNSAVED")
            elif kind == "cookie":
                self.saved[name] = SimpleCookie(answer.headers.get("set-cookie", ""))[rest].value
            elif kind == "" and (value := _picked(answer.body, rest.split("."))) is not None:
                self.saved[name] = value

    def compare(self, exchange: dict[str, Any], answer: Answer) -> str | None:
        """How an answer differs from the recorded one, or None."""
        recorded = exchange["response"]
        norm = Normal({self._names[name]: f"{{{name}}}" for name in NAMES}, exchange.get("norm", ()))
        any_error = "status" in norm.ignored and answer.status >= 400
        if recorded["status"] != answer.status and not any_error:
            return f"status is {answer.status}, not {recorded['status']}: {answer.body[:200]!r}"
        for name, value in recorded["headers"].items():
            actual = norm.header(name, answer.headers[name]) if name in answer.headers else None
            if name == "allow" and value and actual:
                value, actual = ",".join(sorted(value.split(","))), ",".join(sorted(actual.split(",")))
            if found := difference(value, actual, f"header {name}"):
                return found
        if exchange["request"]["method"] == "HEAD":
            return None if not answer.body else "a HEAD has a body"
        wanted = {kind: norm.value(body) if kind == "json" else body for kind, body in recorded.items()}
        del wanted["status"], wanted["headers"]
        return difference(wanted, norm.body(answer.body, answer.headers, exchange.get("as")))


def _picked(body: bytes, steps: list[str]) -> str | None:
    try:
        value = json.loads(body)
        for step in steps:
            value = value[int(step)] if isinstance(value, list) else value[step]
    except (ValueError, KeyError, IndexError):
        return None
    return value if isinstance(value, str) else json.dumps(value)


def scenarios() -> Iterator[tuple[str, dict[str, Any]]]:
    """All scenarios by name, ``topic/scenario``."""
    for file in sorted(GOLDEN.glob("*.json")):
        topic = json.loads(file.read_text(encoding="utf-8"))
        for scenario in topic["scenarios"]:
            yield f"{topic['topic']}/{scenario['name']}", scenario


class ToItself:
    """The network of a server that is asked to replicate by its own URL: there is nobody else."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def carry(self, request: Outgoing) -> Incoming:
        """Call the app."""
        body = b"".join([chunk async for chunk in request.body])
        headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
        target = request.url.removeprefix(BASE)
        return Arrived(await call(self._app, request.method, target, headers, body))


class Arrived:
    """A whole answer as one that arrives."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.headers = [(name.encode(), value.encode("latin-1")) for name, value in answer.headers.items()]
        self._body = answer.body

    async def read(self) -> bytes:
        """All of it, then nothing."""
        body, self._body = self._body, b""
        return body

    async def aclose(self) -> None:
        """There is no line."""


async def replay(scenario: dict[str, Any]) -> dict[int, str]:
    """Replay one scenario in process, in a fresh environment: the exchanges that differ, and how."""
    with Environment(":memory:") as environment:
        app = create_app(environment, POLICY)
        with surroundings.replaced(Surroundings(carrier=ToItself(app))):
            return await Replay(partial(call, app)).run(scenario)


def main(prefix: str = "") -> None:
    """Print every exchange that differs."""
    for name, scenario in scenarios():
        if name.startswith(prefix):
            for number, found in anyio.run(replay, scenario).items():
                request = scenario["exchanges"][number]["request"]
                print(f"{name}#{number} {request['method']} {request['path']}?{request.get('query', '')}: {found}")


if __name__ == "__main__":
    main(*sys.argv[1:])
