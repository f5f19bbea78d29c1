"""How passwords are kept: salted and derived, in CouchDB's members of a user's document. Pure.

Three schemes are verified; only the last one is made. The older ones, and the last one with fewer iterations, are
brought up to date when their user logs in, which is the only moment when the password is known.

* ``simple``: ``password_sha``, the hexadecimal SHA-1 of the password and ``salt``;
* ``pbkdf2`` without ``pbkdf2_prf``: HMAC-SHA-1, as CouchDB made it before 3.4;
* ``pbkdf2`` with ``pbkdf2_prf: "sha256"``: as it is made since.

A verification takes as long as its iterations; call it in a worker thread. Comparisons take constant time.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import Any, Final

from couchette import surroundings
from couchette.errors import BadRequest, Forbidden
from couchette.limits import PBKDF2_ITERATIONS, PBKDF2_ITERATIONS_MAX

PRF: Final = "sha256"
PRFS: Final = {"sha": "sha1", "sha1": "sha1", **{name: name for name in ("sha224", "sha256", "sha384", "sha512")}}
"""CouchDB's names of the hash functions, and hashlib's."""

_KEY_DIGITS: Final = re.compile(r"(?:[0-9a-f]{2}){16,64}")
_ADMIN_PBKDF2: Final = re.compile(r"-pbkdf2(?::(?P<prf>\w+))?-(?P<key>[0-9a-f]+),(?P<salt>[^,]*),(?P<iterations>\d+)")
_ADMIN_SIMPLE: Final = re.compile(r"-hashed-(?P<sha>[0-9a-f]{40}),(?P<salt>.*)")


def derive(password: str, *, iterations: int = PBKDF2_ITERATIONS) -> dict[str, Any]:
    """The members of a user's document that stand for this password, with a new salt."""
    salt = surroundings.uuid_hex()
    key = hashlib.pbkdf2_hmac(PRF, password.encode("utf-8", "surrogatepass"), salt.encode(), iterations)
    return {
        "password_scheme": "pbkdf2",
        "pbkdf2_prf": PRF,
        "salt": salt,
        "iterations": iterations,
        "derived_key": key.hex(),
    }


def verify(password: str, members: Mapping[str, Any]) -> bool:
    """Whether this is the password that the members stand for; members that make no sense stand for none."""
    text, salt = password.encode("utf-8", "surrogatepass"), members.get("salt", "")
    if not isinstance(salt, str):
        return False
    if members.get("password_scheme", "simple") == "simple":
        made = hashlib.sha1(text + salt.encode(), usedforsecurity=False).hexdigest()
        return _same(made, members.get("password_sha"))
    iterations, key = members.get("iterations"), members.get("derived_key")
    prf = PRFS.get(str(members.get("pbkdf2_prf", "sha")))
    if members["password_scheme"] != "pbkdf2" or prf is None:
        return False
    if type(iterations) is not int or not 1 <= iterations <= PBKDF2_ITERATIONS_MAX:
        return False
    if not isinstance(key, str) or not _KEY_DIGITS.fullmatch(key):
        return False
    return _same(hashlib.pbkdf2_hmac(prf, text, salt.encode(), iterations, len(key) // 2).hex(), key)


def is_outdated(members: Mapping[str, Any], *, iterations: int = PBKDF2_ITERATIONS) -> bool:
    """Whether the password should be derived anew, now that it is known: an older scheme, or fewer iterations."""
    return (
        members.get("password_scheme") != "pbkdf2"
        or members.get("pbkdf2_prf") != PRF
        or members.get("iterations", 0) < iterations
    )


def check_password(password: object) -> str:
    """The password of a document that is written. Raises Forbidden unless it is text."""
    if not isinstance(password, str):
        raise Forbidden(f"Password value of '{password}' is invalid.", "A password is a JSON string.")
    return password


def parse_admin(text: str) -> dict[str, Any] | None:
    """The members that an administrator's line of CouchDB's configuration stands for; None for a plain password.

    Raises BadRequest for a line that begins like a derived one and is none.
    """
    if found := _ADMIN_PBKDF2.fullmatch(text):
        return {
            "password_scheme": "pbkdf2",
            "pbkdf2_prf": found["prf"] or "sha",
            "salt": found["salt"],
            "iterations": int(found["iterations"]),
            "derived_key": found["key"],
        }
    if found := _ADMIN_SIMPLE.fullmatch(text):
        return {"password_scheme": "simple", "password_sha": found["sha"], "salt": found["salt"]}
    if text.startswith(("-pbkdf2", "-hashed-")):
        raise BadRequest("A derived password of an administrator is malformed.", "Copy the whole line of [admins].")
    return None


def admin_line(members: Mapping[str, Any]) -> str:
    """The line of CouchDB's configuration that :func:`parse_admin` reads these members from."""
    if members["password_scheme"] == "simple":
        return f"-hashed-{members['password_sha']},{members['salt']}"
    return f"-pbkdf2:{members['pbkdf2_prf']}-{members['derived_key']},{members['salt']},{members['iterations']}"


def _same(made: str, stored: object) -> bool:
    return isinstance(stored, str) and hmac.compare_digest(made.encode(), stored.encode("utf-8", "replace"))
