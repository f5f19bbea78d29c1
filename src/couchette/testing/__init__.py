"""Tests of synchronisation without a network: servers in memory, lines with faults, virtual time, all from a seed.

:func:`network` is the beginning of everything; ``docs/guide/testing.md`` shows it. It runs couchette's own server,
so it needs the ``server`` extra. Importing ``couchette`` does not import it.
"""

from __future__ import annotations

from couchette.testing.clock import Clocks
from couchette.testing.crash import Crash, Crashed
from couchette.testing.faults import NO_FAULTS, ROUGH, Fault, Faults, Kind
from couchette.testing.network import Network, network
from couchette.testing.server import Server

__all__ = [
    "NO_FAULTS",
    "ROUGH",
    "Clocks",
    "Crash",
    "Crashed",
    "Fault",
    "Faults",
    "Kind",
    "Network",
    "Server",
    "network",
]
