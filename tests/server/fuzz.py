"""Requests of every kind, drawn by hypothesis: proper ones, some parts of which are others, and nonsense.

The names of resources come from the dispatcher's tables, so a new one is asked without a change here.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from couchette.server import dispatch
from tests.server.proper import MULTIPARTS, PROPER, PROPER_HEADERS
from tests.server.scenes import Sent


def one_of(words: str) -> st.SearchStrategy[str]:
    """One of these words."""
    return st.sampled_from(words.split())


def named_resources() -> list[str]:
    """Every name of a resource that the dispatcher has in a table."""
    tables = [table for table in vars(dispatch).values() if isinstance(table, dict)]
    return sorted({name.decode() for table in tables for name in table if isinstance(name, bytes)})


RESOURCES = st.sampled_from(named_resources())
METHODS = one_of("GET GET HEAD PUT POST POST DELETE COPY OPTIONS PATCH")
NAMES = one_of(
    "a b c gone %C3%A9 none _local/o _design/x _design%2Fx _local%2Fo p%20q t p%20q/r %FF %00 % .. _ + %25 é "
    + "z" * 300
)
FUNCTION_PATHS = one_of(
    "_view/v _view/w _view/v/queries _view/none _show/s _show/s/a _list/l/v _list/l/x/w _update/u _update/u/a _info "
    "_rewrite/doc/a _rewrite/rows _rewrite _search/i _search_info/i _search_disk_size/i _spatial/p _nothing t"
)
SERVER_PATHS = one_of(
    "_node/_local _node/_local/_config _node/_local/_config/cors _node/_local/_config/cors/origins _node/_local/_stats "
    "_node/_local/_system _node/_local/_config/_reload _node/none/_stats _scheduler/jobs _scheduler/docs other _users "
    "_scheduler/docs/_replicator _scheduler/docs/_replicator/a _scheduler/jobs/a _users/org.couchdb.user:eve "
    "_replicator _replicator/a"
)


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """A path of these parts."""
    return st.tuples(*parts).map("/".join)


DB = one_of("db db db db parts none other")
PATHS = st.one_of(
    RESOURCES,
    SERVER_PATHS,
    DB,
    joined(DB, RESOURCES),
    joined(DB, RESOURCES, one_of("queries a _design/x _bulk_delete x/json/y")),
    joined(st.just("parts/_partition"), NAMES, RESOURCES | FUNCTION_PATHS),
    joined(DB, NAMES),
    joined(DB, NAMES, NAMES),
    joined(DB, one_of("_design/x _design/none _design%2Fx"), FUNCTION_PATHS),
    st.lists(NAMES | RESOURCES, max_size=5).map("/".join),
)

WORDS = (
    "rev revs revs_info open_revs latest conflicts deleted_conflicts meta attachments atts_since att_encoding_info "
    "new_edits batch local_seq key keys startkey endkey start_key end_key startkey_docid endkey_docid inclusive_end "
    "limit skip descending include_docs update_seq reduce group group_level sorted stable update stale since filter "
    "doc_ids style seq_interval view feed heartbeat timeout last-event-id count q query sort bookmark drilldown ranges "
    "counts include_fields highlight_fields bbox plane_bounds start_range end_range partitioned n selector name next "
    "section"
)
VALUES = (
    'true false all 1-a 2-b 2-c ["2-b"] ["1-a","2-c"] [] {} 0 -1 1 2 99999999999999999999 1.5 x now "doc" null ["a",1] '
    '{"a":1} continuous longpoll eventsource normal x/f x/v _selector _doc_ids _view _design main_only all_docs n:1 '
    "*:* default:a 0,0,5,5 [0,null] ok update_after %FF %00 % %22 a%20b 0-x 1-%C3%A9"
)
QUERIES = st.lists(st.tuples(one_of(WORDS), one_of(VALUES) | st.text("ab%&=+;\0é", max_size=4)), max_size=4).map(
    lambda pairs: "&".join(f"{name}={value}" for name, value in pairs)
)

HEADER_NAMES = (
    "accept accept content-type content-type if-match if-none-match destination range content-encoding accept-encoding "
    "authorization cookie origin access-control-request-method x-http-method-override content-md5 last-event-id "
    "referer x-auth-couchdb-username x-auth-couchdb-token x-couch-full-commit expect content-length host"
)
HEADER_VALUES = [
    *("*/*", "multipart/mixed", "multipart/related", "application/json", "text/html", "a/b;q=x", "", ",", ";", "="),
    *("multipart/related;boundary=b", 'multipart/form-data; boundary="b"', "multipart/form-data", "a\x7fb", "é\xff"),
    *("application/x-www-form-urlencoded", '"1-a"', "1-a", '"2-b"', "*", "a", "doc2?rev=x", "d", "http://x/y", "/db/e"),
    *("bytes=0-1", "bytes=-2", "bytes=9-", "bytes=0-0,2-3", "bytes=x", "gzip", "br", "gzip;q=0", "identity;q=0, *;q=0"),
    *("Basic YWRhOnB3", "Basic eA==", "Basic %", "Bearer a.b.c", "Bearer", "AuthSession=YWRhOjY1Ojphcw", "AuthSession"),
    *("http://there.example", "null", "PUT", "HEAD", "ada", "0", "-1", "9" * 30, "100-continue", "md5-x", "x" * 5000),
]
HEADERS = st.dictionaries(one_of(HEADER_NAMES), st.sampled_from(HEADER_VALUES), max_size=4)


# -- Bodies ------------------------------------------------------------------------------------------------------------

JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**30, 1e308, -0.0, 2**63])
    | st.text(max_size=4)
    | one_of("1-a 2-b a _design/x n $gt _id asc db http://localhost/db x/f"),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(one_of("_id _rev n $gt $or a _deleted ids"), inner, max_size=3)
    ),
    max_leaves=6,
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Where values stand in a JSON value: container and key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _places(inner)


@st.composite
def bent(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> bytes:
    """A JSON body, up to three values of which are others, or gone; no body for None."""
    value = copy.deepcopy(draw(values))
    if value is None:
        return b""
    for _ in range(draw(st.integers(0, 3))):
        places = list(_places(value))
        if not places:
            value = draw(JSON_VALUES)
            continue
        container, key = draw(st.sampled_from(places))
        if isinstance(container, dict) and draw(st.booleans()):
            del container[key]
        else:
            container[key] = draw(JSON_VALUES)
    return json.dumps(value).encode()


SCRAPS = [b"", b"\r\n", b"\n", b"\r\n--b\r\n", b"\xff\xfe", b"\0", *b'--b --b-- " ; : 5 99999999999 { }'.split()]


@st.composite
def cut(draw: st.DrawFn, contents: st.SearchStrategy[bytes]) -> bytes:
    """One of these contents with up to three places where something else stands."""
    content = draw(contents)
    for _ in range(draw(st.integers(0, 3))):
        first = draw(st.integers(0, len(content)))
        last = draw(st.integers(first, min(len(content), first + 30)))
        content = content[:first] + draw(st.sampled_from(SCRAPS)) + content[last:]
    return content


def pieces(bodies: st.SearchStrategy[bytes]) -> st.SearchStrategy[tuple[bytes, ...]]:
    """Bodies in up to four pieces."""
    return st.builds(_in_pieces, bodies, st.lists(st.integers(0, 500), max_size=3))


def _in_pieces(body: bytes, places: list[int]) -> tuple[bytes, ...]:
    places = sorted({0, len(body), *(place % (len(body) + 1) for place in places)})
    return tuple(body[first:last] for first, last in itertools.pairwise(places)) or (b"",)


ANY_JSON = bent(st.sampled_from([body for _, _, body in PROPER]))
BODIES = st.one_of(
    ANY_JSON,
    cut(ANY_JSON),
    cut(st.sampled_from(MULTIPARTS)),
    st.sampled_from([b"name=ada&password=pw", b"\x1f\x8b\x08", b"[" * 3000, b'{"a":' * 2000, b"\xef\xbb\xbf{}"]),
)
LEAVES_EARLY = st.integers(0, 15).map(lambda number: number == 15)


@st.composite
def requests(draw: st.DrawFn) -> Sent:
    """A proper request, some parts of which are others."""

    def seldom(proper: Any, other: st.SearchStrategy[Any], odds: int) -> Any:
        return draw(other) if draw(st.integers(1, odds)) == odds else proper

    method, path, body = draw(st.sampled_from(PROPER))
    target = "/" + seldom(path, PATHS, 6)
    if query := seldom("", QUERIES, 2):
        target += ("&" if "?" in target else "?") + query
    return Sent(
        seldom(method, METHODS, 8),
        target,
        {**PROPER_HEADERS, **seldom({}, HEADERS, 2)},
        draw(pieces(st.just(draw(BODIES)) if draw(st.integers(1, 8)) == 8 else bent(st.just(body)))),
        draw(LEAVES_EARLY),
    )


UPLOAD_PATHS = "/db/new /db/a /db/c?new_edits=false /db/_design/y /db/_local/z /db/a/u /db/new/u%2Fv /db/c/t?rev=2-b"
UPLOAD_TYPES = [
    *["multipart/related;boundary=b"] * 3,
    *("multipart/form-data; boundary=b", "multipart/form-data", "multipart/related", "a/b"),
]
UPLOADS = st.builds(
    Sent,
    one_of("PUT PUT POST"),
    one_of(UPLOAD_PATHS),
    st.fixed_dictionaries(
        {"content-type": st.sampled_from(UPLOAD_TYPES), "referer": st.just("http://couch.example:5984/")},
        optional={
            "if-match": one_of("1-a 2-b"),
            "content-md5": st.just("XUFAKrxLKna5cZ2REBfFkg=="),
            "content-encoding": one_of("gzip br"),
            "content-length": one_of("0 5 100 x 99999999999"),
        },
    ),
    pieces(cut(st.sampled_from(MULTIPARTS))),
    LEAVES_EARLY,
)
"""Documents with their attachments, attachments alone, and forms."""
