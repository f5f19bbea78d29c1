"""What CouchDB refuses when a design document is written: members of the wrong type, unknown reducers, functions of
views that do not compile. Filters, shows and the others are compiled when they are first used, and only then found
wrong; so is it in CouchDB."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from couchette.errors import BadRequest, CompilationFailed, MissingExtra
from couchette.functions.engine import Engine
from couchette.functions.reducers import builtin

_FUNCTION_MEMBERS: Final = ("filters", "lists", "shows", "updates")
_NAMES: Final[dict[type, str]] = {dict: "object", str: "string", list: "array"}


def check_design(design: Mapping[str, Any]) -> None:
    """Refuse a design document as CouchDB refuses to write it.

    Compiles the views' functions if they are in JavaScript, on a thread that ends with this call.

    Raises:
        BadRequest: ``invalid_design_doc`` or ``compilation_error`` (400), with CouchDB's reason.
        MissingExtra: it has views in JavaScript, and quickjs is not installed.
    """
    _check_members(design)
    views = {name: view for name, view in design.get("views", {}).items() if name != "lib"}
    for name, view in views.items():
        _check_view(name, view, dict if design.get("language") == "query" else str)
    if design.get("language", "javascript") == "javascript" and views:
        _compile_views(views)


def check_written(doc: Mapping[str, Any], *, new_edits: bool, partitioned: bool = False) -> None:
    """Refuse a design document whose members or functions are wrong; replicated ones are taken as they are.

    Any document may be given; ``partitioned`` says whether the database is. Without quickjs the functions are nobody's
    to compile here, and it may be stored all the same. Raises BadRequest, as :func:`check_design`.
    """
    if new_edits and str(doc.get("_id")).startswith("_design/") and doc.get("_deleted") is not True:
        options = doc.get("options")
        if isinstance(options, dict) and options.get("partitioned") is True and not partitioned:
            reason = "partitioned option cannot be true in a non-partitioned database."
            raise BadRequest(reason, "Leave it out.", error="invalid_design_doc")
        with suppress(MissingExtra):
            check_design(doc)


def _check_members(design: Mapping[str, Any]) -> None:
    _check_type(design, "language", str)
    _check_type(design, "options", dict)
    _check_type(design, "validate_doc_update", str)
    _check_type(design, "rewrites", list, str)
    _check_type(design, "views", dict)
    for kind in _FUNCTION_MEMBERS:
        _check_type(design, kind, dict)
        for name in design.get(kind, {}):
            _check_type(design[kind], name, str, dict, prefix=f"{kind}.")


def _check_view(name: str, view: Any, kind: type) -> None:
    """``kind`` is what ``map`` must be: text, or the object that defines a Mango index."""
    if not isinstance(view, dict):
        raise _wrong_type(f"views.{name}", dict)
    if "map" not in view:
        raise _refused(f"View `{name}` must contain map function")
    _check_type(view, "map", kind, prefix=f"views.{name}.")
    _check_type(view, "reduce", str, prefix=f"views.{name}.")
    if view.get("reduce", "").startswith("_"):
        builtin(view["reduce"])


def _compile_views(views: Mapping[str, dict[str, Any]]) -> None:
    engine = Engine()
    try:
        for name, view in views.items():
            for kind in ("map", "reduce"):
                source = view.get(kind)
                if source is None or (kind == "reduce" and source.startswith("_")):
                    continue
                try:
                    engine.call("compile", source)
                except CompilationFailed as exc:
                    reason = f"Compilation of the {kind} function in the '{name}' view failed: {exc.reason}"
                    raise CompilationFailed(reason, exc.hint, status=400) from exc
    finally:
        engine.close()


def _check_type(members: Mapping[str, Any], name: str, *kinds: type, prefix: str = "") -> None:
    if name in members and not isinstance(members[name], kinds):
        raise _wrong_type(prefix + name, *kinds)


def _wrong_type(path: str, *kinds: type) -> BadRequest:
    return _refused(f"`{path}` field must have {' or '.join(_NAMES[kind] for kind in kinds)} type")


def _refused(reason: str) -> BadRequest:
    return BadRequest(reason, error="invalid_design_doc")
