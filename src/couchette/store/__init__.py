"""Operations on one SQLite connection: ``op(conn, ...)``, one transaction each, no waiting.

They know nothing of threads, locks or files; :mod:`couchette.pool` lends the connection and commits.
"""

from couchette.store.attachments import check_base, find_attachment, get_attachment, put_attachment, remove_attachment
from couchette.store.bulk import bulk_docs
from couchette.store.cipher import check_key, refusal, unlock
from couchette.store.compact import Freed, compaction, superseded_bodies
from couchette.store.conflicts import history, list_conflicts, remove_leaves, resolve
from couchette.store.content import Held, Later, read_chunk, read_chunk_of_many
from couchette.store.copying import copy
from couchette.store.cursors import read_cursor, write_cursor
from couchette.store.dump import SupportsWrite, dump
from couchette.store.edits import Edit, design_revs, edits_of
from couchette.store.feed import body_sizes, changed_leaves, changes, info, parse_seq, update_seq
from couchette.store.listing import UNSET, all_docs, span_of
from couchette.store.load import Loader
from couchette.store.local import local_docs
from couchette.store.missing import missing_revs, revs_diff
from couchette.store.partitions import partition_numbers
from couchette.store.purge import purge, purged_infos, read_purged_infos_limit, write_purged_infos_limit
from couchette.store.read import View, bulk_get, get, get_plain, stored_docs
from couchette.store.schema import (
    check,
    migrate,
    read_meta,
    read_partitioned,
    read_security,
    write_auto_compaction,
    write_partitioned,
    write_revs_limit,
    write_security,
)
from couchette.store.texts import Shown, changes_texts, doc_text, docs_at, docs_head, docs_texts
from couchette.store.uploads import append_upload, compare_upload, discard_uploads, settle, shrink_cache
from couchette.store.verify import verify
from couchette.store.write import post, put, remove

__all__ = [
    "UNSET",
    "Edit",
    "Freed",
    "Held",
    "Later",
    "Loader",
    "Shown",
    "SupportsWrite",
    "View",
    "all_docs",
    "append_upload",
    "body_sizes",
    "bulk_docs",
    "bulk_get",
    "changed_leaves",
    "changes",
    "changes_texts",
    "check",
    "check_base",
    "check_key",
    "compaction",
    "compare_upload",
    "copy",
    "design_revs",
    "discard_uploads",
    "doc_text",
    "docs_at",
    "docs_head",
    "docs_texts",
    "dump",
    "edits_of",
    "find_attachment",
    "get",
    "get_attachment",
    "get_plain",
    "history",
    "info",
    "list_conflicts",
    "local_docs",
    "migrate",
    "missing_revs",
    "parse_seq",
    "partition_numbers",
    "post",
    "purge",
    "purged_infos",
    "put",
    "put_attachment",
    "read_chunk",
    "read_chunk_of_many",
    "read_cursor",
    "read_meta",
    "read_partitioned",
    "read_purged_infos_limit",
    "read_security",
    "refusal",
    "remove",
    "remove_attachment",
    "remove_leaves",
    "resolve",
    "revs_diff",
    "settle",
    "shrink_cache",
    "span_of",
    "stored_docs",
    "superseded_bodies",
    "unlock",
    "update_seq",
    "verify",
    "write_auto_compaction",
    "write_cursor",
    "write_partitioned",
    "write_purged_infos_limit",
    "write_revs_limit",
    "write_security",
]
