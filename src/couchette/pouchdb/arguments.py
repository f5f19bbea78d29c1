"""What programs may write for an argument, made into what the facades take.

Documents are dicts or JSON text. Options come in the spelling of PouchDB, of its older versions, of CouchDB or of
Python; here they get Python's. As with PouchDB, an operation takes the options that it knows and ignores the others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from couchette import jsonio
from couchette.errors import BadRequest, CouchetteError
from couchette.pouchdb.results import plain

Doc = dict[str, Any]

NOT_AN_OBJECT: Final = "Document must be a JSON object"
KEYS: Final = frozenset({"key", "start_key", "end_key", "start_range", "end_range"})
"""Options for which None is a value: null, the first of all keys."""

_SPELLINGS: Final = {
    "startkey": "start_key",
    "endkey": "end_key",
    "startkey_docid": "start_key_doc_id",
    "endkey_docid": "end_key_doc_id",
    "continuous": "live",
    "complete": "on_complete",
    "onchange": "on_change",
    "oncomplete": "on_complete",
    "docids": "doc_ids",
    "openrevs": "open_revs",
}
_HUMP: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")


@lru_cache(maxsize=1024)
def option_name(name: str) -> str:
    """The option's name in Python's spelling: ``onChange`` is ``on_change``, ``startkey`` is ``start_key``."""
    snake = _HUMP.sub(r"_\1", name).lower()
    return _SPELLINGS.get(snake, snake)


def options(given: Mapping[str, Any]) -> dict[str, Any]:
    """The options with their names in Python's spelling; those that are None, as undefined ones, are left out.

    Of :data:`KEYS` None is a value, and stays.
    """
    named = ((option_name(name), value) for name, value in given.items())
    return {name: value for name, value in named if value is not None or name in KEYS}


def known(given: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Those of the options, in Python's spelling, that an operation knows."""
    if not given:
        return {}
    asked = options(given)
    return {name: plain(asked[name]) for name in names if name in asked}


def is_on(given: Mapping[str, Any], name: str) -> bool:
    """Whether an option is given, and true."""
    return bool(given) and bool(options(given).get(name))


def document(doc: Any) -> Doc:
    """A document to be written: a dict, a result, or JSON text of one; it is not copied if it is plain already.

    Raises BadRequest for what is no JSON object.
    """
    if isinstance(doc, str):
        doc = jsonio.loads(doc)
    if not isinstance(doc, Mapping):
        raise BadRequest(NOT_AN_OBJECT, f"Give a dict or its JSON text, not {type(doc).__name__}.")
    checked: Doc = plain(doc if isinstance(doc, dict) else dict(doc))
    return checked


def json_value(value: Any) -> Any:
    """An argument that is any JSON: a value, or the text of an object or array."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        return jsonio.loads(value)
    return plain(value)


def document_id(id: Any) -> str:
    """The id of a document. Raises BadRequest for what is no text."""
    if not isinstance(id, str):
        raise BadRequest("_id field must contain a string", f"Got {id!r}.")
    return id


def attachment_data(data: Any) -> Any:
    """The content of an attachment: bytes, a binary file or an iterable of bytes; text is taken for base64."""
    if not isinstance(data, str):
        return data
    try:
        return base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise CouchetteError(
            "Attachment is not a valid base64 string",
            "Give the content as bytes: text.encode().",
            status=500,
            error="badarg",
        ) from exc


def snapshot(value: Any) -> Any:
    """An argument as it is now, for an operation that is done later: dicts and lists are copied at all levels."""
    if isinstance(value, dict):
        return {name: snapshot(member) for name, member in value.items()}
    if isinstance(value, list):
        return [snapshot(element) for element in value]
    if type(value) is tuple:
        return tuple(snapshot(element) for element in value)
    return value
