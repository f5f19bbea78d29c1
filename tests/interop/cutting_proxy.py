"""A TCP proxy on loopback that breaks connections: each after a number of bytes that a seeded chance draws.

The bytes of both directions count, so that a cut may meet a request, an answer's head or its body.
"""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing resets the connection, and what is on the way is lost."""
PIECE = 4096


class CuttingProxy:
    """Forwards connections to ``port`` until :attr:`calm` is set; ``cuts`` counts those it broke."""

    def __init__(self, port: int, seed: int, bytes_max: int) -> None:
        self.cuts = 0
        self.calm = False
        self._target = ("127.0.0.1", port)
        self._random = random.Random(seed)
        self._bytes_max = bytes_max
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._connected = threading.Event()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: int = self._listener.getsockname()[1]
        return port

    def run(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            room = self._random.randrange(self._bytes_max)
            thread = threading.Thread(target=self._forward, args=[near, room])
            self._threads.append(thread)
            thread.start()

    def wait_connected(self) -> None:
        """Wait until somebody is connected: a live feed is between two connections at times."""
        assert self._connected.wait(30), "nobody connects any more"

    def break_all(self) -> None:
        """Break the connections that there are now."""
        for one in list(self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
                self.cuts += 1

    def close(self) -> None:
        """End everything."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.break_all()
        for thread in self._threads:
            thread.join()

    def _forward(self, near: socket.socket, room: int) -> None:
        """Carry bytes both ways until there is no more room for them, or either side closes."""
        with near, suppress(OSError), socket.create_connection(self._target) as far:
            self._open |= {near, far}
            self._connected.set()
            try:
                while room > 0 or self.calm:
                    for ready in select.select([near, far], [], [])[0]:
                        piece = ready.recv(PIECE if self.calm else min(PIECE, max(room, 1)))
                        if not piece:
                            return
                        (far if ready is near else near).sendall(piece)
                        room -= len(piece)
                self.cuts += 1
                for one in (near, far):
                    one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            finally:
                self._open -= {near, far}
                if not self._open:
                    self._connected.clear()


@contextmanager
def cutting(port: int, seed: int, bytes_max: int) -> Iterator[CuttingProxy]:
    """A proxy to ``port`` that cuts each connection after at most ``bytes_max`` bytes."""
    proxy = CuttingProxy(port, seed, bytes_max)
    thread = threading.Thread(target=proxy.run)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.close()
        thread.join()
