"""JSON Web Tokens."""

from __future__ import annotations

import sys
import time

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from couchette.errors import BadRequest, CouchetteError, MissingExtra, Unauthorized
from couchette.server.tokens import Tokens
from couchette.users import User

SECRET = "s" * 32


def token(claims, key=SECRET, algorithm="HS256", **headers):
    return jwt.encode(claims, key, algorithm, headers=headers or None)


@pytest.fixture(scope="module")
def pair():
    private = ec.generate_private_key(ec.SECP256R1())
    pem = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return private, pem


def test_a_token_names_a_user_and_its_roles():
    tokens = Tokens({"hmac:_default": SECRET})
    assert tokens.user_of(token({"sub": "ada", "_couchdb.roles": ["r", "s"]})) == User("ada", ("r", "s"))
    assert tokens.user_of(token({"sub": "ada", "_couchdb.roles": "r, s"})) == User("ada", ("r", "s"))
    assert tokens.user_of(token({"sub": "ada"})) == User("ada")


def test_keys_are_found_by_kind_and_kid(pair):
    private, public = pair
    tokens = Tokens({"hmac:one": SECRET, "ec:two": public})
    assert tokens.user_of(token({"sub": "ada"}, kid="one")).name == "ada"
    assert tokens.user_of(token({"sub": "ada"}, private, "ES256", kid="two")).name == "ada"
    for wrong in (token({"sub": "ada"}), token({"sub": "ada"}, kid="two")):
        with pytest.raises(BadRequest):
            tokens.user_of(wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        token({"sub": "ada"}, "x" * 32),
        token({"sub": "ada", "exp": int(time.time()) - 10}),
        token({"sub": "ada", "nbf": int(time.time()) + 1000}),
        token({"_couchdb.roles": ["_admin"]}),
        token({"sub": "ada", "_couchdb.roles": 5}),
        token({"sub": "ada", "_couchdb.roles": [5]}),
        jwt.encode({"sub": "ada"}, "", "none"),
        token({"sub": "ada"})[:-4],
        "x",
        "",
        "a.b.c",
    ],
)
def test_what_is_no_good_token_is_refused(wrong):
    with pytest.raises((Unauthorized, BadRequest)):
        Tokens({"hmac:_default": SECRET}).user_of(wrong)


def test_claims_may_be_required():
    tokens = Tokens({"hmac:_default": SECRET}, required_claims=("exp",))
    with pytest.raises(Unauthorized):
        tokens.user_of(token({"sub": "ada"}))
    assert tokens.user_of(token({"sub": "ada", "exp": int(time.time()) + 1000})).name == "ada"


@pytest.mark.parametrize("keys", [{"hmac:_default": "short"}, {"other:x": SECRET}, {"hmac": SECRET}])
def test_keys_that_make_no_sense_are_refused(keys):
    with pytest.raises(BadRequest):
        Tokens(keys)


def test_without_pyjwt_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingExtra, match=r"pip install 'couchette\[jwt\]'") as caught:
        Tokens({"hmac:_default": SECRET})
    assert isinstance(caught.value, CouchetteError)
