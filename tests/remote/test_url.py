"""URLs of databases: what is taken out, what is quoted, what is refused."""

from __future__ import annotations

from urllib.parse import unquote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest
from couchette.remote.url import DatabaseUrl, attachment_path, doc_path, query, without_credentials


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://host:5984/db", "http://host:5984/db"),
        ("http://host:5984/db/", "http://host:5984/db"),
        ("HTTPS://Host/db", "https://host/db"),
        ("https://host:443/db", "https://host/db"),
        ("http://host:443/db", "http://host:443/db"),
        ("http://host/prefix/db", "http://host/prefix/db"),
        ("http://host/a%2Fb", "http://host/a%2Fb"),
        ("http://host/a+b", "http://host/a%2Bb"),
        ("http://host/a%2Bb", "http://host/a%2Bb"),
        ("http://host/ä", "http://host/%C3%A4"),
        ("http://[::1]:5984/db", "http://[::1]:5984/db"),
        ("http://ann:pw@host/db", "http://host/db"),
    ],
)
def test_a_url_has_one_spelling(url, base):
    assert DatabaseUrl.parse(url).base == base


@pytest.mark.parametrize(
    ("url", "auth"),
    [
        ("http://host/db", None),
        ("http://ann:pw@host/db", ("ann", "pw")),
        ("http://ann@host/db", ("ann", "")),
        ("http://a%40b:p%3Aw%2F@host/db", ("a@b", "p:w/")),
    ],
)
def test_credentials_stand_beside_the_url(url, auth):
    assert DatabaseUrl.parse(url).auth == auth


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ann:secret@host/db",
        "http://ann:secret@/db",
        "http://ann:secret@host:port/db",
        "http://ann:secret@host/",
        "http://ann:secret@host",
        "http://ann:secret@host/db?x=1",
        "http://ann:secret@host/db#x",
        "ann:secret@host/db",
    ],
)
def test_a_url_that_names_no_database_is_refused_without_showing_the_password(url):
    with pytest.raises(BadRequest) as caught:
        DatabaseUrl.parse(url)
    assert "secret" not in str(caught.value)
    assert "host" in str(caught.value) or "http:///db" in str(caught.value)


def test_a_server_has_a_url_too_and_a_database_is_below_one():
    server = DatabaseUrl.parse_server("https://ada:pw@Host:443/couch//")
    assert (server.base, server.auth, server.server) == ("https://host/couch", ("ada", "pw"), "https://host/couch")
    assert DatabaseUrl.parse_server("http://host:5984").base == "http://host:5984"
    database = DatabaseUrl.parse("https://host/couch/a%2Fb%2B")
    assert (database.name, database.server) == ("a/b+", "https://host/couch")


def test_an_at_sign_in_the_path_is_no_credential():
    assert without_credentials("http://host/a@b") == "http://host/a@b"


@pytest.mark.parametrize(
    ("doc_id", "path"),
    [
        ("a", "a"),
        ("a/b", "a%2Fb"),
        ("a+b c%", "a%2Bb%20c%25"),
        ("é", "%C3%A9"),
        ("_design/x/y", "_design/x%2Fy"),
        ("_local/a+b", "_local/a%2Bb"),
        ("..", "%2E%2E"),
        ("?#", "%3F%23"),
    ],
)
def test_a_document_s_path_is_one_segment_but_for_the_reserved_prefixes(doc_id, path):
    assert doc_path(doc_id) == path


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])), st.text(min_size=1, max_size=9))
def test_a_path_survives_the_http_client_unchanged(doc_id, database):
    database = database.encode("utf-8", "replace").decode().replace("/", "_").replace("\\", "_").strip(".") or "db"
    base = DatabaseUrl("http://host/" + doc_path(database), None).base
    url = httpx.URL(f"{base}/{attachment_path('x' + doc_id, doc_id)}?{query({'rev': doc_id})}")
    _, segment, attachment = url.raw_path.decode().partition("?")[0].removeprefix("/").split("/")
    assert unquote(segment) == "x" + doc_id
    assert unquote(attachment) == doc_id
    assert url.params["rev"] == doc_id


def test_an_attachment_without_a_name_has_no_path_since_that_would_be_the_document_s():
    with pytest.raises(BadRequest, match="must not be empty"):
        attachment_path("a", "")


def test_a_query_holds_text_as_it_is_and_the_rest_as_json():
    assert query({"since": "1-a b", "open_revs": ["1-x"], "revs": True, "limit": 5}) == (
        "since=1-a%20b&open_revs=%5B%221-x%22%5D&revs=true&limit=5"
    )
