"""``couchette browse``: the pages of a file or a folder, in a web browser on this machine."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path

from couchette.cli.files import open_existing, read_key
from couchette.environment import Environment
from couchette.errors import DatabaseNotFound, MissingExtra


def run_browse(target: str, port: int, *, opens: bool, key_file: str | None) -> None:
    """Serve the pages until SIGINT or SIGTERM. The first line printed begins with the address."""
    try:
        from couchette.server.pages.files import Folder, OneFile
        from couchette.server.pages.local import serve_locally
    except ImportError as exc:
        if (exc.name or "").startswith("couchette"):
            raise
        raise MissingExtra(f"The page needs {exc.name!r}.", "Install it with: pip install 'couchette[server]'") from exc

    key = read_key(key_file)
    if not Path(target).exists():
        raise DatabaseNotFound("Database does not exist.", f"There is no file or folder {target}.")
    environment: Environment = Folder(target, key=key) if Path(target).is_dir() else OneFile(open_existing(target, key))

    def announce(address: str) -> None:
        print(f"{address} shows {target}. The address works once. Ctrl-C stops it.", flush=True)
        if opens:
            # Some browsers keep whoever starts them waiting, and here the server's loop would wait.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    with environment:
        serve_locally(environment, port, announce)
    print("Stopped.", flush=True)
