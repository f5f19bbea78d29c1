"""Every bound and default, with its reason. Numbers that live elsewhere are mistakes."""

from __future__ import annotations

from typing import Final

# -- Documents ------------------------------------------------------------------------------------

PURGED_INFOS_LIMIT: Final = 1000
"""Purges that compaction leaves in the log, unless the database says otherwise; CouchDB's default."""

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

ATTACHMENT_PORTION_CHUNKS: Final = 8
"""Chunks (2 MB) of an attachment that arrives which are held in memory, taken in by one hop to a thread and then stored
in one transaction; what is smaller is stored with its document. Larger portions are no faster, and each upload under
way holds some: one that arrives, one that is digested, one that is stored."""

ATTACHMENT_HOP_BYTES: Final = 1024 * 1024
"""Content that is read by one hop to a worker thread: a hop takes as long as reading 256 KB."""

UPLOAD_IDLE_S: Final = 3600
"""An upload that stored nothing for so long was interrupted, and compaction frees it. One that only has a very slow
source says every ``UPLOAD_TOUCH_S`` that it lives."""

UPLOAD_TOUCH_S: Final = 600
"""How often a slow upload says that it lives."""

UPLOAD_CACHED_BYTES: Final = 4 * 1024 * 1024
"""After so much of an upload its pages are dropped from the writer's page cache, where nobody needs them: otherwise
they would fill all of it. To drop them often costs nothing: their memory serves the next ones."""

ATTACHMENT_CACHED_BYTES: Final = 8 * 1024 * 1024
"""While a larger attachment is read, a reader's page cache is dropped when it has grown beyond this: what still lies in
the log, or is encrypted, is read by way of the cache, and would fill all of it with pages that nobody reads again."""

ATTACHMENT_UNPACKED_BYTES: Final = 32 * 1024 * 1024
"""How much more than the stubs say the attachments of one read may become when they are unpacked in memory. Who
uploads gzip says himself how long it is unpacked, and a kilobyte of it may be a megabyte."""

DATABASES_AWAKE_MAX: Final = 500
"""Databases of a folder that keep their files open, as CouchDB's ``max_dbs_open``. Those that were not asked for
longest let go of theirs until they are used again."""

DATABASE_NAME_BYTES_MAX: Final = 237
"""The file system's 255 less ``.couchette`` and SQLite's ``-journal``. CouchDB's is one more."""

SELECTOR_NESTING_MAX: Final = 100
"""Levels of a Mango selector: a level costs Python calls when it is compiled and for each document, and far fewer
are in use. A deeper one is refused with 400."""

PATTERN_S: Final = 0.5
"""Of a regular expression in a selector or a search, on one text: ordinary ones take microseconds, and a megabyte of
text some milliseconds. Without a bound one request could keep a processor busy for years."""

FEED_PAGE_DOCS: Final = 500
"""Documents that a live feed looks at in one read: many enough for speed, few enough for memory and for `cancel`."""

LISTING_PAGE_ROWS: Final = 2500
"""Rows of a listing or of changes that the server reads at once: this takes five milliseconds, beside which a hop to
another thread counts for little."""

LISTING_BLOCK_ROWS: Final = 250
"""Rows of such a page whose text is made at once: few enough that the processor's cache still holds what it is made of,
which is a tenth of the time."""

LISTING_BODY_BYTES: Final = 4000
"""Where all bodies of such a block are shorter, SQLite makes its text by itself, a megabyte at most; other blocks are
looked at row by row."""

LISTING_PAGE_BYTES: Final = 1024 * 1024
"""Such a page ends at this size, so that an answer takes little memory whatever is listed, and however much of it."""

PENDING_EXACT_MAX: Final = 1000
"""Up to so many sequences after a page of changes, ``pending`` is counted; beyond it is an upper bound."""

REV_KEYS_CACHED: Final = 4096
"""Member names kept encoded for hashing revisions: far more than the schemas of one program have."""

REV_KEY_CHARS_CACHED: Final = 64
"""Longer member names are data rather than schema and are not kept, so the cache stays below 1 MB."""

ALIKE_DOCS_MIN: Final = 24
"""Bodies of one shape from which hashing them by columns is faster than one by one."""

ALIKE_NESTING_MAX: Final = 8
"""Containers inside one another that are hashed by columns; deeper ones are rare and differ."""

DOCS_TOGETHER: Final = 250
"""Documents that are taken apart and hashed together: enough for columns, few enough for the processor's cache."""

DOCS_TOGETHER_MIN: Final = 4
"""Documents from which taking them apart together is faster than one by one."""

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

LOG_MOVED_BYTES: Final = 8 * 1024 * 1024
"""So much of an upload is moved from the log to the file at once, beside the upload: a quarter of ``WAL_PAGES``, so
that little of a log that is full is left to be moved while the upload waits."""

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

IDLE_READERS_KEYED_MAX: Final = 40
"""The same for an encrypted file, where opening one takes 35 ms of deriving the key: as many as anyio has threads."""

FOREIGN_WRITES_POLL_S: Final = 0.5
"""How often a waiting reader looks for commits of other processes, which cannot wake it."""

SQLITE_INT_MAX: Final = 2**63 - 1
"""The greatest integer that SQLite holds: no sequence, count or number of a _local revision is beyond it."""

LOAD_LINES: Final = 500
"""Lines of a dump restored in one transaction: the write-ahead log stays below 125 MB where they are attachments'
chunks, and with ordinary documents more of them gain nothing."""

# -- Indexes --------------------------------------------------------------------------------------

INDEX_BATCH_DOCS: Final = 500
"""Documents that an index follows in one transaction: one call of JavaScript; writers wait for 10 ms."""

INDEX_BATCH_BYTES: Final = 4 * 1024 * 1024
"""A batch of large documents ends here, so that building an index takes little memory whatever is in the database."""

INDEX_VALUE_BYTES: Final = 1000
"""A longer value does not lie in its row: rows are in the order of their keys, and large ones spread the pages."""

INDEX_FAN_OUT_BITS: Final = 5
"""A partial result stands for 2**5 rows or partial results on average. With fewer there are more levels to go through,
with more there is more to compute at the ends of a range and after each change."""

INDEX_MILESTONE_ROWS: Final = 100
"""Every so many rows of a view one is noted, to tell how many come before another: to count so many takes about as long
as the statement that does it."""

INDEX_MILESTONES_BYTES: Final = 1024 * 1024
"""What is noted of a view in memory, about: of millions of rows, or of fewer whose keys are large."""

INDEX_MILESTONE_VIEWS: Final = 32
"""Views of a database of which that is kept."""

INDEX_STALE_NODES: Final = 500
"""Partial results computed anew in one transaction, of about 32 rows each."""

INDEX_GROUP_ROWS: Final = 100
"""A group of more rows is reduced by its partial results; fewer are as quickly read."""

COMPILED_VIEWS_MAX: Final = 16
"""Design documents whose views a database keeps compiled; one in JavaScript has a thread and about 1 MB."""

# -- Replication ----------------------------------------------------------------------------------

BATCH_DOCS: Final = 2000
"""Changes asked for and documents moved in one batch, at most. CouchDB's ``worker_batch_size`` is 500, of which it
moves four at a time; with 500 here the requests and transactions would take a fifth of a first pull."""

BATCH_BYTES: Final = 4 * 1024 * 1024
"""A push is cut into requests of about this size, well below common proxies' body limits."""

INCLUDED_BYTES_MAX: Final = 2 * BATCH_BYTES
"""A page of changes with its documents that gets larger is asked for again without them. Pages are made to fit into
half of it, as far as the sizes of documents can be foreseen."""

FETCHES_AHEAD: Final = 2
"""Fetches whose answers are awaited beside the one being handed on: the source works on one while we read another.
With one a pull from a server on the same machine takes a quarter longer; with three it is no faster."""

BATCHES_AHEAD: Final = 2
"""Batches fetched ahead of the one being written: enough to hide a round trip, little memory."""

STREAMED_WRITES: Final = 2
"""Documents with large attachments that are moved beside each other: while one is settled, or asked for, the bytes of
the other flow. Each holds some megabytes; more of them are no faster."""

BATCH_DOCS_FIRST: Final = 100
"""Revisions in the first fetch of a session: how large and how far away they are is not known yet."""

BATCH_SECONDS_GOOD: Final = 1.0
"""A fetch that takes less may be twice as large next time."""

BATCH_SECONDS_LONG: Final = 5.0
"""A fetch that takes longer is halved, so that a weak line gets something done between its cuts."""

CHECKPOINT_INTERVAL_S: Final = 5.0
"""Least time between two checkpoints of a session: each takes four requests, and saves only comparisons. CouchDB
waits 30 s."""

CHECKPOINT_HISTORY_MAX: Final = 50
"""Sessions kept in a checkpoint document, as CouchDB keeps them."""

REFUSED_KEPT_MAX: Final = 10_000
"""Refused documents that are remembered for another try: about 2 MB. With more of them no checkpoint is recorded."""

REFUSED_REASON_CHARS: Final = 200
"""Characters kept of the reason of a refusal: what a person needs, and little enough for the list to be stored."""

LIVE_CHECK_S: Final = 600.0
"""How often a live replication that has nothing to do offers refused documents again, since the target's rules may have
changed, and looks whether both databases are still those that they were: a few requests."""

RETRY_FIRST_S: Final = 1.0
"""Pause of a live replication after the first failure; each further one doubles it."""

RETRY_MAX_S: Final = 60.0
"""Longest such pause: what one waits for after a server has come back, where nothing tells of it."""

DENIED_RETRY_S: Final = 300.0
"""Pause after a 401 or 403, unless the credentials are changed: only somebody's decision ends those."""

JOB_RETRY_FIRST_S: Final = 30.0
"""Pause of a job that ended by an error which waiting may or may not heal, such as a database that is not there; each
further one doubles it. CouchDB's scheduler begins with 30 s too."""

JOB_RETRY_MAX_S: Final = 8 * 3600.0
"""Longest such pause; CouchDB's."""

JOB_HISTORY_MAX: Final = 20
"""Starts and crashes that are remembered of a job; CouchDB's ``max_history``."""

JOBS_MAX: Final = 500
"""Replications of ``_replicator`` that run at once; CouchDB's default of ``max_jobs``."""

JOBS_INTERVAL_S: Final = 60.0
"""How often jobs that wait in line get the turns of others; CouchDB's default of ``interval``."""

JOBS_CHURN_MAX: Final = 20
"""Jobs that lose their turn at once; CouchDB's default of ``max_churn``."""

JOBS_PAGE: Final = 100
"""Changes of ``_replicator`` read at once, with their documents."""

HTTP_CONNECTIONS: Final = 20
"""Connections of one replication to one host; CouchDB's ``http_connections``."""

HTTP_KEEPALIVE_S: Final = 5.0
"""How long a connection that nobody uses is kept, as httpx keeps it."""

HTTP_READ_BYTES: Final = 256 * 1024
"""What is read from a connection at once, at most. With httpcore's 64 KB long answers take half as much processor time
again; large attachments, which are not parsed, take no less with 1 MB."""

HTTP_TIMEOUT_S: Final = 30.0
"""Silence after which a request is given up; CouchDB's replicator ``connection_timeout``."""

HTTP_RETRIES: Final = 4
"""Repeats of a request after a network error, 429, 500, 502, 503 or 504, with doubled pauses between them."""

HTTP_RETRY_PAUSE_S: Final = 0.25
"""First pause before a repeat; the n-th is 2**n times as long, as CouchDB's replicator does."""

HTTP_BUSY_RETRIES: Final = 10
"""Repeats of a request that a server puts off by 429: it does its work, and only wants less of it at a time."""

HTTP_BUSY_PAUSE_MAX_S: Final = 25.0
"""Longest pause after a 429 without Retry-After; the cap of CouchDB's own limiter."""

RETRY_AFTER_MAX_S: Final = 120.0
"""A server that asks for a longer pause ends the request with TooManyRequests; until then it is obeyed silently."""

SESSION_LIFE_S: Final = 600.0
"""Life of a session cookie that names none; CouchDB's default ``timeout``."""

SESSION_RENEWED_AT: Final = 0.8
"""Part of its life after which a session is renewed: a request that is queued then still arrives in time."""

TOKEN_RENEWED_BEFORE_S: Final = 30.0
"""A bearer token is renewed so long before it expires: clocks differ, and requests wait for their turn."""

FEED_HEARTBEAT_S: Final = 10.0
"""Newlines asked of a waiting changes feed; PouchDB's default. Common proxies cut a line after 60 s of silence."""

FEED_SILENCE_S: Final = 30.0
"""Silence on a changes feed after which it is given up: three heartbeats were missed."""

LONGPOLL_S: Final = 25.0
"""How long a waiting request waits where heartbeats do not come through: less than HTTP_TIMEOUT_S."""

REMOTE_RANGE_BYTES: Final = 4 * 1024 * 1024
"""How much of an attachment on a server is asked for at once while it is read as a file, and held in memory."""

REMOTE_EDIT_TRIES: Final = 10
"""How often ``db[id] = doc`` without a rev is tried on a server where others write the document meanwhile."""

FIND_LIMIT_REMOTE_MAX: Final = 2**31 - 1
"""The ``limit`` that is asked of a server for all that is found: ``_find`` has 25 where it is left out."""

ATTACHMENT_INLINE_BYTES_MAX: Final = 1024 * 1024
"""A larger attachment is streamed from one side to the other; smaller ones travel in batches, held in memory."""

URL_PATH_MAX: Final = 7000
"""``atts_since`` and ``open_revs`` lists are cut so that a request path stays below this; CouchDB's bound."""

# -- Find -----------------------------------------------------------------------------------------

FIND_LIMIT: Final = 25
"""Documents that a find returns when it is not told: CouchDB's and PouchDB's default."""

FIND_COUNT_MAX: Final = 2**62 - 1
"""What larger ``limit`` and ``skip`` mean: CouchDB takes any number, and the sum of both must be one of 64 bits."""

FIND_RANGES_MAX: Final = 1000
"""Ranges that a find reads of one index, of ``$in`` and ``$or``: each costs a look-up. What would be more is read as
fewer, wider ones."""

FIND_PARSED_ROWS: Final = 200
"""Documents of an index that are parsed in one go: more save nothing, and their JSON is held once more meanwhile."""

FIND_ALL_TRIES: Final = 3
"""How often a live query brings its index up to date for a snapshot before it reads the documents by id: only a
writer that is faster than the index makes a second try necessary."""

FIND_SCAN_RATIO: Final = 10
"""Documents examined for each one returned above which a find warns; CouchDB's ``index_scan_warning_threshold``."""

# -- Search ---------------------------------------------------------------------------------------

SEARCH_LIMIT: Final = 25
"""Rows that a search returns when it is not told; CouchDB's default."""

SEARCH_LIMIT_MAX: Final = 200
"""Most rows of one search over HTTP; CouchDB's ``max_limit``."""

TEXT_TERM_CHARS: Final = 8000
"""Characters of a term that count: FTS5 cuts terms at 32,768 bytes, and a character takes up to four."""

TEXT_SORTED_CHARS: Final = 256
"""Longer texts are no names or keys, and results are not sorted by them: they would be stored twice."""

TEXT_EXPANDED_MAX: Final = 1024
"""Terms that a wildcard, a regular expression or a fuzzy term may stand for; Lucene's ``maxClauseCount``."""

TEXT_QUERY_CHARS: Final = 8192
"""Length of a search query: to parse one takes time by the square of its words, so much of them a third of a second."""

TEXT_NESTING_MAX: Final = 30
"""Levels of a search query, two for each parenthesis: FTS5's parser has a stack of 100 places, of which each takes
three."""

TEXT_WEIGHTS_MAX: Final = 400
"""Different boosts in a search query: each is a SELECT by itself, of which SQLite joins 500."""

# -- Spatial --------------------------------------------------------------------------------------

SPATIAL_DIMENSIONS_MAX: Final = 5
"""Dimensions of SQLite's R*Tree; a geometry takes two."""

SPATIAL_NUMBER_MAX: Final = 3e38
"""Coordinates reach that far: an R*Tree keeps numbers of 32 bits, and a larger one would be infinite."""

SPATIAL_PORTION_ROWS: Final = 1000
"""Rows of a spatial answer that are read at once: what a limit leaves out beyond them is not read at all."""

SPATIAL_NESTING_MAX: Final = 16
"""GeometryCollections within one another, which RFC 7946 advises against altogether."""

# -- SQL ------------------------------------------------------------------------------------------

SQL_TIME_S: Final = 30.0
"""Time of a query in SQL, unless it says otherwise: a scan of a million documents takes a tenth of it. One that forgot
its condition of a join ends some time, and lets go of its snapshot, which keeps the write-ahead log from shrinking."""

SQL_ROWS_MAX: Final = 100_000
"""Rows of its answer, which is held in memory: with documents of 1 KB some 150 MB."""

SQL_STEPS: Final = 10_000
"""Instructions of SQLite between two looks at the clock: well below a millisecond, and no measurable cost."""

# -- Design functions -----------------------------------------------------------------------------

FUNCTION_TIME_S: Final = 5.0
"""CPU time of one call of a design function; CouchDB's ``os_process_timeout``. A batch that takes longer is done again
one document at a time, each with this limit. The clock is the process's, so other busy threads use it up too."""

FUNCTION_MEMORY_BYTES: Final = 256 * 1024 * 1024
"""Memory of one JavaScript context: the largest document (8 MB of JSON, some ten times that as objects) and what is
made of it."""

FUNCTION_STACK_BYTES: Final = 1024 * 1024
"""JavaScript's stack: the deepest document (1000 levels) is read, frozen and written in a fraction of it."""

FUNCTION_THREAD_STACK_BYTES: Final = 8 * 1024 * 1024
"""Stack of a thread that runs JavaScript, glibc's default; musl's of 128 KB would overflow before the engine's own
check."""

FUNCTION_BATCH_BYTES: Final = 8 * 1024 * 1024
"""JSON of the documents given to JavaScript in one call, at least one document: far below the memory limit, and far
above where calls get faster."""

FUNCTION_REVISIONS_MAX: Final = 20
"""Revisions that a document's ``_revisions`` names when it is given to a filter, show or update function; CouchDB's
``query_server_config/revs_limit``."""

DESIGNS_KEPT_MAX: Final = 16
"""Design documents whose functions a server, or a database that a program uses, keeps compiled; each has a thread and
about 1 MB."""

LIST_ROWS: Final = 1000
"""Rows that a list function is given at first; each time it asks for more it is run again with four times as many."""

LIST_BYTES_MAX: Final = 32 * 1024 * 1024
"""JSON of the rows that a list function may read: they lie in its memory, some five times as large."""

REDUCE_LIMIT_BYTES: Final = 4906
"""A reduce result longer than this must be less than half of what it was made of; CouchDB's
``reduce_limit_threshold``."""

# -- Server ---------------------------------------------------------------------------------------

REQUEST_BYTES_MAX: Final = 4 * 1024**3
"""CouchDB's ``max_http_request_size``."""

REQUEST_HELD_BYTES_MAX: Final = 256 * 1024**2
"""Requests that are held whole, since they are JSON: parsed they take some ten times as much. Batches of replicators
have some megabytes. What is streamed may have ``REQUEST_BYTES_MAX``."""

REQUEST_VALUES_MAX: Final = 10_000_000
"""Values in a request that is JSON: they are read in one go, some millions in a second, in which nothing else runs, and
each takes up to a hundred bytes. Few bytes hold many (``[],[],``), and what is long, such as an attachment, is one."""

REQUEST_UNASKED_BYTES: Final = 64 * 1024
"""What is held of a request before it is known who sends it: most requests whole, and too little to fill the memory."""

CONNECTIONS_MAX: Final = 2048
"""Connections of a server, as CouchDB has them; each that sends something may hold some 100 KB."""

REQUEST_HEAD_S: Final = 30.0
"""How long a request's head may take, from the connection on or from the answer before: a head is one packet or two."""

REQUEST_SILENCE_S: Final = 120.0
"""How long a client may send nothing of a body, or read nothing of an answer: four times what our replicator waits for
another server (``HTTP_TIMEOUT_S``), whose documents it may be sending on."""

REQUEST_BODY_BYTES_LEAST: Final = 1024
"""Less than that of a body in ``REQUEST_SILENCE_S`` is silence."""

DESCRIPTORS_MAX: Final = 16_384
"""What ``serve`` raises the limit of open files to, where it may: enough for ``CONNECTIONS_MAX`` and
``DATABASES_AWAKE_MAX``, each of which takes up to twenty while many read it at once."""

DESCRIPTORS_KEPT: Final = 128
"""Open files that connections leave for databases: each takes three, and two for each that reads it."""

UNPACKED_ANONYMOUS_BYTES_MAX: Final = 2 * DOC_BYTES_MAX
"""What the compressed body of somebody who is not logged in may become, in a database that is open to everybody: the
largest document. A logged-in user's may have ``REQUEST_HELD_BYTES_MAX``."""

SIDE_THREADS: Final = 24
"""Threads for requests that may run functions of users, or wait for one another's writes, beside anyio's 40 for the
others: so reading goes on, however slow a function is."""

SIDE_WAITING_MAX: Final = 1000
"""Such requests that wait for a thread; more are refused with 503."""

REQUEST_HEAD_BYTES_MAX: Final = 64 * 1024
"""A request's line and headers, and what comes between parts of its body; as much as uvicorn takes with its other
parser. Ours have some hundred bytes."""

WORKER_IDLE_S: Final = 10
"""A worker thread that nobody needed for so long ends: starting one takes a tenth of a millisecond."""

AT_ONCE_S: Final = 0.001
"""What a server reads in the thread of its event loop should take no longer on average: ten times what a document
takes from the page cache."""

AT_ONCE_ROWS: Final = 200
"""Rows of a view that are read so: half a millisecond, where a hop takes a third of one."""

AT_ONCE_WALKED_ROWS: Final = 1000
"""Rows that are counted so to tell how many come before those: a tenth of a millisecond."""

AT_ONCE_AVERAGED: Final = 16
"""About so many reads make the average: one of which the processor was taken away for a time slice is forgiven, two
of a slow disk are not."""

AT_ONCE_REST: Final = 100
"""If it takes longer, the loop's thread reads nothing for so many times as long as the read took: a hundredth of the
time is what others may be kept waiting."""

PASSWORD_THREADS: Final = 2
"""Passwords that are derived at once, half a second of a core each. What is remembered is not derived."""

PASSWORDS_WAITING_MAX: Final = 100
"""Requests that wait for that, some 25 seconds; more are refused with 503."""

BODY_HELD_BYTES: Final = 1024 * 1024
"""Attachments up to this size are held in memory, each by one hop to a thread; larger ones are sent and received in
pieces, so that no number of clients makes the server large."""

BULK_GET_PAGE: Final = 20
"""Revisions that an answer of ``_bulk_get`` in multipart reads at once; of their attachments ``BODY_HELD_BYTES`` are
held, and the others read one by one, which takes longer for small ones."""

REQUEST_TARGET_BYTES_MAX: Final = 32 * 1024
"""A longer path and query is refused with 414, on which CouchDB's replicator asks for less at a time. Its own
bound is 8 KB (answered by 400); ours leaves room within the 64 KB that uvicorn reads of a request's head."""

PBKDF2_ITERATIONS: Final = 600_000
"""What OWASP asks of PBKDF2 with SHA-256, and CouchDB's default since 3.4; half a second of one core."""

PBKDF2_ITERATIONS_MAX: Final = 10_000_000
"""A user's document with more is not tried: whoever wrote it would keep a core busy with each login."""

VERIFIED_MAX: Final = 10_000
"""Credentials that were verified and are remembered, so that only the first request pays for PBKDF2."""

LOCKOUT_FAILURES: Final = 5
"""Wrong passwords for one user from one address before it is locked out; CouchDB's ``chttpd_auth_lockout``."""

LOCKOUT_S: Final = 300
"""How long failures are remembered; CouchDB's ``max_lifetime``."""

LOCKOUTS_MAX: Final = 10_000
"""Pairs of user and address whose failures are counted; the oldest are forgotten first. CouchDB's ``max_objects``."""

SESSION_S: Final = 600
"""How long a cookie is good for; it is renewed when less than nine tenths are left. CouchDB's ``timeout``."""

VALIDATORS_MAX: Final = 16
"""Validation functions of a database that are kept compiled; each has a thread and a JavaScript context."""

REWRITES_MAX: Final = 100
"""How often one request is rewritten; CouchDB's ``rewrite_limit``."""

UUIDS_MAX: Final = 1000
"""Ids that ``_uuids`` makes at once; CouchDB's ``max_count``."""

DBS_INFO_MAX: Final = 100
"""Databases that a POST to ``_dbs_info`` may name; CouchDB's ``max_db_number_for_dbs_info_req``."""

UPDATES_KEPT_MAX: Final = 100_000
"""Events that ``_db_updates`` remembers, the last of each kind for each database: some 30 MB if all are used. Only
databases that come and go under ever new names fill it."""

GQL_QUERY_CHARS: Final = 65_536
"""Length of a GQL query: to parse one of this length takes half a second."""

GQL_NESTING_MAX: Final = 100
"""Levels of an expression of GQL, a chain of sums counted by its terms: each is one of Python's calls, of which a
thread has a thousand."""

SHUTDOWN_GRACE_S: Final = 5
"""How long the end of a program waits for what its remote databases and `couchette.pouchdb` have under way."""

REQUESTS_GRACE_S: Final = 3
"""How long a server that stops waits for requests under way, before their connections are closed: a client that stalls
must not keep it, and whoever stops services waits for 5 to 90 seconds before he kills them."""

LONGPOLL_TIMEOUT_MS: Final = 60_000
"""Default and largest ``timeout`` of a waiting changes feed; CouchDB's ``changes_timeout``."""

FORM_BYTES_MAX: Final = 4 * DOC_BYTES_MAX
"""Of a form of the pages without a file: a document's text, most of whose characters a browser may escape by three.
Larger documents are written with the API."""

FORM_FIELD_BYTES_MAX: Final = 64 * 1024
"""Of a form's field beside a file: a token, or an attachment's name."""

POUCHDB_THREADS_MAX: Final = 8
"""Threads that run the operations of an asynchronous environment of `couchette.pouchdb`; those of one database run one
after the other, so more would only serve programs with more slow servers than this."""

POUCHDB_UNSEEN_CHANGES: Final = 1000
"""Changes that a live feed of `couchette.pouchdb` tells before the program has looked at the first of them; then the
feed waits, so that a program that is busy does not collect a database in memory."""

assert ATTACHMENT_CHUNK_BYTES < BATCH_BYTES
assert UPLOAD_TOUCH_S < UPLOAD_IDLE_S
assert ATTACHMENT_INLINE_BYTES_MAX < BATCH_BYTES
assert FEED_HEARTBEAT_S < FEED_SILENCE_S
assert HTTP_TIMEOUT_S < REQUEST_SILENCE_S
assert 2 * CONNECTIONS_MAX + DESCRIPTORS_KEPT < DESCRIPTORS_MAX
assert LONGPOLL_S < HTTP_TIMEOUT_S
assert JSON_NESTING_MAX < JSON_NESTING_READ_MAX
assert DOC_BYTES_MAX <= FUNCTION_BATCH_BYTES < FUNCTION_MEMORY_BYTES // 10
assert FUNCTION_STACK_BYTES < FUNCTION_THREAD_STACK_BYTES
