"""Design functions, in JavaScript and Python: map, reduce, filters, validation, shows, lists, updates, rewrites.

JavaScript runs as CouchDB runs it, on a thread of its own, in batches, with a time, a memory and a stack limit and no
reach outside (``engine.py``; what is inside is ``javascript/``). Python functions stand beside it and are called where
they are; they come from the program alone: source that arrives in a document is never run as Python.

Importing this does not import quickjs; the first call of JavaScript does, and names the extra to install where it is
missing. What functions log, and why a document was skipped, goes to the logger ``couchette.functions``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from couchette.functions.checking import check_design, check_written
from couchette.functions.design import DesignFunctions, Listing
from couchette.functions.engine import Engine, Limits
from couchette.functions.indexers import JavaScriptIndexer, PythonIndex, PythonIndexer
from couchette.functions.mappers import JavaScriptMapper, PythonMap, PythonMapper
from couchette.functions.protocols import Emitted, Indexed, Indexer, Mapper, Reducer
from couchette.functions.python import PythonFunctions
from couchette.functions.responses import Response, checked_response, parse_response
from couchette.functions.rewriting import JSON_PARAMETERS, Rule, parse_rules, rewrite_path
from couchette.functions.scripted import PythonReduce, overflow, reducer

__all__ = [
    "JSON_PARAMETERS",
    "DesignFunctions",
    "Emitted",
    "Engine",
    "Indexed",
    "Indexer",
    "Limits",
    "Listing",
    "Mapper",
    "PythonFunctions",
    "PythonIndex",
    "PythonMap",
    "PythonReduce",
    "Reducer",
    "Response",
    "Rule",
    "check_design",
    "check_written",
    "checked_response",
    "javascript_indexer",
    "javascript_mapper",
    "overflow",
    "parse_response",
    "parse_rules",
    "python_indexer",
    "python_mapper",
    "reducer",
    "rewrite_path",
]


def javascript_mapper(
    sources: Sequence[str], *, lib: Mapping[str, Any] | None = None, limits: Limits | None = None
) -> Mapper:
    """The map functions of a design document's views, in JavaScript.

    Args:
        sources: of the functions, in the order in which :meth:`Mapper.map` answers.
        lib: the design document's ``views.lib``, which ``require("views/lib/…")`` reads.
        limits: of a document's passage through all of them.

    Nothing runs yet: a source that does not compile is a CompilationFailed of the first ``map``.
    """
    return JavaScriptMapper(sources, lib=lib, limits=limits)


def python_mapper(functions: Sequence[PythonMap]) -> Mapper:
    """Map functions in Python: each returns or yields pairs (key, value) of JSON values, or returns None."""
    return PythonMapper(functions)


def javascript_indexer(source: str, *, lib: Mapping[str, Any] | None = None, limits: Limits | None = None) -> Indexer:
    """The function of a text index in JavaScript, which calls ``index(field, value, options)`` as in Cloudant."""
    return JavaScriptIndexer(source, lib=lib, limits=limits)


def python_indexer(function: PythonIndex) -> Indexer:
    """The function of a text index in Python: it returns or yields (field, value) or (field, value, options), returns a
    dict of them, or None. A list stands for several values.
    """
    return PythonIndexer(function)
