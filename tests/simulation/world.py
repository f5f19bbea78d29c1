"""The replicas of a simulation, their disks, and what is known of what they were told.

A replica is a couchette server on a simulated network. Its databases are files, or it forgets all when it
restarts. Writes are made from inside, as a program beside the server would, so each is acknowledged or raises.

A disk keeps what was synced to it; a power cut takes the rest. SQLite writes its log in order, so what is left is
the state after some earlier commit: here the last one that was synced, or that reached the disk by chance. A replica
whom others ask over the network is kept with ``durability="full"``, where each commit is synced: others go on
after what it has told them, so it must not forget that.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from couchette import Database
from couchette.pool import Pool
from couchette.testing import Network, Server

NAME = "db"

Rev = tuple[str, str]
"""The id of a document and one of its revisions."""


@dataclass
class Replica:
    """One place where the documents are."""

    server: Server
    folder: Path | None
    full_durability: bool = False

    @property
    def name(self) -> str:
        return self.server.name

    @property
    def url(self) -> str:
        return f"{self.server.url}/{NAME}"

    @property
    def db(self) -> Database:
        """The database, seen from inside."""
        return self.server[NAME]

    def lacks(self, rev: Rev) -> bool:
        """Whether the revision is unknown here, also as an ancestor."""
        return bool(self.db.revs_diff({rev[0]: [rev[1]]}))


class World:
    """Replicas, and the writes that they acknowledged."""

    def __init__(self, net: Network, folder: Path, kinds: list[bool]) -> None:
        """``kinds``: for each replica, whether it is kept in files."""
        self.net = net
        self.acknowledged: dict[Rev, dict[str, Any]] = {}
        """The bodies of revisions that may not get lost, as they were given."""
        self.replicas: list[Replica] = []
        self._snapshots = folder / "snapshots"
        for number, in_files in enumerate(kinds):
            place = folder / f"r{number}" if in_files else None
            self.replicas.append(Replica(net.server(f"r{number}", folder=place), place))
            self.replicas[-1].db.info()

    def acknowledge(self, rev: Rev, doc: dict[str, Any]) -> None:
        """Note what a replica has confirmed."""
        self.acknowledged[rev] = doc

    def running(self) -> list[Replica]:
        return [replica for replica in self.replicas if replica.server.running]

    @contextmanager
    def simulated_disks(self) -> Iterator[None]:
        """Let ``Pool.sync`` reach the simulated disks, and not wait for the real one."""

        def sync(pool: Pool) -> None:
            for replica in self.replicas:
                if replica.folder is not None and Path(pool.path).parent == replica.folder:
                    self.sync_to_disk(replica)

        with patch.object(Pool, "sync", sync):
            yield

    def sync_to_disk(self, replica: Replica) -> None:
        """From now on a power cut spares what the replica holds now."""
        if replica.folder is not None:
            shutil.rmtree(self._snapshots / replica.name, ignore_errors=True)
            shutil.copytree(replica.folder, self._snapshots / replica.name)

    def restart(self, replica: Replica) -> None:
        """The process dies and is started again; one without files has forgotten everything."""
        replica.server.restart()
        self._forget_what_is_nowhere()

    def cut_power(self, replica: Replica) -> None:
        """The computer goes down, and what was not synced to its disk is gone with it."""
        replica.server.stop()
        if replica.folder is not None and not replica.full_durability:
            shutil.rmtree(replica.folder)
            if (self._snapshots / replica.name).exists():
                shutil.copytree(self._snapshots / replica.name, replica.folder)
        replica.server.start()
        self._forget_what_is_nowhere()

    def _forget_what_is_nowhere(self) -> None:
        """A replica may lose what it alone held, when it is no file, or its power fails."""
        replicas = self.running()
        for rev in list(self.acknowledged):
            if all(replica.lacks(rev) for replica in replicas):
                del self.acknowledged[rev]
