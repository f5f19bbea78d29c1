"""Which of these tests run depends on the SQLite at hand: one that can encrypt, or not."""

from __future__ import annotations

import apsw

collect_ignore = ["with_ciphers"] if getattr(apsw, "mc_version", None) is None else ["test_without_ciphers.py"]
