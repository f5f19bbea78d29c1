"""What is asked is what the server reads: each formatter of requests undone by the server's parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette import jsonio
from couchette.errors import BadRequest, QueryParseError
from couchette.query import find_indexes, find_options
from couchette.query.options import ViewQuery, view_query
from couchette.remote.url import query as query_string
from couchette.store import UNSET
from couchette.wire import feed, parameters, requests
from couchette.wire.parameters import Query
from couchette.wire.spatial import spatial_options

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
VALUES = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, lambda inner: st.lists(inner, max_size=2))
COUNTS = st.integers(0, 99)
FLAGS = st.booleans()
REV = st.sampled_from(["1-" + "a" * 32, "12-" + "0" * 32])


def parsed(params):
    return Query(query_string(params).encode())


def optional(**options):
    return st.fixed_dictionaries({}, optional=options)


@given(
    optional(
        **dict.fromkeys(parameters.DOCUMENT_FLAGS, FLAGS),
        rev=REV,
        open_revs=st.just("all") | st.lists(REV, max_size=2),
        atts_since=st.lists(REV, max_size=2),
    )
)
def test_options_of_a_document_are_read_as_they_were_given(options):
    meant = {name: value for name, value in options.items() if value or name == "atts_since"}
    assert parameters.document_options(parsed(requests.document_params(options))) == meant


LISTING = {
    "key": VALUES,
    "start_key": VALUES,
    "end_key": VALUES,
    "inclusive_end": FLAGS,
    "descending": FLAGS,
    "skip": COUNTS,
    "limit": st.none() | COUNTS,
    "include_docs": FLAGS,
    "conflicts": FLAGS,
    "attachments": FLAGS,
    "att_encoding_info": FLAGS,
    "update_seq": FLAGS,
}
VIEW = {
    **LISTING,
    "start_key_doc_id": st.none() | TEXTS,
    "end_key_doc_id": st.none() | TEXTS,
    "reduce": st.none() | FLAGS,
    "group_level": st.none() | COUNTS,
    "update": FLAGS | st.just("lazy"),
    "sorted": FLAGS,
}


@given(optional(**LISTING))
def test_options_of_a_listing_are_read_as_they_were_given(options):
    params, body = requests.listing_request(options, UNSET)
    assert body is None
    assert ViewQuery(**parameters.all_docs_options(parsed(params))) == ViewQuery(**options)


@given(st.lists(VALUES, max_size=3))
def test_listed_keys_are_in_the_body(keys):
    params, body = requests.listing_request({"keys": tuple(keys)}, UNSET)
    assert parameters.all_docs_options(parsed(params), body) == {"keys": keys}


@given(optional(**VIEW))
def test_options_of_a_view_are_read_as_they_were_given(options):
    if "key" in options:  # The server takes it for both ends of a range.
        options = {**options, "start_key": options["key"], "end_key": options["key"]}
    params, _ = requests.listing_request(options, UNSET)
    options.pop("key", None)
    assert ViewQuery(**parameters.view_options(parsed(params))) == ViewQuery(**options)


@given(optional(**{name: VIEW[name] for name in VIEW if name != "key"}, keys=st.lists(VALUES, max_size=2)))
def test_one_of_several_queries_is_read_as_it_was_given(options):
    options = {name: value for name, value in options.items() if value is not None}
    member = jsonio.loads(jsonio.dumps(requests.listing_member(options, UNSET)))
    read = parameters.view_options(Query(b""), member, is_one_of_several=True)
    if len(options.get("keys", ())) == 1:  # The server takes it for both ends of a range.
        [key] = options.pop("keys")
        options = {**options, "start_key": key, "end_key": key}
    assert view_query(ViewQuery(), read) == view_query(ViewQuery(), options)


def test_what_is_no_option_or_no_list_of_keys_is_refused():
    with pytest.raises(QueryParseError, match="Unknown option `nonsense`"):
        requests.listing_member({"nonsense": 1}, UNSET)
    for keys in ("text", 5):
        with pytest.raises(QueryParseError, match="`keys` must be an array"):
            requests.listing_request({"keys": keys}, UNSET)


@given(
    optional(
        fields=st.lists(TEXTS.filter(bool), min_size=1, max_size=2),
        sort=st.just("name") | st.just(["name", "age"]) | st.just([{"name": "desc"}, {"age": "desc"}]),
        limit=COUNTS,
        skip=COUNTS,
        use_index=st.just("design") | st.just(["design", "name"]),
        allow_fallback=FLAGS,
        conflicts=FLAGS,
        update=FLAGS,
        execution_stats=FLAGS,
    )
)
def test_options_of_a_find_are_read_as_they_were_given(options):
    body = jsonio.loads(jsonio.dumps(requests.find_body({"name": "x"}, options)))
    read = find_options.read_options(body).as_json()
    listed = {**options, "sort": [options["sort"]] if options.get("sort") == "name" else options.get("sort")}
    given = {name: value for name, value in listed.items() if value is not None}
    assert read == find_options.read_options({"selector": {"name": "x"}, **given}).as_json()


def test_an_index_is_defined_as_on_a_database(db):
    for fields, named in (("n", {}), (["a", {"b": "asc"}], {"name": "x", "ddoc": "y"})):
        made = find_indexes.create_index(db._pool, requests.index_body(fields, **named), build=False)
        again = db.create_index(fields, **named, build=False)
        assert again == {**made, "result": "exists"}
    assert requests.index_body("t", type="text")["index"] == {"fields": [{"name": "t", "type": "string"}]}


@given(
    optional(
        bbox=st.lists(st.floats(-180, 180), min_size=4, max_size=4),
        plane_bounds=st.lists(st.integers(-9, 9), min_size=4, max_size=4),
        start_range=st.lists(st.none() | st.integers(), max_size=3),
        end_range=st.lists(st.none() | st.floats(-5, 5), max_size=3),
        skip=COUNTS,
        limit=COUNTS,
        include_docs=FLAGS,
        count=FLAGS,
        update=FLAGS,
    )
)
def test_options_of_a_spatial_query_are_read_as_they_were_given(options):
    defaults = {"skip": 0, "limit": None, "include_docs": False, "count": False, "update": True}
    assert defaults | spatial_options(parsed(requests.spatial_params(options))) == defaults | options


@given(
    optional(
        since=st.just(0) | st.just("now") | st.just("7-abc"),
        limit=COUNTS,
        style=st.sampled_from(feed.STYLES),
        descending=FLAGS,
        include_docs=FLAGS,
        conflicts=FLAGS,
        attachments=FLAGS,
        att_encoding_info=FLAGS,
        seq_interval=st.integers(1, 9),
    )
)
def test_options_of_changes_are_read_as_they_were_given(options):
    read = feed.read_options(parsed(requests.changes_params(options))).changes
    meant = {name: value for name, value in options.items() if value is not False}
    assert read == {"since": 0, "style": "main_only"} | meant


def test_options_of_a_search_that_are_the_default_are_not_sent():
    assert requests.search_body("fox", {"limit": None, "skip": 0, "counts": (), "update": True}) == {"query": "fox"}
    body = requests.search_body("fox", {"counts": ("kind",), "update": "lazy", "sort": "-n"})
    assert body == {"query": "fox", "counts": ["kind"], "sort": "-n", "stale": "ok"}


@given(TEXTS.filter(lambda text: text and "/" not in text), TEXTS.filter(bool))
def test_a_view_is_named_by_a_text_or_a_pair(design, name):
    design = design.removeprefix("_design")
    if not design:
        return
    assert requests.design_and_name(f"{design}/{name}", "") == (design, name)
    assert requests.design_and_name((f"_design/{design}", name), "") == (design, name)


@pytest.mark.parametrize("view", ["name", "", "/v", "d/", ("d",), ("d", 1), len, {"map": "x"}])
def test_what_names_no_view_is_refused_with_the_remedy(view):
    with pytest.raises(BadRequest) as caught:
        requests.design_and_name(view, "do this.")
    assert caught.value.hint.endswith("do this.")
