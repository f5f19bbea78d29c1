"""Who sends a request, and how that was found out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from couchette.users import ANONYMOUS, User


@dataclass(frozen=True)
class Identity:
    """A user, and how it was found out.

    Attributes:
        handler: CouchDB's word for the way: ``default`` (basic), ``cookie``, ``proxy`` or ``jwt``; None for none.
        renewed: a Set-Cookie header to send along, when the cookie that came is ageing.
    """

    user: User
    handler: str | None = None
    renewed: str | None = None


NOBODY: Final = Identity(ANONYMOUS)
