"""Changes and their documents by one request: what a first pull asks for, as long as it pays.

``_changes?include_docs=true`` gives the winner of each document as it is stored, but without its history. For a
document in its first revision there is none, so nothing is missing; our own server adds ``_revisions`` when it is asked
for them, which others ignore. All else that such a page holds (conflicts, attachments, long histories of other servers)
is fetched as ever; who asks stops asking when that is most of it.

How large the documents are nobody knows beforehand. An answer that gets larger than a batch may be is not read on.
"""

from __future__ import annotations

from typing import Final

from couchette import limits, workers
from couchette.errors import Unreachable
from couchette.remote.client import Client
from couchette.wire.checkpoint import Seq
from couchette.wire.selection import Selection
from couchette.wire.transfer import ChangesPage, UnreadChanges, read_changes_with_docs, unread_changes

WITH_DOCS: Final = {"include_docs": True, "revs": True}


async def read_with_docs(
    client: Client, since: Seq, limit: int, selection: Selection
) -> ChangesPage | UnreadChanges | None:
    """A page of changes with their documents; None where it must be asked for without them.

    That is so if it is too large, or if the line breaks while it arrives: a smaller answer may come through. Raises
    what the request raises.
    """
    params = {**selection.parameters(), **WITH_DOCS, "since": since, "limit": limit}
    request = client.json_request("GET", "_changes", params=params)
    parts: list[bytes] = []
    size, begun = 0, False
    try:
        async with client.stream(request, decoded=True) as answer:
            begun = True
            async for part in answer.chunks:
                size += len(part)
                if size > limits.INCLUDED_BYTES_MAX:
                    return None
                parts.append(part)
    except Unreachable:
        if not begun:
            raise
        return None
    text = b"".join(parts)
    return unread_changes(text) or await workers.in_thread(read_changes_with_docs, text)
