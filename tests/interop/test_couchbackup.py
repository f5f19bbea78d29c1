"""@cloudant/couchbackup saves a database of ours to a file and brings it back, every leaf of it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.interop.conftest import HERE, NODE, HttpDatabase, with_credentials
from tests.interop.documents import fill

pytestmark = [pytest.mark.interop, pytest.mark.slow]


def test_a_backup_restores_every_leaf(administered: str, node_modules: Path, tmp_path: Path):
    base = with_credentials(administered)
    source, target = HttpDatabase(f"{base}/source"), HttpDatabase(f"{base}/target")
    with source.http, target.http:
        source.ask("PUT")
        target.ask("PUT")
        fill(source, "here", harder=True)
        command = [*NODE, str(HERE / "couchbackup.js"), source.url, str(tmp_path / "backup"), target.url]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert run.returncode == 0, run.stderr
        leaves = source.leaves()
        assert target.leaves() == leaves
        assert json.loads(run.stdout) == {"backup": len(leaves), "restore": len(leaves)}
