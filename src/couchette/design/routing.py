"""The operation that a request to a path of the database means, for programs: what a rewrite leads to is done.

The server has resources for the same paths; here a path is a method of the facade, and the answer is what that method
returns. What HTTP adds, such as conditions, ranges and multipart, has no meaning here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from couchette import jsonio
from couchette.design import calls, rewriting
from couchette.design.designs import Designs
from couchette.design.filters import filtered
from couchette.design.judging import pool_of
from couchette.design.request import DesignRequest
from couchette.document.attachment import DEFAULT_TYPE
from couchette.errors import BadRequest, MethodNotAllowed, NotFound
from couchette.functions import Response
from couchette.query.find import find
from couchette.query.find_options import read_options
from couchette.wire import feed, names, parameters
from couchette.wire.search import search_options
from couchette.wire.spatial import spatial_options

if TYPE_CHECKING:
    from couchette.database import Database

Doc = dict[str, Any]
Action = Callable[[DesignRequest], Any]
Actions = Mapping[str, Action]
"""By method."""


class Routes:
    """The operations of one database, by method and path.

    Attributes:
        db: what is asked, and written to: maybe one whose writes are judged.
        binds_rest: how rewrites read ``*`` in the query of a rule.
    """

    binds_rest: ClassVar[bool] = False

    def __init__(self, db: Database, designs: Designs) -> None:
        self.db = db
        self.designs = designs

    def rewrite(self, design: str, path: list[str], asked: DesignRequest) -> Any:
        """What the request stands for, done; or the Response that the rewrites function gave at once.

        Raises what :func:`couchette.design.rewriting.rewritten` raises, and all that the operation does.
        """
        found = rewriting.rewritten(self.db, self.designs, design, path, asked, binds_rest=self.binds_rest)
        return self.shown(found) if isinstance(found, Response) else self.run(found)

    def run(self, asked: DesignRequest) -> Any:
        """Do what a request means. Raises MethodNotAllowed, NotFound, and what the operation raises."""
        parts = [names.decode_id(segment) for segment in asked.segments[1:]]
        if not parts:
            return self._choose(asked, self.of_database())
        first, *rest = parts
        if not rest and (actions := self.of_part(first)):
            return self._choose(asked, actions)
        if first == "_design" and len(rest) > 1 and rest[1].startswith("_"):
            return self._design(asked, rest[0], rest[1], rest[2:])
        size = 2 if first in ("_design", "_local") else 1
        doc_id, name = "/".join(parts[:size]), "/".join(parts[size:])
        return self._choose(asked, self.of_attachment(doc_id, name) if name else self.of_document(doc_id))

    def _design(self, asked: DesignRequest, design: str, kind: str, path: list[str]) -> Any:
        """A design document's view, index or function."""
        if kind in ("_show", "_update") and path:
            act = self.show if kind == "_show" else self.update
            return act(design, path[0], "/".join(path[1:]) or None, asked)
        if kind == "_rewrite":
            return self.rewrite(design, path, asked)
        actions = self.of_design(design, kind, path)
        if not actions:
            raise NotFound("missing", f"_design/{design} has no {kind!r}.")
        return self._choose(asked, actions)

    def _choose(self, asked: DesignRequest, actions: Actions) -> Any:
        action = actions.get(asked.seen_method)
        if action is None:
            raise self.not_allowed(asked.method, ",".join(actions))
        return action(asked)

    # -- What there is, by method ------------------------------------------------------------------------

    def of_database(self) -> Actions:
        """``/{db}``."""
        return {"GET": lambda asked: self.db.info(), "POST": lambda asked: self.db.post(json_object(asked))}

    def of_part(self, name: str) -> Actions:
        """``/{db}/{name}``, of a name that is no document's; empty if there is no such part."""
        db = self.db
        parts: dict[str, Actions] = {
            "_all_docs": _reading(lambda asked: db.all_docs(**parameters.all_docs_options(asked.query, posted(asked)))),
            "_bulk_docs": {"POST": self._bulk_docs},
            "_bulk_get": {
                "POST": lambda asked: db.bulk_get(_listed(json_object(asked)), revs=asked.query.flag("revs"))
            },
            "_changes": _reading(self._changes),
            "_compact": {"POST": self._compact},
            "_find": {"POST": lambda asked: find(pool_of(db), read_options(json_object(asked)))},
            "_missing_revs": {"POST": lambda asked: db.missing_revs(json_object(asked))},
            "_revs_diff": {"POST": lambda asked: db.revs_diff(json_object(asked))},
            "_security": {"GET": lambda asked: db.get_security() or {}, "PUT": self._put_security},
            "_view_cleanup": {"POST": lambda asked: db.view_cleanup()},
        }
        return parts.get(name, {})

    def of_design(self, design: str, kind: str, path: list[str]) -> Actions:
        """``/{db}/_design/{design}/{kind}/…``, but for functions that take any method; empty if there is none."""
        place = (design, "/".join(path))
        parts: dict[str, Action] = {
            "_info": lambda asked: self.db.view_info(design),
            "_list": lambda asked: self.render_list(design, path, asked),
            "_search": lambda asked: self.db.search(place, **search_options(asked.query, posted(asked))),
            "_spatial": lambda asked: self.db.spatial(place, **spatial_options(asked.query)),
            "_view": lambda asked: self.db.query(place, **parameters.view_options(asked.query, posted(asked))),
        }
        return _reading(parts[kind]) if kind in parts else {}

    def of_document(self, doc_id: str) -> Actions:
        """``/{db}/{id}``."""
        return {
            "GET": lambda asked: self.db.get(doc_id, **parameters.document_options(asked.query)),
            "PUT": lambda asked: self.db.put(json_object(asked), id=doc_id, rev=asked.query.first("rev")),
            "DELETE": lambda asked: self.db.remove(doc_id, asked.query.first("rev")),
        }

    def of_attachment(self, doc_id: str, name: str) -> Actions:
        """``/{db}/{id}/{name}``."""

        def put(asked: DesignRequest) -> Any:
            media_type = asked.header("content-type") or DEFAULT_TYPE
            return self.db.put_attachment(doc_id, name, asked.body, media_type, rev=asked.query.first("rev"))

        return {
            "GET": lambda asked: self.db.get_attachment(doc_id, name, rev=asked.query.first("rev")),
            "PUT": put,
            "DELETE": lambda asked: self.db.remove_attachment(doc_id, name, asked.query.first("rev")),
        }

    def _bulk_docs(self, asked: DesignRequest) -> Any:
        body = json_object(asked)
        return self.db.bulk_docs(_listed(body), new_edits=body.get("new_edits") is not False)

    def _changes(self, asked: DesignRequest) -> Any:
        """Those that are there."""
        options = feed.read_options(asked.query)
        if options.filter is None:
            return self.db.changes(**options.changes)
        return filtered(self.db, self.designs, options.filter, asked, posted(asked) or {})(**options.changes)

    def _compact(self, asked: DesignRequest) -> Any:
        self.db.compact()
        return {"ok": True}

    def _put_security(self, asked: DesignRequest) -> Any:
        self.db.set_security(json_object(asked))
        return {"ok": True}

    # -- Functions -----------------------------------------------------------------------------------------

    def show(self, design: str, name: str, doc_id: str | None, asked: DesignRequest) -> Any:
        """``_show``."""
        opened = calls.open_design(self.db, self.designs, design)
        return calls.show(self.db, opened, name, doc_id, calls.function_doc(self.db, doc_id), asked)

    def render_list(self, design: str, path: list[str], asked: DesignRequest) -> Any:
        """``_list``; ``path`` names the list function and the view."""
        if len(path) not in (2, 3):
            raise NotFound("Invalid path.", "Name a list function and a view.", error="list_error")
        view = (path[1] if len(path) == 3 else design, path[-1])
        opened = calls.open_design(self.db, self.designs, design)
        return calls.render_list(self.db, opened, path[0], view, asked, posted(asked))

    def update(self, design: str, name: str, doc_id: str | None, asked: DesignRequest) -> Any:
        """``_update``."""
        return calls.update(self.db, calls.open_design(self.db, self.designs, design), name, doc_id, asked)

    def shown(self, response: Response) -> Any:
        """The answer that a rewrites function gave at once."""
        return response

    def not_allowed(self, method: str, allow: str) -> MethodNotAllowed:
        """The error for a method that a path does not have."""
        return MethodNotAllowed(f"Only {allow} allowed", allow)


def json_object(asked: DesignRequest) -> Doc:
    """The body, which must be a JSON object. Raises BadRequest."""
    value = jsonio.loads(asked.body)
    if not isinstance(value, dict):
        raise BadRequest("Request body must be a JSON object", f"It is a JSON {type(value).__name__}.")
    return value


def posted(asked: DesignRequest) -> Doc | None:
    """The body of a POST that has one."""
    return json_object(asked) if asked.method == "POST" and asked.body else None


def _reading(action: Action) -> Actions:
    """What may be asked with options in a body too."""
    return {"GET": action, "POST": action}


def _listed(body: Doc) -> list[Any]:
    docs = body.get("docs")
    if not isinstance(docs, list):
        raise BadRequest("POST body must include `docs` parameter.", f"Got {docs!r:.80}.")
    return docs
