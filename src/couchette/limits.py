"""Every bound and default, with its reason. Numbers that live elsewhere are mistakes."""

from __future__ import annotations

from typing import Final

# -- Documents ------------------------------------------------------------------------------------

REVS_LIMIT: Final = 1000
"""Revisions kept on the path of each leaf; CouchDB's and PouchDB's default."""

DOC_BYTES_MAX: Final = 8_000_000
"""CouchDB's ``max_document_size``: a document whose JSON is longer is refused with 413."""

JSON_NESTING_MAX: Final = 1000
"""Levels of arrays and objects in a document. orjson reads 1024; CouchDB takes 10,000 and more, which
no Python JSON library survives. Deeper documents are refused with 400, never truncated."""

JSON_NESTING_READ_MAX: Final = 1024
"""What orjson reads: an answer or request may wrap the deepest document in the 24 levels between."""

ATTACHMENT_CHUNK_BYTES: Final = 256 * 1024
"""Attachment content is stored in rows of this size: as fast as larger ones, and memory stays bounded."""

DATABASE_NAME_BYTES_MAX: Final = 238
"""CouchDB's ``max_database_name_length``: the file system's 255 less its own suffixes."""

SELECTOR_NESTING_MAX: Final = 100
"""Levels of a Mango selector: a level costs Python calls when it is compiled and for each document, and far fewer
are in use. A deeper one is refused with 400."""

FEED_PAGE_DOCS: Final = 500
"""Documents that a live feed looks at in one read: many enough for speed, few enough for memory and for `cancel`."""

PENDING_EXACT_MAX: Final = 1000
"""Up to so many sequences after a page of changes, ``pending`` is counted; beyond it is an upper bound."""

REV_KEYS_CACHED: Final = 4096
"""Member names kept encoded for hashing revisions: far more than the schemas of one program have."""

REV_KEY_CHARS_CACHED: Final = 64
"""Longer member names are data rather than schema and are not kept, so the cache stays below 1 MB."""

ITERATED_PAGE_DOCS: Final = 1000
"""Ids that iterating a database reads at a time: a fraction of a millisecond, and little memory."""

# -- SQLite ---------------------------------------------------------------------------------------

BUSY_TIMEOUT_MS: Final = 5000
"""How long a writer waits for another process's transaction before DatabaseBusy."""

OPEN_RETRY_PAUSE_S: Final = 0.01
"""Pause between tries to open a file that others are just making or closing."""

CACHE_KIB: Final = 65536
"""Page cache of a connection. The writer profits most; readers allocate only what they touch."""

PAGE_BYTES: Final = 8192
"""Page size of new files. With SQLite's default of 4096 the commit of a bulk write takes half as long again,
that of a single document a quarter less: imports and replication come first."""

WAL_PAGES: Final = 4000
"""Pages (32 MB) that the write-ahead log takes before they are moved to the file. SQLite's default of 1000
waits for the disk four times as often; beyond 4000 the gain is small, and recovery and readers pay."""

COMPACT_BODIES: Final = 1000
"""Superseded bodies that compaction drops in one transaction: measured to take 3 ms, or 50 ms when the write-ahead
log is moved to the file just then."""

COMPACT_CONTENT_BYTES: Final = 16 * 1024 * 1024
"""Attachment content that compaction drops in one transaction, and at least one whole attachment (300 MB: 8 ms)."""

COMPACT_PAGES: Final = 1000
"""Free pages that compaction returns in one transaction: 8 MB, measured to take 8 ms."""

STATEMENT_CACHE: Final = 100
"""Prepared statements kept by a connection; all of ours fit."""

IDLE_READERS_MAX: Final = 8
"""Read connections kept open between uses; more are opened under load and closed after it."""

FOREIGN_WRITES_POLL_S: Final = 0.5
"""How often a waiting reader looks for commits of other processes, which cannot wake it."""

SQLITE_INT_MAX: Final = 2**63 - 1
"""The greatest integer that SQLite holds: no sequence, count or number of a _local revision is beyond it."""

LOAD_LINES: Final = 500
"""Lines of a dump restored in one transaction: the write-ahead log stays below 125 MB where they are attachments'
chunks, and with ordinary documents more of them gain nothing."""

# -- Replication ----------------------------------------------------------------------------------

BATCH_DOCS: Final = 500
"""Changes asked for and documents moved in one batch; CouchDB's ``worker_batch_size``."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""A push is cut into requests of about this size, well below common proxies' body limits."""

BATCHES_AHEAD: Final = 2
"""Batches fetched ahead of the one being written: enough to hide a round trip, little memory."""

CHECKPOINT_HISTORY_MAX: Final = 50
"""Sessions kept in a checkpoint document, as CouchDB keeps them."""

HTTP_CONNECTIONS: Final = 20
"""Connections of one replication to one host; CouchDB's ``http_connections``."""

HTTP_TIMEOUT_S: Final = 30.0
"""Silence after which a request is given up; CouchDB's replicator ``connection_timeout``."""

HTTP_RETRIES: Final = 4
"""Repeats of a request after a network error, 429, 500, 502, 503 or 504, with doubled pauses between them."""

HTTP_RETRY_PAUSE_S: Final = 0.25
"""First pause before a repeat; the n-th is 2**n times as long, as CouchDB's replicator does."""

URL_PATH_MAX: Final = 7000
"""``atts_since`` and ``open_revs`` lists are cut so that a request path stays below this; CouchDB's bound."""

# -- Server ---------------------------------------------------------------------------------------

REQUEST_BYTES_MAX: Final = 4 * 1024**3
"""CouchDB's ``max_http_request_size``."""

REQUEST_TARGET_BYTES_MAX: Final = 32 * 1024
"""A longer path and query is refused with 414, on which CouchDB's replicator asks for less at a time. Its own
bound is 8 KB (answered by 400); ours leaves room within the 64 KB that uvicorn reads of a request's head."""

SHUTDOWN_GRACE_S: Final = 5
"""How long a server that stops waits for requests under way; a client that stalls must not keep it."""

LONGPOLL_TIMEOUT_MS: Final = 60_000
"""Default and largest ``timeout`` of a waiting changes feed; CouchDB's ``changes_timeout``."""

assert ATTACHMENT_CHUNK_BYTES < BATCH_BYTES
assert JSON_NESTING_MAX < JSON_NESTING_READ_MAX
