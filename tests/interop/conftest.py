"""Real peers from npm: PouchDB's server, and PouchDB in Node as a client of ours."""

from __future__ import annotations

import json
import logging
import shutil
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from couchette import Database, Environment
from couchette.server import Policy, background

HERE = Path(__file__).parent
MODULES = HERE / "node_modules"
NODE = ["node", "--unhandled-rejections=warn"]


@pytest.fixture(scope="session")
def node_modules() -> Path:
    if not MODULES.is_dir():
        pytest.fail(f"{MODULES} is missing; run ./tools/test, which installs the peers.")
    if shutil.which("node") is None:
        pytest.fail("node is not on the PATH; ./tools/test needs it for the peers.")
    return MODULES


@contextmanager
def running(command: list[str], cwd: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that lives as long as the block; what it says on stderr is shown when it fails."""
    with (
        (cwd / "stderr.txt").open("w+") as stderr,
        subprocess.Popen(
            command, cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, text=True
        ) as process,
    ):
        try:
            yield process
        finally:
            if process.poll() is not None:
                stderr.seek(0)
                print(stderr.read())
            process.kill()


@pytest.fixture(scope="session")
def pouchdb_server(node_modules: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a pouchdb-server that keeps its databases in memory and lets everyone do everything."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    script = str(node_modules / "pouchdb-server" / "bin" / "pouchdb-server")
    command = [*NODE, script, "--in-memory", "--host", "127.0.0.1", "--port", str(port)]
    # It leaves its configuration and log where it is started.
    with running(command, tmp_path_factory.mktemp("pouchdb-server")) as process:
        assert process.stdout is not None
        if not any("has started on" in line for line in process.stdout):
            pytest.fail("pouchdb-server ended before it listened.")
        drain = threading.Thread(target=process.stdout.readlines)
        drain.start()
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        drain.join()


class HttpDatabase:
    """A database on some server, reached by plain requests that share no code with our replicator."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.http = httpx.Client(timeout=30)

    def ask(self, method: str, path: str = "", **options: Any) -> Any:
        answer = self.http.request(method, f"{self.url}{path}", headers={"Accept": "application/json"}, **options)
        assert answer.is_success, (method, path, answer.status_code, answer.text)
        return answer.json()

    def bulk_docs(self, docs: list[Any], *, new_edits: bool = True) -> Any:
        return self.ask("POST", "/_bulk_docs", json={"docs": docs, "new_edits": new_edits})

    def wait_until_there(self, doc_id: str) -> bool:
        """Wait for a document, without asking again and again."""
        seq: Any = 0
        while True:
            answer = self.ask("GET", "/_changes", params={"feed": "longpoll", "since": seq, "timeout": 20_000})
            if any(row["id"] == doc_id for row in answer["results"]):
                return True
            if not answer["results"]:
                return False
            seq = answer["last_seq"]

    def leaves(self) -> dict[Any, Any]:
        found = []
        for row in self.ask("GET", "/_changes?style=all_docs")["results"]:
            path = "/" + quote(row["id"], safe="").replace("_design%2F", "_design/")
            if row["id"] in (".", ".."):
                path = path.replace(".", "%2E")
            found += self.ask("GET", f"{path}?open_revs=all&revs=true&attachments=true")
        return comparable(found)


class NodePeer:
    """A PouchDB in a Node process."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        assert json.loads(self._stdout.readline()) == {"ready": True}

    def call(self, method: str, *args: Any) -> Any:
        """``await db[method](...args)``."""
        answer = self._exchange(method, *args)
        assert "error" not in answer, answer
        return answer.get("ok")

    def ask(self, method: str, *args: Any) -> Any:
        """As :meth:`call`; where it rejects, the answer is ``{"error": ...}``."""
        answer = self._exchange(method, *args)
        return answer.get("ok", answer)

    def _exchange(self, method: str, *args: Any) -> Any:
        self._stdin.write(json.dumps([method, *args]) + "\n")
        self._stdin.flush()
        return json.loads(self._stdout.readline())

    def bulk_docs(self, docs: list[Any], *, new_edits: bool = True) -> Any:
        return self.call("bulkDocs", docs, {"new_edits": new_edits})

    def leaves(self) -> dict[Any, Any]:
        found = []
        for row in self.call("changes", {"style": "all_docs"})["results"]:
            found += self.call("get", row["id"], {"open_revs": "all", "revs": True, "attachments": True})
        return comparable(found)


@pytest.fixture
def remote(pouchdb_server: str) -> Iterator[HttpDatabase]:
    """A new database on pouchdb-server, whose name needs quoting."""
    database = HttpDatabase(f"{pouchdb_server}/{quote(f'a+{uuid.uuid4().hex}', safe='')}")
    with database.http:
        database.ask("PUT")
        yield database
        database.ask("DELETE")


@pytest.fixture
def node(node_modules: Path, tmp_path: Path) -> Iterator[NodePeer]:
    """A new PouchDB in Node."""
    folder = tmp_path / "node"
    folder.mkdir()
    with running([*NODE, str(HERE / "peer.js")], folder) as process:
        yield NodePeer(process)


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[Environment]:
    with Environment(tmp_path / "databases") as environment:
        yield environment


@pytest.fixture
def served(environment: Environment) -> Iterator[HttpDatabase]:
    """A new database of ours, behind our server."""
    environment.create("db")
    with background(environment, "127.0.0.1", 0) as url:
        database = HttpDatabase(f"{url}/db")
        with database.http:
            yield database


@pytest.fixture
def administered(environment: Environment, caplog: pytest.LogCaptureFixture) -> Iterator[str]:
    """The URL of our server with an administrator, admin with the password secret; nothing may fail inside it."""
    with background(environment, policy=Policy(admins={"admin": "secret"}, password_iterations=1)) as url:
        yield url
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def with_credentials(url: str) -> str:
    """A URL with the administrator's name and password in it."""
    return url.replace("://", "://admin:secret@")


def comparable(rows: list[Any]) -> dict[Any, Any]:
    """Leaf revisions in a form in which two replicas agree: attachments by type and content."""
    leaves = {}
    for row in rows:
        doc = row["ok"]
        if "_attachments" in doc:
            doc["_attachments"] = {
                name: (attachment["content_type"], attachment["data"])
                for name, attachment in doc["_attachments"].items()
            }
        leaves[doc["_id"], doc["_rev"]] = doc
    return leaves


def leaves_of(database: Database) -> dict[Any, Any]:
    """The leaves of a database of this process."""
    found: list[Any] = []
    for row in database.changes(style="all_docs")["results"]:
        found += database.get(row["id"], open_revs="all", revs=True, attachments=True)
    return comparable(found)
