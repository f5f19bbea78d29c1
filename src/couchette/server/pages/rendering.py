"""Pages as HTML, from the templates beside this module. Whatever a value holds, it is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.responses import Response

from couchette import __version__, jsonio
from couchette.errors import CouchetteError
from couchette.server import answers
from couchette.server.pages import sections, static
from couchette.server.pages.forms import TOKEN_FIELD
from couchette.server.pages.visit import Visit

Crumb = tuple[str, str | None]
"""A step of the way to a page: its name, and its address unless it is the page itself."""

_TURNING: Final = re.compile("[\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Marks and overrides of the direction of text, and separators of lines."""

HEADERS: Final = {
    "Content-Type": "text/html; charset=utf-8",
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Opener-Policy": "same-origin",
}


def page(
    visit: Visit,
    template: str,
    *,
    title: str,
    crumbs: Sequence[Crumb] = (),
    database: str | None = None,
    section: str | None = None,
    status: int = 200,
    **values: Any,
) -> Response:
    """A page from a template that extends ``layout.html``.

    Args:
        title: of the page, in the browser's tab and as its first heading.
        crumbs: the way to it, below the list of databases; the last one is the page itself.
        database: the database that it is about; adds the navigation within.
        section: the ``page`` of the navigation's entry to mark, of the database's where there is one.
        values: what the template shows.
    """
    if isinstance(problem := values.get("problem"), str):
        values["problem"] = answers.without_folder(problem, visit.request.environment)
    text = _templates.get_template(template).render(
        visit=visit,
        link=visit.link,
        title=title,
        crumbs=crumbs,
        database=database,
        section=section,
        sections=[one for one in sections.SERVER if one.is_offered(visit)],
        database_sections=[one for one in sections.DATABASE if one.is_offered(visit)] if database is not None else [],
        has_accounts=visit.request.gate.authentication.accounts.has_admins,
        token=_token_field(visit),
        **values,
    )
    response = answers.answer(text.encode("utf-8", "replace"), status, HEADERS)
    visit.keep(response)
    return response


def error_page(visit: Visit, exc: CouchetteError) -> Response:
    """The page that says what went wrong, and what helps."""
    error = answers.told(exc, visit.request.environment)
    return page(visit, "error.html", title="This did not work", status=exc.status, error=error)


def pretty(value: Any) -> str:
    """JSON text to read and to edit; a value that nests too deeply for that stands on one line."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except RecursionError:
        text = jsonio.dumps(value).decode()
    return _visible(text)


def compact(value: Any, width: int = 140) -> str:
    """The beginning of a value's JSON text, on one line."""
    text = _visible(jsonio.dumps(value).decode())
    return text if len(text) <= width else text[: width - 1] + "…"


def _visible(text: str) -> str:
    """JSON text whose characters all stand where they are: those that turn lines around are escaped."""
    return _TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def size(count: int | None) -> str:
    """A number of bytes to read: ``1.4 MB``."""
    if count is None:
        return "–"
    amount, units = float(count), iter(("kB", "MB", "GB", "TB"))
    if amount < 1000:
        return f"{count} B"
    while amount >= 1000:
        amount, unit = amount / 1000, next(units)
        if unit == "TB":
            break
    return f"{amount:.1f} {unit}"


def number(count: int) -> str:
    """A count with its thousands apart."""
    return f"{count:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def sequence(seq: str | int) -> str:
    """How many changes an update sequence counts."""
    return number(int(str(seq).partition("-")[0]))


def short_rev(rev: str) -> str:
    """A revision's number and the beginning of its id, enough to tell it from others of a document."""
    generation, _, id = rev.partition("-")
    return f"{generation}-{id[:6]}" if len(id) > 7 else rev


def _token_field(visit: Visit) -> Markup:
    return Markup('<input type="hidden" name="{}" value="{}">').format(TOKEN_FIELD, visit.token)


def _made() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(
        pretty=pretty, compact=compact, size=size, number=number, short_rev=short_rev, sequence=sequence
    )
    made.globals.update(static=static.versioned, version=__version__)
    return made


_templates: Final = _made()
