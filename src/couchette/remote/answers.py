"""Answers read: the JSON of a good one, and the error that a bad one means, with what to do about it."""

from __future__ import annotations

from typing import Any

import httpx

from couchette import jsonio, limits
from couchette.errors import (
    CouchetteError,
    DatabaseNotFound,
    Forbidden,
    NotCouchDB,
    RemoteError,
    TooManyRequests,
    Unauthorized,
    from_answer,
)
from couchette.remote.url import without_credentials

DATABASE_MISSING = "Database does not exist."
"""CouchDB's words for it, by which our tree knows it; PouchDB's server says ``no_db_file``, as CouchDB 1 did."""

UNREADABLE = "unreadable"
"""The error word of an answer that has the form of CouchDB's, and JSON in it that cannot be read."""


def read_json(response: httpx.Response, url: str, credentials_remedy: str, tries: int = 1) -> Any:
    """The body of a good answer; a bad one is raised. ``url`` has no credentials: it is shown.

    ``tries`` is how often a server in trouble was asked.
    """
    if response.status_code == 407:
        raise proxy_refusal()
    if response.is_redirect:
        target = without_credentials(response.headers.get("location", ""))
        raise NotCouchDB("The URL redirects.", f"{url} answers that it is at {target}; give that URL.")
    try:
        body = jsonio.loads(response.content)
    except CouchetteError as exc:
        body = _body_without_json(response, url, exc)
    if not response.is_error:
        return body
    if not isinstance(body, dict):
        body = {}
    error, reason = str(body.get("error", "unknown_error")), str(body.get("reason") or response.reason_phrase)
    if reason == "no_db_file":
        reason = DATABASE_MISSING
    kind = type(from_answer(response.status_code, error, reason))
    if "error" not in body:  # A proxy's answer, most likely.
        error = kind.default_error
    raise from_answer(response.status_code, error, reason, _hint(kind, url, credentials_remedy, tries))


def proxy_refusal() -> Unauthorized:
    """What a proxy means that wants credentials."""
    return Unauthorized("The proxy wants credentials, or others.", "Give proxy='http://name:password@host:port'.")


def _body_without_json(response: httpx.Response, url: str, cause: CouchetteError) -> dict[str, Any]:
    """A proxy may refuse or fail in its own words; any other answer without JSON is not CouchDB's."""
    if response.status_code in (401, 403, 413, 429) or response.status_code >= 500:
        return {}
    kind = response.headers.get("content-type", "no content type")
    if not response.is_error and "json" in kind and response.content[:1] in (b"{", b"["):
        # JavaScript may hold half a pair of surrogates, and Erlang numbers of any length.
        raise NotCouchDB("The answer cannot be read.", f"{url}: {cause.hint}", error=UNREADABLE) from cause
    raise NotCouchDB(
        "The URL does not answer as CouchDB.",
        f"{url} answered {response.status_code} with {kind} instead of JSON; check the address.",
    ) from cause


def _hint(kind: type[CouchetteError], url: str, credentials_remedy: str, tries: int) -> str:
    """What to do about an error of this kind, with the URL that gave it."""
    if issubclass(kind, Unauthorized):
        return f"{credentials_remedy.rstrip('.')} (for {url})."
    if issubclass(kind, Forbidden):
        return f"The user may not do this at {url}; ask for the right in the database's _security."
    if issubclass(kind, DatabaseNotFound):
        return f"There is no database at {url}; create it, or replicate with create_target."
    if issubclass(kind, TooManyRequests):
        return f"{url} put us off {limits.HTTP_BUSY_RETRIES + 1} times; try again later, or ask for less at a time."
    if issubclass(kind, RemoteError) and tries > 1:
        return f"{url} failed {tries} times; try again later."
    return f"From {url}."
