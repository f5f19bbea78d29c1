"""The invariants of the indexes, checked on one snapshot; :mod:`couchette.store.verify` checks those of the documents.

That is what can be told without running the functions again: whether the registry and the tables agree, whether all
rows are of documents that are there, and whether what is kept apart from the rows belongs to them. Which rows a
document should have only its functions know. An index may be behind, so a row is wrong only where the index has
followed the change that took its document away.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

import apsw
import orjson

Problem = dict[str, str]
"""As in :mod:`couchette.store.verify`."""

_TABLE: Final = re.compile(r"(?:view|reduction|value|text|spatial|rtree)_([0-9]+)(?:_.*)?")


class _Group(NamedTuple):
    num: int
    owner: str
    seq: int
    purge_seq: int
    counts: list[int]


def verify(conn: apsw.Connection) -> list[Problem]:
    """All that is wrong with the indexes: ``[{"id"?, "problem"}]``, empty if they are sound."""
    problems: list[Problem] = []
    tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    columns = "num, owner, seq, purge_seq, counts"
    found: list[Any] = conn.execute(f"SELECT {columns} FROM index_groups ORDER BY num").fetchall()
    groups = [_Group(num, owner, seq, purge_seq, orjson.loads(counts)) for num, owner, seq, purge_seq, counts in found]
    known = {group.num for group in groups}
    unknown = {int(match[1]) for match in map(_TABLE.fullmatch, tables) if match} - known
    problems += [{"problem": f"There are tables of an index {num}, which is not listed."} for num in sorted(unknown)]
    for group in groups:
        try:
            problems.extend(_of_group(conn, group, tables))
        except (apsw.CorruptError, apsw.SQLError) as exc:
            problems.append({"problem": f"SQLite cannot read on in {_named(group)}: {exc}."})
    return problems


def _named(group: _Group) -> str:
    return f"index {group.num} of {group.owner or 'a program'}"


def _of_group(conn: apsw.Connection, group: _Group, tables: set[str]) -> Iterator[Problem]:
    named = _named(group)
    for update_seq, purge_seq in conn.execute("SELECT update_seq, purge_seq FROM meta"):
        if group.seq > update_seq or group.purge_seq > purge_seq:
            yield {
                "problem": f"The {named} has followed more than there is: {group.seq}, and purges {group.purge_seq}."
            }
    for at, count in enumerate(group.counts):
        held = (f"view_{group.num}_{at}", f"spatial_{group.num}_{at}", f"text_{group.num}_doc")
        rows = next((name for name in held if name in tables), None)
        if rows is None:
            yield {"problem": f"The rows of view {at} of the {named} are not there."}
            continue
        stored = conn.execute(f"SELECT count(*) FROM {rows}").get
        if stored != count:
            yield {"problem": f"The count of rows of view {at} of the {named} is {count}, but there are {stored}."}
        for doc_id in _lost(conn, group, rows):
            yield {"id": doc_id, "problem": f"The {named} has rows of the document in view {at}, which is not there."}
        for what, sql in _beside(group.num, at, rows, tables):
            if amount := conn.execute(f"SELECT count(*) FROM ({sql})").get:
                yield {"problem": f"In view {at} of the {named} there are {what}: {amount}."}


def _lost(conn: apsw.Connection, group: _Group, rows: str) -> list[str]:
    """The documents with rows that were deleted or purged, as the index must know."""
    sql = f"""
        SELECT DISTINCT t.id FROM {rows} AS t LEFT JOIN docs ON docs.id=t.id AND docs.cur=1 WHERE CASE
            WHEN docs.id IS NULL THEN ?>=(SELECT purge_seq FROM meta)
            ELSE docs.deleted<>0 AND docs.seq<=? END"""
    found: list[Any] = conn.execute(sql, (group.purge_seq, group.seq)).fetchall()
    return [doc_id for (doc_id,) in found]


def _beside(num: int, at: int, rows: str, tables: set[str]) -> Iterator[tuple[str, str]]:
    """What may be wrong with the tables beside the rows of a view, each with a query for those that are so."""
    if rows.startswith("view_"):
        values = f"SELECT value FROM {rows} WHERE typeof(value)='integer'"
        yield "values that are not there", f"{values} AND value NOT IN (SELECT num FROM value_{num})"
        if f"reduction_{num}_{at}" in tables:
            nodes = f"SELECT k, id, n FROM reduction_{num}_{at} WHERE n>=0"
            yield "partial results that begin at no row", f"{nodes} EXCEPT SELECT k, id, n FROM {rows}"
    elif rows.startswith("text_"):
        listed, indexed = f"SELECT num FROM {rows}", f"SELECT id FROM text_{num}_docsize"
        yield "documents without terms", f"{listed} EXCEPT {indexed}"
        yield "terms of no document", f"{indexed} EXCEPT {listed}"
        yield "numbers of no document", f"SELECT num FROM text_{num}_number EXCEPT {listed}"
    else:
        trees = sorted(name for name in tables if re.fullmatch(f"rtree_{num}_{at}_[0-9]+", name))
        boxes = " UNION ALL ".join(f"SELECT rid FROM {tree}" for tree in trees) or "SELECT NULL WHERE 0"
        yield "rows that no R*Tree finds", f"SELECT rid FROM {rows} EXCEPT SELECT * FROM ({boxes})"
        yield "entries of R*Trees without a row", f"SELECT * FROM ({boxes}) EXCEPT SELECT rid FROM {rows}"
