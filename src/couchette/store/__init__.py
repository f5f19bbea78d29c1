"""Operations on one SQLite connection: ``op(conn, ...)``, one transaction each, no waiting.

They know nothing of threads, locks or files; :mod:`couchette.pool` lends the connection and commits.
"""

from couchette.store.attachments import get_attachment, put_attachment, remove_attachment
from couchette.store.feed import changes, info, parse_seq, update_seq
from couchette.store.listing import UNSET, all_docs
from couchette.store.local import get_local
from couchette.store.read import bulk_get, get, get_plain, revs_diff
from couchette.store.schema import check, migrate, read_meta, write_revs_limit
from couchette.store.write import bulk_docs, post, put, remove

__all__ = [
    "UNSET",
    "all_docs",
    "bulk_docs",
    "bulk_get",
    "changes",
    "check",
    "get",
    "get_attachment",
    "get_local",
    "get_plain",
    "info",
    "migrate",
    "parse_seq",
    "post",
    "put",
    "put_attachment",
    "read_meta",
    "remove",
    "remove_attachment",
    "revs_diff",
    "update_seq",
    "write_revs_limit",
]
