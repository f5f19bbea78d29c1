"""What pages do not show to whoever looks over a shoulder: the passwords in documents of ``_replicator``.

The API gives those documents as they are, and so does the editor, which says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from couchette.wire.names import REPLICATOR

HIDDEN: Final = "(hidden)"
_SIDES: Final = frozenset({"source", "target", "proxy", "source_proxy", "target_proxy"})


def without_passwords(database: str, doc: Any) -> Any:
    """A document, or some members of one, as pages of this database show it; None and the like as they are."""
    if database != REPLICATOR or not isinstance(doc, Mapping):
        return doc
    return {name: _side(value) if name in _SIDES else value for name, value in doc.items()}


def _side(value: Any) -> Any:
    if isinstance(value, str):
        return _url(value)
    if not isinstance(value, Mapping):
        return value
    return {name: _url(one) if name == "url" and isinstance(one, str) else _leaves(one) for name, one in value.items()}


def _url(url: str) -> str:
    """The URL without what stands before its host; a password may hold any character, also an at sign."""
    before, at, host = url.rpartition("@")
    scheme, mark, _ = before.partition("://")
    return f"{scheme + mark if mark else ''}{HIDDEN}@{host}" if at else url


def _leaves(value: Any, name: str = "") -> Any:
    """What stands beside a URL, such as headers, by its names: any of it may be a secret but who somebody is."""
    if isinstance(value, Mapping):
        return {inner: _leaves(one, inner) for inner, one in value.items()}
    return value if name == "username" else HIDDEN
