"""An app over an environment in memory."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from couchette import Environment
from couchette.server import create_app
from couchette.server.app import App


@pytest.fixture
def environment() -> Iterator[Environment]:
    with Environment(":memory:") as environment:
        environment.create("db")
        yield environment


@pytest.fixture
def app(environment: Environment) -> App:
    """The app; database ``db`` exists and is empty."""
    return create_app(environment)
