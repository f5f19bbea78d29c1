"""Benchmarks in Node: a script beside this module is given documents in a file, and prints its rates."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import orjson

from benchmarks.documents import Doc

MODULES = Path(__file__).resolve().parent.parent / "tests" / "interop" / "node_modules"
Rates = dict[str, float]


def rates_in_node(script: str, folder: Path, docs: Iterable[Doc], *more: int) -> Rates:
    """What ``node SCRIPT MODULES DATABASE DOCUMENTS MORE...`` prints: operations a second by name."""
    node = shutil.which("node")
    if node is None or not MODULES.is_dir():
        raise SystemExit("The benchmark of peers needs node and tests/interop/node_modules; run ./tools/test once.")
    documents = folder / "documents.jsonl"
    with documents.open("wb") as file:
        file.writelines(orjson.dumps(doc, option=orjson.OPT_APPEND_NEWLINE) for doc in docs)
    paths = [MODULES, folder / f"{Path(script).stem}.leveldb", documents]
    command = [node, str(Path(__file__).with_name(script)), *map(str, (*paths, *more))]
    rates: Rates = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return rates
