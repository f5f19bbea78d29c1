"""Who sends a request: by cookie, name and password, token, or a proxy that vouches; CouchDB's handlers, in its order.

Where there is no administrator nobody is asked, and everybody may do everything. That is safe on a loopback address
only, and ``couchette serve`` listens nowhere else then.
"""

from __future__ import annotations

import binascii
import hmac
import threading
from base64 import b64decode
from collections.abc import Callable, Mapping

from couchette import surroundings
from couchette.errors import BadRequest, CouchetteError, Unauthorized
from couchette.limits import VERIFIED_MAX
from couchette.server import cookies
from couchette.server.identity import NOBODY, Identity
from couchette.server.tokens import Tokens
from couchette.users import EVERYONE_IS_ADMIN, Account, Accounts, User


class Authentication:
    """Finds out who sends a request. It may take half a second: call it in a worker thread."""

    def __init__(
        self,
        accounts: Accounts,
        find_secret: Callable[[], bytes],
        *,
        tokens: Tokens | None = None,
        proxy_secret: str | None = None,
    ) -> None:
        """``find_secret`` is called once for what signs cookies, as soon as there is somebody to log in.

        ``proxy_secret`` is shared with a proxy that vouches for users, if there is one.
        """
        self.accounts = accounts
        self._find_secret = find_secret
        self._found: bytes | None = None
        self._lock = threading.Lock()
        self._tokens = tokens
        self._proxy_secret = proxy_secret
        self._known: set[int] = set()
        """Hashes of the credentials that were right: they say which thread to use, and nothing else."""

    def secret(self) -> bytes:
        """What signs cookies, the same until the server stops. Raises what finding it raises."""
        with self._lock:
            if self._found is None:
                self._found = self._find_secret()
            return self._found

    @property
    def handlers(self) -> list[str]:
        """CouchDB's words for the ways to log in that are open."""
        offered = {"jwt": self._tokens is not None, "proxy": self._proxy_secret is not None}
        return [*(name for name, is_open in offered.items() if is_open), "cookie", "default"]

    def identify(self, headers: Mapping[str, str], address: str, *, secure: bool) -> Identity:
        """Who sends a request with these headers from this address.

        Raises:
            Unauthorized: name and password are wrong, or a token is.
            Forbidden: there were too many wrong passwords.
            BadRequest: the credentials are malformed.
        """
        if not self.accounts.has_admins:
            return Identity(EVERYONE_IS_ADMIN)
        return (
            self._by_token(headers)
            or self._by_proxy(headers)
            or self._by_cookie(headers, secure=secure)
            or self._by_password(headers, address)
            or NOBODY
        )

    def takes_long(self, headers: Mapping[str, str]) -> bool:
        """Whether to identify whoever sends these headers may take half a second, since a password must be derived."""
        value = headers.get("authorization", "")
        return value[:6].lower() == "basic " and self.accounts.has_admins and hash(value) not in self._known

    def log_in(self, name: str, password: str, address: str, *, secure: bool, token: str = "") -> tuple[User, str]:
        """The user with this password, and the header that sets its cookie. Raises as :meth:`identify`.

        ``token`` is a one-time password, for a user whose document asks for one; without it he is not known.
        """
        account = self.accounts.login(name, password, address, token=token)
        return account.user, self._cookie(account, secure=secure)

    def _by_password(self, headers: Mapping[str, str], address: str) -> Identity | None:
        header = headers.get("authorization", "")
        kind, _, value = header.partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, colon, password = b64decode(value.strip(), validate=True).decode().partition(":")
        except (binascii.Error, ValueError) as exc:
            raise BadRequest("Authorization header has invalid base64 value", "It is base64 of name:password.") from exc
        if not colon:
            return None
        try:
            user = self.accounts.login(name, password, address).user
        except CouchetteError:
            self._known.discard(hash(header))
            raise
        if len(self._known) >= VERIFIED_MAX:
            self._known.clear()
        self._known.add(hash(header))
        return Identity(user, "default")

    def _by_cookie(self, headers: Mapping[str, str], *, secure: bool) -> Identity | None:
        value = cookies.from_header(headers.get("cookie", ""))
        if not value:
            return None
        cookie, now = cookies.parse(value), surroundings.now().timestamp()
        account = self.accounts.find(cookie.name) if cookie.is_current(now) else None
        if account is None or not cookies.is_signed(cookie, self.secret(), account.salt):
            return None
        renewed = self._cookie(account, secure=secure) if cookie.is_ageing(now) else None
        return Identity(account.user, "cookie", renewed)

    def _by_token(self, headers: Mapping[str, str]) -> Identity | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if self._tokens is None or kind.lower() != "bearer":
            return None
        return Identity(self._tokens.user_of(token.strip()), "jwt")

    def _by_proxy(self, headers: Mapping[str, str]) -> Identity | None:
        """The user that a proxy names; its token is the HMAC of that name under the secret that both know."""
        name = headers.get("x-auth-couchdb-username")
        if self._proxy_secret is None or not name:
            return None
        given = headers.get("x-auth-couchdb-token", "").lower().encode("utf-8", "surrogatepass")
        for algorithm in ("sha256", "sha1"):
            made = hmac.new(self._proxy_secret.encode(), name.encode(), algorithm).hexdigest().encode()
            if hmac.compare_digest(made, given):
                roles = headers.get("x-auth-couchdb-roles", "").split(",")
                return Identity(User(name, tuple(role for role in map(str.strip, roles) if role)), "proxy")
        raise Unauthorized("Name or password is incorrect.", "The proxy's X-Auth-CouchDB-Token is not the user's.")

    def _cookie(self, account: Account, *, secure: bool) -> str:
        now = surroundings.now().timestamp()
        value = cookies.issue(account.user.name or "", self.secret(), account.salt, now)
        return cookies.header(value, now, secure=secure)
