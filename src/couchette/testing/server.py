"""A host of the simulated network: a couchette server that can be stopped, and has faults."""

from __future__ import annotations

import os
from collections import deque
from random import Random

from couchette import Database, Environment, surroundings
from couchette.errors import Unreachable
from couchette.server import create_app
from couchette.surroundings import Surroundings
from couchette.testing.exchange import AsgiApp, Exchange
from couchette.testing.faults import NO_FAULTS, Fault, Faults, Kind


class Server:
    """A couchette server at ``http://<name>``; made by ``Network.server``.

    Attributes:
        name: the host's name.
        faults: how often its requests fail; may be changed at any time.
        body_bytes_max: a request whose body is longer is answered with 413, as by a proxy; None: no bound.
        requests: each request that a client sent, ``"GET /notes/_changes"``, without its query.
    """

    def __init__(
        self, name: str, folder: str | os.PathLike[str] | None, faults: Faults, surroundings: Surroundings
    ) -> None:
        self.name = name
        self.faults = faults
        self.body_bytes_max: int | None = None
        self.requests: list[str] = []
        self._folder = ":memory:" if folder is None else os.fspath(folder)
        self._where = surroundings
        self._script: deque[Fault | None] = deque()
        self._exchanges: set[Exchange] = set()
        self._environment: Environment | None = None
        self._app: AsgiApp | None = None
        self.start()

    @property
    def url(self) -> str:
        """The server's address; a database is below it."""
        return f"http://{self.name}"

    @property
    def running(self) -> bool:
        """Whether it takes requests."""
        return self._app is not None

    @property
    def environment(self) -> Environment:
        """Its databases, seen from inside. Stopped servers have none."""
        if self._environment is None:
            raise Unreachable("The server is stopped.", f"Start {self.name} first.")
        return self._environment

    def __getitem__(self, name: str) -> Database:
        """A database seen from inside, past the network; it is made if it is not there."""
        return self.environment[name]

    # -- Its life -------------------------------------------------------------------------------------

    def start(self) -> None:
        """Take requests again. A server without a folder comes back empty."""
        if self._app is None:
            with surroundings.replaced(self._where):
                self._environment = Environment(self._folder)
            self._app = create_app(self._environment)

    def stop(self) -> None:
        """Die: connections break where they are, and new ones are refused."""
        if self._environment is not None:
            for exchange in tuple(self._exchanges):
                exchange.kill()
            self._environment.close()
            self._app = self._environment = None

    def restart(self) -> None:
        """Die, and be back at once."""
        self.stop()
        self.start()

    # -- Its faults -----------------------------------------------------------------------------------

    def next(self, *faults: Fault | None) -> None:
        """What happens to the next requests, one after the other, before chance takes over again; None is no fault."""
        self._script.extend(faults)

    def refuse(self, status: int, *, times: int = 1, retry_after_s: float = 0) -> None:
        """Answer the next requests with an error: 401, 503 …"""
        self.next(*[Fault(Kind.ANSWERED, status=status, seconds=retry_after_s)] * times)

    def heal(self) -> None:
        """No more faults; a stopped server starts."""
        self.faults = NO_FAULTS
        self.body_bytes_max = None
        self._script.clear()
        self.start()

    def _next_fault(self, random: Random) -> Fault | None:
        return self._script.popleft() if self._script else self.faults.draw(random)
