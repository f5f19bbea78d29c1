"""The command line: ``couchette demo | serve | browse | replicate | info | compact | verify | dump | load``.

:func:`main` is the installed script. Nothing else is imported here, so that it can say what to install
when the ``cli`` extra is missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from couchette.errors import MissingExtra

__all__ = ["main"]

NEEDED = ("cyclopts", "rich")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code that a script can use.

    0: done; also a server or a live replication that was ended by Ctrl-C or SIGTERM. 1: it failed; stderr says why
    and what to do. 2: the command line is wrong. 3: a replication ended, but the target refused some documents.
    130: interrupted.
    """
    try:
        from couchette.cli.app import run
    except ImportError as exc:
        package = (exc.name or "").partition(".")[0]
        if package not in NEEDED:
            raise
        missing = MissingExtra(f"The command line needs {package!r}.", "Install it with: pip install 'couchette[cli]'")
        print(f"couchette: {missing}", file=sys.stderr)
        return 1
    return run(sys.argv[1:] if arguments is None else arguments)
