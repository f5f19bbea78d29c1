"""The example docs/examples/shopping.py, run as two people run it: on two devices, with a server between them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from couchette import Environment, server

PROGRAM = Path(__file__).parents[2] / "docs/examples/shopping.py"


class Device:
    """A terminal with the program in it."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdin is not None
        assert process.stdout is not None
        self._keys, self._screen = process.stdin, process.stdout

    def type(self, line: str) -> None:
        self._keys.write(line + "\n")
        self._keys.flush()

    def shows(self, text: str) -> None:
        """Read the screen until a line has the text."""
        seen = []
        for line in self._screen:
            if text in line:
                return
            seen.append(line)
        pytest.fail(f"The program ended without showing {text!r}, but:\n{''.join(seen)}")


@contextmanager
def device(folder: Path, *options: str) -> Iterator[Device]:
    command = [sys.executable, "-X", "utf8", str(PROGRAM), str(folder), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as process:
        try:
            yield Device(process)
        finally:
            process.kill()


@pytest.mark.slow
def test_two_devices_show_one_list(tmp_path):
    with Environment(tmp_path / "server") as databases, server.background(databases) as url:
        at_server = ("--server", f"{url}/shopping")
        with device(tmp_path / "ada", *at_server) as ada, device(tmp_path / "bob", *at_server) as bob:
            ada.type("add milk 2 Coop")
            bob.shows("  milk 2 (Coop)")
            bob.type("add rye-bread 1 Bakery")
            ada.shows("to buy  Bakery: 1, Coop: 2")
            bob.type("bought milk")
            ada.shows("✓ milk 2 (Coop)")
            ada.type("add salt 1 Migros")
            bob.shows("to buy  Bakery: 1, Migros: 1\n")
            ada.type("forget salt")
            bob.shows("to buy  Bakery: 1\n")
            for one in (ada, bob):
                one.type("quit")
                assert one.process.wait() == 0
        assert {"milk", "rye-bread", "_design/shopping"} == set(databases["shopping"])


@pytest.mark.slow
def test_a_device_alone_keeps_its_list(tmp_path):
    for typed, shown in (("add milk 2 Coop", "  milk 2 (Coop)"), ("nonsense", "[add THING AMOUNT SHOP")):
        with device(tmp_path / "ada") as ada:
            ada.type(typed)
            ada.shows(shown)
            ada.type("quit")
            assert ada.process.wait() == 0
