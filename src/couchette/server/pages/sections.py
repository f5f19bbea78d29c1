"""What the navigation offers. A section of the page adds a line here, and its routes in ``routes``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from couchette.server.pages.files import Folder, OneFile
from couchette.server.pages.visit import Visit


def _everybody(visit: Visit) -> bool:
    return True


def _of_servers(visit: Visit) -> bool:
    """Not where somebody looks at files of its own: there nobody else has access."""
    return not isinstance(visit.request.environment, Folder | OneFile)


def _of_administrators(visit: Visit) -> bool:
    return visit.user.is_admin and _of_servers(visit)


@dataclass(frozen=True)
class Section:
    """A place that the navigation leads to.

    Attributes:
        page: the path of its first page, which also marks it as the current one.
        is_offered: whether to show it to who visits; the page itself decides what they may do there.
    """

    page: str
    title: str
    is_offered: Callable[[Visit], bool] = _everybody


SERVER: Final[tuple[Section, ...]] = (
    Section("", "Databases"),
    Section("replications", "Replications", _of_administrators),
    Section("users", "Users", _of_administrators),
    Section("server", "Server", _of_administrators),
)
"""At the top of every page."""

DATABASE: Final[tuple[Section, ...]] = (
    Section("documents", "Documents"),
    Section("conflicts", "Conflicts"),
    Section("views", "Views"),
    Section("find", "Find"),
    Section("indexes", "Indexes"),
    Section("access", "Access", _of_servers),
)
"""On the pages of one database, which their addresses name as ``db``."""
