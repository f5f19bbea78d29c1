"""Signing in and out, with the session cookie that the API's ``/_session`` gives."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from couchette import surroundings
from couchette.errors import Forbidden, Unauthorized
from couchette.server import cookies
from couchette.server.pages.rendering import page
from couchette.server.pages.visit import Visit


def show(visit: Visit) -> Response:
    """Ask for name and password, and the one-time code of whoever has one."""
    return _form(visit)


def enter(visit: Visit) -> Response:
    """Begin a session, and go where the user wanted to be."""
    name, password, code = (visit.form.fields.get(field, "") for field in ("name", "password", "code"))
    request = visit.request
    try:
        user, cookie = request.gate.authentication.log_in(
            name, password, request.peer, secure=request.is_secure, token=code.replace(" ", "")
        )
    except (Unauthorized, Forbidden) as exc:
        return _form(visit, name=name, problem=str(exc), status=exc.status)
    response = visit.go(_following(visit), f"Signed in as {user.name}.")
    response.headers.append("Set-Cookie", cookie)
    return response


def leave(visit: Visit) -> Response:
    """End the session."""
    response = visit.go(visit.link("sign-in"), "Signed out.")
    ended = cookies.header("", surroundings.now().timestamp(), secure=visit.request.is_secure)
    response.headers.append("Set-Cookie", ended)
    return response


def _form(visit: Visit, *, name: str = "", problem: str = "", status: int = 200) -> Response:
    return page(
        visit, "sign_in.html", title="Sign in", status=status, name=name, problem=problem, following=_following(visit)
    )


def _following(visit: Visit) -> str:
    """Where to go on: to one of our own pages only, or a link could lead anywhere after a password was given."""
    wanted = visit.optional("next")
    return wanted if wanted is not None and wanted.startswith(visit.root) else visit.root


ROUTES: Final = {
    ("GET", "sign-in"): show,
    ("POST", "sign-in"): enter,
    ("POST", "sign-out"): leave,
}
