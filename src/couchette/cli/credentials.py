"""Passwords, and whom ``couchette replicate`` is to the servers that it talks to.

A password never stands on a command line, where every user of the machine can read it. It is what an environment
variable holds, or a file, or is typed; and it is sent to no server that was not clearly meant.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path
from typing import Final, Literal

from couchette.access import Auth, BasicAuth, BearerAuth, SessionAuth
from couchette.cli.usage import UsageError
from couchette.endpoints import has_credentials, is_url

Method = Literal["basic", "session", "bearer"]

VARIABLES: Final = {
    "": "COUCHETTE_PASSWORD",
    "source-": "COUCHETTE_SOURCE_PASSWORD",
    "target-": "COUCHETTE_TARGET_PASSWORD",
}
"""Where the secret is by default, by what the options' names begin with."""


@dataclass(frozen=True)
class Login:
    """The options of one side, or of the one URL there is."""

    user: str | None = None
    env: str | None = None
    file: str | None = None

    @property
    def is_given(self) -> bool:
        """Whether any of them is."""
        return (self.user, self.env, self.file) != (None, None, None)


def credentials(
    source: str, target: str, method: Method, either: Login, for_source: Login, for_target: Login
) -> tuple[Auth | None, Auth | None]:
    """The credentials of both sides. Raises UsageError where it is not clear whom they are for."""
    if either.is_given or (method == "bearer" and not (for_source.is_given or for_target.is_given)):
        if for_source.is_given or for_target.is_given:
            raise UsageError("--user is for the one URL without credentials; it does not go with --source-user.")
        meant = _one_open_url(source, target)
        auth = _auth(method, either, "")
        return (auth, None) if meant == source else (None, auth)
    for endpoint, login, side in ((source, for_source, "source"), (target, for_target, "target")):
        if login.is_given and not is_open_url(endpoint):
            raise UsageError(f"--{side}-user is for a URL without credentials, which the {side} is not.")
    return (
        _auth(method, for_source, "source-") if for_source.is_given else None,
        _auth(method, for_target, "target-") if for_target.is_given else None,
    )


def is_open_url(endpoint: str) -> bool:
    """Whether it is a URL without credentials."""
    return is_url(endpoint) and not has_credentials(endpoint)


def _one_open_url(source: str, target: str) -> str:
    meant = [endpoint for endpoint in (source, target) if is_open_url(endpoint)]
    if len(meant) != 1:
        problem = "both are URLs without credentials" if meant else "there is no URL without credentials"
        raise UsageError(f"--user is for the one URL that has no credentials; here {problem}.")
    return meant[0]


def _auth(method: Method, login: Login, prefix: str) -> Auth:
    variable = login.env or VARIABLES[prefix]
    if method == "bearer":
        if login.user is not None:
            raise UsageError(f"--auth bearer takes a token alone; leave out --{prefix}user.")
        return BearerAuth(read_secret("The token", login.file, variable, f"--{prefix}password-file"))
    if login.user is None:
        raise UsageError(f"A password needs a name: give --{prefix}user.")
    secret = read_secret(f"The password of {login.user}", login.file, variable, f"--{prefix}password-file")
    return SessionAuth(login.user, secret) if method == "session" else BasicAuth(login.user, secret)


def read_secret(what: str, file: str | None, variable: str, option: str) -> str:
    """The first line of the file that was named with this option, or the environment's, or what is typed."""
    if file is not None:
        try:
            secret = Path(file).read_text(encoding="utf-8").partition("\n")[0].removesuffix("\r")
        except (OSError, UnicodeDecodeError) as exc:
            problem = getattr(exc, "strerror", None) or "it is not UTF-8"
            raise UsageError(f"The password file {file} cannot be read: {problem}.") from exc
    elif variable in os.environ:
        secret = os.environ[variable]
    elif sys.stdin.isatty():
        secret = getpass(f"{what}: ")
    else:
        raise UsageError(f"{what} is missing: set the environment variable {variable}, or name a {option}.")
    if not secret:
        raise UsageError(f"{what} is empty.")
    return secret
