"""A server without administrator answers to its own names only.

It listens on a loopback address, and everybody on the machine may do everything. A page in a browser there may not: the
browser keeps it from reading what another site answers. But a page can let its own name lead to 127.0.0.1 (DNS
rebinding), and then this server is its own site. What the browser cannot be made to hide is the name, in ``Host``.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from starlette.types import Receive, Scope, Send

from couchette.errors import Forbidden
from couchette.server.answers import error_answer
from couchette.server.app import App

_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+)\]|(?P<name>[^:\[\]]*))(?::[0-9]*)?", re.IGNORECASE)


class LoopbackApp:
    """An app that refuses requests for other hosts with 403, as long as nobody administers it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._accounts = app.gate.authentication.accounts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, as ASGI has it."""
        if scope["type"] == "http" and not self._accounts.has_admins:
            for name, value in scope["headers"]:
                if name == b"host" and not is_own(value.decode("latin-1")):
                    await error_answer(_foreign())(scope, receive, send)
                    return
        await self._app(scope, receive, send)


@lru_cache(64)
def is_own(host: str) -> bool:
    """Whether a Host header has a name that cannot be another site's: ``localhost``, or an address.

    Any address: a request to one goes there whoever asks, and some tools forward others' to this machine's own.
    """
    found = _HOST.fullmatch(host.strip())
    if found is None:
        return False
    name = (found["v6"] or found["name"]).lower().removesuffix(".")
    if name == "" or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _foreign() -> Forbidden:
    return Forbidden(
        "The server has no administrator (--admin), so it answers to localhost and to addresses only.",
        "Use its address, such as http://127.0.0.1:5984, or name an administrator.",
    )
