"""Answers: JSON, errors, redirections, as CouchDB words them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.responses import Response

from couchette import __version__, jsonio
from couchette.errors import (
    CouchetteError,
    DatabaseClosed,
    DatabaseNotFound,
    MethodNotAllowed,
    MissingExtra,
    StoreError,
)
from couchette.wire import conditions

if TYPE_CHECKING:
    from couchette.environment import Environment
    from couchette.server.request import Request

COMMON_HEADERS: Final = {"Cache-Control": "must-revalidate", "Server": f"couchette/{__version__}"}

logger = logging.getLogger(__name__)

_PATH_BEGINS: Final = r"(?<![^\s'\"(])"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def header_text(value: str) -> str:
    """A header's value from any text. A revision or a media type may hold characters that would end the header."""
    if value.isascii() and value.isprintable():
        return value
    escaped = _CONTROL.sub(lambda found: f"%{ord(found[0]):02X}", value)
    return escaped.encode().decode("latin-1")


def answer(content: bytes, status: int, headers: Mapping[str, str]) -> Response:
    """Any answer; headers may hold any text."""
    return Response(content, status, all_headers(headers))


def open_headers(media_type: str) -> list[tuple[bytes, bytes]]:
    """The headers of a feed, whose length is not known when it begins. A browser must not keep events."""
    headers = {"Content-Type": media_type}
    if media_type == "text/event-stream":
        headers["Cache-Control"] = "no-cache"
    return [item for item in answer(b"", 200, headers).raw_headers if item[0] != b"content-length"]


def all_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """These headers and those of every answer, as they can be sent."""
    return {**COMMON_HEADERS, **{name: header_text(value) for name, value in headers.items()}}


def json_answer(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer, which ends in a newline as all of CouchDB's do."""
    return json_text_answer(jsonio.dumps(value) + b"\n", status, headers)


def json_text_answer(content: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer whose text is there already."""
    return answer(content, status, {"Content-Type": "application/json", **(headers or {})})


def error_answer(exc: CouchetteError) -> Response:
    """The answer to a request that failed: ``{"error", "reason"}``."""
    shown = exc.as_json()
    if isinstance(exc, MissingExtra):
        shown["reason"] = str(exc)  # With the hint: it names what to install.
    return json_answer(shown, exc.status, {"Allow": exc.hint} if isinstance(exc, MethodNotAllowed) else None)


def failure(exc: Exception, request: Request) -> Response:
    """The answer to a request that raised. What is no error of ours is a fault of ours, and logged."""
    if isinstance(exc, DatabaseClosed):
        exc = DatabaseNotFound("Database does not exist.", "It was deleted meanwhile.")
    if isinstance(exc, CouchetteError):
        return error_answer(told(exc, request.environment))
    logger.error("%s failed", request.target.decode("latin-1"), exc_info=exc)
    return error_answer(CouchetteError("The request failed inside the server; its log has the cause.", repr(exc)))


def told(exc: CouchetteError, environment: Environment) -> CouchetteError:
    """An error as clients are told of it: without the folder of the server's files, with which it is logged."""
    if not isinstance(exc, StoreError):
        return exc
    reason, hint = (without_folder(text, environment) for text in (exc.reason, exc.hint))
    if (reason, hint) == (exc.reason, exc.hint):
        return exc
    logger.warning("%s", exc)
    return type(exc)(reason, hint, status=exc.status, error=exc.error)


def without_folder(text: str, environment: Environment) -> str:
    """A text that names files of an environment by their paths, with their names alone."""
    folder = environment.folder.rstrip(os.sep)
    text = re.sub(rf"{_PATH_BEGINS}{re.escape(folder + os.sep)}", "", text)
    return re.sub(rf"{_PATH_BEGINS}{re.escape(folder)}(?=[\s.,;:'\"]|$)", os.path.basename(folder), text)


def method_not_allowed(allow: str) -> MethodNotAllowed:
    """The error for a method that a resource does not have; its hint is the Allow header."""
    return MethodNotAllowed(f"Only {allow} allowed", allow)


def redirect(location: str) -> Response:
    """A permanent redirection."""
    return answer(b"", 301, {"Location": location})


def quoted(value: str) -> str:
    """An ETag of this value."""
    return f'"{value}"'


def unless_modified(if_none_match: str | None, etag: str) -> Response | None:
    """304 when the client holds this version already, else None."""
    if conditions.matches_etag(if_none_match, etag):
        return answer(b"", 304, {"ETag": etag})
    return None
