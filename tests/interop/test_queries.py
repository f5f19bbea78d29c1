"""The same documents and design documents give the same rows here, in PouchDB in Node and in pouchdb-server."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import httpx
import pytest

from couchette import Database, Environment
from couchette.server import background
from tests.interop.conftest import HERE, NODE, NodePeer, running
from tests.interop.query_cases import (
    DOCS,
    FIND_CASES,
    INDEXES,
    PARTIAL,
    POUCHDB,
    POUCHDB_SERVER,
    VIEW_CASES,
    Doc,
    FindCase,
    ViewCase,
)

pytestmark = pytest.mark.interop

OURS, SERVED = "couchette", "couchette's server"
PEERS = (SERVED, POUCHDB, POUCHDB_SERVER)
PLAIN = ("startkey_docid",)
"""Options that are no JSON in a URL."""
PYTHON_NAMES = {"startkey": "start_key", "endkey": "end_key", "startkey_docid": "start_key_doc_id"}


class Queried(Protocol):
    """What answers queries; where it refuses one, the answer is ``{"error": ...}``."""

    def view(self, view: str, options: Doc) -> Any: ...
    def find(self, request: Doc) -> Any: ...


class Facade:
    """A database of this process."""

    def __init__(self, database: Database) -> None:
        self.database = database
        database.bulk_docs(DOCS)
        for index in (*INDEXES, PARTIAL):
            database.create_index(**_unpacked(index))

    def view(self, view: str, options: Doc) -> Any:
        return self.database.query(view, **{PYTHON_NAMES.get(name, name): value for name, value in options.items()})

    def find(self, request: Doc) -> Any:
        return self.database.find(**request)


def _unpacked(index: Doc) -> Doc:
    return {**index["index"], "ddoc": index["ddoc"], "name": index["name"]}


class OverHttp:
    """A database on a server, asked by plain requests."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http
        http.put("").raise_for_status()
        http.post("/_bulk_docs", json={"docs": DOCS}).raise_for_status()
        for index in (*INDEXES, PARTIAL):
            http.post("/_index", json=index).raise_for_status()

    def view(self, view: str, options: Doc) -> Any:
        design, name = view.split("/")
        asked = {name: value if name in PLAIN else json.dumps(value) for name, value in options.items()}
        return self.http.get(f"/_design/{design}/_view/{name}", params=asked).json()

    def find(self, request: Doc) -> Any:
        return self.http.post("/_find", json=request).json()


class InNode:
    """A PouchDB in Node, with its plugin for find."""

    def __init__(self, node: NodePeer) -> None:
        self.node = node
        node.bulk_docs(DOCS)
        for index in (*INDEXES, PARTIAL):
            node.call("createIndex", {**index, **index["index"]})

    def view(self, view: str, options: Doc) -> Any:
        return self.node.ask("query", view, options)

    def find(self, request: Doc) -> Any:
        return self.node.ask("find", request)


@pytest.fixture(scope="module")
def peers(
    node_modules: Path, pouchdb_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Queried]]:
    """All of them, with the documents and the indexes."""
    folder = tmp_path_factory.mktemp("queries")
    with (
        Environment(folder / "databases") as environment,
        background(environment, "127.0.0.1", 0) as url,
        httpx.Client(base_url=f"{url}/served", timeout=30) as served,
        httpx.Client(base_url=f"{pouchdb_server}/q{uuid.uuid4().hex}", timeout=30) as remote,
        running([*NODE, str(HERE / "peer.js")], folder) as process,
    ):
        yield {
            OURS: Facade(environment.create("facade")),
            SERVED: OverHttp(served),
            POUCHDB_SERVER: OverHttp(remote),
            POUCHDB: InNode(NodePeer(process)),
        }


def rows(answer: Any) -> Any:
    """The rows of a view, without the revisions of documents, which each makes in its own way."""
    if "rows" not in answer:
        return answer
    return [
        {name: _unversioned(value) if name == "doc" else value for name, value in row.items()} for row in answer["rows"]
    ]


def docs(case: FindCase, answer: Any) -> Any:
    """What was found, likewise."""
    if "docs" not in answer:
        return answer
    found = [_unversioned(doc) for doc in answer["docs"]]
    return found if "sort" in case.request else sorted(found, key=lambda doc: json.dumps(doc, sort_keys=True))


def _unversioned(doc: Doc | None) -> Doc | None:
    return doc and {name: value for name, value in doc.items() if name != "_rev"}


def agree(theirs: Any, ours: Any, reason: str | None) -> None:
    """The same, or not the same for a known reason: one that holds no more is to be taken off."""
    if reason is None:
        assert theirs == ours
    else:
        assert theirs != ours, f"it agrees now: {reason}"


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", VIEW_CASES, ids=lambda case: case.name)
def test_a_view_gives_the_same_rows(peers: dict[str, Queried], case: ViewCase, peer: str):
    ours = peers[OURS].view(case.view, case.options)
    agree(rows(peers[peer].view(case.view, case.options)), rows(ours), case.differs.get(peer))


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("case", FIND_CASES, ids=lambda case: case.name)
def test_a_selector_finds_the_same_documents(peers: dict[str, Queried], case: FindCase, peer: str):
    ours = peers[OURS].find(case.request)
    agree(docs(case, peers[peer].find(case.request)), docs(case, ours), case.differs.get(peer))
