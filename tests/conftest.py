"""What all tests share: both async backends, hypothesis' profiles and a database on disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

if TYPE_CHECKING:
    from couchette import Database

# Without --long every run draws the same examples, so that a red test is red for everyone. With it
# they are drawn anew, many more of them; a failure prints how to repeat it.
hypothesis.settings.register_profile("default", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.register_profile("long", deadline=None, max_examples=2000, print_blob=True)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="draw many more random examples, other ones in each run")
    parser.addoption("--seed", type=int, help="run the simulation of this seed alone")


def pytest_configure(config: pytest.Config) -> None:
    hypothesis.settings.load_profile("long" if config.getoption("--long") else "default")


@pytest.fixture(scope="module", params=["trio", "asyncio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    """Run each test marked ``anyio`` on trio and on asyncio."""
    return str(request.param)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty database in a file of its own."""
    from couchette import Database

    with Database(tmp_path / "test.couchette") as database:
        yield database
