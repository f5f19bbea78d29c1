"""One HTTP request as the resources see it: read to its end if it is not large, its path split but not normalised."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote as quote_path

from starlette.types import Receive, Scope

from couchette import jsonio
from couchette.database import Database
from couchette.design.designs import Designs
from couchette.environment import Environment
from couchette.errors import BadContentType, BadRequest, CouchetteError, DatabaseNotFound, IllegalDatabaseName, TooLarge
from couchette.limits import (
    BODY_HELD_BYTES,
    REQUEST_BYTES_MAX,
    REQUEST_HELD_BYTES_MAX,
    REQUEST_TARGET_BYTES_MAX,
    REQUEST_UNASKED_BYTES,
    REQUEST_VALUES_MAX,
    UNPACKED_ANONYMOUS_BYTES_MAX,
)
from couchette.server.identity import NOBODY, Identity
from couchette.server.waiting import Feeds
from couchette.users import User
from couchette.wire import conditions, names
from couchette.wire.content_encoding import decoded
from couchette.wire.names import SYSTEM_DATABASES
from couchette.wire.parameters import Query

if TYPE_CHECKING:
    from couchette.server.gate import Gate
    from couchette.server.node import Node


_ABSOLUTE: Final = re.compile(rb"^https?://[^/]*/?", re.IGNORECASE)


class Disconnected(Exception):
    """The client went away before its request was complete; there is no one to answer."""


class Body:
    """A request's body as it arrives: what is held of it, then the rest, piece by piece.

    Raises Disconnected when the client leaves, TooLarge when it sends too much.
    """

    def __init__(self, headers: Mapping[str, str], receive: Receive, limit: int = REQUEST_BYTES_MAX) -> None:
        declared = headers.get("content-length", "")
        self._declared = int(declared) if declared.isdecimal() else 0
        self.held = b""
        self.ended = False
        """Whether all of it has arrived."""
        self._receive = receive
        self._size = 0
        self._limit = limit
        self._refusal: TooLarge | None = None
        self._check(self._declared)

    def bound(self, limit: int, refusal: TooLarge | None = None) -> None:
        """Take no more than so many bytes, if not even less. Raises TooLarge where there are more, or will be."""
        if limit < self._limit:
            self._limit, self._refusal = limit, refusal
        self._check(max(self._size, self._declared))

    def _check(self, size: int) -> None:
        if size > self._limit:
            hint = f"It has {size} bytes, {self._limit} are allowed."
            raise self._refusal or TooLarge("the request entity is too large", hint)

    async def hold(self, size: int) -> None:
        """Wait for the whole body, or until so many bytes of it are held."""
        chunks: list[bytes] = [self.held] if self.held else []
        while not self.ended and self._size < size:
            chunks.append(await self._arrive())
        self.held = chunks[0] if len(chunks) == 1 else b"".join(chunks)

    async def skip(self) -> None:
        """Wait for the end, and drop what comes; not for a client that sends too much."""
        with suppress(TooLarge):
            while not self.ended:
                await self._arrive()

    async def _arrive(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk: bytes = message.get("body", b"")
        self._size += len(chunk)
        self.ended = not message.get("more_body", False)
        self._check(self._size)
        return chunk

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self.held:
            held, self.held = self.held, b""
            return held
        while not self.ended:
            if chunk := await self._arrive():
                return chunk
        raise StopAsyncIteration


@dataclass(eq=False)  # And not frozen, though only who sent it is assigned: that would take thrice as long to make.
class Request:
    """A request and what is needed to answer it."""

    environment: Environment
    feeds: Feeds
    designs: Designs
    gate: Gate
    node: Node
    method: str
    raw_segments: list[bytes]
    """The path's segments still escaped."""
    query_string: bytes
    query: Query
    headers: Mapping[str, str]
    body: bytes
    """All of it; of a large one that the resource takes as a stream, only what has arrived."""
    stream: Body
    base: str
    """URL of the server without trailing slash, as the client wrote it."""
    peer: str
    """The client's address; empty where the server does not know it."""
    requested: bytes | None = None
    """The path and query that the client asked for, if a rewrite made this of it."""
    rewrites: int = 0
    identity: Identity = NOBODY
    """Who sent it; nobody, until that was found out."""
    is_identified: bool = False
    """Whether that was found out."""

    @property
    def user(self) -> User:
        """Whom the request acts for."""
        return self.identity.user

    @property
    def is_secure(self) -> bool:
        """Whether it came over TLS."""
        return self.base.startswith("https:")

    @property
    def host(self) -> str:
        """The server's name and port, as the client wrote them: any text without a slash."""
        return self.base.partition("://")[2].partition("/")[0]

    @property
    def root(self) -> str:
        """The path that the app is mounted at; empty where that is the server's own."""
        _, slash, path = self.base.partition("://")[2].partition("/")
        return slash + path

    @property
    def is_streamed(self) -> bool:
        """Whether there is more of the body than ``body``: the resource must read ``stream``."""
        return not self.stream.ended

    @property
    def target(self) -> bytes:
        """Method and path, for the log."""
        return b" /".join([self.method.encode(), b"/".join(self.raw_segments)])

    @cached_property
    def segments(self) -> list[bytes]:
        """The path's segments, unescaped."""
        return [names.unquote(segment) for segment in self.raw_segments]

    def url(self, *parts: str) -> str:
        """The URL of a resource of this server, each part escaped as one segment."""
        return "/".join([self.base, *map(names.quote, parts)])

    def database(self) -> Database:
        """Open the database that the path names, as the user may use it; one that cannot exist does not exist.

        Raises DatabaseNotFound, Unauthorized, Forbidden.
        """
        try:
            db = self.environment.open(self.database_name())
        except (IllegalDatabaseName, DatabaseNotFound) as exc:
            raise DatabaseNotFound("Database does not exist.", exc.hint) from exc
        return self.gate.admit(self.user, db, self.method, self.segments[1:], self.node.settings)

    def database_name(self) -> str:
        """The first segment. What is not UTF-8 is shown escaped, and is no legal name then."""
        return self.segments[0].decode(errors="backslashreplace")

    def media_type(self) -> str:
        """The Content-Type without its parameters, in lower case; empty when there is none."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def accepted(self) -> list[str]:
        """The media types of the Accept header."""
        return conditions.accepted_types(self.headers.get("accept"))

    def require_json(self) -> None:
        """Raise BadContentType unless the body is declared to be JSON."""
        if self.media_type() != "application/json":
            raise BadContentType(
                "Content-Type must be application/json", f"It is {self.headers.get('content-type', 'missing')!r}."
            )

    def json(self) -> Any:
        """The body as JSON; one that came compressed is unpacked first."""
        encoding = self.headers.get("content-encoding")
        return parsed(self.body if encoding is None else decoded(self.body, encoding, self._unpacked_max()))

    def _unpacked_max(self) -> int:
        """What a compressed body may become. Elsewhere than in a database it is as little as it may be uncompressed."""
        if not self.is_in_database:
            return self.body_max
        is_known = self.user.is_admin or self.user.name is not None
        return REQUEST_HELD_BYTES_MAX if is_known else UNPACKED_ANONYMOUS_BYTES_MAX

    @property
    def is_in_database(self) -> bool:
        """Whether it is for a database, and not for the server itself."""
        segments = self.segments
        is_below = len(segments) > 1 or (bool(segments) and self.method == "POST")
        return is_below and (segments[0][:1] != b"_" or segments[0].decode("latin-1") in SYSTEM_DATABASES)

    @property
    def body_max(self) -> int:
        """What the body may have of a request that is for the server itself: little, but for its administrators."""
        if self.segments == [b"_session"] or not (self.user.is_admin or self.user.name):
            return REQUEST_UNASKED_BYTES
        return REQUEST_HELD_BYTES_MAX if self.user.is_admin else BODY_HELD_BYTES

    def json_object(self) -> dict[str, Any]:
        """The body as a JSON object."""
        value = self.json()
        if not isinstance(value, dict):
            raise BadRequest("Request body must be a JSON object", f"It is a JSON {type(value).__name__}.")
        return value

    def if_match(self) -> str | None:
        """The revision of an If-Match header, which may be quoted or bare."""
        value = self.headers.get("if-match")
        return None if value is None else value.strip('"')

    def is_batch(self) -> bool:
        """Whether the client does not wait for the write (``batch=ok``); it is made at once all the same."""
        return self.query.first("batch") == "ok"


def parsed(content: bytes) -> Any:
    """The value of a body, or of a part of it, that is JSON. Raises BadRequest, and TooLarge for too many values."""
    allowed = REQUEST_VALUES_MAX
    if len(content) > allowed and _values(content) > allowed and _values(_without_strings(content)) > allowed:
        hint = f"It has more than {allowed} values; send less at once."
        raise TooLarge("the request entity is too large", hint)
    return jsonio.loads(content)


def _values(content: bytes) -> int:
    """How many values JSON has, about: all but the first of an array or object follow a comma."""
    return sum(map(content.count, (b",", b"[", b"{")))


def _without_strings(content: bytes) -> bytes:
    """JSON without its strings, which may hold commas; where there are very many, it is enough that they are values."""
    content = content.replace(rb"\\", b"").replace(rb"\"", b"")
    if content.count(b'"') > 2 * REQUEST_VALUES_MAX:
        return content
    return b"".join(content.split(b'"')[::2])


async def read_request(
    environment: Environment,
    feeds: Feeds,
    designs: Designs,
    gate: Gate,
    node: Node,
    scope: Scope,
    receive: Receive,
    takes_stream: Callable[[str, list[bytes], Mapping[str, str]], bool],
    admit: Callable[[Request], Awaitable[Request]],
) -> Request:
    """Read a whole request; of a large body that the resource ``takes_stream`` of, only the beginning.

    Of what is not small nothing is held before ``admit`` has found that its sender may send it.
    Raises Disconnected when the client does not finish it, TooLarge, and what ``admit`` raises.
    """
    headers = _headers(scope)
    raw_path = _raw_path(scope)
    size = len(raw_path) + len(scope["query_string"])
    if size > REQUEST_TARGET_BYTES_MAX:
        raise TooLarge(
            "The request's path and query are too long.",
            f"They have {size} bytes, {REQUEST_TARGET_BYTES_MAX} are allowed.",
            status=414,
            error="request_uri_too_long",
        )
    raw_segments = names.split_path(raw_path)
    body = Body(headers, receive, node.settings.request_bytes_max)
    await body.hold(min(REQUEST_UNASKED_BYTES, BODY_HELD_BYTES))
    request = Request(
        environment=environment,
        feeds=feeds,
        designs=designs,
        gate=gate,
        node=node,
        method=scope["method"],
        raw_segments=raw_segments,
        query_string=scope["query_string"],
        query=Query(scope["query_string"]),
        headers=headers,
        body=body.held,
        stream=body,
        base=_base(scope, headers),
        peer=(scope.get("client") or ("",))[0],
    )
    if body.ended:
        return request
    try:
        request = await admit(request)
    except CouchetteError:
        await body.skip()  # No client reads an answer before it has sent all.
        raise
    if takes_stream(request.method, raw_segments, headers):
        await body.hold(BODY_HELD_BYTES)
    else:
        body.bound(min(REQUEST_HELD_BYTES_MAX, node.settings.request_bytes_max))
        await body.hold(REQUEST_BYTES_MAX)
    return replace(request, body=body.held)


def _headers(scope: Scope) -> dict[str, str]:
    """The headers by lower-case name; one that is repeated is a list, as HTTP has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name = raw_name.decode("latin-1").lower()
        try:
            value = raw_value.decode()
        except UnicodeDecodeError:
            value = raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _raw_path(scope: Scope) -> bytes:
    """The path below the place where the app is mounted, exactly as it was sent.

    ``scope["path"]`` is unescaped, so an id with ``%2F`` in it cannot be told from two segments there.
    """
    raw_path: bytes = scope.get("raw_path") or quote_path(scope["path"]).encode()
    if root := scope.get("root_path"):
        raw_path = raw_path.removeprefix(quote_path(root).encode())
    # A request may name the whole URL, as those to a proxy do.
    return raw_path if raw_path[:1] == b"/" else _ABSOLUTE.sub(b"/", raw_path)


def _base(scope: Scope, headers: Mapping[str, str]) -> str:
    host = headers.get("host") or ":".join(map(str, scope.get("server") or ("localhost",)))
    root = scope.get("root_path")
    return f"{scope.get('scheme', 'http')}://{host}{quote_path(root) if root else ''}"
