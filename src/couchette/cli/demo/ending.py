"""What to try after the demo: commands that work as they stand, one after the other."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path

from couchette.cli.screen import Screen


def try_next(screen: Screen, keep: str | None) -> None:
    """Print the commands; the first keeps a demo's folder unless this one was kept."""
    couchette, folder = program(), shlex.quote(keep or "demo")
    screen.say("Try next", "bold")
    if keep is None:
        _command(screen, f"{couchette} demo --keep {folder}", "the same, and its databases stay")
    _command(screen, f"{couchette} info {folder}/phone.couchette", "what a file holds")
    _command(screen, f"{couchette} serve {folder}/server", "serve a folder of databases, to CouchDB and PouchDB too")
    _command(screen, f"{couchette} replicate http://127.0.0.1:5984/places copy.couchette", "from another terminal")
    screen.say("and in Python", "bold")
    screen.show('db = couchette.Database("copy.couchette")')
    screen.show('db.sync("http://127.0.0.1:5984/places")')


def _command(screen: Screen, command: str, purpose: str) -> None:
    screen.show(f"{command}  # {purpose}")


def program() -> str:
    """How the user calls us: by name where the shell finds it, else by path, else as a module of this Python."""
    script = Path(sys.argv[0])
    if script.stem != "couchette" or not script.exists():
        return f"{shlex.quote(sys.executable)} -m couchette"
    found = shutil.which("couchette")
    if found is not None and script.samefile(found):
        return "couchette"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
