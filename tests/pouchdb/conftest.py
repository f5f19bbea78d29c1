"""Environments of both APIs, each on a folder of its own."""

from __future__ import annotations

import pytest

from couchette import pouchdb


@pytest.fixture
def env(tmp_path):
    """A synchronous environment."""
    return pouchdb.setup(tmp_path / "folder")


@pytest.fixture
def pouch(env):
    """A database of it."""
    return env.PouchDB("example")


@pytest.fixture
def async_env(tmp_path):
    """An asynchronous environment in a program without an event loop."""
    return pouchdb.setup(tmp_path / "folder", async_=True)


@pytest.fixture
def settled(async_env):
    """Wait for a promise in a program without an event loop: its result, or the error is raised."""

    def wait(promise):
        outcome = []
        promise.then(lambda result: outcome.append((result, None)), lambda error: outcome.append((None, error)))
        while not outcome:
            async_env.context.run_pending(timeout=None)
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    return wait
