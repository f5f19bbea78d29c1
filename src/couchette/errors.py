"""The one exception tree: what went wrong, as CouchDB would have said it, and what to do next.

Each class has CouchDB's HTTP ``status`` and ``error`` word; each instance a ``reason`` (CouchDB's own
sentence where it has one) and a ``hint`` that names the offending value and the remedy. The server
answers ``{"error", "reason"}``; ``str(exc)`` shows both sentences.

    CouchetteError                          500 unknown_error
    ├── BadRequest                          400 bad_request         the caller erred
    │   ├── InvalidRev                      400 bad_request
    │   ├── IllegalDocId                    400 illegal_docid
    │   ├── IllegalDatabaseName             400 illegal_database_name
    │   ├── DocValidation                   400 doc_validation
    │   ├── DigestMismatch                  400 content_md5_mismatch
    │   └── QueryParseError                 400 query_parse_error
    ├── Unauthorized                        401 unauthorized
    ├── Forbidden                           403 forbidden
    ├── NotFound (also KeyError)            404 not_found
    │   └── DatabaseNotFound                404 not_found
    ├── MethodNotAllowed                    405 method_not_allowed
    ├── Conflict                            409 conflict
    ├── DatabaseExists                      412 file_exists
    ├── MissingStub                         412 missing_stub
    ├── TooLarge                            413 too_large
    ├── BadContentType                      415 bad_content_type
    ├── RangeNotSatisfiable                 416 requested_range_not_satisfiable
    ├── ExpectationFailed                   417 expectation_failed
    ├── StoreError                          500 store_error         the file or its use
    │   ├── NotADatabase                    500 not_a_database
    │   ├── NewerSchema                     500 newer_schema
    │   ├── WrongKey                        500 wrong_key
    │   ├── DatabaseBusy                    503 database_busy
    │   └── DatabaseClosed                  500 database_closed
    ├── RemoteError                         502 remote_error        the other side erred
    │   ├── Unreachable                     502 unreachable
    │   ├── NotCouchDB                      502 not_couchdb
    │   ├── TLSFailed                       502 tls_failed
    │   └── TooManyRequests                 429 too_many_requests
    ├── ReplicationFailed                   500 replication_failed
    ├── FunctionFailed                      500 function_failed     a design function erred
    │   ├── CompilationFailed               500 compilation_error
    │   └── LimitExceeded                   500 os_process_error
    ├── MissingExtra (also ImportError)     501 missing_extra
    └── NotOnServer (also AttributeError)   501 not_implemented
"""

from __future__ import annotations

from typing import Any, ClassVar


class CouchetteError(Exception):
    """Base of every error that couchette raises.

    Attributes:
        status: CouchDB's HTTP status for this error.
        error: CouchDB's error word, as in the body's ``error`` member.
        reason: one sentence, CouchDB's own where it has one.
        hint: the offending value and the remedy; may be empty.
    """

    default_status: ClassVar[int] = 500
    default_error: ClassVar[str] = "unknown_error"

    def __init__(self, reason: str, hint: str = "", *, status: int | None = None, error: str | None = None) -> None:
        super().__init__(reason, hint)
        self.reason = reason
        self.hint = hint
        self.status = self.default_status if status is None else status
        self.error = self.default_error if error is None else error

    def __str__(self) -> str:
        stop = "" if not self.hint or self.reason.endswith((".", "!", "?")) else "."
        return f"{self.reason}{stop} {self.hint}".rstrip()

    def as_json(self) -> dict[str, Any]:
        """The body of CouchDB's answer: ``{"error", "reason"}``."""
        return {"error": self.error, "reason": self.reason}


class BadRequest(CouchetteError):
    """The request is malformed; nothing was changed."""

    default_status = 400
    default_error = "bad_request"


class InvalidRev(BadRequest):
    """A revision text that is not ``N-id``."""


class IllegalDocId(BadRequest):
    """A document id that CouchDB refuses."""

    default_error = "illegal_docid"


class IllegalDatabaseName(BadRequest):
    """A database name that CouchDB refuses."""

    default_error = "illegal_database_name"


class DocValidation(BadRequest):
    """A document with an unknown or malformed member that begins with an underscore."""

    default_error = "doc_validation"


class DigestMismatch(BadRequest):
    """The content that arrived does not have the digest that was announced."""

    default_error = "content_md5_mismatch"


class QueryParseError(BadRequest):
    """A query option that cannot be read."""

    default_error = "query_parse_error"


class Unauthorized(CouchetteError):
    """No credentials, or wrong ones."""

    default_status = 401
    default_error = "unauthorized"


class Forbidden(CouchetteError):
    """The credentials are right and do not suffice."""

    default_status = 403
    default_error = "forbidden"


class NotFound(CouchetteError, KeyError):
    """The document, revision or attachment is not there; ``reason`` is ``missing`` or ``deleted``.

    It is a :class:`KeyError` too, so that a database behaves as a mapping.
    """

    default_status = 404
    default_error = "not_found"


class DatabaseNotFound(NotFound):
    """The database is not there."""


class MethodNotAllowed(CouchetteError):
    """The resource does not answer this HTTP method."""

    default_status = 405
    default_error = "method_not_allowed"


class Conflict(CouchetteError):
    """The edit does not build on a leaf revision. Fetch the document, apply the change again, put."""

    default_status = 409
    default_error = "conflict"

    def __init__(self, reason: str = "Document update conflict.", hint: str = "", **given: Any) -> None:
        super().__init__(reason, hint, **given)


class DatabaseExists(CouchetteError):
    """A database of this name exists already."""

    default_status = 412
    default_error = "file_exists"


class MissingStub(CouchetteError):
    """An attachment stub names an attachment that the parent revision does not have."""

    default_status = 412
    default_error = "missing_stub"


class TooLarge(CouchetteError):
    """A document or request over the size limit."""

    default_status = 413
    default_error = "too_large"


class BadContentType(CouchetteError):
    """The request's Content-Type is not one that this resource takes."""

    default_status = 415
    default_error = "bad_content_type"


class RangeNotSatisfiable(CouchetteError):
    """The requested bytes are outside the attachment."""

    default_status = 416
    default_error = "requested_range_not_satisfiable"


class ExpectationFailed(CouchetteError):
    """The request asks for something that CouchDB no longer does (``all_or_nothing``)."""

    default_status = 417
    default_error = "expectation_failed"


class StoreError(CouchetteError):
    """The database file cannot be used as asked."""

    default_error = "store_error"


class NotADatabase(StoreError):
    """The file is not a couchette database."""

    default_error = "not_a_database"


class NewerSchema(StoreError):
    """The file was written by a newer couchette."""

    default_error = "newer_schema"


class WrongKey(StoreError):
    """The file is encrypted, and the key is missing or another one; or a key came for a file in clear."""

    default_error = "wrong_key"


class DatabaseBusy(StoreError):
    """Another writer held the file longer than the busy timeout."""

    default_status = 503
    default_error = "database_busy"


class DatabaseClosed(StoreError):
    """The database was closed or destroyed."""

    default_error = "database_closed"


class RemoteError(CouchetteError):
    """The other side answered something that CouchDB's protocol does not allow, or a 5xx."""

    default_status = 502
    default_error = "remote_error"


class Unreachable(RemoteError):
    """No connection to the other side, or it broke."""

    default_error = "unreachable"


class NotCouchDB(RemoteError):
    """The URL answers, but not as a CouchDB database."""

    default_error = "not_couchdb"


class TLSFailed(RemoteError):
    """The two sides do not agree on TLS, or the server's certificate is not trusted."""

    default_error = "tls_failed"


class TooManyRequests(RemoteError):
    """The server asks to be left alone for longer than we wait."""

    default_status = 429
    default_error = "too_many_requests"


class ReplicationFailed(CouchetteError):
    """A replication stopped. What it had written stays, and the next one resumes after it."""

    default_error = "replication_failed"


class FunctionFailed(CouchetteError):
    """A design function raised, gave a wrong answer, or ran out of its time, memory or stack.

    ``error`` is CouchDB's word for what happened, or the function's own (``throw ["error", word, reason]``).
    ``thrown`` is the name and message of the exception that a show, list, update or rewrite threw, if it was one.
    """

    default_error = "function_failed"
    thrown: tuple[str, str] | None = None


class CompilationFailed(FunctionFailed):
    """The source of a design function does not compile, or is no function. A write of the document answers with 400."""

    default_error = "compilation_error"


class LimitExceeded(FunctionFailed):
    """A design function ran out of its time, memory or stack; CouchDB ends the process that runs it."""

    default_error = "os_process_error"


class MissingExtra(CouchetteError, ImportError):
    """An optional dependency is not installed; the hint has the ``pip install`` to run."""

    default_status = 501
    default_error = "missing_extra"


class NotOnServer(CouchetteError, AttributeError):
    """A database behind a URL cannot do this; the hint says where it can be done.

    It is an :class:`AttributeError` too, so that ``hasattr`` tells.
    """

    default_status = 501
    default_error = "not_implemented"


BY_STATUS: dict[int, type[CouchetteError]] = {
    400: BadRequest,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    405: MethodNotAllowed,
    409: Conflict,
    413: TooLarge,
    415: BadContentType,
    416: RangeNotSatisfiable,
    417: ExpectationFailed,
    429: TooManyRequests,
}
BY_ERROR: dict[str, type[CouchetteError]] = {
    "illegal_docid": IllegalDocId,
    "illegal_database_name": IllegalDatabaseName,
    "doc_validation": DocValidation,
    "content_md5_mismatch": DigestMismatch,
    "query_parse_error": QueryParseError,
    "file_exists": DatabaseExists,
    "missing_stub": MissingStub,
}


def from_answer(status: int, error: str, reason: str, hint: str = "") -> CouchetteError:
    """The error of our tree for a CouchDB answer ``{"error", "reason"}`` with this status."""
    kind = BY_ERROR.get(error) or BY_STATUS.get(status) or (RemoteError if status >= 500 else CouchetteError)
    if kind is NotFound and reason == "Database does not exist.":
        kind = DatabaseNotFound
    if kind is BadRequest and reason == "Invalid rev format":
        kind = InvalidRev
    return kind(reason, hint, status=status, error=error)


def is_passing(exc: BaseException) -> bool:
    """Whether the other side may do better by itself: it cannot be reached, is in trouble, or has too much to do."""
    return isinstance(exc, RemoteError) and not isinstance(exc, NotCouchDB | TLSFailed)
