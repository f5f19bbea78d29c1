"""Attachment content too large to be held in memory: what stands for it until its bytes are moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, runtime_checkable

from couchette.errors import NotFound
from couchette.wire.transfer import Document


class ContentGone(NotFound):
    """The content cannot be had: its document was purged or compacted away since it was listed, or ``error`` says why.

    Only the document that it belongs to has to wait then.
    """


@runtime_checkable
class Content(Protocol):
    """The bytes of one attachment, read when they are needed: the ``data`` of an attachment's entry.

    They are in the stored form, as ``bytes`` in ``data`` are: gzip if the entry's ``encoding`` says so.
    """

    length: int
    """Bytes that :meth:`open` yields in all."""

    def open(self) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """Read from the beginning, in pieces of bounded size. It may be opened again, when a write is repeated.

        Opening or reading raises ContentGone, and what else the source may raise.
        """


def streamed(doc: Document) -> bool:
    """Whether an attachment of ``doc`` is to be streamed."""
    attachments = doc.get("_attachments")
    return isinstance(attachments, dict) and any(isinstance(_data(entry), Content) for entry in attachments.values())


def _data(entry: Any) -> Any:
    return entry.get("data") if isinstance(entry, dict) else None
