"""Attachments on pages: pictures shown, all others by download, uploads and deletion.

What an attachment holds is not ours, and a browser must not run it as a page of this server. So only pictures keep
their type; all else comes as bytes to save. Both come sandboxed, and browsers are told not to guess types.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.responses import Response
from starlette.types import ASGIApp

from couchette.async_database import AsyncDatabase
from couchette.errors import CouchetteError
from couchette.server import attachments
from couchette.server.pages.forms import TOKEN_COOKIE, receive_upload, require_own
from couchette.server.pages.rendering import error_page
from couchette.server.pages.visit import Visit
from couchette.server.streams import Streamed
from couchette.wire.names import quote

PICTURES: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif", "image/bmp", "image/svg+xml"}
)
"""Types that a browser draws without running anything. Scripts within SVG do not run in ``img``, nor in a sandbox."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"


@dataclass(frozen=True)
class Attachment:
    """An attachment as a document's stub has it."""

    name: str
    content_type: str
    length: int
    digest: str

    @property
    def is_picture(self) -> bool:
        """Whether pages show it."""
        return _plain_type(self.content_type) in PICTURES


def described(doc: Mapping[str, Any]) -> list[Attachment]:
    """The attachments of a document, by name."""
    members = doc.get("_attachments", {})
    return [
        Attachment(name, member["content_type"], member["length"], member["digest"])
        for name, member in sorted(members.items())
    ]


def show(visit: Visit) -> Response:
    """An attachment's content: a picture to look at, or anything to save."""
    doc_id, name = visit.given("id"), visit.given("name")
    db = visit.database("GET", doc_id)
    response = attachments.get(visit.request, db, doc_id, name)
    found = next((one for one in described(db.get(doc_id, rev=visit.optional("rev"))) if one.name == name), None)
    picture = found if found is not None and found.is_picture and visit.optional("save") is None else None
    # Also where nothing was modified: a browser then changes what it knows of the content that it has.
    response.headers["Content-Type"] = _plain_type(picture.content_type) if picture else "application/octet-stream"
    response.headers["Content-Disposition"] = f"{'inline' if picture else 'attachment'}; filename*=UTF-8''{quote(name)}"
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "private, no-cache"
    return response


def upload(visit: Visit) -> ASGIApp:
    """Put a file beside a document as it arrives, in the place of one of the same name."""
    doc_id, rev = visit.given("id"), visit.given("rev")
    db = AsyncDatabase(visit.database("POST", "_bulk_docs"))

    async def receive() -> Response:
        try:
            file = await receive_upload(visit.request)
            require_own(visit.request, file.form, visit.cookie(TOKEN_COOKIE))
            name = file.form.fields.get("name") or file.name
            await db.put_attachment(doc_id, name, file.content, file.content_type, rev=rev)
        except CouchetteError as exc:
            return error_page(visit, exc)
        return visit.go(visit.link("document", db=visit.given("db"), id=doc_id), f"Attached {name}.")

    return Streamed(visit.request, receive)


def delete(visit: Visit) -> Response:
    """Take an attachment away from a document."""
    doc_id, name = visit.given("id"), visit.given("name")
    visit.database("POST", "_bulk_docs").remove_attachment(doc_id, name, visit.given("rev"))
    return visit.go(visit.link("document", db=visit.given("db"), id=doc_id), f"Deleted the attachment {name}.")


def _plain_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


ROUTES: Final = {
    ("GET", "attachment"): show,
    ("POST", "attachment/delete"): delete,
}
UPLOADS: Final = {("POST", "attachment/upload"): upload}
"""These read the form themselves, and see to it that it is ours."""
