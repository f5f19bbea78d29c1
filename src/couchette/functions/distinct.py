"""HyperLogLog: about how many different things were added, in two kilobytes.

Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm"
(2007). A hash of 64 bits chooses one of 2048 registers by its first 11, as CouchDB does, and the register keeps the
longest run of zeros seen at the head of the others. The standard error is 1.04 / sqrt(2048) = 2.3 %; while registers
are still empty, counting those is better ("linear counting"). With 64 bits no correction for large numbers is needed.
The hash is ours: estimates of more than a few hundred keys differ from CouchDB's by chance.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
import zlib
from typing import Final

from couchette.errors import FunctionFailed

_BITS: Final = 11
_REGISTERS: Final = 1 << _BITS
_REST_BITS: Final = 64 - _BITS
_ALPHA: Final = 0.7213 / (1 + 1.079 / _REGISTERS)


class Sketch:
    """A set of byte strings, of which only the size can be asked."""

    def __init__(self, registers: bytes = bytes(_REGISTERS)) -> None:
        self._registers = bytearray(registers)

    def add(self, item: bytes) -> None:
        """Put one item in. The same item again changes nothing."""
        hashed = int.from_bytes(hashlib.blake2b(item, digest_size=8).digest())
        register = hashed >> _REST_BITS
        rank = _REST_BITS - (hashed & ((1 << _REST_BITS) - 1)).bit_length() + 1
        if rank > self._registers[register]:
            self._registers[register] = rank

    def merge(self, other: Sketch) -> None:
        """Become the union of both."""
        self._registers = bytearray(map(max, self._registers, other._registers))

    def estimate(self) -> int:
        """About how many different items were added."""
        raw = _ALPHA * _REGISTERS**2 / sum(math.ldexp(1.0, -rank) for rank in self._registers)
        empty = self._registers.count(0)
        if raw <= 2.5 * _REGISTERS and empty:
            raw = _REGISTERS * math.log(_REGISTERS / empty)
        return round(raw)

    def as_text(self) -> str:
        """The sketch as a JSON string; short while few items are in it."""
        return base64.b64encode(zlib.compress(self._registers, 1)).decode()

    @classmethod
    def from_text(cls, text: str) -> Sketch:
        """What :meth:`as_text` wrote. Raises FunctionFailed for anything else."""
        try:
            registers = zlib.decompress(base64.b64decode(text, validate=True))
        except (zlib.error, binascii.Error, TypeError, ValueError) as exc:
            raise FunctionFailed("A stored _approx_count_distinct cannot be read.", "Rebuild the index.") from exc
        if len(registers) != _REGISTERS:
            raise FunctionFailed("A stored _approx_count_distinct cannot be read.", "Rebuild the index.")
        return cls(registers)
