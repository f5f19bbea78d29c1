"""What the benchmarks of replication and of the server run in processes of their own, by name.

``peak URL FILE`` pulls and prints the process's peak of memory in MiB, ``growth SOURCE TARGET`` by how much a
replication of large attachments raises it, ``raw PORT BYTES`` serves so many bytes, ``trivial PORT`` a route of
Starlette that does nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from couchette import Database, replicate

PIECE_BYTES = 1024 * 1024


def noise(size: int) -> Iterator[bytes]:
    """So many bytes that no compression makes smaller."""
    random = Random(size)
    while size > 0:
        yield random.randbytes(min(PIECE_BYTES, size))
        size -= PIECE_BYTES


def peak(url: str, path: str) -> float:
    """The process's peak after a first pull."""
    with Database(path) as db:
        db.replicate_from(url)
    return peak_mib()


def growth(source: str, target: str) -> float:
    """How much more memory it takes to replicate all documents than to replicate the one whose id is ``0``."""
    replicate(source, target, doc_ids=["0"])
    before = peak_mib()
    replicate(source, target)
    return peak_mib() - before


def raw(port: str, size: str) -> None:
    """Serve ``size`` bytes at each path, in pieces, by a bare application."""
    piece = Random(1).randbytes(PIECE_BYTES // 4)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", size.encode())]})
        left = int(size)
        while left > 0:
            await send({"type": "http.response.body", "body": piece[:left], "more_body": left > len(piece)})
            left -= len(piece)

    _serve(app, port)


def trivial(port: str) -> None:
    """Serve a short JSON text at ``/``."""

    async def root(request: Request) -> JSONResponse:
        return JSONResponse({"ok": True})

    _serve(Starlette(routes=[Route("/", root)]), port)


def _serve(app: Any, port: str) -> None:
    class Announced(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            print("listening", flush=True)

    Announced(uvicorn.Config(app, port=int(port), log_config=None, log_level="warning", lifespan="off")).run()


def peak_mib(pid: int | str = "self") -> float:
    """The most memory that a process had, in MiB. (``ru_maxrss`` is no help: it begins with the parent's peak.)"""
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    if sys.argv[1] == "raw":
        raw(*sys.argv[2:])
    elif sys.argv[1] == "trivial":
        trivial(*sys.argv[2:])
    else:
        print({"peak": peak, "growth": growth}[sys.argv[1]](*sys.argv[2:]))
