"""CouchDB's response object, as shows and updates return it, read as an HTTP answer.

Members: ``code``; ``headers``; and one of ``body`` (text, as HTML), ``json`` (any value) and ``base64`` (bytes). See
    CouchDB's ``chttpd_external``.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from couchette import jsonio
from couchette.errors import FunctionFailed


@dataclass(frozen=True)
class Response:
    """An HTTP answer. ``headers`` has the Content-Type, unless the object says nothing about a body."""

    code: int
    headers: dict[str, str]
    body: bytes


def parse_response(answer: Mapping[str, Any]) -> Response:
    """The HTTP answer of a response object.

    Raises FunctionFailed ``external_response_error`` for a member that CouchDB does not know, or of the wrong type.
    """
    code, headers, body = 200, {}, b""
    usual_type = None
    for name, value in answer.items():
        match name, value:
            case "code", int() if type(value) is int and 100 <= value <= 999:
                code = value
            case "headers", dict():
                headers = {header: _header(header, text) for header, text in value.items()}
            case "json", _:
                body, usual_type = jsonio.dumps(value) + b"\n", "application/json"
            case "body", str():
                body, usual_type = value.encode(), "text/html; charset=utf-8"
            case "base64", str():
                body, usual_type = _bytes(value), "application/binary"
            case "stop", _:
                continue
            case _:
                raise _refused(name, value)
    if usual_type and not any(header.lower() == "content-type" for header in headers):
        headers["Content-Type"] = usual_type
    return Response(code, headers, body)


def _header(name: str, value: Any) -> str:
    """A header's value; nothing that would end the header and begin another."""
    text = value if isinstance(value, str) else jsonio.dumps(value).decode()
    if any(mark in name + text for mark in "\r\n\0"):
        raise _refused(name, value)
    return text


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise _refused("base64", text[:100]) from exc


def _refused(name: str, value: Any) -> FunctionFailed:
    shown = jsonio.dumps({name: value}).decode()
    return FunctionFailed(
        f"Invalid data from external server: {shown}",
        "A response has code, headers, and one of body, json and base64.",
        error="external_response_error",
    )
