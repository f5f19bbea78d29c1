"""``couchette info``: what a database holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.table import Table

from couchette import jsonio, store
from couchette.cli.files import look_at, read_key
from couchette.cli.screen import Screen, size
from couchette.endpoints import is_url
from couchette.errors import NotCouchDB


def run_info(screen: Screen, database: str, as_json: bool, key_file: str | None) -> None:
    """Print it as a table, or as JSON."""
    found = _of_url(database) if is_url(database) else _of_file(database, key_file)
    if as_json:
        print(jsonio.dumps(found).decode())
        return
    table = Table.grid(padding=(0, 2))
    for label, value in _rows(found):
        table.add_row(label, value)
    screen.show(table, indent=0)


def _of_file(path: str, key_file: str | None) -> dict[str, Any]:
    with look_at(path, read_key(key_file)) as conn:
        return store.info(conn, Path(path).stem)


def _of_url(url: str) -> dict[str, Any]:
    from couchette.remote_database import RemoteDatabase

    with RemoteDatabase(url) as database:
        answer = database.info()
    if not isinstance(answer, dict) or "db_name" not in answer:
        raise NotCouchDB("The URL does not answer as a CouchDB database.", "It must end with the database's name.")
    return answer


def _rows(found: dict[str, Any]) -> list[tuple[str, str]]:
    """The facts that both our databases and CouchDB's tell, and the uuid that only ours have."""
    rows = [
        ("name", str(found["db_name"])),
        ("documents", f"{found.get('doc_count', 0):,}"),
        ("deleted", f"{found.get('doc_del_count', 0):,}"),
        ("update sequence", str(found.get("update_seq", ""))),
    ]
    if "uuid" in found:
        rows.append(("uuid", str(found["uuid"])))
    file_size = (found.get("sizes") or {}).get("file")
    if isinstance(file_size, int):
        rows.append(("size", size(file_size)))
    return rows
