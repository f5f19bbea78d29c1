"""``/_session``: who am I, log in, log out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import Response

from couchette import surroundings
from couchette.errors import BadContentType, BadRequest, Unauthorized
from couchette.server import answers, cookies
from couchette.server.request import Request
from couchette.users.accounts import wrong_password

_FORM = "application/x-www-form-urlencoded"


def get(request: Request) -> Response:
    """``GET /_session``: the user, and how it was found out."""
    user, handler = request.identity.user, request.identity.handler
    if user.name is None and not user.is_admin and request.query.first("basic") == "true":
        raise Unauthorized("Please login.", "Send name and password.")
    info: dict[str, Any] = {"authentication_handlers": request.gate.authentication.handlers}
    if handler is not None:
        info["authenticated"] = handler
    return answers.json_answer({"ok": True, "userCtx": user.context(), "info": info})


def post(request: Request) -> Response:
    """``POST /_session``: log in, by form or JSON; the answer sets a cookie."""
    credentials = _credentials(request)
    name = credentials.get("name", credentials.get("username"))
    password = credentials.get("password", "")
    if not isinstance(name, str):
        raise BadRequest("request body must contain a username", "Send {name, password}.")
    if credentials.get("username", name) != name:
        raise BadRequest("request body contains different usernames", "Send one of name and username.")
    try:
        token = credentials.get("token", "")
        if not isinstance(password, str) or not isinstance(token, str):
            raise wrong_password()
        authentication = request.gate.authentication
        user, cookie = authentication.log_in(name, password, request.peer, secure=request.is_secure, token=token)
    except Unauthorized as exc:
        headers, status = {"Set-Cookie": _ended(request)}, exc.status
        if (elsewhere := request.query.first("fail")) is not None:
            headers["Location"], status = _local_url(request, elsewhere), 302
        return answers.json_answer(exc.as_json(), status, headers)
    shown = {"ok": True, **user.context()}
    following = request.query.first("next")
    if following is None:
        return answers.json_answer(shown, 200, {"Set-Cookie": cookie})
    return answers.json_answer(shown, 302, {"Set-Cookie": cookie, "Location": _local_url(request, following)})


def delete(request: Request) -> Response:
    """``DELETE /_session``: the browser forgets its cookie. One that was copied stays good until it expires."""
    headers = {"Set-Cookie": _ended(request)}
    following = request.query.first("next")
    if following is not None:
        return answers.json_answer({"ok": True}, 302, {**headers, "Location": _local_url(request, following)})
    return answers.json_answer({"ok": True}, 200, headers)


def _credentials(request: Request) -> Mapping[str, Any]:
    media_type = request.media_type()
    if media_type == "application/json":
        return request.json_object()
    if media_type == _FORM:
        try:
            return {name: values[0] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}
        except ValueError as exc:
            raise BadRequest("The form is not UTF-8.", "Escape it as a browser does.") from exc
    raise BadContentType(f"Content-Type must be '{_FORM}' or 'application/json'", f"Got {media_type!r}.")


def _local_url(request: Request, path: str) -> str:
    """Where to go after logging in: on this server only, or a link could lead anywhere after a password was given."""
    if not path.startswith("/") or path.startswith(("//", "/\\")):
        raise BadRequest("`next` and `fail` must be paths of this server.", f"Got {path!r}; begin with one slash.")
    return request.base + path


def _ended(request: Request) -> str:
    return cookies.header("", surroundings.now().timestamp(), secure=request.is_secure)
