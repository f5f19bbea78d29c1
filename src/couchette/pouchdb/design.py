"""The plug-ins that call design functions: ``show``, ``list``, ``update`` and ``rewrite``.

All operations take members of CouchDB's request object as options: ``method``, ``headers``, ``query``, ``form``,
``body``, ``cookie``, ``peer``, ``userCtx``, ``secObj``, ``uuid``. What is not given is as of a browser on this machine:
a GET, or a POST where there is a body or a form. Answers are CouchDB's response objects: ``{"code", "headers",
"body"}``, or with ``base64`` in the place of ``body``.

A database on a server is sent the request; ``withValidation`` has no meaning there, since a server validates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from couchette import __version__, jsonio
from couchette.design.designs import Designs, designs_of
from couchette.design.request import DesignRequest, ask, request_object
from couchette.design.rewriting import rewritten
from couchette.errors import BadRequest, from_answer
from couchette.functions import Response
from couchette.pouchdb import upkeep
from couchette.pouchdb.arguments import known
from couchette.pouchdb.core import DatabaseCore
from couchette.pouchdb.design_routes import PluginRoutes, parameters, response_object
from couchette.pouchdb.function_errors import plugin_errors
from couchette.pouchdb.validation import database_name, security_object, user_context, validated
from couchette.wire import names

Doc = dict[str, Any]

_REQUEST: Final = ("method", "headers", "query", "form", "body")
_TOLD: Final = ("cookie", "form", "info", "peer", "query", "uuid")
"""Options that are members of the request object as they are given."""
_WITH_BODY: Final = ("PATCH", "POST", "PUT")
_LOCAL_HOST: Final = "localhost:5984"
_BROWSER: Final = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "accept-language": "en-us,en;q=0.5",
}
_NOT_SENT: Final = frozenset({"host", "user-agent", "content-length"})
"""Headers that the client makes itself."""


def show(core: DatabaseCore, /, showPath: str, **options: Any) -> Doc:
    """What a show function makes of a document; ``showPath`` is ``"design/function"`` or ``"design/function/docid"``.

    The function is given null where there is no such document. Raises the error 404 ``not_found`` where there is no
    such function, 406 ``not_acceptable`` where none of what it provides is accepted.
    """
    design, name, *rest = _split(showPath, 2)
    asked = _asked(core, ["_design", design, "_show", name, *rest], options)
    if core.is_remote:
        return _sent(core, asked)
    with plugin_errors(_format(options)):
        answer: Doc = _routes(core, options).show(design, name, "/".join(rest) or None, asked)
    return answer


def list_(core: DatabaseCore, /, listPath: str, **options: Any) -> Doc:
    """What a list function makes of a view: ``"design/function/view"`` or ``"design/function/otherdesign/view"``.

    ``query`` has the options of the view, too. Raises the error 404 ``not_found`` where there is no such function or
    view, and 400 ``bad_request`` for a ``Content-Type`` that is not JSON.
    """
    design, *path = _split(listPath, 2)
    asked = _asked(core, ["_design", design, "_list", *path], options)
    if core.is_remote:
        return _sent(core, asked)
    if asked.media_type not in ("", "application/json"):
        raise BadRequest("invalid_json", f"The Content-Type is {asked.media_type}; a list is asked in JSON.")
    with plugin_errors(_format(options)):
        answer: Doc = _routes(core, options).render_list(design, path, asked)
    return answer


def update(core: DatabaseCore, /, url: str, **options: Any) -> Doc:
    """Have an update function write a document: ``"design/function"`` or ``"design/function/docid"``.

    What it returns first is written, what it returns second is the answer; its code is 201 if something was written.

    Option ``withValidation``: validate what it writes, as CouchDB does.

    Raises the error 404 ``not_found`` where there is no such function.
    """
    design, name, *rest = _split(url, 2)
    given = {"method": "PUT" if rest else "POST", **options}
    asked = _asked(core, ["_design", design, "_update", name, *rest], given)
    if core.is_remote:
        return _sent(core, asked)
    with plugin_errors(_format(options)):
        answer: Doc = _routes(core, options).update(design, name, "/".join(rest) or None, asked)
    return answer


def rewrite(core: DatabaseCore, /, url: str, **options: Any) -> Any:
    """Do what a request to ``"design/path"`` stands for by the design document's ``rewrites``.

    The answer is that of the method to which it leads, such as ``get``, ``query``, ``putAttachment`` or ``show``.
    Parameters are given as ``query``, not in the path.

    Option ``withValidation``: use the ``validating…`` methods where it leads to a write.

    Raises the error 404 ``not_found`` where no rule fits or the path leaves the database, 405 ``method_not_allowed``
    where it leads to something that has no such method.
    """
    design, *path = _split(url, 1)
    asked = _rewrite_request(core, design, path, options)
    if core.is_remote:
        return _sent(core, asked)
    with plugin_errors(_format(options)):
        return _routes(core, options).rewrite(design, path, asked)


def rewrite_result_request_object(core: DatabaseCore, /, url: str, **options: Any) -> Doc:
    """CouchDB's request object of the request to which :func:`rewrite` would lead."""
    design, *path = _split(url, 1)
    asked = _rewrite_request(core, design, path, options)
    designs = Designs() if core.is_remote else designs_of(core.database._pool)
    with plugin_errors():
        found = rewritten(core.database, designs, design, path, asked, binds_rest=PluginRoutes.binds_rest)
    if isinstance(found, Response):
        raise BadRequest(
            "The rewrites function answers at once.", f"It leads nowhere; `rewrite` has its answer: {url!r}."
        )
    parts = [segment.decode(errors="replace") for segment in found.segments]
    is_about_doc = parts[3:4] in (["_show"], ["_update"])
    told = replace(found, told={**found.told, "query": parameters(found)})
    return request_object(told, core.database, "/".join(parts[5:]) or None if is_about_doc else None)


# -- The request ----------------------------------------------------------------------------------


def _asked(core: DatabaseCore, path: list[str], options: Mapping[str, Any]) -> DesignRequest:
    """The request that the options describe, to this path of the database."""
    given = known(options, (*_REQUEST, *_TOLD))
    headers = {name.lower(): str(value) for name, value in given.get("headers", {}).items()}
    body, form = _content(given.get("body")), given.get("form") or None
    method = given.get("method") or "GET"
    if (body is not None or form is not None) and method not in _WITH_BODY:
        method = "POST"
    asked = ask(
        [database_name(core), *path],
        method=method,
        query=given.get("query"),
        headers={"host": _host(core), **_BROWSER, "user-agent": f"couchette/{__version__}", **headers},
        body=body,
        form=form if body is None else None,
        user_ctx=user_context(core, options),
        sec_obj=security_object(core, options),
    )
    return replace(asked, told={"info": upkeep.info(core), **{name: given[name] for name in _TOLD if name in given}})


def _rewrite_request(core: DatabaseCore, design: str, path: list[str], options: Mapping[str, Any]) -> DesignRequest:
    """What is asked of rewrites; the query is told as the rewritten request has it."""
    asked = _asked(core, ["_design", design, "_rewrite", *path], options)
    return replace(asked, told={name: value for name, value in asked.told.items() if name != "query"})


def _content(body: Any) -> str | bytes | None:
    """The body as text or bytes; an object is sent as JSON."""
    if body is None or isinstance(body, str | bytes):
        return body
    return bytes(body) if isinstance(body, bytearray | memoryview) else jsonio.dumps(body)


def _split(path: str, least: int) -> list[str]:
    """The parts of a path, at least so many; empty ones stand for those that are missing."""
    parts = [part for part in path.split("/") if part]
    return parts + [""] * (least - len(parts))


def _host(core: DatabaseCore) -> str:
    return urlsplit(core.database.url).netloc if core.is_remote else _LOCAL_HOST


def _format(options: Mapping[str, Any]) -> object:
    return (known(options, ("query",)).get("query") or {}).get("format")


# -- The answer -----------------------------------------------------------------------------------


def _routes(core: DatabaseCore, options: Mapping[str, Any]) -> PluginRoutes:
    writes_to = validated(core, options) if known(options, ("with_validation",)).get("with_validation") else core
    return PluginRoutes(writes_to, designs_of(core.database._pool))


def _sent(core: DatabaseCore, asked: DesignRequest) -> Doc:
    """The answer of the server, as a response object. Raises the error that it tells."""
    path = "/".join(names.quote(part.decode()) for part in asked.segments[1:])
    headers = {name.title(): value for name, value in asked.headers.items() if name not in _NOT_SENT}
    status, answered, content = core.database.request(
        asked.method, path, params=dict(asked.query.pairs), headers=headers, content=asked.body or None
    )
    if status >= 400 and (error := _error_of(content)) is not None:
        raise from_answer(status, error["error"], error["reason"])
    try:
        content.decode()
        is_binary = False
    except UnicodeDecodeError:
        is_binary = True
    return response_object(
        Response(status, {name.title(): value for name, value in answered.items()}, content, is_binary)
    )


def _error_of(content: bytes) -> Doc | None:
    """What a server tells as an error; None for an answer of the function's own."""
    try:
        told = jsonio.loads(content)
    except BadRequest:
        return None
    is_error = isinstance(told, dict) and isinstance(told.get("error"), str) and isinstance(told.get("reason"), str)
    return told if is_error else None
