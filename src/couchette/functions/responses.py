"""CouchDB's response object, as shows and updates return it, read as an HTTP answer.

Members: ``code``; ``headers``; and one of ``body`` (text, as HTML), ``json`` (any value) and ``base64`` (bytes). See
    CouchDB's ``chttpd_external``.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from couchette import jsonio
from couchette.errors import FunctionFailed

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")


@dataclass(frozen=True)
class Response:
    """An HTTP answer. ``headers`` has the Content-Type, unless the object says nothing about a body.

    ``is_binary`` says whether the body was given as bytes (``base64``), and may be no text.
    """

    code: int
    headers: dict[str, str]
    body: bytes
    is_binary: bool = False

    @property
    def text(self) -> str:
        """The body as text; what is no UTF-8 in it is replaced."""
        return self.body.decode(errors="replace")

    def json(self) -> Any:
        """The body read as JSON. Raises BadRequest when it is none."""
        return jsonio.loads(self.body)


def checked_response(answer: Mapping[str, Any], *, text: str | None = None) -> Response:
    """The answer of a function as a client gets it: as :func:`parse_response`, with header names as in Content-Type.

    Args:
        text: the body, if it was sent apart.

    Raises FunctionFailed ``external_response_error`` also for a code that is not final, and a header that HTTP has not.
    """
    response = parse_response(answer)
    if response.code < 200:
        raise _invalid(f"code {response.code}", "A response needs a final status, from 200.")
    headers = {}
    for name, value in response.headers.items():
        if not _TOKEN.fullmatch(name):
            raise _invalid(f"header {name!r}", "The name of a header is made of letters, digits and -.")
        headers[name.title()] = value
    return replace(response, headers=headers, body=response.body if text is None else text.encode())


def parse_response(answer: Mapping[str, Any]) -> Response:
    """The HTTP answer of a response object.

    Raises FunctionFailed ``external_response_error`` for a member that CouchDB does not know, or of the wrong type.
    """
    code, headers, body, is_binary = 200, {}, b"", False
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
                body, usual_type, is_binary = _bytes(value), "application/binary", True
            case "stop", _:
                continue
            case _:
                raise _refused(name, value)
    if usual_type and not any(header.lower() == "content-type" for header in headers):
        headers["Content-Type"] = usual_type
    return Response(code, headers, body, is_binary)


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
    return _invalid(shown, "A response has code, headers, and one of body, json and base64.")


def _invalid(what: str, hint: str) -> FunctionFailed:
    return FunctionFailed(f"Invalid data from external server: {what}", hint, error="external_response_error")
