"""Making, listing and deleting Mango indexes: CouchDB's ``_index``.

An index is a view in a design document, or for ``$text`` one of its ``indexes``, and is replicated with it. What it
makes of the documents is built when it is first asked for, or when ``create_index`` of the facade is told to; rows that
no design document asks for any more are dropped when one changes here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn

from couchette import index as indexing
from couchette import store
from couchette.document.normal_selector import normalize
from couchette.document.selector import erlang_text
from couchette.errors import BadRequest, Conflict, CouchetteError, NotFound
from couchette.index.mango import ALL_DOCS, LANGUAGE, MangoIndex, index_view
from couchette.index.mango_name import index_name
from couchette.index.mango_rows import Connection
from couchette.index.mango_text import MEMBERS, MangoTextIndex, text_definition
from couchette.pool import Pool
from couchette.query.find import build_index
from couchette.query.find_catalog import Catalog, read_catalog
from couchette.query.find_options import (
    check_members,
    read_positive,
    read_sort,
    read_use_index,
    refuse_mixed_sort,
    require_member,
)
from couchette.query.find_planner import design_id
from couchette.query.find_text import build_text_index

Doc = dict[str, Any]


def get_indexes(pool: Pool) -> Doc:
    """All indexes: ``{"total_rows", "indexes": [{"ddoc", "name", "type", "def"}]}``, the documents by id first."""
    catalog = read_catalog(pool)
    made: list[MangoIndex | MangoTextIndex] = [*catalog.indexes, *catalog.texts]
    listed = [one.as_json() for one in (ALL_DOCS, *sorted(made, key=lambda one: one.sort_key))]
    return {"total_rows": len(listed), "indexes": listed}


def create_index(pool: Pool, body: Mapping[str, Any], *, build: bool = False) -> Doc:
    """Make an index as the body of ``POST /{db}/_index`` says: ``{"result": "created" | "exists", "id", "name"}``.

    Raises:
        BadRequest: a malformed definition, or a design document in another language.
        CouchetteError: 503 for a Nouveau index, as CouchDB answers without that service.
    """
    index, written, partitioned = _read_definition(body)
    before = read_catalog(pool)
    result = pool.write(_save, index, written, partitioned)
    after = read_catalog(pool)
    _drop_unused(pool, before, after)
    if build:
        _build(pool, after, index)
    return {"result": result, "id": index.ddoc, "name": index.name}


def delete_index(pool: Pool, ddoc: str, name: str, type: str = "json") -> Doc:
    """Remove an index, and its design document with the last one; return ``{"ok": True}``. Raises NotFound."""
    before = read_catalog(pool)
    wanted = (design_id(ddoc), name)
    kinds: Mapping[str, Sequence[MangoIndex | MangoTextIndex]] = {"json": before.indexes, "text": before.texts}
    if all(one.sort_key != wanted for one in kinds.get(type, ())):
        raise NotFound("missing", f"There is no {type} index {name!r} in {wanted[0]}.")
    pool.write(_remove, wanted[0], {_MEMBERS[type]: [name]})
    _drop_unused(pool, before, read_catalog(pool))
    return {"ok": True}


def delete_indexes(pool: Pool, body: Mapping[str, Any]) -> Doc:
    """Remove the indexes of design documents, as ``_index/_bulk_delete`` does: ``{"success", "fail"}``."""
    docids = require_member(body, "docids")
    if "w" in body:
        read_positive(body["w"])
    check_members(body, {"docids", "w"})
    if not isinstance(docids, (list, tuple)):
        reason = f"Bulk Delete requires an array of non-null docids. Docids: {erlang_text(docids)}"
        raise BadRequest(reason, "Give ['_design/a', ...].", error="invalid_bulk_docs")
    names = [design_id("/".join(read_use_index(docid))) for docid in docids]
    before = read_catalog(pool)
    success: list[Doc] = []
    fail: list[Doc] = []
    for ddoc in names:
        of_ddoc = {
            "views": [one.name for one in before.indexes if one.ddoc == ddoc],
            "indexes": [one.name for one in before.texts if one.ddoc == ddoc],
        }
        try:
            if not any(of_ddoc.values()):
                raise NotFound("missing", f"{ddoc} has no indexes.")
            pool.write(_remove, ddoc, of_ddoc)
            success.append({"id": ddoc, "ok": True})
        except CouchetteError as exc:
            fail.append({"id": ddoc, "error": exc.error})
    _drop_unused(pool, before, read_catalog(pool))
    return {"success": success, "fail": fail}


def _build(pool: Pool, catalog: Catalog, index: MangoIndex | MangoTextIndex) -> None:
    """Build an index that was made, unless it is gone again."""
    for text in catalog.texts:
        if text == index:
            build_text_index(pool, text)
    for one in catalog.indexes:
        if isinstance(index, MangoIndex) and one.sort_key == index.sort_key:
            build_index(pool, catalog, one)


def _drop_unused(pool: Pool, before: Catalog, after: Catalog) -> None:
    """Drop the rows of design documents that changed, unless another one asks for the same."""
    gone = before.signatures() - after.signatures()
    if gone:
        pool.write(indexing.drop_groups, sorted(gone))


# -- Definitions ----------------------------------------------------------------------------------


def _read_definition(body: Mapping[str, Any]) -> tuple[MangoIndex | MangoTextIndex, Any, bool | None]:
    """The index that a body asks for, its definition as written, and ``partitioned``."""
    written = require_member(body, "index")
    kind = _string(body.get("type", "json"))
    name, ddoc = (_string(body[key]) if key in body else None for key in ("name", "ddoc"))
    w = read_positive(body.get("w", 2))
    partitioned = body.get("partitioned")
    if partitioned is not None and not isinstance(partitioned, bool):
        _refuse("invalid_partitioned_value", f"Invalid value for partitioned: {erlang_text(partitioned)}")
    check_members(body, {"index", "type", "name", "ddoc", "w", "partitioned"})
    if kind == "nouveau":
        hint = "Nouveau indexes are not here; `type='text'` searches texts."
        raise CouchetteError(kind, hint, status=503, error="required index service unavailable")
    if kind not in _MEMBERS:
        _refuse("invalid_index", f"Invalid type for index: {kind}")
    if partitioned:
        reason = "partitioned option cannot be true in a non-partitioned database."
        raise BadRequest(reason, "Leave `partitioned` out.")
    if not isinstance(written, Mapping):
        shown = "JSON" if kind == "json" else "Text"
        _refuse("invalid_index", f"{shown} indexes must be an object, not: {erlang_text(written)}")
    if kind == "text":
        check_members(written, {*MEMBERS})
        definition = text_definition(written)
        generated = index_name(written, ddoc=ddoc, name=name, type=kind, w=w, partitioned=partitioned)
        return MangoTextIndex(design_id(ddoc or generated), name or generated, definition), written, partitioned
    fields = read_sort(require_member(written, "fields"))
    refuse_mixed_sort(fields)
    partial = normalize(written.get("partial_filter_selector", {}))
    check_members(written, {"fields", "partial_filter_selector"})
    if not fields:
        _refuse("invalid_index", "An index needs a field.")
    generated = index_name(written, ddoc=ddoc, name=name, type=kind, w=w, partitioned=partitioned)
    index = MangoIndex(design_id(ddoc or generated), name or generated, tuple(dict(fields).items()), partial or None)
    return index, written, partitioned


def _string(value: Any) -> str:
    if isinstance(value, str):
        return value
    _refuse("invalid_string", f"Invalid string: {erlang_text(value)}")


def _refuse(error: str, reason: str) -> NoReturn:
    raise BadRequest(reason, "See the description of create_index.", error=error)


# -- Design documents -----------------------------------------------------------------------------


_MEMBERS = {"json": "views", "text": "indexes"}
"""By the type of an index: where a design document has it."""


def _save(conn: Connection, index: MangoIndex | MangoTextIndex, written: Any, partitioned: bool | None) -> str:
    """Put an index into its design document. A writing operation."""
    assert index.ddoc is not None
    doc: Doc = {"_id": index.ddoc, "language": LANGUAGE}
    with suppress(NotFound):
        doc = store.get(conn, index.ddoc)
    if doc.get("language") != LANGUAGE:
        reason = f"Existing design doc has an invalid language: {erlang_text(doc.get('language', 'javascript'))}"
        raise BadRequest(reason, f"Give another `ddoc` than {index.ddoc}.", error="invalid_ddoc_lang")
    options = doc.get("options") or {}
    if partitioned is not None and options.get("partitioned") != partitioned:
        if "_rev" in doc:
            reason = f"Requested partitioned option does not match existing value on design document {index.ddoc}"
            raise BadRequest(reason, "Give another `ddoc`.", error="invalid_partitioned_option")
        options = {**options, "partitioned": partitioned}
    if isinstance(index, MangoTextIndex):
        member, entry = "indexes", index.as_member()
    else:
        member, entry = "views", index_view(index, written)
    held = doc.get(member) or {}
    if held.get(index.name) == entry:
        return "exists"
    changed = {**doc, member: {**held, index.name: entry}}
    if options:
        changed["options"] = options
    _put(conn, changed)
    return "created"


def _remove(conn: Connection, ddoc: str, names: Mapping[str, Sequence[str]]) -> None:
    """Take indexes out of a design document, which goes with its last one; ``names`` are by its member that has them.

    A writing operation.
    """
    doc = store.get(conn, ddoc)
    for member, gone in names.items():
        if gone:
            doc[member] = {name: one for name, one in doc[member].items() if name not in gone}
            if not doc[member]:
                del doc[member]
    if set(doc) == {"_id", "_rev", "language"}:
        store.remove(conn, ddoc, doc["_rev"])
    else:
        _put(conn, doc)


def _put(conn: Connection, doc: Doc) -> None:
    try:
        store.put(conn, doc)
    except Conflict as exc:
        reason = "Encountered a conflict while saving the design document."
        raise CouchetteError(reason, exc.hint, status=500, error="error_saving_ddoc") from exc
