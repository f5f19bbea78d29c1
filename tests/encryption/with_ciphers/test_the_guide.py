"""The examples of the guide's page on encryption run."""

from __future__ import annotations

from pathlib import Path

from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser

PAGE = Path(__file__).parents[3] / "docs/guide/encryption.md"


def test_examples_of_the_page_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in Document.parse(str(PAGE), PythonCodeBlockParser()).examples():
        example.evaluate()
