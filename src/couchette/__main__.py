"""``python -m couchette``: the command line, as the installed ``couchette`` script runs it."""

from __future__ import annotations

import sys

from couchette.cli import main

if __name__ == "__main__":
    sys.exit(main())
