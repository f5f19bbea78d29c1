"""The ``AuthSession`` cookie: CouchDB's, a user's name and a time, signed. Pure.

It is base64url of ``name:TIME:signature``, TIME in hexadecimal seconds. The signature is an HMAC under the server's
secret and the user's salt, so a new password ends all sessions of its user, and a new secret those of all users.
Nothing is kept of a session; it ends by itself.
"""

from __future__ import annotations

import binascii
import hmac
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from email.utils import formatdate
from typing import Final

from couchette.errors import BadRequest
from couchette.limits import SESSION_S

NAME: Final = "AuthSession"
_ALGORITHM: Final = "sha256"
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*")
_RENEW_BELOW: Final = 0.9
"""Below this part of its time a cookie is renewed; CouchDB's share."""


@dataclass(frozen=True)
class Cookie:
    """What a cookie claims; only :func:`is_signed` tells whether it is true."""

    name: str
    time: int
    signature: bytes

    def is_current(self, now: float) -> bool:
        """Whether its time is not over. One from the future is none of ours."""
        return self.time - SESSION_S < now < self.time + SESSION_S

    def is_ageing(self, now: float) -> bool:
        """Whether a new one should take its place."""
        return self.time + SESSION_S - now < SESSION_S * _RENEW_BELOW


def parse(value: str) -> Cookie:
    """Take a cookie's value apart. Raises BadRequest."""
    try:
        if not _BASE64URL.fullmatch(value):
            raise ValueError(value)
        name, time, signature = urlsafe_b64decode(value + "=" * (-len(value) % 4)).split(b":", 2)
        return Cookie(name.decode(), int(time, 16), signature)
    except (ValueError, binascii.Error) as exc:
        raise BadRequest("Malformed AuthSession cookie. Please clear your cookies.", "Log in again.") from exc


def is_signed(cookie: Cookie, secret: bytes, salt: str) -> bool:
    """Whether we signed this cookie."""
    return hmac.compare_digest(cookie.signature, _signature(cookie.name, f"{cookie.time:X}", secret, salt))


def issue(name: str, secret: bytes, salt: str, now: float) -> str:
    """The value of a new cookie."""
    time = f"{int(now):X}"
    signed = f"{name}:{time}:".encode() + _signature(name, time, secret, salt)
    return urlsafe_b64encode(signed).decode().rstrip("=")


def header(value: str, now: float, *, secure: bool) -> str:
    """A Set-Cookie header; an empty value ends the session."""
    expires = formatdate(now + SESSION_S if value else 0, usegmt=True)
    parts = [f"{NAME}={value}", "Version=1", f"Expires={expires}", f"Max-Age={SESSION_S}", "Path=/", "HttpOnly"]
    return "; ".join([*parts, "Secure"] if secure else parts)


def from_header(text: str) -> str:
    """The value of our cookie in a Cookie header; empty when there is none."""
    for part in text.split(";"):
        name, _, value = part.strip().partition("=")
        if name == NAME:
            return value.strip('"')
    return ""


def _signature(name: str, time: str, secret: bytes, salt: str) -> bytes:
    return hmac.digest(secret + salt.encode("utf-8", "surrogatepass"), f"{name}:{time}".encode(), _ALGORITHM)
