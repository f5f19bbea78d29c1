"""Documents on their way to JavaScript: as JSON, in batches that are cheap to pass and small enough to hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from couchette import jsonio
from couchette.errors import LimitExceeded
from couchette.functions.engine import Decoder, Engine, decode_any
from couchette.limits import FUNCTION_BATCH_BYTES


def run_on_docs(
    engine: Engine,
    command: str,
    docs: Sequence[dict[str, Any]],
    envelope: tuple[bytes, bytes],
    decode: Decoder = decode_any,
) -> list[Any]:
    """What a command answers for each document. ``envelope`` is what stands before and after their array in its value.

    The limits are meant for one document, and a batch saves time only. So one that exceeds them is done again document
    by document; the one that exceeds them alone is named in the error.
    """
    if not docs:
        return []
    # They come out of the store: there are no floats in them that JSON cannot hold.
    listed = list(docs)
    text = jsonio.dumps_unchecked(listed) or jsonio.dumps(listed)
    if len(text) > FUNCTION_BATCH_BYTES and len(listed) > 1:
        half = len(listed) // 2
        parts: list[Sequence[dict[str, Any]]] = [listed[:half], listed[half:]]
    else:
        try:
            answers: list[Any] = engine.call_text(command, (envelope[0] + text + envelope[1]).decode(), decode)
            return answers
        except LimitExceeded as exc:
            if len(listed) == 1:
                exc.hint = f"{exc.hint} It was given the document {listed[0].get('_id')!r}.".lstrip()
                raise
        parts = [[doc] for doc in listed]
    return [answer for part in parts for answer in run_on_docs(engine, command, part, envelope, decode)]
