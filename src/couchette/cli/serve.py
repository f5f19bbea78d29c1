"""``couchette serve``: a folder of databases over HTTP, in the foreground."""

from __future__ import annotations

from couchette.cli.screen import count
from couchette.environment import Environment
from couchette.server import serve


def run_serve(folder: str, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. The first line printed begins with the URL, for programs that wait for it."""
    with Environment(folder) as environment:

        def announce(url: str) -> None:
            print(f"{url} serves {folder} ({count(len(environment), 'database')}). Ctrl-C stops it.", flush=True)

        serve(environment, host, port, on_started=announce)
    print("Stopped; every answer under way was sent.", flush=True)
