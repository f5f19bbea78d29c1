"""Heads of requests that cannot fill the memory, with a parser that has no bound of its own.

uvicorn parses with httptools, which takes half the time of h11. But h11 gives up after 64 KiB of a head, and httptools
holds whatever comes: a line without end, headers without end, trailers after a body. So bytes are counted in which
nothing of a body came.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from couchette.limits import REQUEST_HEAD_BYTES_MAX


class HeadBounded(HttpToolsProtocol):
    """httptools' protocol, which refuses what is no end of a head, or no beginning of a body, for too long."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._head = 0

    def data_received(self, data: bytes) -> None:
        """Count, and go on."""
        self._head += len(data)
        super().data_received(data)
        if self._head > REQUEST_HEAD_BYTES_MAX and not self.transport.is_closing():
            self.send_400_response("The request's headers are too long.")

    def on_headers_complete(self) -> None:
        """A head came to its end."""
        self._head = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Something of a body came."""
        self._head = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """A request came to its end."""
        self._head = 0
        super().on_message_complete()
