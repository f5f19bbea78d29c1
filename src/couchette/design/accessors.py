"""What ``db.design`` is: the design functions of a database, for programs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from couchette import workers

if TYPE_CHECKING:
    from couchette.database import Database
    from couchette.design.calls import Updated
    from couchette.design.request import DesignRequest
    from couchette.functions import Response

Doc = dict[str, Any]
Body = str | bytes | None
Path = list[str]


class DesignCalls:
    """The design functions of one database, called in the caller's thread.

    A function is named by its design document and its name, ``"shop/label"``. What it is told of the request comes from
    the arguments, which all calls share:

    * ``method``: GET by default; POST where there is a body, or the function writes;
    * ``query``: the parameters. Texts are given as they are, other values and all keys as JSON, as in a URL;
    * ``headers``: by name; ``Accept`` chooses among what a function provides;
    * ``body``: text or bytes; or ``form``: fields, sent as an HTML form.

    ``userCtx`` and ``secObj`` are those of :meth:`Database.as_user`, and an administrator's otherwise.

    All raise NotFound for a design document or function that is not there, FunctionFailed and CompilationFailed for one
    that fails, and MissingExtra where ``couchette[js]`` is not installed.
    """

    def __init__(self, database: Database) -> None:
        self._db = database

    def show(
        self,
        function: str,
        id: str | None = None,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> Response:
        """What a show function makes of a document: a :class:`~couchette.functions.Response`.

        The function is given null where there is no such document, or no ``id``.
        """
        design, name = _names(function, "show")
        asked = self._asked(design, ["_show", name, *_parts(id)], method, query, headers, body, form)
        response: Response = self._routes().show(design, name, id, asked)
        return response

    def list(
        self,
        function: str,
        view: str,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """What a list function makes of the rows of a view: a :class:`~couchette.functions.Response`.

        ``view`` is the name of a view of the same design document, or ``"design/view"``; ``_all_docs`` is that listing.
        ``query`` has the options of the view too, such as ``{"start_key": 3, "descending": True}``.
        """
        design, name = _names(function, "list")
        path = [name, *view.split("/")]
        asked = self._asked(design, ["_list", *path], method, query, headers)
        response: Response = self._routes().render_list(design, path, asked)
        return response

    def update(
        self,
        function: str,
        id: str | None = None,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> Updated:
        """Have an update function make a document of the request and the document as it is, and write that.

        Return what it did: ``doc``, as it made it, or None; ``written``, ``{"ok", "id", "rev"}`` of that; and
        ``response``. If another edit comes between, this one raises Conflict.
        """
        design, name = _names(function, "update")
        path = ["_update", name, *_parts(id)]
        asked = self._asked(design, path, method or ("POST" if id is None else "PUT"), query, headers, body, form)
        done: Updated = self._routes().update(design, name, id, asked)
        return done

    def rewrite(
        self,
        path: str,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> Any:
        """Do what a request to ``"design/path"`` stands for, by the design document's ``rewrites``.

        It may be any request to the database: the answer is what the method that it means returns, such as a document,
        ``{"ok", "id", "rev"}`` or a Response.

        Raises:
            NotFound: no rule fits.
            FunctionFailed: ``insecure_rewrite_rule``, it would leave the database.
            MethodNotAllowed: the path that it stands for does not have this method.
        """
        design, parts, asked = self._rewrite(path, method, query, headers, body, form)
        return self._routes().rewrite(design, parts, asked)

    def resolve_rewrite(
        self,
        path: str,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> DesignRequest | Response:
        """The request that :meth:`rewrite` would make, with its ``method`` and ``target``; or a Response, where the
        function answered at once.
        """
        from couchette.design.rewriting import rewritten

        design, parts, asked = self._rewrite(path, method, query, headers, body, form)
        return rewritten(self._db, self._routes().designs, design, parts, asked)

    def filter(self, function: str, *, query: Mapping[str, Any] | None = None) -> Callable[[Doc], bool]:
        """A filter function of a design document, to be given to :meth:`Database.changes` as ``filter``.

        It is the function as it is now, however long the feed goes on.
        """
        from couchette.design.filters import filter_function

        asked = self._asked_at(["_changes"], None, query, None)
        judge = filter_function(self._db, self._routes().designs, function, asked)
        return lambda doc: bool(judge([doc])[0])

    def _rewrite(
        self,
        path: str,
        method: str | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        body: Body,
        form: Mapping[str, Any] | None,
    ) -> tuple[str, Path, DesignRequest]:
        design, *parts = [part for part in path.split("/") if part] or [""]
        return design, parts, self._asked(design, ["_rewrite", *parts], method, query, headers, body, form)

    def _asked(self, design: str, path: Path, *how: Any) -> DesignRequest:
        return self._asked_at(["_design", design, *path], *how)

    def _asked_at(
        self,
        path: Path,
        method: str | None,
        query: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> DesignRequest:
        from couchette.design.judging import judge_of
        from couchette.design.request import admin_context, ask, security_of

        judge = judge_of(self._db)
        return ask(
            [self._db.name, *path],
            method=method,
            query=query,
            headers=headers,
            body=body,
            form=form,
            user_ctx=admin_context(self._db.name) if judge is None else judge.user_ctx,
            sec_obj=security_of(self._db) if judge is None else judge.security,
        )

    def _routes(self) -> Any:
        from couchette.design.designs import designs_of
        from couchette.design.judging import pool_of
        from couchette.design.routing import Routes

        return Routes(self._db, designs_of(pool_of(self._db)))


def _names(function: str, kind: Literal["show", "list", "update"]) -> tuple[str, str]:
    from couchette.errors import BadRequest

    design, _, name = function.partition("/")
    if not design or not name:
        raise BadRequest(f"A {kind} function is named `design/name`.", f"Got {function!r}.")
    return design, name


def _parts(id: str | None) -> list[str]:
    return [] if id is None else [part for part in id.split("/") if part]


class AsyncDesignCalls:
    """As :class:`DesignCalls`, with methods to be awaited."""

    def __init__(self, database: Database) -> None:
        self._calls = DesignCalls(database)

    async def show(
        self,
        function: str,
        id: str | None = None,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> Response:
        """Async :meth:`DesignCalls.show`."""
        return await workers.in_thread(
            self._calls.show, function, id, method=method, query=query, headers=headers, body=body, form=form
        )

    async def list(
        self,
        function: str,
        view: str,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Async :meth:`DesignCalls.list`."""
        return await workers.in_thread(self._calls.list, function, view, method=method, query=query, headers=headers)

    async def update(
        self,
        function: str,
        id: str | None = None,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> Updated:
        """Async :meth:`DesignCalls.update`."""
        return await workers.in_thread(
            self._calls.update, function, id, method=method, query=query, headers=headers, body=body, form=form
        )

    async def rewrite(
        self,
        path: str,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> Any:
        """Async :meth:`DesignCalls.rewrite`."""
        return await workers.in_thread(
            self._calls.rewrite, path, method=method, query=query, headers=headers, body=body, form=form
        )

    async def resolve_rewrite(
        self,
        path: str,
        *,
        method: str | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body = None,
        form: Mapping[str, Any] | None = None,
    ) -> DesignRequest | Response:
        """Async :meth:`DesignCalls.resolve_rewrite`."""
        return await workers.in_thread(
            self._calls.resolve_rewrite, path, method=method, query=query, headers=headers, body=body, form=form
        )

    async def filter(self, function: str, *, query: Mapping[str, Any] | None = None) -> Callable[[Doc], bool]:
        """Async :meth:`DesignCalls.filter`; the filter itself is an ordinary function."""
        return await workers.in_thread(self._calls.filter, function, query=query)
