"""Operations on one SQLite connection: ``op(conn, ...)``, one transaction each, no waiting.

They know nothing of threads, locks or files; :mod:`couchette.pool` lends the connection and commits.
"""

from couchette.store.attachments import get_attachment, put_attachment, remove_attachment
from couchette.store.compact import Freed, compaction
from couchette.store.conflicts import history, list_conflicts, remove_leaves, resolve
from couchette.store.copying import copy
from couchette.store.cursors import read_cursor, write_cursor
from couchette.store.dump import SupportsWrite, dump
from couchette.store.feed import changes, info, parse_seq, update_seq
from couchette.store.listing import UNSET, all_docs
from couchette.store.load import Loader
from couchette.store.local import local_docs
from couchette.store.purge import purge, purged_infos
from couchette.store.read import bulk_get, get, get_plain, revs_diff
from couchette.store.schema import check, migrate, read_meta, write_auto_compaction, write_revs_limit
from couchette.store.verify import verify
from couchette.store.write import bulk_docs, post, put, remove

__all__ = [
    "UNSET",
    "Freed",
    "Loader",
    "SupportsWrite",
    "all_docs",
    "bulk_docs",
    "bulk_get",
    "changes",
    "check",
    "compaction",
    "copy",
    "dump",
    "get",
    "get_attachment",
    "get_plain",
    "history",
    "info",
    "list_conflicts",
    "local_docs",
    "migrate",
    "parse_seq",
    "post",
    "purge",
    "purged_infos",
    "put",
    "put_attachment",
    "read_cursor",
    "read_meta",
    "remove",
    "remove_attachment",
    "remove_leaves",
    "resolve",
    "revs_diff",
    "update_seq",
    "verify",
    "write_auto_compaction",
    "write_cursor",
    "write_revs_limit",
]
