"""Passwords as CouchDB keeps them."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from couchette.errors import BadRequest, Forbidden
from couchette.limits import PBKDF2_ITERATIONS_MAX
from couchette.users import passwords


@given(st.text(), st.text())
def test_the_right_password_is_verified_and_no_other(password, other):
    members = passwords.derive(password, iterations=1)
    assert passwords.verify(password, members)
    assert passwords.verify(other, members) == (other == password)


def test_a_password_is_derived_as_couchdb_derives_it_since_3_4():
    members = passwords.derive("secret", iterations=10)
    assert (members["password_scheme"], members["pbkdf2_prf"], members["iterations"]) == ("pbkdf2", "sha256", 10)
    key = hashlib.pbkdf2_hmac("sha256", b"secret", members["salt"].encode(), 10)
    assert members["derived_key"] == key.hex()
    assert not passwords.is_outdated(members, iterations=10)
    assert passwords.is_outdated(members, iterations=11)


def test_two_users_with_one_password_have_different_keys():
    assert passwords.derive("x", iterations=1)["derived_key"] != passwords.derive("x", iterations=1)["derived_key"]


def test_the_older_schemes_are_verified_and_outdated():
    simple = {"password_scheme": "simple", "salt": "s", "password_sha": hashlib.sha1(b"pws").hexdigest()}
    older = {
        "password_scheme": "pbkdf2",
        "salt": "s",
        "iterations": 10,
        "derived_key": hashlib.pbkdf2_hmac("sha1", b"pw", b"s", 10).hex(),
    }
    for members in (simple, older):
        assert passwords.verify("pw", members)
        assert not passwords.verify("pW", members)
        assert passwords.is_outdated(members)
    del simple["password_scheme"]
    assert passwords.verify("pw", simple)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "password_scheme": st.sampled_from(["simple", "pbkdf2", "other", None, 1]),
            "pbkdf2_prf": st.sampled_from(["sha", "sha256", "md5", None, 7]),
            "salt": st.sampled_from(["", "s", None, 3]),
            "iterations": st.sampled_from([0, -1, 1, 1.5, True, None, PBKDF2_ITERATIONS_MAX + 1]),
            "derived_key": st.sampled_from(["", "00", "zz" * 20, "a" * 64, None, 1]),
            "password_sha": st.sampled_from(["", None, "a" * 40, 1]),
        },
    )
)
def test_members_that_make_no_sense_stand_for_no_password(members):
    assert not passwords.verify("pw", members)


def test_a_password_is_text():
    assert passwords.check_password("") == ""
    with pytest.raises(Forbidden) as caught:
        passwords.check_password(5)
    assert caught.value.reason == "Password value of '5' is invalid."


def test_administrators_may_be_given_as_couchdbs_configuration_has_them():
    key = hashlib.pbkdf2_hmac("sha256", b"pw", b"salt", 3).hex()
    old = hashlib.pbkdf2_hmac("sha1", b"pw", b"salt", 3).hex()
    sha = hashlib.sha1(b"pwsalt").hexdigest()
    for line in (f"-pbkdf2:sha256-{key},salt,3", f"-pbkdf2-{old},salt,3", f"-hashed-{sha},salt"):
        members = passwords.parse_admin(line)
        assert members is not None
        assert passwords.verify("pw", members)
    assert passwords.parse_admin("plain") is None
    with pytest.raises(BadRequest):
        passwords.parse_admin("-pbkdf2-nonsense")
