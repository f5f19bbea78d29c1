"""JSON Web Tokens, as CouchDB's ``jwt_auth`` takes them: ``sub`` is the user, ``_couchdb.roles`` its roles.

A key is found by the token's algorithm and ``kid``, and a key is good for its own kind of algorithm only, so a public
key can never be taken for a shared secret. The claims ``exp``, ``nbf`` and ``iat`` hold where they are there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from couchette.errors import BadRequest, MissingExtra, Unauthorized
from couchette.users import User

if TYPE_CHECKING:
    from types import ModuleType

ALGORITHMS: Final[Mapping[str, tuple[str, ...]]] = {
    "hmac": ("HS256", "HS384", "HS512"),
    "rsa": ("RS256", "RS384", "RS512"),
    "ec": ("ES256", "ES384", "ES512"),
}
DEFAULT_KEY: Final = "_default"
ROLES_CLAIM: Final = "_couchdb.roles"
_SECRET_BYTES_MIN: Final = 32
"""A shorter secret can be guessed from one token, with a day of a graphics card (RFC 7518, 3.2)."""


class Tokens:
    """Checks tokens against the keys of those who may issue them."""

    def __init__(self, keys: Mapping[str, str | bytes], *, required_claims: tuple[str, ...] = ()) -> None:
        """``keys`` are named as in CouchDB: ``hmac:_default``, ``hmac:KID``, ``rsa:KID``, ``ec:KID``.

        A secret is what it is; the others are public keys in PEM.

        Raises:
            BadRequest: a name is none of these, or a secret is shorter than 32 bytes.
            MissingExtra: PyJWT is not installed.
        """
        self._jwt = _import_jwt()
        self._required = list(required_claims)
        self._keys: dict[str, bytes] = {}
        for name, key in keys.items():
            kind, _, kid = name.partition(":")
            value = key.encode() if isinstance(key, str) else key
            if kind not in ALGORITHMS or not kid:
                raise BadRequest(f"{name!r} names no key of a token.", "Begin with hmac:, rsa: or ec:.")
            if kind == "hmac" and len(value) < _SECRET_BYTES_MIN:
                raise BadRequest(f"The secret {name} is too short.", f"Give {_SECRET_BYTES_MIN} bytes or more.")
            self._keys[name] = value

    def user_of(self, token: str) -> User:
        """The user that a token names. Raises Unauthorized, BadRequest."""
        try:
            head = self._jwt.get_unverified_header(token)
        except self._jwt.InvalidTokenError as exc:
            raise BadRequest("Malformed token", "It is three parts of base64url.") from exc
        algorithm = head.get("alg")
        kind = next((kind for kind, known in ALGORITHMS.items() if algorithm in known), None)
        if kind is None:
            raise BadRequest("Invalid alg header parameter", f"It is {algorithm!r}.")
        key = self._keys.get(f"{kind}:{head.get('kid', DEFAULT_KEY)}")
        if key is None:
            raise BadRequest("Unknown kid", f"There is no {kind} key {head.get('kid', DEFAULT_KEY)!r}.")
        try:
            options = {"require": self._required, "verify_aud": False}
            claims: dict[str, Any] = self._jwt.decode(token, key, algorithms=[algorithm], options=options)
        except (self._jwt.InvalidTokenError, self._jwt.InvalidKeyError) as exc:
            raise Unauthorized("Bad signature" if _is_forged(exc) else str(exc), "Get another token.") from exc
        return _user(claims)


def _user(claims: Mapping[str, Any]) -> User:
    name, roles = claims.get("sub"), claims.get(ROLES_CLAIM, [])
    if not isinstance(name, str) or not name:
        raise Unauthorized("Token missing sub claim.", "The claim `sub` names the user.")
    if isinstance(roles, str):
        roles = [role.strip() for role in roles.split(",")]
    if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
        raise BadRequest(f"The claim {ROLES_CLAIM} must be a list of strings.", f"It is {roles!r}.")
    return User(name, tuple(role for role in roles if role))


def _is_forged(exc: Exception) -> bool:
    return type(exc).__name__ == "InvalidSignatureError"


def _import_jwt() -> ModuleType:
    try:
        import jwt
    except ImportError as exc:
        raise MissingExtra("Tokens need 'jwt'.", "Install it with: pip install 'couchette[jwt]'") from exc
    return jwt
