"""The style sheet and htmx: files that a browser may keep, since their address changes with their content."""

from __future__ import annotations

from hashlib import md5
from pathlib import Path
from typing import Final

from starlette.responses import Response

from couchette.errors import NotFound
from couchette.server import answers

_TYPES: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8"}
_FILES: Final = {
    file.name: file.read_bytes() for file in Path(__file__).parent.joinpath("static").iterdir() if file.suffix in _TYPES
}


def versioned(name: str) -> str:
    """The page of a file, with a mark of its content."""
    return f"static/{name}?v={md5(_FILES[name], usedforsecurity=False).hexdigest()[:12]}"


def file(name: str) -> Response:
    """The answer with a file. Raises NotFound."""
    if name not in _FILES:
        raise NotFound("missing", f"The page has no file {name!r}.")
    headers = {
        "Content-Type": _TYPES[Path(name).suffix],
        "Cache-Control": "public, max-age=31536000, immutable",
        "X-Content-Type-Options": "nosniff",
    }
    return answers.answer(_FILES[name], 200, headers)
