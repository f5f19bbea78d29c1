"""The app under uvicorn: one address, quiet, and gone cleanly when it is told to go."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn

from couchette.descriptors import raise_descriptors
from couchette.environment import Environment
from couchette.errors import BadRequest, CouchetteError, Forbidden
from couchette.limits import REQUESTS_GRACE_S
from couchette.server import connections
from couchette.server.app import App
from couchette.server.loopback import LoopbackApp
from couchette.server.policy import Certificate, Policy
from couchette.users.admins import stored_admins

_LOOK_TICKS = 10
"""uvicorn ticks ten times a second; with each of these we look through the connections."""


class _Server(uvicorn.Server):
    """A uvicorn that reports its start, ends waiting feeds first, and leaves signals as it found them.

    What it adds for others' clients is in :mod:`couchette.server.connections` and :mod:`couchette.server.loopback`.
    """

    def __init__(
        self,
        app: App,
        url: str,
        *,
        certificate: Certificate | None = None,
        prefix: str = "",
        access_log: bool = False,
        on_started: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__(
            uvicorn.Config(
                app if app.gate.authentication.accounts.has_admins else LoopbackApp(app),
                http=connections.bounded_protocol(connections.most_connections()),
                lifespan="off",
                server_header=False,
                root_path=prefix,
                **_tls_options(certificate),
                timeout_graceful_shutdown=REQUESTS_GRACE_S + 1,  # For what does not heed its closed connection.
                access_log=access_log,
                # Without an access log nothing is printed but errors, through the program's own logging.
                **({"log_level": "info"} if access_log else {"log_config": None, "log_level": "warning"}),
            )
        )
        self._app = app
        self._url = url
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self._on_started is not None:
            self._on_started(self._url)

    async def on_tick(self, counter: int) -> bool:
        if counter % _LOOK_TICKS == 0:
            connections.look_through(self.server_state.connections, asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.stop()
        loop = asyncio.get_running_loop()
        end = loop.call_later(REQUESTS_GRACE_S, connections.close_all, self.server_state.connections)
        try:
            await super().shutdown(sockets)
        finally:
            end.cancel()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Catch signals while serving. uvicorn would raise them again afterwards, and SIGTERM kills.

        The caller has an environment to close, so to return is the better answer.
        """
        with super().capture_signals():
            try:
                yield
            finally:
                self._captured_signals.clear()


def serve(
    environment: Environment,
    host: str,
    port: int,
    policy: Policy,
    *,
    certificate: Certificate | None,
    prefix: str,
    access_log: bool,
    on_started: Callable[[str], None] | None,
) -> None:
    """Serve until a signal comes."""
    path = "/".join(("", *filter(None, prefix.split("/"))))
    if certificate is not None:
        _check_certificate(certificate)
    raise_descriptors()
    listener = _bind(host, port, bool(policy.admins or stored_admins(environment)))
    with listener:
        _Server(
            App(environment, policy),
            _url(listener, secure=certificate is not None),
            certificate=certificate,
            prefix=path.rstrip("/"),
            access_log=access_log,
            on_started=on_started,
        ).run(sockets=[listener])


def serve_app(app: App, port: int, on_started: Callable[[str], None]) -> None:
    """Serve an app on this machine's loopback address until a signal comes."""
    listener = _bind("127.0.0.1", port, False)
    with listener:
        _Server(app, _url(listener), on_started=on_started).run(sockets=[listener])


@contextlib.contextmanager
def background(environment: Environment, host: str, port: int, policy: Policy) -> Iterator[str]:
    """Serve in a thread for as long as the context lasts."""
    started = threading.Event()

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            started.set()

    with _bind(host, port, bool(policy.admins or stored_admins(environment))) as listener:
        server = _Server(App(environment, policy), _url(listener), on_started=lambda url: started.set())
        thread = threading.Thread(target=run, name="couchette-server", daemon=True)
        thread.start()
        started.wait()
        try:
            yield _url(listener)
        finally:
            server.should_exit = True
            thread.join()


def _tls_options(certificate: Certificate | None) -> dict[str, Any]:
    if certificate is None:
        return {}
    return {
        "ssl_certfile": certificate.file,
        "ssl_keyfile": certificate.key_file,
        "ssl_keyfile_password": certificate.password,
    }


def _check_certificate(certificate: Certificate) -> None:
    """Raise CouchetteError unless the certificate and its key can be used."""
    # A callable, since without a password OpenSSL would ask the terminal for it.
    password = certificate.password or (lambda: "")
    try:
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(
            certificate.file, certificate.key_file, password
        )
    except (OSError, ValueError) as exc:
        raise CouchetteError(
            f"The certificate {os.fspath(certificate.file)} cannot be used: {getattr(exc, 'strerror', None) or exc}.",
            "Give the files of a certificate and of its key, in PEM.",
            error="certificate_unusable",
        ) from exc


def _bind(host: str, port: int, has_admins: bool) -> socket.socket:
    """A listening socket, on a loopback address unless somebody administers the server."""
    address = _address(host, has_admins)
    family = socket.AF_INET6 if address.version == 6 else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it each answer takes 40 ms.
    listener = connections.Listener(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((str(address), port))
    except (OSError, OverflowError) as exc:
        listener.close()
        raise CouchetteError(
            f"Cannot listen on {host} port {port}: {getattr(exc, 'strerror', None) or exc}.",
            "Choose another port, or 0 for a free one.",
            error="address_in_use",
        ) from exc
    return listener


def _address(host: str, has_admins: bool) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError as exc:
        raise BadRequest(
            f"The server cannot listen on {host!r}.", "Give an address of this machine, such as 127.0.0.1 or 0.0.0.0."
        ) from exc
    if not address.is_loopback and not has_admins:
        raise Forbidden(
            f"The server does not listen on {host!r}: it has no administrator, so everybody could do everything.",
            "Name one, or use 127.0.0.1, ::1 or localhost.",
        )
    return address


def _url(listener: socket.socket, *, secure: bool = False) -> str:
    address: Any = listener.getsockname()
    host = f"[{address[0]}]" if listener.family == socket.AF_INET6 else address[0]
    return f"{'https' if secure else 'http'}://{host}:{address[1]}"
