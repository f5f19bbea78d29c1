"""An attachment on a server that is read when it is needed, and read on where the line broke."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import anyio

from couchette import limits
from couchette.errors import CouchetteError, RemoteError, Unreachable
from couchette.remote.client import Answer, Client, Request
from couchette.remote.hosts import pause_s
from couchette.remote.url import attachment_path
from couchette.wire.content import ContentGone

NOT_GIVEN: Final = frozenset({400, 403, 404, 410, 414, 415, 500})
"""Answers to the GET of one attachment that are about this one: its document must not keep others waiting."""

_LENGTH: Final = "An attachment is not as long as announced."
_WRONG: Final[dict[str, Any]] = {"status": RemoteError.default_status, "error": RemoteError.default_error}


class RemoteContent:
    """The content of one attachment, a :class:`~couchette.wire.content.Content`; ``compressed``: its gzip bytes.

    ``length`` is what the server says of these bytes. The client must be open.
    """

    def __init__(
        self, client: Client, doc_id: str, rev: str, name: str, length: int, *, compressed: bool = False
    ) -> None:
        self.length = length
        self._encoding = "gzip" if compressed else "identity"
        self._client = client
        self._shown = f"Attachment {name!r} of {doc_id!r} at {client.url}"
        self._address = client.address(attachment_path(doc_id, name), {"rev": rev})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[AsyncIterator[bytes]]:
        """Read from the beginning. A line that breaks is met by reading on, as long as each try gets further.

        Raises ContentGone for what is not as long as announced, too.
        """
        async with aclosing(self._chunks()) as chunks:
            yield chunks

    async def _chunks(self) -> AsyncGenerator[bytes, None]:
        position, failures, etag = 0, 0, ""
        while position < self.length:
            begun_at = position
            try:
                async with self._client.stream(self._request(position, etag)) as answer:
                    self._check_encoding(answer)
                    etag = answer.headers.get("etag", "")
                    skipped = _to_be_skipped(answer, position)
                    async for chunk in answer.chunks:
                        fresh = chunk[skipped:]
                        skipped -= len(chunk) - len(fresh)
                        position += len(fresh)
                        if position > self.length:
                            break
                        if fresh:
                            yield fresh
                if position < self.length:
                    raise ContentGone(_LENGTH, f"{self._shown} ended at byte {position}.", **_WRONG)
            except (ContentGone, Unreachable):
                failures = failures + 1 if position == begun_at else 1
                if failures > limits.HTTP_RETRIES:
                    raise
                await anyio.sleep(pause_s(failures))
            except CouchetteError as exc:
                if exc.status not in NOT_GIVEN:
                    raise
                raise ContentGone(exc.reason, exc.hint, status=exc.status, error=exc.error) from exc
        if position != self.length:
            raise ContentGone(_LENGTH, f"{self._shown}: {position} bytes.", **_WRONG)

    def _check_encoding(self, answer: Answer) -> None:
        encoding = answer.headers.get("content-encoding", "identity").lower()
        if encoding != self._encoding:
            raise RemoteError(
                "An attachment did not come as it is stored.", f"{self._shown}: {encoding}, not {self._encoding}."
            )

    def _request(self, position: int, etag: str) -> Request:
        headers = {"Accept": "*/*", "Accept-Encoding": self._encoding}
        if position and etag:
            headers |= {"Range": f"bytes={position}-", "If-Range": etag}
        return Request("GET", self._address, headers, large=True)


def _to_be_skipped(answer: Answer, position: int) -> int:
    """Bytes at the beginning of the answer that we have already: a server may begin anew instead of reading on."""
    return 0 if answer.status == 206 else position
