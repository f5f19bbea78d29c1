"""docs/replication.md answers complaints with the names of tests: they are there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parent.parent


def test_every_test_that_the_documentation_names_is_there():
    text = (TESTS.parent / "docs" / "replication.md").read_text()
    named = set(re.findall(r"`(test_\w+)`", text))
    folders = [folder for folder in TESTS.iterdir() if folder.is_dir()]
    files = [file for folder in [TESTS, *folders] for file in folder.glob("test_*.py")]
    defined = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text())}
    assert len(named) > 30
    assert named <= defined, named - defined
