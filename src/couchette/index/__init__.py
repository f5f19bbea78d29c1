"""Indexes over the documents: rows in the order of their keys, kept up with the database's sequence.

Operations on one SQLite connection, as those of :mod:`couchette.store`: ``op(conn, ...)``, one transaction each. They
run no functions of users and never wait. :mod:`couchette.query.catching_up` drives them:

* :func:`open_group` makes an index, known by its signature (:mod:`couchette.index.groups`);
* :func:`read_batch` reads the next changes, :func:`rows_of` makes rows of what the functions emitted for them, and
  :func:`write_batch` stores those if the index still stands where the batch began;
* :func:`select` reads the rows of spans (:mod:`couchette.index.spans`), and :class:`Offsets` tells how
  many come before one;
* :mod:`couchette.index.reductions` keeps partial results of reduce functions;
* text indexes are groups with other tables: :mod:`couchette.index.text_rows` keeps them, and
  :mod:`couchette.index.text_matching` and :mod:`couchette.index.text_scanning` read them.
"""

from couchette.index.batches import Batch, changed_ids, read_batch
from couchette.index.groups import (
    Group,
    IndexedView,
    Position,
    State,
    drop_groups,
    find_group,
    find_group_and_newest,
    list_groups,
    newest,
    open_group,
    signature_of,
    size_of,
    state_of,
)
from couchette.index.offsets import Offsets
from couchette.index.reductions import Rows, cover, read_stale, write_values
from couchette.index.rows import key_function, rows_of, write_batch
from couchette.index.scanning import count, json_value, rows_of_ids, select, whole
from couchette.index.spans import Point, Span, after, before, span_of_key, span_of_prefix
from couchette.index.verify import verify

__all__ = [
    "Batch",
    "Group",
    "IndexedView",
    "Offsets",
    "Point",
    "Position",
    "Rows",
    "Span",
    "State",
    "after",
    "before",
    "changed_ids",
    "count",
    "cover",
    "drop_groups",
    "find_group",
    "find_group_and_newest",
    "json_value",
    "key_function",
    "list_groups",
    "newest",
    "open_group",
    "read_batch",
    "read_stale",
    "rows_of",
    "rows_of_ids",
    "select",
    "signature_of",
    "size_of",
    "span_of_key",
    "span_of_prefix",
    "state_of",
    "verify",
    "whole",
    "write_batch",
    "write_values",
]
