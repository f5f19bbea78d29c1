"""What design functions fail with, in the words of PouchDB's plug-ins where CouchDB has others.

The plug-ins name what a function threw by its own name (``ReferenceError``), and have their own sentences for a source
that is no function, for formats and media types that a function does not provide, and for answers that are none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from couchette import jsonio
from couchette.errors import CompilationFailed, CouchetteError, FunctionFailed, NotFound

_NO_FUNCTION = "Expression does not eval to a function."


@contextmanager
def plugin_errors(format: object = None) -> Iterator[None]:
    """Give errors of the block the plug-ins' words; ``format`` is the option of that name in the query, if any."""
    try:
        yield
    except CouchetteError as exc:
        other = _otherwise(exc, format)
        if other is None:
            raise
        raise other from exc


def _otherwise(exc: CouchetteError, format: object) -> CouchetteError | None:
    """The plug-ins' error in the place of one of the engine's; None where they are the same."""
    if isinstance(exc, CompilationFailed):
        text = exc.reason
        return None if text.startswith(_NO_FUNCTION) else CompilationFailed(f"{_NO_FUNCTION} {text}", exc.hint)
    if exc.error == "insecure_rewrite_rule":
        return NotFound("missing", f"{exc.reason}: {exc.hint}")
    if exc.error == "external_response_error":
        return FunctionFailed(_as_erlang(exc.reason), exc.hint, error=exc.error)
    if exc.error == "not_acceptable":
        if format is not None:
            return _no_provider(format)
        reason = exc.reason.replace("Content-Type ", "Content-Type(s) ", 1)
        return CouchetteError(reason, exc.hint, status=exc.status, error=exc.error)
    if isinstance(exc, FunctionFailed) and exc.thrown is not None:
        name, message = exc.thrown
        if format is not None and message == f"format {format} is not registered":
            return _no_provider(format)
        return FunctionFailed(exc.reason.removeprefix("function raised error: "), exc.hint, error=name)
    return None


def _as_erlang(reason: str) -> str:
    """The sentence about a member that no response object has, which the plug-ins show as an Erlang term."""
    text, _, member = reason.partition(": ")
    if not member.startswith("{"):
        return reason
    ((name, value),) = jsonio.loads(member).items()
    return f"{text}: {{<<{jsonio.dumps(name).decode()}>>,<<{jsonio.dumps(value).decode()}>>}}"


def _no_provider(format: object) -> FunctionFailed:
    reason = f"the format option is set to '{format}', but there's no provider registered for that format."
    return FunctionFailed(reason, "Call `provides` with it.", error="render_error")
