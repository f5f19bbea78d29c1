"""``couchette serve`` in a second process, which the demo starts and really stops."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Final

from couchette.errors import CouchetteError

STOP_S: Final = 10.0
"""How long the process may take to end by itself; it takes a tenth of a second."""


class ServerProcess:
    """The process that serves ``folder``. Leaving the context stops it, whatever happened."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.url = ""
        self._folder = folder
        self._log = log
        self._port = "0"
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int | None:
        """The process's number while it runs."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start it and wait until it accepts connections; a second time at the same address."""
        command = [sys.executable, "-m", "couchette", "serve", str(self._folder), "--port", self._port]
        with self._log.open("w", encoding="utf-8") as log:
            # In a session of its own it does not get the terminal's Ctrl-C: we stop it ourselves.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,
            )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.stop()
            raise CouchetteError("The server process did not start.", self._log.read_text(encoding="utf-8").strip())
        self.url = line.split()[0]
        self._port = self.url.rpartition(":")[2]

    def stop(self) -> None:
        """Tell it to end, and wait until it has."""
        process, self._process = self._process, None
        if process is None:
            return
        process.terminate()
        try:
            process.communicate(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


@contextmanager
def reached_directly() -> Iterator[None]:
    """Keep requests to the server's address from a proxy that the environment names; it could not reach us."""
    former = {name: os.environ.get(name) for name in ("no_proxy", "NO_PROXY")}
    for name, hosts in former.items():
        os.environ[name] = f"{hosts},127.0.0.1" if hosts else "127.0.0.1"
    try:
        yield
    finally:
        for name, hosts in former.items():
            if hosts is None:
                del os.environ[name]
            else:
                os.environ[name] = hosts
