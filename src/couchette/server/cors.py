"""CORS: which pages of other sites a browser lets use the server, as CouchDB answers it.

A browser asks before anything but the simplest request (the preflight: OPTIONS), and that question comes without
credentials, so it is answered before anybody logs in. Each later answer names the origin that may read it. An origin
that is not listed gets the ordinary answer, without these headers, and its browser withholds it from the page.
"""

from __future__ import annotations

from typing import Final

from starlette.types import Message, Send

from couchette.server.policy import Cors

RawHeaders = list[tuple[bytes, bytes]]

_SIMPLE: Final = ("cache-control", "content-language", "expires", "last-modified", "pragma")
"""Headers that a page may read anyhow; CouchDB names those of them that the answer has."""


def preflight(cors: Cors, raw_headers: RawHeaders) -> RawHeaders | None:
    """The headers of the answer to a preflight; None if it is none, or asks for what is not allowed."""
    headers = dict(raw_headers)
    origin, method = headers.get(b"origin"), headers.get(b"access-control-request-method")
    if origin is None or method is None or not _is_allowed(cors, origin) or _text(method) not in cors.methods:
        return None
    asked = headers.get(b"access-control-request-headers", b"")
    names = {name.strip().lower() for name in _text(asked).split(",")} - {""}
    if names - {name.lower() for name in cors.headers}:
        return None
    return [
        *_origin_headers(cors, origin),
        (b"access-control-max-age", str(cors.max_age).encode()),
        (b"access-control-allow-methods", ", ".join(cors.methods).encode()),
        (b"access-control-allow-headers", asked),
    ]


def answering(cors: Cors, raw_headers: RawHeaders, send: Send) -> Send:
    """A ``send`` that adds what lets the page of the request's origin read the answer, if it may."""
    origin = dict(raw_headers).get(b"origin")
    if origin is None or not _is_allowed(cors, origin):
        return send

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = list(message["headers"])
            present = {name.decode("latin-1").lower() for name, _ in headers}
            exposed = ("content-type", *filter(present.__contains__, _SIMPLE), *cors.exposed_headers)
            headers += _origin_headers(cors, origin)
            headers.append((b"access-control-expose-headers", ", ".join(exposed).encode()))
            message = {**message, "headers": headers}
        await send(message)

    return send_head


def _origin_headers(cors: Cors, origin: bytes) -> RawHeaders:
    """The origin as it came, never ``*``: then a browser would send no credentials. A cache must tell them apart."""
    headers = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
    if cors.credentials:
        headers.append((b"access-control-allow-credentials", b"true"))
    return headers


def _is_allowed(cors: Cors, origin: bytes) -> bool:
    return "*" in cors.origins or _text(origin).lower() in {one.lower() for one in cors.origins}


def _text(value: bytes) -> str:
    return value.decode("latin-1")
