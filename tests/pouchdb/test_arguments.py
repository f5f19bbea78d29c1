"""Arguments: JSON text, spellings of options, and names of databases."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest, CouchetteError, IllegalDatabaseName
from couchette.pouchdb.arguments import attachment_data, document, known, option_name, options, snapshot
from couchette.pouchdb.names import checked, is_url, shown_name, stored_name
from couchette.pouchdb.results import Result


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("includeDocs", "include_docs"),
        ("include_docs", "include_docs"),
        ("startkey", "start_key"),
        ("startKey", "start_key"),
        ("endkey_docid", "end_key_doc_id"),
        ("continuous", "live"),
        ("onChange", "on_change"),
        ("complete", "on_complete"),
        ("withValidation", "with_validation"),
        ("userCtx", "user_ctx"),
        ("new_edits", "new_edits"),
    ],
)
def test_options_have_one_spelling(given, name):
    assert option_name(given) == name


def test_none_is_no_option_but_a_key():
    assert options({"limit": None, "startkey": None, "skip": 0}) == {"start_key": None, "skip": 0}
    assert known({"limit": 1, "ajax": {}}, ("limit", "skip")) == {"limit": 1}


def test_a_document_is_a_dict_or_its_json_text():
    doc = {"_id": "a"}
    assert document(doc) is doc
    assert document('{"_id": "a"}') == doc
    assert type(document(Result(doc))) is dict
    for wrong in ("[1]", "text", 5, None, ["a"]):
        with pytest.raises(BadRequest):
            document(wrong)


def test_the_text_of_an_attachment_is_base64():
    assert attachment_data("SGVsbG8=") == b"Hello"
    assert attachment_data(b"Hello") == b"Hello"
    with pytest.raises(CouchetteError, match="not a valid base64 string") as caught:
        attachment_data("%%%")
    assert (caught.value.status, caught.value.error) == (500, "badarg")


def test_a_snapshot_is_not_changed_later():
    given = ({"a": [{"b": 1}]}, [1], print)
    taken = snapshot(given)
    given[0]["a"][0]["b"] = 2
    given[1].append(2)
    assert taken == ({"a": [{"b": 1}]}, [1], print)


def test_names_that_couchdb_takes_are_files_of_that_name():
    assert stored_name("my-example") == "my-example"
    assert stored_name("_users") == "_users"
    assert stored_name("Notes 2026") == "pouchdb$+4eotes+202026"


@given(st.text(min_size=1, max_size=60))
def test_every_name_has_one_file_and_back(name):
    assert shown_name(stored_name(name)) == name
    assert stored_name("pouchdb$" + name) != stored_name(name)


def test_a_name_that_is_too_long_is_refused():
    with pytest.raises(IllegalDatabaseName):
        stored_name("Ä" * 200)


def test_what_is_no_name_is_invalid():
    for wrong in (34234, None, ""):
        with pytest.raises(BadRequest, match="invalid"):
            checked(wrong)
    assert is_url("HTTPS://host/db")
    assert not is_url("httpdb")
