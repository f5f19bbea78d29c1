"""The functions of one design document that are not views: filters, validation, shows, lists, updates, rewrites.

They run in one JavaScript context, see the whole design document as ``this`` and by ``require``, and cannot change it.
CouchDB's request object is passed in as a dict; what they answer comes out as CouchDB's response object, which
:func:`couchette.functions.responses.parse_response` makes an HTTP answer of.

A list function consumes rows by ``getRow()``, and JavaScript cannot call Python for them while a time limit is set. So
it is given the first :data:`~couchette.limits.LIST_ROWS` rows; if it asks for more, it is stopped and run again from
the start with four times as many. Nothing of its output is passed on before it is over, so that a run which was
stopped leaves no trace; all runs together cost at most a third more than the last one. A function that reads ten rows
of a large view costs the first block only; one that reads on beyond :data:`~couchette.limits.LIST_BYTES_MAX` of rows
is refused, since they all lie in its memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from couchette import jsonio
from couchette.errors import CouchetteError, Forbidden, FunctionFailed, NotFound, TooLarge, Unauthorized
from couchette.functions.batches import run_on_docs
from couchette.functions.engine import Engine, Limits
from couchette.limits import LIST_BYTES_MAX, LIST_ROWS

Doc = dict[str, Any]


@dataclass(frozen=True)
class Listing:
    """What a list function answered: the head of the response (``code``, ``headers``) and its text in the chunks
    sent."""

    head: dict[str, Any]
    chunks: list[str]


class DesignFunctions:
    """A design document's functions in JavaScript. The thread and context are made by the first call.

    Methods block until the answer is there, may be called from any thread, and raise:

    * NotFound ``missing json key: NAME`` when the design document has no such function;
    * CompilationFailed when its source does not compile;
    * FunctionFailed when it throws or exceeds a limit; ``error`` is CouchDB's word, or the function's own.

    Raises FunctionFailed ``unknown_query_language`` for a design document in another language.
    """

    def __init__(self, design: Mapping[str, Any], *, limits: Limits | None = None) -> None:
        language = design.get("language", "javascript")
        if language != "javascript":
            raise FunctionFailed(f"{language}", "Functions are in JavaScript.", error="unknown_query_language")
        self._design = design
        self._engine = Engine(design, limits=limits)

    def close(self) -> None:
        """End the thread and free the memory; closing twice is allowed."""
        self._engine.close()

    def filter(self, name: str, docs: Sequence[Doc], req: Mapping[str, Any]) -> list[bool]:
        """Whether each of the documents passes the filter function."""
        self._source("filters", name)
        head = jsonio.dumps({"name": name, "req": dict(req)})[:-1]
        return run_on_docs(self._engine, "filter", docs, (head + b',"docs":', b"}"))

    def filter_view(self, view: str, docs: Sequence[Doc]) -> list[bool]:
        """Whether the view's map function emits anything for each of the documents (``filter=_view``)."""
        self._source("views", view, "map")
        head = jsonio.dumps({"name": view})[:-1]
        return run_on_docs(self._engine, "filter_view", docs, (head + b',"docs":', b"}"))

    def validate(self, edited: Doc, old: Doc | None, user_ctx: Mapping[str, Any], sec_obj: Mapping[str, Any]) -> None:
        """Let ``validate_doc_update`` judge an edit of a document; without that function every edit is good.

        Args:
            edited: the document as it would be stored, with ``_revisions``.
            old: the revision that it builds on, or None.

        Raises:
            Forbidden, Unauthorized: the function threw ``{forbidden: reason}`` or ``{unauthorized: reason}``.
            FunctionFailed: it threw anything else.
        """
        (refusal,) = self.validate_all([(edited, old)], user_ctx, sec_obj)
        if refusal is not None:
            raise refusal

    def validate_all(
        self, edits: Sequence[tuple[Doc, Doc | None]], user_ctx: Mapping[str, Any], sec_obj: Mapping[str, Any]
    ) -> list[CouchetteError | None]:
        """As :meth:`validate`, of many edits in one call: per edit None, or the error."""
        if "validate_doc_update" not in self._design or not edits:
            return [None] * len(edits)
        answers = self._engine.call(
            "validate",
            {"edits": [list(edit) for edit in edits], "userCtx": dict(user_ctx), "secObj": dict(sec_obj)},
        )
        return [None if answer is None else _refusal(answer["thrown"]) for answer in answers]

    def show(self, name: str, doc: Doc | None, req: Mapping[str, Any]) -> dict[str, Any]:
        """The response object of a show function; ``doc`` is None where the path names none, or none that is there."""
        self._source("shows", name)
        answer: dict[str, Any] = self._engine.call("show", {"name": name, "doc": doc, "req": dict(req)})
        return answer

    def update(self, name: str, doc: Doc | None, req: Mapping[str, Any]) -> tuple[Doc | None, dict[str, Any]]:
        """What an update function answers: the document to be written, or None, and the response object."""
        self._source("updates", name)
        edited, answer = self._engine.call("update", {"name": name, "doc": doc, "req": dict(req)})
        return edited, answer

    def list(
        self, name: str, head: Mapping[str, Any], rows: Iterable[dict[str, Any]], req: Mapping[str, Any]
    ) -> Listing:
        """Let a list function render a view's rows.

        Args:
            head: ``{"total_rows", "offset"}`` of the view, or ``{}`` of a reduced one.
            rows: consumed in blocks as the function asks for them, and no further.

        Raises:
            TooLarge: the function read more rows than fit into its memory.
        """
        self._source("lists", name)
        ends = (jsonio.dumps({"name": name, "head": dict(head), "req": dict(req)})[:-1], b"}")
        for texts, complete in _growing(iter(rows)):
            given = b'%b,"complete":%b,"rows":[%b]%b' % (ends[0], jsonio.dumps(complete), b",".join(texts), ends[1])
            answer = self._engine.call_text("list", given.decode())
            if answer is not None:
                return Listing(*answer)
        raise TooLarge(
            "The list function reads too many rows.", f"It may read {LIST_BYTES_MAX} bytes of them: page the view."
        )

    def rewrite(self, req: Mapping[str, Any]) -> dict[str, Any] | None:
        """What a ``rewrites`` function answers: path, query, method, headers, body or code; None when no rule applies.

        For rules in an array see :mod:`couchette.functions.rewriting`.
        """
        answer = self._engine.call("rewrite", {"req": dict(req)})
        if isinstance(answer, dict) and "thrown" in answer:
            raise _refusal(answer["thrown"])
        if answer is not None:
            _check_rewrite(answer)
        return answer  # type: ignore[no-any-return]

    def _source(self, *path: str) -> None:
        value: Any = self._design
        for step in path:
            if not isinstance(value, Mapping) or step not in value:
                raise NotFound(
                    f"missing json key: {step}", f"It is looked for at {'.'.join(path)} of the design document."
                )
            value = value[step]


def _growing(rows: Iterator[dict[str, Any]]) -> Iterator[tuple[list[bytes], bool]]:
    """Ever longer beginnings of the rows as JSON, and whether there are no more; ends beyond LIST_BYTES_MAX."""
    texts: list[bytes] = []
    size, wanted, complete = 0, LIST_ROWS, False
    while not complete:
        for row in islice(rows, wanted - len(texts)):
            texts.append(jsonio.dumps(row))
            size += len(texts[-1])
            if size > LIST_BYTES_MAX:
                return
        complete = len(texts) < wanted
        wanted *= 4
        yield texts, complete


def _refusal(thrown: Any) -> CouchetteError:
    """The error for what a validation function threw that is no Error."""
    if isinstance(thrown, dict):
        for word, kind in (("forbidden", Forbidden), ("unauthorized", Unauthorized)):
            if word in thrown:
                return kind(_text(thrown[word]))
        if len(thrown) == 1:
            (thrown,) = thrown.values()
    return FunctionFailed(_text(thrown), error="unknown_error")


def _check_rewrite(answer: Any) -> None:
    """Raise CouchDB's error for a rewrite answer with a member of the wrong type."""
    if not isinstance(answer, dict):
        raise _bad_rewrite("bad rewrite", answer)
    for name in ("method", "path", "body"):
        if not isinstance(answer.get(name, ""), str):
            raise _bad_rewrite(f"bad {name}", answer[name])
    for name in ("headers", "query"):
        members = answer.get(name, {})
        if not isinstance(members, dict):
            raise _bad_rewrite(f"bad {name}", members)
        for key, value in members.items():
            if not isinstance(value, str):
                raise _bad_rewrite(f"object key/value must be strings {key}={_text(value)}", value)
    code = answer.get("code", 200)
    if type(code) is not int or not 200 <= code < 600:
        raise _bad_rewrite("bad code", code)


def _bad_rewrite(reason: str, value: Any) -> FunctionFailed:
    return FunctionFailed(reason, f"The rewrites function answered {_text(value)}.", error="rewrite_error")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else jsonio.dumps(value).decode()
