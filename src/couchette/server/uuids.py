"""``/_uuids``: ids for documents that a client is about to make.

They are sequential as CouchDB's are: a random prefix and a number that grows by small random steps. Documents made one
after the other so stand beside one another in the file, and no client guesses another's prefix.
"""

from __future__ import annotations

import threading
from hashlib import md5
from typing import Final

from starlette.responses import Response

from couchette import surroundings
from couchette.errors import BadRequest, QueryParseError
from couchette.limits import UUIDS_MAX
from couchette.server import answers
from couchette.server.request import Request
from couchette.wire.parameters import read_integer

ALGORITHM: Final = "sequential"
"""CouchDB's word for it."""

_PREFIX_BITS: Final = 104
_STEP_MAX: Final = 0xFFE
_LAST: Final = 0xFFF000
"""A number from here on could outgrow its six digits: the next id has another prefix."""

_NEVER_CACHED: Final = {"Cache-Control": "no-cache", "Expires": "Mon, 01 Jan 1990 00:00:00 GMT", "Pragma": "no-cache"}


class Uuids:
    """Makes ids, for any number of threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._begin()

    def take(self, count: int) -> list[str]:
        """So many new ids, in ascending order but where the prefix changes."""
        with self._lock:
            return [self._next() for _ in range(count)]

    def _next(self) -> str:
        made = f"{self._prefix}{self._number:06x}"
        if self._number >= _LAST:
            self._begin()
        else:
            self._number += _step()
        return made

    def _begin(self) -> None:
        self._prefix = f"{surroundings.random().getrandbits(_PREFIX_BITS):0{_PREFIX_BITS // 4}x}"
        self._number = _step()


def _step() -> int:
    return surroundings.random().randint(1, _STEP_MAX)


def uuids(request: Request) -> Response:
    """``GET /_uuids``: ``count`` ids, which nothing on the way may keep and give to another client."""
    made = request.node.uuids.take(_count(request.query.first("count", "1") or ""))
    etag = answers.quoted(md5("".join(made).encode(), usedforsecurity=False).hexdigest())
    return answers.json_answer({"uuids": made}, 200, {**_NEVER_CACHED, "ETag": etag})


def _count(text: str) -> int:
    try:
        count = read_integer(text)
    except QueryParseError:
        count = -1
    if count < 0:
        raise BadRequest("count must be a positive integer", f"Got {text!r}.")
    if count > UUIDS_MAX:
        raise BadRequest("count parameter too large", f"Got {text!r}; ask for at most {UUIDS_MAX} at once.")
    return count
