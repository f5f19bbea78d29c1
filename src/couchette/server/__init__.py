"""CouchDB's HTTP interface to an environment: an ASGI app, and a server that runs it.

``create_app(environment)`` is an ASGI app that runs under any ASGI server, on asyncio or trio, by itself
or mounted in another app. ``serve(environment)`` runs it under uvicorn until it is told to stop;
``background(environment)`` does so beside the program that calls it.

A :class:`Policy` says who may do what. Without administrators in it everybody may do everything, and the server
listens on loopback addresses only.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

from couchette.errors import MissingExtra
from couchette.server.policy import Certificate, Cors, Policy

if TYPE_CHECKING:
    from couchette.environment import Environment
    from couchette.server.app import App

__all__ = ["Certificate", "Cors", "Policy", "background", "create_app", "serve"]


def create_app(environment: Environment, policy: Policy | None = None) -> App:
    """The ASGI app that serves the databases of an environment, to whom the policy lets in.

    Without a policy, or without administrators in it, everybody may do everything: the program that mounts the app
    must guard it then.

    Raises:
        BadRequest: the policy makes no sense.
        MissingExtra: the ``server`` extra is not installed, or ``jwt`` for keys of tokens.
    """
    try:
        from couchette.server.app import App
    except ImportError as exc:
        raise _missing(exc) from exc
    return App(environment, policy or Policy())


def serve(
    environment: Environment,
    host: str = "127.0.0.1",
    port: int = 5984,
    *,
    policy: Policy | None = None,
    certificate: Certificate | None = None,
    prefix: str = "",
    access_log: bool = False,
    on_started: Callable[[str], None] | None = None,
) -> None:
    """Serve an environment until SIGINT or SIGTERM; returns when every answer under way is sent.

    Args:
        environment: what to serve; it stays open.
        host: an address or ``localhost``; without administrators a loopback one, anything else is refused.
        port: 0 takes a free one.
        policy: who may do what.
        certificate: serve HTTPS with it, and no HTTP.
        prefix: the path under which a proxy offers the server, such as ``/couch``; the proxy takes it off.
        access_log: log each request with the ``uvicorn.access`` logger.
        on_started: called with the server's URL once it accepts connections.

    Raises:
        Forbidden: the host is not a loopback address, and there is no administrator.
        CouchetteError: the address cannot be bound (``address_in_use``), or the certificate cannot be used.
        MissingExtra: the ``server`` extra is not installed.
    """
    try:
        from couchette.server import running
    except ImportError as exc:
        raise _missing(exc) from exc
    running.serve(
        environment,
        host,
        port,
        policy or Policy(),
        certificate=certificate,
        prefix=prefix,
        access_log=access_log,
        on_started=on_started,
    )


def background(
    environment: Environment, host: str = "127.0.0.1", port: int = 0, *, policy: Policy | None = None
) -> AbstractContextManager[str]:
    """Serve an environment in a thread of its own; a context manager that gives the server's URL.

    Raises what :func:`serve` raises.
    """
    try:
        from couchette.server import running
    except ImportError as exc:
        raise _missing(exc) from exc
    return running.background(environment, host, port, policy or Policy())


def _missing(exc: ImportError) -> Exception:
    """MissingExtra, if what is missing is not ours."""
    if (exc.name or "").startswith("couchette"):
        return exc
    return MissingExtra(f"The server needs {exc.name!r}.", "Install it with: pip install 'couchette[server]'")
