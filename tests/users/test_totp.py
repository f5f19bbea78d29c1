"""One-time passwords: the vectors of RFC 6238, and what makes no sense."""

from __future__ import annotations

from base64 import b32encode

import pytest

from couchette.users import totp

SEEDS = {"sha": b"1234567890" * 2, "sha256": b"1234567890" * 4, "sha512": b"1234567890" * 7}
KEYS = {"sha": SEEDS["sha"], "sha256": SEEDS["sha256"][:32], "sha512": SEEDS["sha512"][:64]}
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1234567890, "89005924", "91819424", "93441116"),
    (20000000000, "65353130", "77737706", "47863826"),
]


def members(**wanted):
    return {"totp": {"key": b32encode(KEYS["sha"]).decode(), **wanted}}


@pytest.mark.parametrize(
    ("algorithm", "now", "token"),
    [(name, now, token) for now, *tokens in VECTORS for name, token in zip(KEYS, tokens, strict=True)],
)
def test_the_vectors_of_the_rfc_hold(algorithm, now, token):
    wanted = {"key": b32encode(KEYS[algorithm]).decode(), "algorithm": algorithm, "length": 8}
    assert totp.verify({"totp": wanted}, token, now)
    assert not totp.verify({"totp": wanted}, token[::-1], now)


def test_a_token_is_good_for_a_minute_and_a_half():
    token = "081804"
    assert [totp.verify(members(), token, 1111111109 + late) for late in (-60, -30, 0, 30, 60)] == [
        *(False, True, True, True, False)
    ]


def test_keys_may_be_in_groups_in_lower_case_and_without_padding():
    key = b32encode(b"twelve bytes").decode().rstrip("=").lower()
    grouped = {"totp": {"key": " ".join((key[:4], key[4:]))}}
    token = totp._token(b"twelve bytes", "sha1", 6, 1)
    assert totp.verify(grouped, token, 30)


@pytest.mark.parametrize(
    "wanted",
    [{"key": "1"}, {"key": ""}, {"key": 5}, {"algorithm": "md5"}, {"length": 2}, {"length": "6"}, {"length": 11}],
)
def test_a_document_that_makes_no_sense_takes_no_token(wanted):
    assert not totp.verify(members(**wanted), "081804", 1111111109)


def test_only_an_object_asks_for_one():
    assert totp.is_wanted(members())
    assert not totp.is_wanted({"totp": "yes"})
    assert not totp.is_wanted({})
