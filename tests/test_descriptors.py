"""How many files a process may have open."""

from __future__ import annotations

import pytest

from couchette import descriptors, limits


class Resource:
    """What the module ``resource`` does."""

    RLIMIT_NOFILE, RLIM_INFINITY = 7, -1

    def __init__(self, soft, hard):
        self.limits = soft, hard

    def getrlimit(self, what):
        return self.limits

    def setrlimit(self, what, values):
        self.limits = values


@pytest.mark.parametrize(
    ("before", "after", "databases"),
    [
        ((1024, 1024), 1024, 64),
        ((1024, 4096), 4096, 256),
        ((1024, 1_000_000), limits.DESCRIPTORS_MAX, limits.DATABASES_AWAKE_MAX),
        ((256, -1), limits.DESCRIPTORS_MAX, limits.DATABASES_AWAKE_MAX),
        ((20_000, 20_000), 20_000, limits.DATABASES_AWAKE_MAX),
        ((-1, -1), None, limits.DATABASES_AWAKE_MAX),
    ],
)
def test_the_limit_is_raised_as_far_as_it_is_useful_and_allowed(monkeypatch, before, after, databases):
    resource = Resource(*before)
    monkeypatch.setattr(descriptors, "resource", resource)
    descriptors.raise_descriptors()
    assert (descriptors.descriptors(), descriptors.databases_awake_max()) == (after, databases)
    assert resource.limits[1] == before[1]


def test_where_there_is_no_such_limit_there_is_none_to_raise(monkeypatch):
    monkeypatch.setattr(descriptors, "resource", None)
    descriptors.raise_descriptors()
    assert descriptors.descriptors() is None
    assert descriptors.databases_awake_max() == limits.DATABASES_AWAKE_MAX
