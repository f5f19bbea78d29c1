"""Views as they are declared: by a design document, by a program, or for one query.

Views that are declared together are one group of the index, mapped in one pass. What decides the rows is in the group's
signature: functions, library, language, options; not the design document's name or its other members. Two design
documents with the same views share one index, as in CouchDB.

Functions in a design document are JavaScript. Documents arrive by replication, from anyone, so Python's functions are
only ever those that this program gives.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Any, Final

from couchette.errors import BadRequest, CouchetteError, NotFound
from couchette.index import Group, IndexedView, signature_of
from couchette.index.mango import LANGUAGE as MANGO
from couchette.index.mango import MangoIndex, mango_group, mango_indexes, map_function

PythonMap = Callable[[dict[str, Any]], Iterable[tuple[Any, Any]] | None]
Reduce = str | Callable[[Any, Any, bool], Any] | None
"""A built-in's name, JavaScript, or a Python function of keys, values and whether it rereduces; None for none."""

JAVASCRIPT: Final = "javascript"
PYTHON: Final = "python"


@dataclass(frozen=True)
class Views:
    """The views of one group: parallel tuples of their names and functions."""

    group: Group
    names: tuple[str, ...]
    maps: tuple[str | PythonMap, ...]
    reduces: tuple[Reduce, ...]
    language: str
    lib: Mapping[str, Any] = field(default_factory=dict)
    """CommonJS modules that map functions may require: ``views.lib`` of the design document."""

    def number(self, name: str) -> int:
        """Which view has this name. Raises NotFound."""
        try:
            return self.names.index(name)
        except ValueError:
            hint = f"{self.group.owner} has no view {name!r}."
            raise NotFound("missing_named_view", hint) from None


# -- Design documents -----------------------------------------------------------------------------


def design_views(doc: Mapping[str, Any]) -> Views:
    """The views that a design document declares; there may be none.

    Raises CouchetteError for a language whose functions we do not run.
    """
    language = doc.get("language", JAVASCRIPT)
    declared = doc.get("views")
    views = {name: view for name, view in _members(declared).items() if name != "lib" and _has_map(view)}
    if language == MANGO and (indexes := mango_indexes(doc)):
        return _mango_views(indexes)
    if language != JAVASCRIPT:
        hint = f"{doc.get('_id')} is in {language!r}; design documents are in JavaScript."
        raise CouchetteError("unknown_query_language", hint, error="unknown_query_language")
    lib, options = _members(_members(declared).get("lib")), _members(doc.get("options"))
    parts = {name: [view["map"], view.get("reduce"), view.get("options")] for name, view in sorted(views.items())}
    group = Group(
        signature_of(language, parts, lib, options),
        tuple(IndexedView(_is_raw(view), bool(view.get("reduce"))) for view in views.values()),
        owner=str(doc.get("_id", "")),
        include_design=options.get("include_design") is True,
        local_seq=options.get("local_seq") is True,
    )
    maps = tuple(view["map"] for view in views.values())
    return Views(group, tuple(views), maps, tuple(view.get("reduce") or None for view in views.values()), language, lib)


def _mango_views(indexes: list[MangoIndex]) -> Views:
    """Mango indexes read as views: a group of their own, since the rows that finds read have no partial results."""
    plain = mango_group(indexes)
    views = (IndexedView(reduced=True),) * len(indexes)
    group = replace(plain, signature=signature_of("mango views", plain.signature), views=views)
    names, maps = tuple(one.name for one in indexes), tuple(map(map_function, indexes))
    return Views(group, names, maps, ("_count",) * len(indexes), PYTHON)


def _members(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _has_map(view: Any) -> bool:
    return isinstance(view, dict) and isinstance(view.get("map"), str)


def _is_raw(view: Mapping[str, Any]) -> bool:
    """As in CouchDB the option counts in the view only, not in the design document's options."""
    return _members(view.get("options")).get("collation") == "raw"


# -- Views of a program ---------------------------------------------------------------------------


def program_view(name: str, map: PythonMap, reduce: Reduce, version: str) -> Views:
    """A Python view that is kept under a name, and made anew when its source or ``version`` changes."""
    if not callable(map):
        raise BadRequest("A view needs a map function.", f"{name!r} got {map!r}.")
    signature = signature_of(PYTHON, name, source_of(map), _reduce_source(reduce), version)
    group = Group(signature, (IndexedView(reduced=reduce is not None),), owner=owner_of(name))
    return Views(group, (name,), (map,), (reduce,), PYTHON)


def owner_of(name: str) -> str:
    """How an index of a program's view is marked."""
    return f"view:{name}"


def temporary_view(map: str | PythonMap, reduce: Reduce, options: Any = None) -> Views:
    """A view of one query. It is indexed in memory, where its signature need tell it from nothing."""
    view = IndexedView(_is_raw({"options": options}), reduced=reduce is not None)
    return Views(Group("", (view,)), ("",), (map,), (reduce,), JAVASCRIPT if isinstance(map, str) else PYTHON)


def source_of(function: Callable[..., Any]) -> Any:
    """What tells one Python function from another, as JSON: its source, or without one what it was compiled to.

    What it refers to, such as other functions and variables, is not part of it.
    """
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return _compiled(code) if isinstance(code, CodeType) else repr(type(function))


def _compiled(code: CodeType) -> list[Any]:
    constants = [_compiled(one) if isinstance(one, CodeType) else repr(one) for one in code.co_consts]
    return [code.co_code.hex(), constants, list(code.co_names), list(code.co_varnames)]


def _reduce_source(reduce: Reduce) -> Any:
    return source_of(reduce) if callable(reduce) else reduce
