"""A process is killed in the middle of its writes, again and again, on one file: what it acknowledged is there."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from couchette import Database

WRITER = Path(__file__).with_name("writer.py")
BATCHES_MAX = 25
MOMENT_S = 0.004
"""The kill comes up to so long after a batch was acknowledged: about the time that the next ones take."""


def acknowledged_until_killed(path: Path, seed: int) -> list[list[tuple[str, str]]]:
    """Let a process write for a while, kill it, and return the batches that it acknowledged."""
    chance = random.Random(seed)
    lines: list[bytes] = []
    with subprocess.Popen([sys.executable, WRITER, path, str(seed)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(chance.randint(1, BATCHES_MAX)):
            lines.append(process.stdout.readline())
        moment = time.perf_counter() + chance.uniform(0, MOMENT_S)
        while time.perf_counter() < moment:
            pass
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -9
    return [[(id, rev) for id, rev in json.loads(line)] for line in lines if line.endswith(b"\n")]


@pytest.mark.slow
def test_what_a_killed_process_acknowledged_is_there_and_the_file_is_sound(tmp_path, pytestconfig):
    kills = 200 if pytestconfig.getoption("--long") else 15
    path = tmp_path / "killed.couchette"
    for seed in range(kills):
        batches = acknowledged_until_killed(path, seed)
        assert batches
        with Database(path) as db:
            assert db.verify() == [], f"seed {seed}"
            for batch in batches:
                lost = [(id, rev) for id, rev in batch for row in db.get(id, open_revs=[rev]) if "missing" in row]
                assert lost == [], f"seed {seed}"
            # The batch under way may be there, too: it has all of its new documents, or none.
            under_way = [id for id in db if id.startswith(f"{seed}-{len(batches)}-")]
            assert len(under_way) in (0, 20), f"seed {seed}: half a batch, {under_way}"
