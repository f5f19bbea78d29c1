"""Who asks: CouchDB's ``userCtx``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from couchette.errors import CouchetteError, Forbidden, Unauthorized

ADMIN_ROLE: Final = "_admin"

PREFIX: Final = "org.couchdb.user:"
"""What the id of a user's document begins with; the name follows."""


@dataclass(frozen=True)
class User:
    """Whom a call acts for. ``name`` is None for an anonymous one, and for all where there are no administrators."""

    name: str | None = None
    roles: tuple[str, ...] = ()

    @property
    def is_admin(self) -> bool:
        """Whether it may do everything."""
        return ADMIN_ROLE in self.roles

    def context(self, database: str | None = None) -> dict[str, Any]:
        """CouchDB's ``userCtx`` object, as functions see it."""
        shown: dict[str, Any] = {} if database is None else {"db": database}
        return {**shown, "name": self.name, "roles": list(self.roles)}

    def refused(self, unauthorized: str, forbidden: str) -> CouchetteError:
        """The error for what this user may not do: 401 for one who could still log in, 403 for others."""
        if self.name is None:
            return Unauthorized(unauthorized, "Log in.")
        return Forbidden(forbidden, f"It is {self.name!r} who asks.")


ANONYMOUS: Final = User()
EVERYONE_IS_ADMIN: Final = User(None, (ADMIN_ROLE,))
"""Where there is no administrator, all are: CouchDB's admin party."""
