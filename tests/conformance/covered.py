"""Which exchanges must hold: all but those on the list, and those on the list must not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tests.conformance import replay

LIST = Path(__file__).parent / "not_yet_covered.txt"
SCENARIOS = dict(replay.scenarios())


def listed() -> list[str]:
    """The names on the list of exchanges that are not yet covered."""
    return [line for line in LIST.read_text(encoding="utf-8").splitlines() if line and not line.startswith(";")]


NOT_YET_COVERED = frozenset(listed())


def check(name: str, differences: Mapping[int, str]) -> None:
    """Fail for a difference that is not listed, and for a listed exchange of this scenario that holds now."""
    found = {f"{name}#{number}": difference for number, difference in differences.items()}
    expected = {entry for entry in NOT_YET_COVERED if entry.startswith(f"{name}#")}
    differing = {entry: difference for entry, difference in found.items() if entry not in expected}
    assert not differing, "\n".join(f"{entry}: {difference}" for entry, difference in differing.items())
    assert expected == found.keys(), f"these hold now, take them off {LIST.name}: {sorted(expected - found.keys())}"
