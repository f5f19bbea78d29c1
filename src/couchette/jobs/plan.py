"""What a job is to do, read from and written as a document of ``_replicator`` or a body of ``_replicate``.

Both have CouchDB's form: ``source`` and ``target`` are each a URL, an object of a ``url`` with ``headers`` and
``auth``, or the name of a database of this environment; the other members are the options. Credentials are where
CouchDB has them, in those two members, and nothing else of a plan has them: not its id, what is shown of it, or its
``repr``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Self

from couchette import jsonio
from couchette.access import Auth, BasicAuth, BearerAuth, SessionAuth
from couchette.endpoints import is_url
from couchette.errors import BadRequest
from couchette.replication import Options

BOOLEANS: Final = ("continuous", "create_target", "use_checkpoints", "winning_revs_only", "skip_deletes")
KINDS: Final[Mapping[str, tuple[type, str]]] = {
    **dict.fromkeys(BOOLEANS, (bool, "a boolean")),
    "filter": (str, "a string"),
    "view": (str, "a string"),
    "doc_ids": (list, "an array"),
    "selector": (dict, "a JSON object"),
    "query_params": (dict, "a JSON object"),
    "create_target_params": (dict, "a JSON object"),
    "worker_batch_size": (int, "a number"),
    "batch_bytes": (int, "a number"),
}
"""What the options must be, and how CouchDB says so."""

_OF_NO_DOCUMENT: Final = frozenset(
    {*("continuous", "create_target", "create_target_params"), *("worker_batch_size", "batch_bytes", "use_checkpoints")}
)
"""Options that do not change which documents travel."""


@dataclass(frozen=True)
class Side:
    """A database behind a URL, or one of this environment by its name.

    Attributes:
        place: the URL, which may hold credentials, or the name.
        auth: name and password beside the URL.
        headers: sent with each request, ``Authorization`` for one.
        proxy: URL of a proxy.
    """

    place: str = field(repr=False)
    auth: tuple[str, str] | None = field(default=None, repr=False)
    headers: Mapping[str, str] | None = field(default=None, repr=False)
    proxy: str | None = field(default=None, repr=False)

    @property
    def is_url(self) -> bool:
        """Whether it is reached over HTTP."""
        return is_url(self.place)

    @property
    def shown(self) -> str:
        """The side without credentials."""
        return _without_user(self.place) if self.is_url else self.place

    @classmethod
    def from_json(cls, value: Any, member: str, proxy: Any = None) -> Self:
        """Read the ``source`` or ``target`` of a document. Raises BadRequest."""
        given: Mapping[str, Any] = value if isinstance(value, Mapping) else {"url": value}
        place, headers = given.get("url"), given.get("headers")
        if isinstance(place, int | float) and not isinstance(place, bool):
            place = str(place)  # CouchDB takes it for a name, too.
        if not isinstance(place, str):
            raise BadRequest(f"`{member}` must be a URL or a database's name.", "It may be an object with a `url`.")
        if ("://" in place or "@" in place) and not is_url(place):
            # It may hold a password, so it must not be taken for a name, which errors show.
            raise BadRequest("Invalid database URL.", f"`{member}` is not http:// or https://.")
        if headers is not None and not (isinstance(headers, Mapping) and all(map(_is_text, headers.values()))):
            raise BadRequest(f"`{member}.headers` must be an object of strings.")
        if proxy is not None and not isinstance(proxy, str):
            raise BadRequest(f"`{member}_proxy` must be a URL.")
        return cls(place, _basic(given.get("auth"), member), None if headers is None else dict(headers), proxy)


@dataclass(frozen=True)
class Plan:
    """A replication as it is stored."""

    source: Side
    target: Side
    options: Options

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> Self:
        """Read a document or a request's body; members that are not known are ignored. Raises BadRequest."""
        for name, (kind, named) in KINDS.items():
            value = stored.get(name)
            # A bool is an int in Python, and JSON's null stands for a member that is not there.
            if value is not None and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
                raise BadRequest(f"parameter `{name}` must be {named}", f"Got {value!r}.")
        proxy = stored.get("proxy")
        source, target = (
            Side.from_json(stored.get(name), name, stored.get(f"{name}_proxy", proxy)) for name in ("source", "target")
        )
        return cls(source, target, Options.from_json({k: value for k, value in stored.items() if value is not None}))

    @property
    def continuous(self) -> bool:
        """Whether it goes on until it is stopped."""
        return self.options.live

    @cached_property
    def id(self) -> str:
        """The id in CouchDB's listings, the same for all that replicate this; without credentials."""
        facts = [self.source.shown, self.target.shown, self._facts()]
        digest = hashlib.md5(jsonio.dumps(facts), usedforsecurity=False).hexdigest()
        return digest + "+continuous" * self.continuous + "+create_target" * self.options.create_target

    def _facts(self) -> dict[str, Any]:
        return {name: value for name, value in sorted(self.options.as_json().items()) if name not in _OF_NO_DOCUMENT}

    def as_json(self) -> dict[str, Any]:
        """The plan without credentials."""
        return {"source": self.source.shown, "target": self.target.shown, **self.options.as_json()}


def side_as_json(place: str, auth: Auth | None) -> str | dict[str, Any]:
    """A side as a document holds it, credentials included. Raises BadRequest for those that cannot be written down."""
    if auth is None:
        return place
    if not is_url(place):
        raise BadRequest("Credentials are for a URL.", f"{place!r} is a database of this environment.")
    if isinstance(auth, BasicAuth | SessionAuth):
        auth = (auth.name, auth.password)
    if isinstance(auth, tuple) and len(auth) == 2:
        return {"url": place, "auth": {"basic": {"username": auth[0], "password": auth[1]}}}
    if isinstance(auth, BearerAuth) and auth.refresh is None:
        return {"url": place, "headers": {"Authorization": f"Bearer {auth.token}"}}
    raise BadRequest(
        "These credentials cannot be stored.",
        f"{type(auth).__name__} is code; leave it out, and give start() a function that returns it.",
    )


def _basic(auth: Any, member: str) -> tuple[str, str] | None:
    """CouchDB's ``auth.basic``; other kinds of ``auth`` are its plugins'."""
    basic = auth.get("basic") if isinstance(auth, Mapping) else None
    if basic is None:
        return None
    match basic:
        case {"username": str(name), "password": str(password)}:
            return name, password
    raise BadRequest(f"`{member}.auth.basic` must have a `username` and a `password`.")


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _without_user(url: str) -> str:
    """The URL from its host on. A password with an unescaped slash in it does not show either."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
