"""Servers in processes of their own, which a test may kill in the middle of their work and start again.

They keep their databases in a folder and their port for as long as the object lives, so a server that was killed is
found again where it was, with what it had said was written.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, ClassVar

from couchette.errors import CouchetteError

NODE = ["node", "--unhandled-rejections=warn"]


class Server:
    """A server of databases; :meth:`start` and :meth:`kill` may be called in turn, the context ends it."""

    announcement: ClassVar[str]
    """What it prints when it listens."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._listening = threading.Event()

    def command(self) -> list[str]:
        """The program and its arguments."""
        raise NotImplementedError

    def __enter__(self) -> Server:
        self.start()
        self.wait_listening()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        """The process's number."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it; it listens some time later."""
        assert self._process is None
        self.starts += 1
        self._listening.clear()
        with (self.folder / "stderr.txt").open("a") as stderr:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
            )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=[self._process.stdout])
        self._reader.start()

    def wait_listening(self) -> None:
        """Return when it listens; its words are shown if it never does."""
        if not self._listening.wait(60):
            raise CouchetteError("A server did not start.", (self.folder / "stderr.txt").read_text())

    def kill(self) -> None:
        """End it at once, whatever it is doing."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        assert self._reader is not None
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()
        self._process = None

    def _read(self, lines: IO[str]) -> None:
        """Read all that it prints, so that it never waits for us."""
        for line in lines:
            if self.announcement in line:
                self._listening.set()


class CouchetteServer(Server):
    """Our server on a folder of files."""

    announcement = "serves"

    def command(self) -> list[str]:
        databases = str(self.folder / "databases")
        return [sys.executable, "-m", "couchette", "serve", databases, "--port", str(self.port)]


class PouchServer(Server):
    """npm's pouchdb-server with leveldb in a folder."""

    announcement = "has started on"

    def command(self) -> list[str]:
        script = Path(__file__).parent / "node_modules" / "pouchdb-server" / "bin" / "pouchdb-server"
        (self.folder / "databases").mkdir(exist_ok=True)
        place = ["--dir", str(self.folder / "databases"), "--host", "127.0.0.1", "--port", str(self.port)]
        return [*NODE, str(script), *place]


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
