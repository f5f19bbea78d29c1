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

Revs = list[list[str]]
"""Pairs of an id and a rev, as JSON has them."""
WRITER = Path(__file__).with_name("writer.py")
STEPS_MAX = 40
MOMENT_S = 0.004
"""The kill comes up to so long after a step was acknowledged: about the time that the next ones take."""


def acknowledged_until_killed(path: Path, seed: int) -> list[dict[str, Revs]]:
    """Let a process write for a while, kill it, and return the steps that it acknowledged."""
    chance = random.Random(seed)
    lines: list[bytes] = []
    with subprocess.Popen([sys.executable, WRITER, path, str(seed)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for _ in range(chance.randint(1, STEPS_MAX)):
            lines.append(process.stdout.readline())
        moment = time.perf_counter() + chance.uniform(0, MOMENT_S)
        while time.perf_counter() < moment:
            pass
        process.kill()
        lines += process.stdout.readlines()
    assert process.returncode == -9
    return [json.loads(line) for line in lines if line.endswith(b"\n")]


def unknown(db: Database, revs: Revs) -> Revs:
    """Those of the revisions that the database never heard of. That leaves have their bodies, ``verify`` checks."""
    return [[id, rev] for id, rev in revs if db.revs_diff({id: [rev]})]


@pytest.mark.slow
def test_what_a_killed_process_acknowledged_is_there_and_the_file_is_sound(tmp_path, pytestconfig):
    kills = 200 if pytestconfig.getoption("--long") else 15
    path = tmp_path / "killed.couchette"
    for seed in range(kills):
        steps = acknowledged_until_killed(path, seed)
        assert steps
        with Database(path) as db:
            assert db.verify() == [], f"seed {seed}"
            for step in steps:
                assert unknown(db, step["there"]) == [], f"seed {seed}"
                assert unknown(db, step["gone"]) == step["gone"], f"seed {seed}"
            # The step under way may be there, too: it has all of its new documents, or none.
            under_way = [id for id in db if id.startswith(f"{seed}-{len(steps)}-")]
            assert len(under_way) in (0, 20), f"seed {seed}: half a batch, {under_way}"
