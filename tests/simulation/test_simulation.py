"""Replicas under a storm of faults agree when it is over, whatever the seed.

A fixed set of seeds is run; with ``--seed 17`` that one alone, with ``--long`` thousands, other ones in each run.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.simulation.simulation import simulate

SEEDS = range(16)
SEEDS_LONG = 2000
SEEDS_AT_ONCE = 4
"""Seeds in one test: few enough to see which fail, many enough that the report stays readable."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seeds" not in metafunc.fixturenames:
        return
    given = metafunc.config.getoption("--seed")
    seeds: Sequence[int] = SEEDS
    if given is not None:
        seeds = [given]
    elif metafunc.config.getoption("--long"):
        # The same in every process of one run, which share their parent; other ones in the next.
        first = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID", os.getpid())).randrange(10**9)
        seeds = range(first, first + SEEDS_LONG)
    groups = [seeds[start : start + SEEDS_AT_ONCE] for start in range(0, len(seeds), SEEDS_AT_ONCE)]
    metafunc.parametrize("seeds", groups, ids=[f"{group[0]}-{group[-1]}" for group in groups])


@pytest.mark.slow
def test_replicas_agree_and_nothing_is_lost(seeds):
    outcomes = [simulate(seed) for seed in seeds]
    failed = [str(outcome) for outcome in outcomes if outcome.problems]
    assert not failed, "\n".join(failed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [3])
def test_a_seed_gives_the_same_events_again(seed):
    """Also in another process, whose strings have other hashes."""
    first = simulate(seed)
    assert simulate(seed) == first
    root = Path(__file__).parents[2]
    script = f"from tests.simulation.simulation import simulate; print(simulate({seed}).log)"
    environment = {**os.environ, "PYTHONHASHSEED": "17", "PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    again = subprocess.run([sys.executable, "-c", script], env=environment, cwd=root, capture_output=True, check=True)
    assert again.stdout.decode().strip() == str(first.log)
