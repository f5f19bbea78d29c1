"""``couchette serve``: a folder of databases over HTTP, in the foreground.

The administrator's password never stands on the command line, where every user of the machine can read it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Final

from couchette.cli.credentials import read_secret
from couchette.cli.files import read_key
from couchette.cli.screen import count
from couchette.cli.usage import UsageError
from couchette.environment import Environment
from couchette.server import Certificate, Cors, Policy, serve
from couchette.users.admins import stored_admins

_ORIGIN: Final = re.compile(
    r"([a-z][a-z0-9+.-]*)://(?:[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?/?", re.IGNORECASE
)
_USUAL_PORTS: Final = {("http", "80"), ("https", "443")}
"""Browsers leave them out of an origin."""


def run_serve(
    folder: str,
    host: str,
    port: int,
    *,
    admin: str | None,
    password_file: str | None,
    key_file: str | None,
    tls_cert: str | None = None,
    tls_key: str | None = None,
    cors: Sequence[str] = (),
    settings: Sequence[str] = (),
    prefix: str = "",
) -> None:
    """Serve until SIGINT or SIGTERM. The first line printed begins with the URL, for programs that wait for it."""
    if tls_key is not None and tls_cert is None:
        raise UsageError("--tls-key goes with a --tls-cert.")
    if password_file is not None and admin is None:
        raise UsageError("--password-file goes with an --admin.")
    certificate = None if tls_cert is None else Certificate(tls_cert, tls_key)
    policy = Policy(
        admins={} if admin is None else {admin: _password(admin, password_file)},
        cors=_shared_with(cors),
        settings=dict(map(_setting, settings)),
    )
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # What was acknowledged to another machine must outlive a power cut here: its replicator will not send it again.
    # And nobody else of this machine may read the files that hold what the server shows to its users only.
    with Environment(folder, durability="full", key=read_key(key_file), private=True) as environment:

        def announce(url: str) -> None:
            databases = sum(1 for name in environment if not name.startswith("_"))
            print(f"{url} serves {folder} ({count(databases, 'database')}). Ctrl-C stops it.", flush=True)
            if admin is None and not stored_admins(environment):
                print("It has no administrator (--admin), so everybody on this machine may do everything.", flush=True)

        serve(
            environment,
            host,
            port,
            policy=policy,
            certificate=certificate,
            prefix=prefix,
            on_started=announce,
        )
    print("Stopped; every answer under way was sent.", flush=True)


def _shared_with(origins: Sequence[str]) -> Cors | None:
    """CORS for these origins. PouchDB wants to send passwords; any page may ask for it only without them."""
    named = tuple(origin if origin == "*" else _origin(origin) for origin in origins)
    return Cors(named, credentials="*" not in named) if named else None


def _origin(text: str) -> str:
    """An origin as browsers send it: the beginning of a page's address, without a slash or a usual port."""
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise UsageError(f"--cors takes an origin such as https://app.example or http://localhost:8080, not {text!r}.")
    scheme, port = found.groups()
    origin = text.removesuffix("/")
    return origin.removesuffix(f":{port}") if (scheme.lower(), port) in _USUAL_PORTS else origin


def _setting(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set takes section/key=value, not {text!r}.")
    return name, value


def _password(admin: str, password_file: str | None) -> str:
    return read_secret(f"The password of {admin}", password_file, "COUCHETTE_ADMIN_PASSWORD", "--password-file")
