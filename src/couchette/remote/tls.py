"""TLS: certificates are judged as the system does, and a failure says what to do.

httpx brings a list of authorities of its own, which knows nothing of those that a company or its user installed.
truststore asks the operating system: its files on Linux, the keychain on macOS, the certificate store on Windows.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator

import truststore

from couchette.access import TLS
from couchette.errors import BadRequest, TLSFailed

NO_TRUSTED_ISSUER = frozenset({2, 18, 19, 20, 21})
"""OpenSSL's verify codes for a chain that ends with nobody we trust: self-signed, or its issuer unknown."""
NOT_YET_VALID, EXPIRED, WRONG_NAME = 9, 10, 62


def make_context(tls: TLS | None) -> ssl.SSLContext:
    """The context for these wishes; BadRequest for files that cannot be used. Reads the system's certificates."""
    tls = tls or TLS()
    context = _trusting(tls)
    if tls.client_cert is not None:
        try:
            context.load_cert_chain(tls.client_cert, tls.client_key, tls.client_key_password or "")
        except (OSError, ssl.SSLError) as exc:
            raise BadRequest(
                "The client certificate cannot be used.", f"{os.fspath(tls.client_cert)}: {exc}. Give PEM files."
            ) from exc
    return context


def _trusting(tls: TLS) -> ssl.SSLContext:
    if not tls.verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if tls.ca_file is None:
        return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return ssl.create_default_context(cafile=tls.ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise BadRequest(
            "The certificate authorities cannot be read.", f"{os.fspath(tls.ca_file)}: {exc}. Give a PEM file."
        ) from exc


def tls_failure(exc: BaseException, url: str) -> TLSFailed | None:
    """What ``exc`` says about TLS, as our error with its remedy; None where it is about something else."""
    for cause in _causes(exc):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return TLSFailed("The server's certificate is not trusted.", f"{url}: {_remedy(cause)}")
        if isinstance(cause, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return None  # The line was cut, which happens to TLS as to everything.
        if isinstance(cause, ssl.SSLError):
            return TLSFailed("No TLS connection can be made.", f"{url}: {_explanation(cause)}")
    return None


def _causes(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and what led to it; httpx wraps what httpcore wraps what the TLS library raised."""
    seen: set[int] = set()
    cause: BaseException | None = exc
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        cause = cause.__cause__ or cause.__context__


def _remedy(exc: ssl.SSLCertVerificationError) -> str:
    code, message = exc.verify_code, exc.verify_message or str(exc)
    if code in NO_TRUSTED_ISSUER:
        return f"{message}. Install its authority in the system, or give TLS(ca_file=...)."
    if code in (EXPIRED, NOT_YET_VALID):
        return f"{message}. Renew the certificate, or set the clock of this machine."
    if code == WRONG_NAME:
        return f"{message} Use a host name that the certificate holds."
    return f"{message}."


def _explanation(exc: ssl.SSLError) -> str:
    reason = exc.reason or ""
    if reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST"):
        return "the server does not speak TLS there; check the port, or use http://."
    if "CERTIFICATE_REQUIRED" in reason or "HANDSHAKE_FAILURE" in reason:
        return f"{reason.lower().replace('_', ' ')}. If the server asks for a certificate, give TLS(client_cert=...)."
    return f"{reason.lower().replace('_', ' ') or exc}."
