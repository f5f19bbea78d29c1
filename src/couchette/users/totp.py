"""One-time passwords of an app or a device beside the password (RFC 6238), as CouchDB has them. Pure.

A user's document asks for one by ``totp: {"key", "algorithm", "length"}``: ``key`` is Base32, as apps take it;
``algorithm`` is ``sha`` (the default), ``sha256`` or ``sha512``; ``length`` digits, 6 by default. A token is good for
half a minute, and for the one before and the one after, since clocks differ.
"""

from __future__ import annotations

import binascii
import hmac
from base64 import b32decode
from collections.abc import Mapping
from typing import Any, Final

STEP_S: Final = 30
DIGITS: Final = 6
ALGORITHMS: Final = {"sha": "sha1", "sha256": "sha256", "sha512": "sha512"}
"""CouchDB's names of the hash functions, and hashlib's."""


def is_wanted(members: Mapping[str, Any]) -> bool:
    """Whether these members of a user's document ask for a one-time password."""
    return isinstance(members.get("totp"), Mapping)


def verify(members: Mapping[str, Any], token: str, now: float) -> bool:
    """Whether this is the one-time password at a time in seconds; a document that asks for nonsense takes none."""
    wanted = members["totp"]
    digits, algorithm = wanted.get("length", DIGITS), ALGORITHMS.get(str(wanted.get("algorithm", "sha")))
    try:
        key = b32decode(_padded(str(wanted.get("key", ""))), casefold=True)
    except binascii.Error:
        return False
    if not key or algorithm is None or type(digits) is not int or not DIGITS <= digits <= 10:
        return False
    given = token.encode("utf-8", "surrogatepass")
    good = [
        hmac.compare_digest(_token(key, algorithm, digits, int(now) // STEP_S + step).encode(), given)
        for step in (-1, 0, 1)
    ]
    return any(good)


def _token(key: bytes, algorithm: str, digits: int, step: int) -> str:
    made = hmac.digest(key, step.to_bytes(8, "big"), algorithm)
    at = made[-1] & 0xF
    number = int.from_bytes(made[at : at + 4], "big") & 0x7FFFFFFF
    return str(number % 10**digits).zfill(digits)


def _padded(key: str) -> str:
    """The key as ``b32decode`` takes it; apps show keys in groups and without padding."""
    bare = key.replace(" ", "").rstrip("=")
    return bare + "=" * (-len(bare) % 8)
