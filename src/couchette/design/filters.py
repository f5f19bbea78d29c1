"""Filters of ``_changes``: CouchDB's own, and the functions of design documents.

A filter is chosen once, when the feed begins: a design document that is edited later filters later feeds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from couchette import jsonio
from couchette.design.calls import open_design
from couchette.design.designs import Designs
from couchette.design.request import DesignRequest, request_object
from couchette.document import selector
from couchette.errors import BadRequest
from couchette.query.changes_pages import Pages, changes_pages, up_to_newest
from couchette.query.filtered_changes import Judge, filtered_changes, filtered_pages

if TYPE_CHECKING:
    from couchette.database import Database

Doc = dict[str, Any]


@dataclass(frozen=True)
class Filtered:
    """The changes of a database through a filter, or all that its user may read. It is called to read them at once."""

    db: Database
    doc_ids: Sequence[str] | None = None
    accepts: Callable[[Doc], bool] | None = None
    judge: Judge | None = None
    scan_max: int | None = None

    def __call__(self, **options: Any) -> Doc:
        """The changes, with the options of ``Database.changes``."""
        if self.judge is not None:
            return filtered_changes(self.db._pool, self._judging(self.judge), scan_max=self.scan_max, **options)
        found: Doc = self.db.changes(doc_ids=self.doc_ids, filter=self.accepts, **options)
        return found

    def pages(self, **options: Any) -> Pages:
        """The rows of these changes, up to the newest now, in pages of bounded size; some may be empty.

        The options are those that decide on rows: ``since``, ``limit``, ``descending`` and ``style``.
        """
        pool = self.db._pool
        if self.judge is not None:
            pages = filtered_pages(pool, self._judging(self.judge), **options)
        else:
            pages = changes_pages(pool, doc_ids=self.doc_ids, accepts=self._accepting(), **options)
        return pages if options.get("descending") or self.doc_ids is not None else up_to_newest(pool, pages)

    def _judging(self, passes: Judge) -> Judge:
        """The filter, that lets no document pass which the user of this database may not read."""
        may_read = self.db._may_read
        if may_read is None:
            return passes

        def judge(docs: Sequence[Doc]) -> list[bool]:
            return [may_read(doc) and passed for doc, passed in zip(docs, passes(docs), strict=True)]

        return judge

    def _accepting(self) -> Callable[[Doc], bool] | None:
        may_read, accepts = self.db._may_read, self.accepts
        if may_read is None or accepts is None:
            return accepts or may_read
        return lambda doc: may_read(doc) and accepts(doc)


def filtered(
    db: Database,
    designs: Designs,
    name: str,
    asked: DesignRequest,
    body: Mapping[str, Any],
    *,
    scan_max: int | None = None,
) -> Filtered:
    """The changes through the filter ``name``; ``body`` is that of a POST.

    With ``scan_max`` a design document's function is run on about so many documents a page, also where few pass.

    Raises BadRequest, or NotFound for a function that is not there.
    """
    if name == "_doc_ids":
        return Filtered(db, doc_ids=_doc_ids(asked, body))
    if name == "_selector":
        return Filtered(db, accepts=_selector(body))
    if name == "_design":
        return Filtered(db, accepts=lambda doc: doc["_id"].startswith("_design/"))
    if name == "_view":
        return Filtered(db, judge=_by_view(db, designs, asked), scan_max=scan_max)
    if name.startswith("_"):
        raise BadRequest(
            "unknown builtin filter name", f"Got {name!r}; there are _doc_ids, _selector, _design and _view."
        )
    return Filtered(db, judge=filter_function(db, designs, name, asked), scan_max=scan_max)


def filter_function(db: Database, designs: Designs, path: str, asked: DesignRequest) -> Judge:
    """The filter ``design/name``, as it is now, for many documents at a time. Raises BadRequest, NotFound."""
    design, name = _split(path, "`filter` must be of the form `designname/filtername`")
    functions = open_design(db, designs, design).functions
    req = request_object(asked, db)
    return _checked(lambda docs: functions.filter(name, docs, req))


def filter_view(db: Database, designs: Designs, path: str) -> Judge:
    """The filter that lets pass what the view ``design/name`` emits something for. Raises BadRequest, NotFound."""
    design, name = _split(path, "`view` must be of the form `designname/viewname`")
    functions = open_design(db, designs, design).functions
    return _checked(lambda docs: functions.filter_view(name, docs))


def _split(path: str, malformed: str) -> tuple[str, str]:
    """The two names of ``design/name``. Raises BadRequest with the reason that is given."""
    design, slash, name = path.partition("/")
    if not slash or "/" in name:
        raise BadRequest(malformed, f"Got {path!r}.")
    return design, name


def _checked(judge: Callable[[Sequence[Doc]], list[bool]]) -> Judge:
    judge([])  # A function that is not there is found now, and not when there is something to filter.
    return judge


def _by_view(db: Database, designs: Designs, asked: DesignRequest) -> Judge:
    path = asked.query.first("view")
    if path is None:
        raise BadRequest("`view` filter parameter is not provided.", "Give it as `design/view`.")
    return filter_view(db, designs, path)


def _selector(body: Mapping[str, Any]) -> Callable[[Any], bool]:
    """The selector as a function. Here its errors are plain ``bad_request`` ones."""
    wanted = body.get("selector")
    if not isinstance(wanted, dict):
        raise BadRequest("Selector error: expected a JSON object", "Send it in the body of a POST.")
    try:
        return selector.compile(wanted)
    except BadRequest as exc:
        raise BadRequest(exc.reason, exc.hint) from exc


def _doc_ids(asked: DesignRequest, body: Mapping[str, Any]) -> list[str]:
    text = asked.query.first("doc_ids")
    doc_ids = jsonio.loads(text) if text is not None and asked.method != "POST" else body.get("doc_ids")
    if not isinstance(doc_ids, list) or not all(isinstance(doc_id, str) for doc_id in doc_ids):
        raise BadRequest("`doc_ids` filter parameter is not a list of doc ids.", f"Got {doc_ids!r}.")
    return doc_ids
