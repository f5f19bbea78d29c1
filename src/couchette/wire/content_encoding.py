"""Bodies of requests that came compressed. CouchDB unpacks JSON so; attachments are stored as they came."""

from __future__ import annotations

import zlib

from couchette.errors import BadContentType, BadRequest, TooLarge

_GZIP_WINDOW = zlib.MAX_WBITS | 16


def decoded(body: bytes, encoding: str, limit: int) -> bytes:
    """A body without its Content-Encoding, which may be ``gzip`` or ``identity``; unpacked it may have ``limit`` bytes.

    A megabyte of zeros is a kilobyte of gzip, so let the limit depend on who sends it. No more is ever unpacked.

    Raises BadRequest for what is not gzip, TooLarge for what becomes too large, BadContentType for another encoding.
    """
    if encoding == "identity":
        return body
    if encoding != "gzip":
        raise BadContentType(f"{encoding} is not a supported content encoding.", "Send it with gzip, or as it is.")
    pieces: list[bytes] = []
    room = limit
    # Like the files of gzip, a body may have several members, one after the other.
    while body or not pieces:
        unpacker = zlib.decompressobj(_GZIP_WINDOW)
        try:
            piece = unpacker.decompress(body, room + 1)
        except zlib.error as exc:
            raise _not_gzip(str(exc)) from exc
        if len(piece) > room:
            raise TooLarge("the request entity is too large", f"Unpacked it has more than {limit} bytes.")
        if not unpacker.eof:
            raise _not_gzip("It ends too early.")
        pieces.append(piece)
        room -= len(piece)
        body = unpacker.unused_data
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _not_gzip(hint: str) -> BadRequest:
    return BadRequest("Request body is not properly gzipped.", hint)
