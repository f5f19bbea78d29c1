"""``/favicon.ico``: browsers ask for it on every page of a server. It is drawn here, a couch of 16 by 16 points."""

from __future__ import annotations

import struct
from typing import Final

from starlette.responses import Response

from couchette.server import answers
from couchette.server.request import Request

_PICTURE: Final = """
................
................
................
...##########...
..############..
..############..
..############..
.#.##########.#.
###.########.###
###..........###
################
################
################
.##..........##.
.##..........##.
................
"""
_COLOUR: Final = 0xB5462A


def _icon() -> bytes:
    """The picture in the form of an ICO file: a bitmap of two colours, its lines from the bottom up, and a mask."""
    lines = [int(line.replace("#", "1").replace(".", "0"), 2) for line in reversed(_PICTURE.split())]
    bits = b"".join(struct.pack(">HH", line, 0) for line in lines)
    mask = b"".join(struct.pack(">HH", line ^ 0xFFFF, 0) for line in lines)
    side = len(lines)
    bitmap = struct.pack("<IiiHHIIiiII", 40, side, 2 * side, 1, 1, 0, 0, 0, 0, 2, 0)
    content = bitmap + struct.pack("<II", 0, _COLOUR) + bits + mask
    return struct.pack("<HHHBBBBHHII", 0, 1, 1, side, side, 2, 0, 1, 1, len(content), 22) + content


ICON: Final = _icon()


def favicon(request: Request) -> Response:
    """``GET /favicon.ico``; it may be kept for a year."""
    headers = {"Content-Type": "image/x-icon", "Cache-Control": "public, max-age=31536000"}
    return answers.answer(ICON, 200, headers)
