"""TLS on this machine's loopback: whom we believe, what we show, and what a failure tells."""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
import trio
import trustme

import couchette
from couchette import errors
from couchette.remote import RemotePeer
from couchette.remote.tls import make_context, tls_failure

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "trio"


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path


async def answer_info(stream):
    body = b'{"db_name":"db"}'
    try:
        await stream.receive_some(65536)
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    except trio.BrokenResourceError:
        await stream.aclose()  # The client broke the handshake off, as it should.


@asynccontextmanager
async def serving(authority, name="localhost", *, ask_for_certificate=False):
    """An HTTPS server with a certificate for ``name``; gives its address."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    if ask_for_certificate:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_ssl_over_tcp, answer_info, 0, context, host="127.0.0.1", https_compatible=True)
        (listener,) = await nursery.start(serve)
        port = listener.transport_listener.socket.getsockname()[1]
        yield f"https://localhost:{port}/db"
        nursery.cancel_scope.cancel()


async def info(url, tls=None):
    async with RemotePeer(url, ("ann", "s3cret"), tls=tls) as peer:
        return await peer.info()


async def test_a_certificate_of_nobody_we_trust_ends_the_request_at_once(authority):
    async with serving(authority) as url:
        with pytest.raises(errors.TLSFailed, match="not trusted.*TLS\\(ca_file=...\\)") as caught:
            await info(url)
    assert not errors.is_passing(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_an_authority_of_our_own_is_trusted(authority, ca_file):
    async with serving(authority) as url:
        assert (await info(url, couchette.TLS(ca_file=ca_file))).identity == url


async def test_a_certificate_for_another_name_is_refused(authority, ca_file):
    async with serving(authority, "example.org") as url:
        with pytest.raises(errors.TLSFailed, match="Use a host name that the certificate holds"):
            await info(url, couchette.TLS(ca_file=ca_file))


async def test_without_verifying_any_certificate_will_do(authority):
    async with serving(authority, "example.org") as url:
        assert (await info(url, couchette.TLS(verify=False))).identity == url


async def test_a_server_that_asks_for_a_certificate_gets_ours(authority, ca_file, tmp_path):
    ours = authority.issue_cert("ann@example.org")
    ours.private_key_and_cert_chain_pem.write_to_path(tmp_path / "ours.pem")
    async with serving(authority, ask_for_certificate=True) as url:
        assert (await info(url, couchette.TLS(ca_file=ca_file, client_cert=tmp_path / "ours.pem"))).identity == url


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "TLS(client_cert=...)"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "TLS(client_cert=...)"),
        ("WRONG_VERSION_NUMBER", "use http://"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "tlsv1 alert protocol version"),
    ],
)
def test_what_the_server_objects_to_is_told(reason, told):
    refusal = ssl.SSLError(1, reason)
    refusal.reason = reason
    line = httpx.ReadError("broken")
    line.__cause__ = trio.BrokenResourceError()
    line.__cause__.__cause__ = refusal
    failure = tls_failure(line, "https://host/db")
    assert told in str(failure)


def test_a_line_that_is_cut_is_no_failure_of_tls():
    line = httpx.ReadError("broken")
    line.__cause__ = ssl.SSLEOFError(8, "EOF occurred in violation of protocol")
    assert tls_failure(line, "https://host/db") is None


async def test_a_port_that_does_not_speak_tls_is_told_apart():
    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, answer_info, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with pytest.raises(errors.TLSFailed, match="use http://"):
            await info(f"https://localhost:{port}/db")
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("tls", [couchette.TLS(ca_file="/nowhere.pem"), couchette.TLS(client_cert="/nowhere.pem")])
async def test_files_that_are_not_there_are_named(tls):
    with pytest.raises(errors.BadRequest, match="/nowhere.pem"):
        await info("https://localhost:1/db", tls)


async def test_a_password_for_the_key_is_never_asked_on_the_terminal(authority, tmp_path):
    from cryptography.hazmat.primitives import serialization

    ours = authority.issue_cert("ann@example.org")
    key = serialization.load_pem_private_key(ours.private_key_pem.bytes(), None)
    encrypted = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"k3y"),
    )
    (tmp_path / "ours.pem").write_bytes(encrypted + ours.cert_chain_pems[0].bytes())
    with pytest.raises(errors.BadRequest, match="client certificate cannot be used"):
        make_context(couchette.TLS(client_cert=tmp_path / "ours.pem"))
    make_context(couchette.TLS(client_cert=tmp_path / "ours.pem", client_key_password="k3y"))


def test_the_system_decides_whom_we_trust_by_default():
    context = make_context(None)
    assert type(context).__module__.startswith("truststore")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
