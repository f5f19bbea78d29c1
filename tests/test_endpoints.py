"""What a program names as a side of a replication, and whom it is there."""

from __future__ import annotations

import base64

import pytest

import couchette
from couchette.errors import Unauthorized
from tests.cli.test_replicate import guarded_server


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({}, "ann:hers"),
        ({"auth": ("bob", "his")}, "ann:hers"),
        ({"auth": ("bob", "his"), "source_auth": ("cay", "third")}, "cay:third"),
    ],
)
def test_credentials_in_a_url_are_for_it_unless_that_side_is_given_others(options, sent):
    with guarded_server() as (url, seen), couchette.Database() as target:
        with pytest.raises(Unauthorized):
            couchette.replicate(url.replace("://", "://ann:hers@"), target, **options)
        assert seen == ["Basic " + base64.b64encode(sent.encode()).decode()]
