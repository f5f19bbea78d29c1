"""Text indexes of Mango: as design documents keep them, what they make of a document, and the documents they find.

CouchDB keeps them beside the other Mango indexes, in design documents of the language ``query``::

    {"language": "query", "indexes": {name: {"index": {..the definition..}, "analyzer": {..}}}}

All texts of a document are in the field ``$default``, in which ``$text`` looks; each value is also in a field by its
path, so that ``title:fox`` and ``year:[2000 TO 2010]`` find it. Elements of an array are in the array's field.
https://github.com/apache/couchdb/tree/main/src/mango (mango_idx_text, mango_native_proc) is where the form is from.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import orjson

from couchette.document import selector as selectors
from couchette.document.normal_selector import normalize
from couchette.document.selector import erlang_text
from couchette.errors import BadRequest, CouchetteError
from couchette.index.groups import Group, signature_of
from couchette.index.mango import LANGUAGE
from couchette.index.mango_rows import Connection, Found
from couchette.index.text_analysis import Analyzers, read_analyzers
from couchette.index.text_rows import Indexed
from couchette.index.text_scanning import Match
from couchette.limits import SQLITE_INT_MAX, TEXT_TERM_CHARS

Doc = dict[str, Any]

DEFAULT_FIELD: Final = "$default"
MEMBERS: Final = frozenset(
    ("default_analyzer", "default_field", "partial_filter_selector", "selector", "fields", "index_array_lengths")
)
"""What a definition may have."""

_ALL: Final = "all_fields"
_TYPES: Final = {str: "string", bool: "boolean", int: "number", float: "number"}
_FOUND: Final = (
    "SELECT w.key, docs.id, docs.body, docs.atts, docs.rev FROM json_each(?) AS w "
    "CROSS JOIN text_{}_doc AS t ON t.num=w.value "
    "CROSS JOIN docs ON docs.id=t.id AND docs.cur=1 AND docs.deleted=0"
)


@dataclass(frozen=True)
class MangoTextIndex:
    """A text index that a query may choose."""

    ddoc: str
    """``_design/x``."""
    name: str
    definition: Doc
    """All members, as CouchDB keeps them."""

    @property
    def sort_key(self) -> tuple[str, str]:
        """Its place in a listing."""
        return (self.ddoc, self.name)

    @property
    def partial_filter(self) -> Doc | None:
        """The selector of the documents that are in it; None for all. Older ones call it ``selector``."""
        return self.definition["partial_filter_selector"] or self.definition["selector"] or None

    @cached_property
    def default_analyzer(self) -> Any:
        """The analyzer of ``$default``; None where the index does without, so that ``$text`` cannot use it."""
        given = self.definition["default_field"]
        if isinstance(given, bool):
            return "standard" if given else None
        return given.get("analyzer", "standard") if given.get("enabled", True) else None

    @cached_property
    def group(self) -> Group:
        """The group of its rows."""
        return Group(signature_of("mango-text-1", self.as_member()), owner=self.ddoc)

    @cached_property
    def analyzers(self) -> Analyzers:
        """How its texts become terms."""
        return read_analyzers(self._analyzer())

    def _analyzer(self) -> Any:
        if self.default_analyzer is None:
            return self.definition["default_analyzer"]
        of_fields = {DEFAULT_FIELD: self.default_analyzer}
        return {"name": "perfield", "default": self.definition["default_analyzer"], "fields": of_fields}

    def as_member(self) -> Doc:
        """The index in its design document."""
        return {"index": self.definition, "analyzer": self._analyzer()}

    def as_json(self) -> Doc:
        """The index in CouchDB's listing."""
        shown = {**self.definition}
        if not shown["partial_filter_selector"]:
            del shown["partial_filter_selector"]
        fields = shown["fields"]
        shown["fields"] = [] if fields == _ALL else [{field["name"]: field["type"]} for field in fields]
        return {"ddoc": self.ddoc, "name": self.name, "type": "text", "partitioned": False, "def": shown}


def text_definition(written: Mapping[str, Any]) -> Doc:
    """A definition with all its members, checked; ``written`` has none but known ones. Raises BadRequest."""
    definition: Doc = {
        "default_analyzer": written.get("default_analyzer", "keyword"),
        "default_field": written.get("default_field", {}),
        "partial_filter_selector": normalize(written.get("partial_filter_selector", {})),
        "selector": normalize(written.get("selector", {})),
        "fields": _fields(written.get("fields", _ALL)),
        "index_array_lengths": written.get("index_array_lengths", True),
    }
    default: Any = definition["default_field"]
    if not isinstance(default, bool | Mapping):
        raise BadRequest("The default field of a text index must be an object.", f"Got {default!r:.80}.")
    enabled = default if isinstance(default, bool) else default.get("enabled", True)
    for value in (definition["index_array_lengths"], enabled):
        if not isinstance(value, bool):
            reason = f"Invalid boolean value: {erlang_text(value)}"
            raise BadRequest(reason, "Give true or false.", error="invalid_boolean")
    read_analyzers(MangoTextIndex("", "", definition)._analyzer())
    return definition


def _fields(given: Any) -> Any:
    """The fields of a definition; none stand for all."""
    if given in (_ALL, [], ()):
        return _ALL
    proper = isinstance(given, list | tuple) and all(
        isinstance(field, Mapping)
        and field.keys() == {"name", "type"}
        and isinstance(field["name"], str)
        and field["name"]
        and field["type"] in ("string", "number", "boolean")
        for field in given
    )
    if not proper:
        form = '{"name": "non-empty fieldname", "type": "boolean,number, or string"}'
        reason = f"Text Index field definitions must be of the form {form}. Def: {erlang_text(given)}"
        raise BadRequest(reason, "Without `fields` all are indexed.", error="invalid_index_fields_definition")
    return [dict(field) for field in given]


def mango_text_indexes(ddoc: Mapping[str, Any]) -> list[MangoTextIndex]:
    """The text indexes in a design document; malformed ones are passed over, as CouchDB does."""
    declared = ddoc.get("indexes")
    if ddoc.get("language") != LANGUAGE or not isinstance(declared, Mapping):
        return []
    found = []
    for name, member in declared.items():
        written = member.get("index") if isinstance(member, Mapping) else None
        if isinstance(written, Mapping) and written.keys() <= MEMBERS:
            try:
                found.append(MangoTextIndex(str(ddoc["_id"]), name, text_definition(written)))
            except CouchetteError:
                continue  # Others wrote it, and nobody here asked for it.
    return found


# -- What is made of a document -------------------------------------------------------------------


class TextMapper:
    """Which fields the documents have in a text index; an Indexer, as other text indexes have it."""

    def __init__(self, index: MangoTextIndex) -> None:
        self._accepts = selectors.compile(index.partial_filter or {})
        self._default = index.default_analyzer is not None
        fields = index.definition["fields"]
        self._fields = None if fields == _ALL else {(one["name"].replace(".[]", ""), one["type"]) for one in fields}

    def map(self, docs: Sequence[Doc]) -> list[list[Indexed]]:
        """Per document, the values of its fields."""
        return [list(self._entries(doc)) if self._accepts(doc) else [] for doc in docs]

    def _entries(self, doc: Doc) -> Iterator[Indexed]:
        for path, value in _values(doc):
            if self._fields is None or (path, _TYPES[type(value)]) in self._fields:
                if self._default and type(value) is str:
                    yield DEFAULT_FIELD, value, None
                if 0 < len(path) <= TEXT_TERM_CHARS:
                    yield path, value, None

    def close(self) -> None:
        """There is nothing to free."""


def _values(doc: Doc) -> Iterator[tuple[str, Any]]:
    """The texts, numbers and booleans of a document in its order, each with its path; of CouchDB's members ``_id``."""
    waiting: list[tuple[str, Any]] = [(_named(name), value) for name, value in doc.items() if _is_indexed(name)]
    waiting.reverse()
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [(f"{path}.{_named(name)}", part) for name, part in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(path, part) for part in reversed(value)]
        elif value is not None:
            yield path, value


def _is_indexed(name: str) -> bool:
    return not name.startswith("_") or name == "_id"


def _named(name: str) -> str:
    """A name as it is in a path."""
    return name.replace(".", "\\.")


# -- What is found --------------------------------------------------------------------------------


def found_documents(conn: Connection, num: int, matches: Sequence[Match]) -> Iterator[Found]:
    """The documents of matches as they are now, in the order of these; ``k`` tells a match: :func:`place_of` reads it.

    Those that were deleted since the index followed them are left out.
    """
    rows = conn.execute(_FOUND.format(num), (orjson.dumps([match for match, _ in matches]).decode(),))
    try:
        for at, *document in rows:
            match, by = matches[at]
            yield (orjson.dumps([*by, match]), *document)
    finally:
        rows.close()  # A statement under way would keep the connection's snapshot alive.


def place_of(k: bytes) -> list[Any]:
    """What a match was sorted by, and its number. Raises ValueError for bytes that tell none."""
    place = orjson.loads(k)
    if not (isinstance(place, list) and [type(part) for part in place] == [float, int] and place[1] <= SQLITE_INT_MAX):
        raise ValueError(k)
    return place
