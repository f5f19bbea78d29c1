"""The tables of a text index, and how it follows the documents.

``text_<n>`` is the FTS5 table, without content: it finds documents by number and keeps no text. A document's number is
the sequence at which it was indexed, so an index that followed many changes has the same numbers, and the same order
of equally good matches, as one made anew. ``text_<n>_doc`` says which document a number is, what was stored of it, and
what it is sorted and counted by; ``text_<n>_number`` has its numbers, for ranges. ``text_<n>_term`` and
``text_<n>_place`` show the terms of the FTS5 table, and take no space.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import apsw
import orjson

from couchette import jsonio
from couchette.errors import BadRequest
from couchette.index.batches import Batch
from couchette.index.groups import Group, Position, State, find_group, state_of
from couchette.index.text_analysis import Analyzers
from couchette.index.text_terms import TOKENIZER, check_field, document_text, number_term, prefix_of
from couchette.limits import TEXT_SORTED_CHARS

logger = logging.getLogger(__name__)

Indexed = tuple[str, Any, Any]
"""(field, value, options), as the functions give them."""

_MEMBERS: Final = ("stored", "facets", "sorted", "boosts")


@dataclass
class TextRow:
    """What an index keeps of one document."""

    num: int
    id: str
    texts: list[str] = field(default_factory=list)
    """Terms, as they are given to FTS5."""
    numbers: set[tuple[str, float]] = field(default_factory=set)
    stored: dict[str, Any] = field(default_factory=dict)
    """By the field's name, as it is shown; all others by its prefix."""
    facets: dict[str, list[Any]] = field(default_factory=dict)
    sorted: dict[str, Any] = field(default_factory=dict)
    boosts: dict[str, float] = field(default_factory=dict)

    def add(self, name: str, value: Any, options: Any, analyzers: Analyzers) -> None:
        """Take in one value of a field. Raises BadRequest."""
        if type(value) is bool:
            value = "true" if value else "false"
        if type(value) is not str and not _is_double(value):
            return
        if options is not None and not isinstance(options, dict):
            raise BadRequest("The options of a field must be an object.", f"{name!r} got {options!r}.")
        options = options or {}
        prefix = prefix_of(check_field(name))
        if _is_on(options.get("store", False)):
            _append(self.stored, name, value)
        if not _is_on(options.get("index", True)):
            return
        if _is_on(options.get("facet", False)):
            self.facets.setdefault(prefix, []).append(value)
        if type(value) is str:
            self.texts.append(document_text(prefix, analyzers.of(name).terms(value)))
            if len(value) <= TEXT_SORTED_CHARS:
                self.sorted.setdefault(prefix, value)
        else:
            self.texts.append(document_text(prefix, [number_term(float(value))]))
            self.numbers.add((prefix, float(value)))
            self.sorted.setdefault(prefix, value)
        if (boost := options.get("boost", 1)) != 1:
            self.boosts[prefix] = _read_boost(name, boost)

    def columns(self) -> tuple[Any, ...]:
        """The row of ``text_<n>_doc``: objects as JSON, empty ones as NULL."""
        members = [getattr(self, name) for name in _MEMBERS]
        return (self.num, self.id, *(jsonio.dumps(member).decode() if member else None for member in members))


def _is_double(number: float) -> bool:
    """Whether a number has a place in the index: integers in documents may be larger than any double."""
    try:
        return math.isfinite(number)
    except OverflowError:
        return False


def _is_on(option: Any) -> bool:
    """Cloudant takes ``true``, and the ``"yes"`` and ``"no"`` of older versions."""
    return option is True or option in ("true", "yes")


def _append(stored: dict[str, Any], name: str, value: Any) -> None:
    """A field that is stored twice is shown as an array."""
    if name not in stored:
        stored[name] = value
    elif isinstance(stored[name], list):
        stored[name].append(value)
    else:
        stored[name] = [stored[name], value]


def _read_boost(name: str, boost: Any) -> float:
    if type(boost) not in (int, float) or not 0 < boost < math.inf:
        raise BadRequest("The boost of a field must be a positive number.", f"{name!r} has {boost!r}.")
    return float(boost)


def text_rows(group: Group, batch: Batch, indexed: Iterable[Sequence[Indexed]], analyzers: Analyzers) -> list[TextRow]:
    """The rows of the documents of a batch that gave any field.

    A document with a wrong option has none, and this is logged. Raises MissingExtra for a language without stemmers.
    """
    rows = []
    for seq, doc_id, fields in zip(batch.doc_seqs, batch.doc_ids, indexed, strict=True):
        row = TextRow(seq, doc_id)
        try:
            for name, value, options in fields:
                if value is not None:
                    row.add(name, value, options, analyzers)
        except BadRequest as exc:
            logger.warning("document %r is not in the text index of %s: %s", doc_id, group.owner, exc)
            continue
        if fields:
            rows.append(row)
    return rows


def open_text_group(conn: apsw.Connection, group: Group) -> State:
    """The state of a text index, whose tables are made if they are not there. A writing operation."""
    state = find_group(conn, group.signature)
    if state is not None:
        return state
    conn.execute("INSERT INTO index_groups(signature, owner, counts) VALUES(?,?,'[0]')", (group.signature, group.owner))
    num = conn.last_insert_rowid()
    table = f"text_{num}"
    conn.execute(
        f"CREATE VIRTUAL TABLE {table} USING fts5(terms, content='', contentless_delete=1, tokenize=\"{_quoted()}\")"
    )
    conn.execute(f"CREATE VIRTUAL TABLE {table}_term USING fts5vocab({table}, row)")
    conn.execute(f"CREATE VIRTUAL TABLE {table}_place USING fts5vocab({table}, instance)")
    members = ", ".join(f"{name} TEXT" for name in _MEMBERS)
    conn.execute(f"CREATE TABLE {table}_doc(num INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, {members})")
    conn.execute(f"CREATE INDEX {table}_boosted ON {table}_doc(num) WHERE boosts IS NOT NULL")
    conn.execute(f"""
        CREATE TABLE {table}_number(
            field TEXT NOT NULL, value REAL NOT NULL, num INT NOT NULL, PRIMARY KEY(field, value, num)
        ) WITHOUT ROWID""")
    conn.execute(f"CREATE INDEX {table}_number_num ON {table}_number(num)")
    return State(num, Position(0, 0), (0,), False)


def _quoted() -> str:
    return TOKENIZER.replace('"', '""')


def write_text_batch(conn: apsw.Connection, num: int, group: Group, batch: Batch, rows: Sequence[TextRow]) -> bool:
    """Let a text index follow a batch. False, and nothing is written, where it does not stand at its beginning."""
    state = state_of(conn, num)
    if state is None or state.position != batch.begin:
        return False
    gone = [] if batch.begin.seq == 0 else _numbers_of(conn, num, batch.ids)
    for table, column in ((f"text_{num}", "rowid"), (f"text_{num}_doc", "num"), (f"text_{num}_number", "num")):
        conn.executemany(f"DELETE FROM {table} WHERE {column}=?", gone)
    conn.executemany(
        f"INSERT INTO text_{num}(rowid, terms) VALUES(?,?)", ((row.num, " ".join(row.texts)) for row in rows)
    )
    conn.executemany(f"INSERT INTO text_{num}_doc VALUES(?,?,?,?,?,?)", (row.columns() for row in rows))
    conn.executemany(
        f"INSERT INTO text_{num}_number VALUES(?,?,?)",
        ((prefix, value, row.num) for row in rows for prefix, value in row.numbers),
    )
    counts = orjson.dumps([state.counts[0] + len(rows) - len(gone)]).decode()
    sql = "UPDATE index_groups SET seq=?, purge_seq=?, counts=? WHERE num=?"
    conn.execute(sql, (*batch.end, counts, num))
    return True


def _numbers_of(conn: apsw.Connection, num: int, ids: list[str]) -> list[tuple[int]]:
    sql = f"SELECT d.num FROM json_each(?) AS w CROSS JOIN text_{num}_doc AS d ON d.id=w.value"
    found: list[Any] = conn.execute(sql, (jsonio.dumps(list(dict.fromkeys(ids))).decode(),)).fetchall()
    return found


def text_size(conn: apsw.Connection, num: int) -> int:
    """How many bytes a text index takes, about."""
    terms = conn.execute(f"SELECT sum(length(block)) FROM text_{num}_data").get
    members = " + ".join(f"ifnull(length({name}), 0)" for name in _MEMBERS)
    docs = conn.execute(f"SELECT sum(2 * length(id) + {members}) FROM text_{num}_doc").get
    return int(terms or 0) + int(docs or 0)
