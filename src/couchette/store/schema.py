"""The tables of a database file, their versions, and what a connection must be told.

``docs/schema.md`` explains the tables; this module makes, migrates and checks them. A file is ours when
its ``application_id`` says so; ``user_version`` is the version of the schema. ``MIGRATIONS[n]`` brings
version n to n + 1, so a new file is made by running all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

import apsw

from couchette import jsonio, surroundings
from couchette.document.revtree import RevTree
from couchette.errors import BadRequest, NewerSchema, NotADatabase
from couchette.limits import PURGED_INFOS_LIMIT, REVS_LIMIT, SQLITE_INT_MAX
from couchette.store.sql import make_views

APPLICATION_ID: Final = 0x636F7563
"""``couc``: what ``file(1)`` and we look for in SQLite's header."""


class Meta(NamedTuple):
    """The one row of ``meta``: what is true of the database as a whole.

    ``update_seq`` and ``purge_seq`` are high-water marks; ``doc_count`` counts documents whose winner
    is live, ``del_count`` the others, ``conflict_count`` those with several live leaves; ``created`` is in
    seconds since the epoch; ``auto_compaction`` is 1 when superseded bodies are dropped at once.
    """

    uuid: str
    created: int
    update_seq: int
    doc_count: int
    del_count: int
    purge_seq: int
    revs_limit: int
    auto_compaction: int
    conflict_count: int

    def seq_text(self, seq: int | None = None) -> str:
        """A sequence as the outside sees it: ``N-<uuid>``, so that another database's is recognised."""
        return f"{self.update_seq if seq is None else seq}-{self.uuid}"


_META: Final = f"SELECT {', '.join(Meta._fields)} FROM meta"


def read_meta(conn: apsw.Connection) -> Meta:
    """The database's counters and settings."""
    return Meta._make(conn.execute(_META).get)


def write_counts(conn: apsw.Connection, update_seq: int, doc_count: int, del_count: int) -> None:
    """Record the counters; part of every transaction that writes documents."""
    conn.execute("UPDATE meta SET update_seq=?, doc_count=?, del_count=?", (update_seq, doc_count, del_count))


def write_revs_limit(conn: apsw.Connection, revs_limit: int) -> None:
    """Set how many revisions each leaf keeps; existing trees are stemmed when they are next written."""
    if type(revs_limit) is not int or not 1 <= revs_limit <= SQLITE_INT_MAX:
        raise BadRequest("`revs_limit` must be a positive integer", f"Got {revs_limit!r}.")
    conn.execute("UPDATE meta SET revs_limit=?", (revs_limit,))


def write_auto_compaction(conn: apsw.Connection, auto_compaction: bool) -> None:
    """Set whether a write drops the bodies that it supersedes; older ones wait for compaction."""
    conn.execute("UPDATE meta SET auto_compaction=?", (bool(auto_compaction),))


def read_security(conn: apsw.Connection) -> dict[str, Any] | None:
    """CouchDB's ``_security`` object; None where it was never set."""
    text = conn.execute("SELECT security FROM meta").get
    if text is None:
        return None
    security: dict[str, Any] = jsonio.loads(text)
    return security


def write_security(conn: apsw.Connection, security: Mapping[str, Any]) -> None:
    """Replace the ``_security`` object. What it says is for the server to heed; here it is only kept."""
    if not isinstance(security, Mapping):
        raise BadRequest("Request body must be a JSON object", f"Got {type(security).__name__}.")
    conn.execute("UPDATE meta SET security=?", (jsonio.dumps(dict(security)).decode(),))


def read_partitioned(conn: apsw.Connection) -> bool:
    """Whether CouchDB's rule of partitions holds for the ids of this database."""
    return bool(conn.execute("SELECT partitioned FROM meta").get)


def write_partitioned(conn: apsw.Connection) -> None:
    """Make the database a partitioned one; it stays that. As ``_security``, it is for the server to heed."""
    conn.execute("UPDATE meta SET partitioned=1")


def count_conflict(conn: apsw.Connection, before: RevTree, after: RevTree) -> None:
    """Keep ``conflict_count`` when a document's tree changes; linear histories cannot change it."""
    step = bool(after.conflicts()) - bool(before.conflicts())
    if step:
        conn.execute("UPDATE meta SET conflict_count=conflict_count+?", (step,))


def check(conn: apsw.Connection, path: str) -> bool:
    """Whether the file has this version's tables; changes nothing. Raises NotADatabase, NewerSchema."""
    with conn:  # One snapshot: another process may just be making the tables.
        version = _version(conn, path)
    return version == len(MIGRATIONS)


def migrate(conn: apsw.Connection, path: str) -> None:
    """Make the tables, or bring them to this version. Raises NotADatabase, NewerSchema."""
    for migration in MIGRATIONS[_version(conn, path) :]:
        migration(conn)
    conn.pragma("application_id", APPLICATION_ID)
    conn.pragma("user_version", len(MIGRATIONS))


def _version(conn: apsw.Connection, path: str) -> int:
    """The schema version of the file, 0 for an empty one."""
    application, version = conn.pragma("application_id"), conn.pragma("user_version")
    if application == APPLICATION_ID:
        if version > len(MIGRATIONS):
            raise NewerSchema(
                f"{path} has schema version {version}; this couchette knows up to {len(MIGRATIONS)}.",
                "Upgrade with `pip install -U couchette`.",
            )
        return int(version)
    if application or conn.execute("SELECT count(*) FROM sqlite_schema").get:
        raise NotADatabase(f"{path} is not a couchette database.", "It is another program's SQLite file.")
    return 0


def _first(conn: apsw.Connection) -> None:
    conn.execute("""
        CREATE TABLE docs(              -- one row for each stored body
            seq INTEGER PRIMARY KEY,    -- update sequence; negative: a body that never was the winner's
            id TEXT NOT NULL,
            cur INT NOT NULL,           -- 1: the row of the document's winner, which speaks for the document
            rev TEXT NOT NULL,          -- 'N-id'
            deleted INT NOT NULL,
            prev INT,                   -- in a linear history the row that this one superseded
            tree,                       -- if cur=1: NULL no ancestors | BLOB their ids, newest first | TEXT a tree
            atts TEXT,                  -- NULL or JSON, in the order of `_attachments`
            body NOT NULL               -- BLOB of JSON; TEXT when it holds integers beyond 64 bits
        )""")
    conn.execute("CREATE UNIQUE INDEX docs_id ON docs(id) WHERE cur=1")
    conn.execute("CREATE TABLE local(id TEXT PRIMARY KEY, rev INT NOT NULL, body NOT NULL)")
    conn.execute("CREATE TABLE att(att INTEGER PRIMARY KEY, digest BLOB NOT NULL, size INT NOT NULL)")
    conn.execute("CREATE INDEX att_digest ON att(digest)")
    conn.execute("CREATE TABLE att_chunk(att INT NOT NULL, n INT NOT NULL, data BLOB NOT NULL, PRIMARY KEY(att, n))")
    conn.execute("""
        CREATE TABLE meta(
            uuid TEXT NOT NULL, created INT NOT NULL, update_seq INT NOT NULL, doc_count INT NOT NULL,
            del_count INT NOT NULL, purge_seq INT NOT NULL, revs_limit INT NOT NULL
        )""")
    fresh = (surroundings.uuid_hex(), int(surroundings.now().timestamp()), 0, 0, 0, 0, REVS_LIMIT)
    conn.execute("INSERT INTO meta VALUES(?,?,?,?,?,?,?)", fresh)


def _branched(conn: apsw.Connection) -> None:
    # Few documents ever branch: to list the conflicts, only those need be looked at.
    conn.execute("CREATE INDEX docs_branched ON docs(id) WHERE cur=1 AND typeof(tree)='text'")


def _maintained(conn: apsw.Connection) -> None:
    conn.execute("CREATE TABLE purges(purge_seq INTEGER PRIMARY KEY, id TEXT NOT NULL, revs TEXT NOT NULL)")
    conn.execute("ALTER TABLE meta ADD COLUMN auto_compaction INT NOT NULL DEFAULT 0")
    conn.execute("ALTER TABLE meta ADD COLUMN conflict_count INT NOT NULL DEFAULT 0")
    trees = conn.execute("SELECT tree FROM docs WHERE cur=1 AND typeof(tree)='text'")
    conflicted = sum(1 for (tree,) in trees if RevTree.load(tree).conflicts())
    conn.execute("UPDATE meta SET conflict_count=?", (conflicted,))


def _uploading(conn: apsw.Connection) -> None:
    # While an attachment arrives no revision names it yet: the mark keeps it from compaction.
    conn.execute("CREATE TABLE upload(upload INTEGER PRIMARY KEY, att INT NOT NULL, touched INT NOT NULL)")


def _indexed(conn: apsw.Connection) -> None:
    conn.execute("""
        CREATE TABLE index_groups(             -- one row for each index, whose tables are made with it
            num INTEGER PRIMARY KEY AUTOINCREMENT, signature TEXT NOT NULL UNIQUE, owner TEXT NOT NULL,
            seq INT NOT NULL DEFAULT 0,        -- update sequence reached
            purge_seq INT NOT NULL DEFAULT 0,  -- purges followed
            counts TEXT NOT NULL,              -- JSON: the rows of each view
            reducing INT NOT NULL DEFAULT 0    -- 1: partial results were computed
        )""")


def _secured(conn: apsw.Connection) -> None:
    conn.execute("ALTER TABLE meta ADD COLUMN security TEXT")  # NULL, or CouchDB's _security object as JSON


def _purges_limited(conn: apsw.Connection) -> None:
    conn.execute(f"ALTER TABLE meta ADD COLUMN purged_infos_limit INT NOT NULL DEFAULT {PURGED_INFOS_LIMIT}")


def _partitioned(conn: apsw.Connection) -> None:
    conn.execute("ALTER TABLE meta ADD COLUMN partitioned INT NOT NULL DEFAULT 0")


MIGRATIONS: Final[list[Callable[[apsw.Connection], None]]] = [
    _first,
    _branched,
    _maintained,
    _uploading,
    _indexed,
    _secured,
    make_views,
    _purges_limited,
    _partitioned,
]
