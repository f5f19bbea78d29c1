"""What a form sends, and that it is one of ours.

A browser sends a user's cookies with other sites' forms, too. So a form of ours carries a token that only our pages
know: it equals a cookie that other sites can neither read nor, since it is ``SameSite=Strict``, have sent. And the
``Origin`` that browsers name must be this server's, which also holds against pages of another port of this host.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import parse_qsl

from python_multipart.multipart import parse_options_header

from couchette.document.attachment import DEFAULT_TYPE
from couchette.errors import BadContentType, BadRequest, Forbidden, TooLarge
from couchette.limits import FORM_BYTES_MAX, FORM_FIELD_BYTES_MAX
from couchette.server.multipart_in import ArrivingParts
from couchette.server.request import Request

TOKEN_COOKIE: Final = "couchette-page"
TOKEN_FIELD: Final = "token"
_URLENCODED: Final = "application/x-www-form-urlencoded"
_MULTIPART: Final = "multipart/form-data"
_FIELDS_MAX: Final = 100


@dataclass(frozen=True)
class Form:
    """The fields of a form by name, the first value of each."""

    fields: Mapping[str, str] = field(default_factory=dict)


def read_form(request: Request) -> Form:
    """The form in a request's body. Raises BadContentType, BadRequest, TooLarge."""
    media_type = request.media_type()
    if len(request.body) > FORM_BYTES_MAX:
        raise _too_long()
    if media_type != _URLENCODED:
        raise BadContentType(f"A form is {_URLENCODED}.", f"Got {media_type!r}.")
    try:
        pairs = parse_qsl(request.body.decode(), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError as exc:
        raise BadRequest("The form cannot be read.", f"{exc}.") from exc
    return Form(dict(reversed(pairs)))


async def receive_form(request: Request) -> Request:
    """The request with all of its form's text, which is arriving. Raises TooLarge."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream:
        size += len(piece)
        if size > FORM_BYTES_MAX:
            raise _too_long()
        pieces.append(piece)
    return replace(request, body=b"".join(pieces))


@dataclass(frozen=True)
class Upload:
    """A file that a form sends, and the fields before it. Its content may be read once, as it arrives."""

    form: Form
    name: str
    content_type: str
    content: AsyncIterator[bytes]


async def receive_upload(request: Request) -> Upload:
    """The file of a form, once its fields have arrived: of whatever size, it is never held.

    Raises BadContentType, and BadRequest for a form that cannot be read, or has no file.
    """
    if request.media_type() != _MULTIPART:
        raise BadContentType(f"A form with a file is {_MULTIPART}.", f"Got {request.media_type()!r}.")
    fields: dict[str, str] = {}
    async for part in ArrivingParts(request.headers["content-type"], request.stream):
        # As bytes: text would have to be Latin-1.
        _, options = parse_options_header(part.headers.get("content-disposition", "").encode())
        if filename := options.get(b"filename"):
            content_type = part.headers.get("content-type", DEFAULT_TYPE)
            return Upload(Form(fields), _plain(filename), content_type, part.content)
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if len(fields) == _FIELDS_MAX or name in fields:
            raise BadRequest("The form has too many fields.", f"Our own have fewer than {_FIELDS_MAX}, each once.")
        fields[name] = await _text(name, part.content)
    raise BadRequest("No file was chosen.", "Go back and choose one.")


async def _text(name: str, content: AsyncIterator[bytes]) -> str:
    """The value of a field."""
    value = b""
    async for piece in content:
        value += piece
        if len(value) > FORM_FIELD_BYTES_MAX:
            raise TooLarge("A field of the form is too long.", f"{name!r} may have {FORM_FIELD_BYTES_MAX} bytes.")
    try:
        return value.decode()
    except UnicodeDecodeError as exc:
        raise BadRequest("The form is not UTF-8.", f"Its field {name!r} is not.") from exc


def require_own(request: Request, form: Form, cookie: str) -> None:
    """Raise Forbidden unless a page of ours sent the form; ``cookie`` is the token's, empty where there is none."""
    origin = request.headers.get("origin")
    # A proxy that ends TLS changes the scheme, so that is not compared.
    if origin is not None and origin.partition("://")[2] != request.host:
        raise Forbidden("Another site sent this form.", f"It came from {origin}, and this is {request.host}.")
    token = form.fields.get(TOKEN_FIELD, "")
    if not cookie or not hmac.compare_digest(token.encode(), cookie.encode()):
        raise Forbidden("This form is no longer valid.", "Go back, reload the page, and send it again.")


def _too_long() -> TooLarge:
    return TooLarge("The form is too long.", f"{FORM_BYTES_MAX} bytes are allowed; larger documents need the API.")


def _plain(filename: bytes) -> str:
    """A file's name as its owner knows it: browsers escape quotes and line ends in it, and nothing else."""
    text = filename.decode("utf-8", "replace")
    return text.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
