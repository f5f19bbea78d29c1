"""The AuthSession cookie."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest
from couchette.limits import SESSION_S
from couchette.server import cookies

NAMES = st.text(st.characters(exclude_characters=":", codec="utf-8"), min_size=1)


@given(NAMES, st.binary(min_size=1), st.text(st.characters(codec="utf-8")), st.integers(0, 2**33))
def test_what_was_issued_is_signed_for_that_user_secret_and_salt_alone(name, secret, salt, now):
    cookie = cookies.parse(cookies.issue(name, secret, salt, now))
    assert (cookie.name, cookie.time) == (name, now)
    assert cookies.is_signed(cookie, secret, salt)
    assert not cookies.is_signed(cookie, secret, salt + "x")
    assert not cookies.is_signed(cookie, b"x" + secret, salt)
    for other in (cookies.Cookie(name + "x", now, cookie.signature), cookies.Cookie(name, now + 1, cookie.signature)):
        assert not cookies.is_signed(other, secret, salt)


@given(st.text())
def test_any_value_is_a_cookie_or_refused(value):
    with suppress(BadRequest):
        assert not cookies.is_signed(cookies.parse(value), b"secret", "")


def test_a_value_that_is_no_cookie_is_named():
    with pytest.raises(BadRequest) as caught:
        cookies.parse("bogus")
    assert caught.value.reason == "Malformed AuthSession cookie. Please clear your cookies."


def test_a_cookie_ages_and_ends():
    cookie = cookies.Cookie("ada", 1000, b"")
    assert cookie.is_current(1000)
    assert not cookie.is_ageing(1000 + SESSION_S * 0.05)
    assert cookie.is_ageing(1000 + SESSION_S * 0.2)
    assert cookie.is_current(1000 + SESSION_S - 1)
    assert not cookie.is_current(1000 + SESSION_S)
    assert not cookie.is_current(1000 - SESSION_S)


def test_the_header_is_couchdbs():
    assert cookies.header("v", 0, secure=False) == (
        "AuthSession=v; Version=1; Expires=Thu, 01 Jan 1970 00:10:00 GMT; Max-Age=600; Path=/; HttpOnly"
    )
    assert cookies.header("v", 0, secure=True).endswith("; HttpOnly; Secure")


@pytest.mark.parametrize(
    ("text", "value"),
    [("AuthSession=abc", "abc"), ('a=b; AuthSession="abc"; c', "abc"), ("XAuthSession=abc", ""), ("", ""), ("a", "")],
)
def test_the_cookie_is_found_among_others(text, value):
    assert cookies.from_header(text) == value
