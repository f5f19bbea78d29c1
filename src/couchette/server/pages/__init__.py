"""The page below ``/_utils/``: what a server holds, to look at and to change in a web browser.

Everything is written on the server, as HTML: no build step, no script of ours, and nothing from other hosts. htmx
(vendored) saves reloading whole pages where a browser runs scripts; every act works without.

A page does nothing that the API would not do for the same user. It names the API's resource that does the same
(:meth:`Visit.database`, :meth:`Visit.require`), which passes the gate and the guard as any request does, and then calls
the facade. Forms are protected against other sites' (:mod:`couchette.server.pages.forms`), and a strict
Content-Security-Policy allows no script but htmx, should a document ever escape the escaping.

What a page is about stands in the query (``document?db=notes&id=a%2Fb``): an id may be anything, and browsers
resolve ``.`` and ``..`` in paths, however they are escaped.
"""

from __future__ import annotations

from starlette.types import ASGIApp

from couchette.errors import MissingExtra
from couchette.server.request import Request


def answer(request: Request) -> ASGIApp:
    """The answer to a request below ``/_utils``, always a page. Raises MissingExtra without jinja2."""
    try:
        # Not before somebody looks: a server that only replicates never needs it.
        from couchette.server.pages import routes
    except ImportError as exc:
        if (exc.name or "").startswith("couchette"):
            raise
        raise MissingExtra(f"The page needs {exc.name!r}.", "Install it with: pip install 'couchette[server]'") from exc
    return routes.answer(request)
