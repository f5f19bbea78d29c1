"""Where design functions and rewrites lead in this package: its own operations, with their results.

A parameter of a rewritten request is read as JSON where it is JSON, and as text otherwise; so it becomes an option.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from couchette import jsonio
from couchette.design import calls
from couchette.design.designs import Designs
from couchette.design.request import DesignRequest
from couchette.design.routing import Actions, Routes, json_object, posted
from couchette.document.attachment import DEFAULT_TYPE
from couchette.errors import BadRequest, MethodNotAllowed, NotFound
from couchette.functions import Response
from couchette.pouchdb import documents, queries, upkeep, views
from couchette.pouchdb.arguments import known
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.filters import FEED

Doc = dict[str, Any]

_PUT: Final = ("rev", "new_edits", "force")
_BULK_GET: Final = ("revs", "latest", "attachments", "binary")
_SEARCH: Final = ("q", "query", *queries.SEARCH_OPTIONS)


def response_object(response: Response, more: Mapping[str, str] | None = None) -> Doc:
    """CouchDB's response object of an answer, complete, with more headers."""
    headers = {"Content-Type": "text/html; charset=utf-8", "Vary": "Accept", **response.headers, **(more or {})}
    headers.pop("Etag", None)
    content = {"base64": b64encode(response.body).decode()} if response.is_binary else {"body": response.text}
    return {"code": response.code, "headers": headers, **content}


class PluginRoutes(Routes):
    """The operations of one local database, and its design functions, whose answers are response objects."""

    binds_rest = True

    def __init__(self, core: DatabaseCore, designs: Designs) -> None:
        super().__init__(core.database, designs)
        self._core = core

    def of_database(self) -> Actions:
        """``/{db}``."""
        return {
            "GET": lambda asked: upkeep.info(self._core),
            "POST": lambda asked: documents.post(self._core, json_object(asked)),
            "DELETE": lambda asked: upkeep.destroy(self._core),
        }

    def of_part(self, name: str) -> Actions:
        """``/{db}/{name}``."""
        core = self._core
        parts: dict[str, Actions] = {
            "_all_docs": _reading((*documents.ALL_DOCS, "binary"), lambda given: documents.all_docs(core, **given)),
            "_bulk_docs": {"POST": lambda asked: documents.bulk_docs(core, json_object(asked))},
            "_bulk_get": {
                "POST": lambda asked: documents.bulk_get(core, json_object(asked), **_options(asked, _BULK_GET))
            },
            "_changes": _reading(FEED, lambda given: upkeep.changes_page(core, **given)),
            "_compact": {"POST": lambda asked: upkeep.compact(core)},
            "_find": {"POST": lambda asked: views.find(core, json_object(asked))},
            "_revs_diff": {"POST": lambda asked: documents.revs_diff(core, json_object(asked))},
            "_security": {
                "GET": lambda asked: upkeep.get_security(core),
                "PUT": lambda asked: upkeep.put_security(core, json_object(asked)),
            },
            "_view_cleanup": {"POST": lambda asked: queries.view_cleanup(core)},
        }
        return parts.get(name) or super().of_part(name)

    def of_design(self, design: str, kind: str, path: list[str]) -> Actions:
        """``/{db}/_design/{design}/{kind}/…``."""
        core, place = self._core, "/".join([design, *path])
        parts: dict[str, Actions] = {
            "_search": _reading(_SEARCH, lambda given: queries.search(core, place, **given)),
            "_spatial": _reading(queries.SPATIAL_OPTIONS, lambda given: queries.spatial(core, place, **given)),
            "_view": _reading((*views.QUERY, "stale"), lambda given: views.query(core, place, **given)),
        }
        return parts.get(kind) or super().of_design(design, kind, path)

    def of_document(self, doc_id: str) -> Actions:
        """``/{db}/{id}``."""
        core = self._core
        return {
            "GET": lambda asked: documents.get(core, doc_id, **_options(asked, (*documents.GET, "binary"))),
            "PUT": lambda asked: documents.put(core, json_object(asked), doc_id, **_options(asked, _PUT)),
            "DELETE": lambda asked: documents.remove(core, doc_id, asked.query.first("rev")),
        }

    def of_attachment(self, doc_id: str, name: str) -> Actions:
        """``/{db}/{id}/{name}``."""
        core = self._core

        def put(asked: DesignRequest) -> Any:
            media_type = asked.header("content-type") or DEFAULT_TYPE
            rev = asked.query.first("rev")
            return documents.put_attachment(core, doc_id, name, asked.body, media_type, rev)

        return {
            "GET": lambda asked: documents.get_attachment(core, doc_id, name, **_options(asked, ("rev",))),
            "PUT": put,
            "DELETE": lambda asked: documents.remove_attachment(core, doc_id, name, asked.query.first("rev") or ""),
        }

    def show(self, design: str, name: str, doc_id: str | None, asked: DesignRequest) -> Any:
        """``_show``."""
        self._require(design, "show", name)
        return response_object(super().show(design, name, doc_id, asked))

    def render_list(self, design: str, path: list[str], asked: DesignRequest) -> Any:
        """``_list``."""
        self._require(design, "list", path[0] if path else "")
        return response_object(super().render_list(design, path, asked), {"Transfer-Encoding": "chunked"})

    def update(self, design: str, name: str, doc_id: str | None, asked: DesignRequest) -> Any:
        """``_update``."""
        self._require(design, "update", name)
        done: calls.Updated = super().update(design, name, doc_id, asked)
        written = done.written
        more = {} if written is None else {"X-Couch-Id": written["id"], "X-Couch-Update-NewRev": written["rev"]}
        return response_object(done.response, more)

    def shown(self, response: Response) -> Any:
        """The answer that a rewrites function gave at once."""
        return response_object(response)

    def not_allowed(self, method: str, allow: str) -> MethodNotAllowed:
        """The error for a method that a path does not have."""
        return MethodNotAllowed(f"method '{method}' not allowed.", allow)

    def _require(self, design: str, kind: str, name: str) -> None:
        """Raise NotFound unless the design document has such a function."""
        functions = self.db.get(f"_design/{design}").get(f"{kind}s")
        if not isinstance(functions, Mapping) or name not in functions:
            there = ", ".join(functions) if isinstance(functions, Mapping) else ""
            reason = f"missing {kind} function {name} on design doc _design/{design}"
            raise NotFound(reason, f"There are: {there or 'none'}.")


def parameters(asked: DesignRequest) -> Doc:
    """The parameters of a request, those that are JSON as values."""
    return {name: _value(text) for name, text in asked.query.pairs}


def _options(asked: DesignRequest, names: Iterable[str]) -> Doc:
    """Those of the parameters that an operation knows; what a rule bound is among them under any name."""
    return known(parameters(asked), names)


def _reading(names: Sequence[str], operation: Callable[[Doc], Any]) -> Actions:
    """An operation with options, which a POST may have in its body."""

    def act(asked: DesignRequest) -> Any:
        return operation({**_options(asked, names), **known(posted(asked) or {}, names)})

    return {"GET": act, "POST": act}


def _value(text: str) -> Any:
    try:
        return jsonio.loads(text)
    except BadRequest:
        return text
