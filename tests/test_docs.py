"""The Python examples of README.md and docs/ run, page by page, each in an empty folder; the module map is whole.

The blocks of a page are one program: a later one sees the names of those before it.
"""

from __future__ import annotations

import re
from doctest import ELLIPSIS
from pathlib import Path

import pytest
from sybil.document import Document
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).parents[1]
ENCRYPTED = ROOT / "docs/guide/encryption.md"
"""Runs with the build of apsw that has ciphers: tests/encryption/with_ciphers/test_the_guide.py."""
PAGES = [ROOT / "README.md", *sorted({*(ROOT / "docs").rglob("*.md")} - {ENCRYPTED})]


def test_the_module_map_names_every_module():
    table = (ROOT / "docs/architecture.md").read_text(encoding="utf-8").partition("\n## ")[0]
    source = ROOT / "src/couchette"
    packages = [f"`{found.parent.name}/`" for found in source.glob("*/__init__.py")]
    modules = [f"`{found.stem}`" for found in source.glob("[!_]*.py")]
    assert [name for name in sorted(packages + modules) if name not in table] == []


def test_links_lead_somewhere():
    for page in (*PAGES, ENCRYPTED):
        for path, anchor in re.findall(r"\]\((?!http)([^)\s#]*)#?([^)\s]*)\)", prose(page)):
            target = (page.parent / path).resolve() if path else page
            assert target.exists(), (page, path)
            assert not anchor or anchor in anchors(target), (page, path, anchor)


def prose(page: Path) -> str:
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What GitHub calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_of_the_page_run(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    document = Document.parse(str(page), PythonCodeBlockParser(doctest_optionflags=ELLIPSIS))
    for example in document.examples():
        example.evaluate()
