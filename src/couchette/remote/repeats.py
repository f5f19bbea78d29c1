"""After what a request is sent once more: a replication asks again and again, a program that waits does not.

A replication's requests may all be done twice. A read of a program is repeated too, where the line broke or something
before the server is in trouble. An edit is sent again only if it surely was not made: it would conflict with itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import httpx

from couchette import limits
from couchette.remote.hosts import pause_s, retry_after_s

IN_TROUBLE: Final = frozenset({500, 502, 503, 504})
"""Answers of a server or proxy in trouble, which a later try may better."""
PUT_OFF: Final = frozenset({429, 503})
"""Answers of a server that has too much to do."""
GATEWAY_IN_TROUBLE: Final = frozenset({502, 503, 504})
"""Answers of what stands before a server."""


@dataclass(frozen=True)
class Repeats:
    """After what a request is sent once more."""

    statuses: frozenset[int]
    """Answers that another try may better. One that says when to come back is heeded in any case."""
    unanswered: bool
    """Also when the line broke, and nobody knows whether the request arrived."""
    remark: str = ""
    """What to say of a request that was given up."""


FREELY: Final = Repeats(IN_TROUBLE | PUT_OFF, True, "what was replicated is kept")
"""For what may be done twice, by somebody who has time."""
READING: Final = Repeats(GATEWAY_IN_TROUBLE | {429}, True)
"""For a program that waits; the 500 of a function that failed would only be answered again."""
WRITING: Final = Repeats(frozenset({429}), False, "it is not known whether the server got to do it")
"""For an edit: it would be a conflict with itself."""


def asked_pause_s(response: httpx.Response, failures: int, repeats: Repeats) -> float | None:
    """How long a server that puts us off is left alone; None for one that does not, or is not asked again."""
    if response.status_code not in PUT_OFF:
        return None
    asked = retry_after_s(response.headers.get("retry-after"))
    if asked is not None:
        return asked
    if response.status_code not in repeats.statuses:
        return None
    return pause_s(failures, limits.HTTP_BUSY_PAUSE_MAX_S)
